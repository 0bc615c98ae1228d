//! A node's or job's entry as the machine's specification: rendered, with its secrets.

mod files;
mod package;

mod signal;

pub use files::{of_release, over, private};

use crate::beam;
use crate::context::Context;
use crate::hands::Hands;
use crate::held::Held;
use lace_machine::{FileSpec, Limits, NodeSpec, ProcessSpec, VoteSpec};
use lace_model::beam::{CA_PREFIX, COOKIE_PREFIX, is_ours};
use lace_model::document::NodeEntry;
use lace_model::job::Job;
use lace_model::revision::{Isolation, RevisionSpec};
use lace_model::target::VoteOrder;
use lace_model::{AppName, Digest, FamilyPath, NodePath, ServicePath, name};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Where the release lies in a node.
pub const HOME: &str = "/app";

/// Whose nodes count as peers.
#[derive(Clone, Copy)]
pub enum Kin<'a> {
    /// A node's family.
    Family(&'a FamilyPath),
    /// The service that a job belongs to.
    Service(&'a ServicePath),
    /// Nobody's.
    Nobody,
}

impl Kin<'_> {
    /// Is the node at that place one of them?
    pub fn holds(&self, path: &NodePath) -> bool {
        match self {
            Self::Family(family) => path.family == **family,
            Self::Service(service) => path.family.service_path() == **service,
            Self::Nobody => false,
        }
    }

    /// The service they belong to.
    pub fn service(&self) -> Option<ServicePath> {
        match self {
            Self::Family(family) => Some(family.service_path()),
            Self::Service(service) => Some((*service).clone()),
            Self::Nobody => None,
        }
    }
}

/// What shall run: a node or a job.
pub struct Subject<'a> {
    /// The machine's id.
    pub id: String,
    /// The application.
    pub app: &'a AppName,
    /// Its host name, without domain.
    pub hostname: String,
    /// Its full name.
    pub fqdn: String,
    /// Its index; 0 for a job.
    pub index: u32,
    /// Its address.
    pub address: Ipv4Addr,
    /// What runs.
    pub spec: &'a RevisionSpec,
    /// Its peers.
    pub kin: Kin<'a>,
    /// Who votes on its family's one copy.
    pub votes: Option<&'a VoteOrder>,
    /// Its mesh of Erlang nodes; none for a job, which speaks to the mesh of the first node.
    pub mesh: Option<u64>,
}

impl<'a> Subject<'a> {
    /// A node.
    pub fn node(entry: &'a NodeEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            app: &entry.path.family.app,
            hostname: entry.path.hostname(),
            fqdn: entry.path.fqdn(),
            index: entry.path.index,
            address: entry.address,
            spec: &entry.spec,
            kin: Kin::Family(&entry.path.family),
            votes: entry.votes.as_ref(),
            mesh: Some(entry.mesh),
        }
    }

    /// A job at an address.
    pub fn job(job: &'a Job, address: Ipv4Addr) -> Self {
        let id = job.id.to_string();
        let hostname = format!("job-{}", &id[id.len() - 12..]);
        Self {
            fqdn: String::new(),
            app: &job.app,
            hostname,
            id,
            index: 0,
            address,
            spec: &job.spec,
            kin: job.service.as_ref().map_or(Kin::Nobody, Kin::Service),
            votes: None,
            mesh: None,
        }
    }
}

/// The values that a revision names.
pub struct Secrets(BTreeMap<String, Vec<u8>>);

impl Secrets {
    /// Looks the secrets of a revision up.
    pub fn find(held: &Held, app: &AppName, spec: &RevisionSpec) -> Result<Self, String> {
        let value = |(name, version): (&String, &u64)| {
            let value = held.secret(&format!("{app}/{name}@{version}"));
            let value = value
                .ok_or_else(|| format!("secret {name} (version {version}) has not come to this host"))?;
            Ok((name.clone(), value))
        };
        spec.secrets.iter().map(value).collect::<Result<_, _>>().map(Self)
    }

    /// Those that are text and a person's own, for environment and templates.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let own = self.0.iter().filter(|(name, _)| !is_ours(name));
        own.filter_map(|(name, value)| Some((name.clone(), String::from_utf8(value.clone()).ok()?))).collect()
    }

    /// The cookie of all meshes of the cluster.
    fn cookie_of_all(&self) -> Option<String> {
        self.text_of(COOKIE_PREFIX)
    }

    /// The cookie of one mesh of the cluster.
    pub fn cookie(&self, mesh: u64) -> Option<String> {
        self.cookie_of_all().map(|cookie| beam::cookie_of(cookie, mesh))
    }

    /// The cluster's authority: it stays on the host.
    pub fn authority(&self) -> Option<String> {
        self.text_of(CA_PREFIX)
    }

    fn text_of(&self, prefix: &str) -> Option<String> {
        let found = self.0.iter().find(|(name, _)| name.starts_with(prefix));
        found.and_then(|(_, value)| String::from_utf8(value.clone()).ok())
    }
}

/// Do its texts depend on who else is there?
pub fn speaks_of_peers(spec: &RevisionSpec) -> bool {
    let words = spec.start.iter().chain(spec.bootstrap.iter().flatten());
    let mut texts = words.chain(spec.env.values()).chain(spec.files.values().map(|f| &f.content));
    !spec.templates.is_empty()
        || spec.package.is_some()
        || !spec.links.is_empty()
        || texts.any(|text| speaks(text))
}

/// May what this text becomes depend on who else is there?
fn speaks(text: &str) -> bool {
    let words = ["first", "all", "members", "state", "links"];
    text.contains('{') && words.iter().any(|word| text.contains(word))
}

/// What of a subject lies on its host, shared by all that run the same.
#[derive(Default)]
pub struct Layers {
    /// Its release.
    pub release: Option<PathBuf>,
    /// Its package.
    pub package: Option<PathBuf>,
    /// What its package wants installed and the host has not.
    pub image: Option<PathBuf>,
}

/// The layer of a release, fetched and laid out where it is not there yet.
pub async fn layer(hands: &Hands, tree: Option<Digest>) -> Result<Option<PathBuf>, String> {
    match tree {
        Some(digest) => hands.trees.layer(digest).await.map(Some),
        None => Ok(None),
    }
}

/// The layers of what a revision runs, fetched and laid out where they are not there yet.
pub async fn layers(hands: &Hands, spec: &RevisionSpec) -> Result<Layers, String> {
    let release = layer(hands, spec.tree).await?;
    let Some(package) = &spec.package else { return Ok(Layers { release, ..Layers::default() }) };
    let image = hands.images.layer(&package.image).await?;
    Ok(Layers { release, package: Some(hands.packages.layer(package.tree).await?), image })
}

/// What all texts of a subject are rendered from.
struct Basis {
    secrets: Secrets,
    context: Context,
    env: BTreeMap<String, String>,
    /// Files of its runtime.
    gifts: Vec<FileSpec>,
}

impl Basis {
    fn of(hands: &Hands, subject: &Subject, layer: Option<&Path>) -> Result<Self, String> {
        let secrets = Secrets::find(&hands.held, subject.app, subject.spec)?;
        let topic = hands.topic(subject.app);
        let mut context = Context::of(subject, topic.as_deref(), secrets.texts());
        let gift = beam::gift(subject, &context, &secrets, layer)?;
        let env = environment(subject.spec, &context, &secrets, gift.env)?;
        context.set_env(env.clone());
        Ok(Self { secrets, context, env, gifts: gift.files })
    }
}

/// The files of a running node that may change with its family.
pub struct OfPeers {
    /// Its context first, then those that speak of peers.
    pub files: Vec<FileSpec>,
    /// What a node of a package is to be told of.
    pub told: Option<Digest>,
}

/// The files of a running node that may change with its family, as they are now.
pub fn of_peers(hands: &Hands, subject: &Subject, layers: &Layers) -> Result<OfPeers, String> {
    let Basis { context, gifts, .. } = Basis::of(hands, subject, layers.release.as_deref())?;
    let mut files = vec![files::context(&context)];
    files.extend(gifts.into_iter().filter(|file| beam::is_of_peers(&file.path)));
    files.extend(files::rendered(subject.spec, &context, speaks)?);
    if let Some(layer) = &layers.release {
        files.extend(files::templates(subject.spec, &context, layer, speaks)?);
    }
    let templates = package::files(&context, layers.package.as_deref())?;
    let told = package::told(&context, &templates);
    files.extend(templates);
    Ok(OfPeers { files, told })
}

/// What lies over a release in a node, and what its process knows.
pub struct OverRelease {
    /// Files over those of the release, and those of the runtime on tmpfs.
    pub files: Vec<FileSpec>,
    /// The process's environment.
    pub env: BTreeMap<String, String>,
}

/// What would lie over the release of a subject.
pub fn over_release(hands: &Hands, subject: &Subject, layer: &Path) -> Result<OverRelease, String> {
    let Basis { context, env, gifts: mut files, .. } = Basis::of(hands, subject, Some(layer))?;
    files.extend(files::templates(subject.spec, &context, layer, |_| true)?);
    Ok(OverRelease { files, env })
}

/// What shall run, rendered.
pub struct Rendered {
    /// The whole specification.
    pub spec: NodeSpec,
    /// What a node of a package knows when it starts with it.
    pub told: Option<Digest>,
}

/// The whole specification.
pub fn render(hands: &Hands, subject: &Subject, layers: Layers) -> Result<Rendered, String> {
    let Layers { release: layer, package, image } = layers;
    let Basis { secrets, context, env, gifts: mut files } = Basis::of(hands, subject, layer.as_deref())?;
    files.extend(files::secrets(&secrets));
    files.extend(beam::tls::files(subject, &context, &secrets)?);
    files.extend(files::rendered(subject.spec, &context, |_| true)?);
    if let Some(layer) = &layer {
        files.extend(files::templates(subject.spec, &context, layer, |_| true)?);
    }
    let templates = package::files(&context, package.as_deref())?;
    let told = package::told(&context, &templates);
    files.extend(templates);
    files.push(files::context(&context));
    let process = ProcessSpec { env, ..process(subject.spec, &context, layer.is_some())? };
    let spec = NodeSpec {
        id: subject.id.clone(),
        hostname: subject.hostname.clone(),
        fqdn: subject.fqdn.clone(),
        address: subject.address,
        hosts: Vec::new(),
        nameserver: None,
        search: Some(format!("{}.{}", subject.app, name::ZONE)),
        image: Default::default(),
        layers: layer.into_iter().chain(package).chain(image).collect(),
        files,
        volumes: Vec::new(),
        limits: limits(subject.spec),
        isolation: match subject.spec.isolation {
            Isolation::Border => lace_machine::Isolation::Border,
            Isolation::Host | Isolation::HostRoot => lace_machine::Isolation::Host,
        },
        process: Some(process),
        votes: votes(subject, &secrets)?,
    };
    Ok(Rendered { spec, told })
}

fn votes(subject: &Subject, secrets: &Secrets) -> Result<Option<VoteSpec>, String> {
    let (Some(order), Kin::Family(family)) = (subject.votes, subject.kin) else { return Ok(None) };
    let cookie = secrets.cookie_of_all().ok_or("its cluster has no cookie")?;
    let key = lace_vote::key_of(cookie.as_bytes(), &family.to_string()).to_vec();
    Ok(Some(beam::votes::part(subject, order, key)))
}

fn limits(spec: &RevisionSpec) -> Limits {
    Limits {
        cpu_millis: Some(spec.limits.cpu.0).filter(|n| *n > 0),
        memory_bytes: Some(spec.limits.memory.0).filter(|n| *n > 0),
        pids: Some(spec.limits.pids).filter(|n| *n > 0),
    }
}

fn environment(
    spec: &RevisionSpec,
    context: &Context,
    secrets: &Secrets,
    gift: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let home = if spec.isolation.is_on_host() { HOME } else { "/root" };
    let mut env = BTreeMap::from([("HOME".to_owned(), home.to_owned())]);
    let own = context.package().map(|of| package::environment(of, &secrets.texts()));
    env.extend(own.unwrap_or_default());
    // Without these its nodes could not speak to one another.
    let flags = gift.get(beam::FLAGS).cloned();
    env.extend(gift);
    // A secret's name is a variable's name.
    let texts: BTreeMap<_, _> = secrets.texts().into_iter().collect();
    let own_flags = spec.env.contains_key(beam::FLAGS) || texts.contains_key(beam::FLAGS);
    env.extend(texts);
    for (name, template) in &spec.env {
        env.insert(name.clone(), context.render(&format!("env {name}"), template)?);
    }
    if let (Some(ours), true) = (flags, own_flags) {
        env.entry(beam::FLAGS.to_owned()).and_modify(|own| *own = format!("{own} {ours}"));
    }
    if spec.beam.is_some() {
        beam::calm(&mut env);
    }
    Ok(env)
}

fn process(spec: &RevisionSpec, context: &Context, has_release: bool) -> Result<ProcessSpec, String> {
    let words = spec.start.iter().enumerate();
    let argv = words
        .map(|(n, word)| context.render(&format!("word {} of the start command", n + 1), word))
        .collect::<Result<Vec<_>, _>>()?;
    if argv.is_empty() {
        return Err("the start command is empty".to_owned());
    }
    Ok(ProcessSpec {
        argv,
        cwd: has_release.then(|| HOME.to_owned()),
        user: (spec.isolation == Isolation::HostRoot).then(|| "root".to_owned()),
        restart_min_ms: spec.restart.min.0,
        restart_max_ms: spec.restart.max.0.max(spec.restart.min.0),
        stop_signal: signal::number(&spec.stop.signal)?,
        stop_grace_ms: spec.stop.timeout.0,
        ..ProcessSpec::default()
    })
}
