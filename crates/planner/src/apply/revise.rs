//! What the nodes of a service shall run: the content of its next revision.

use super::{LiveApplication, Work, isolation, links, merge, package, tls};
use lace_model::application::{FamilySpec, ServiceSpec};
use lace_model::beam::{Beam, CA_PREFIX, COOKIE_PREFIX, is_ours};
use lace_model::package::{PASSWORD_PREFIX, StoredPackage};
use lace_model::release::{Release, ReleaseKind};
use lace_model::revision::{Limits, RevisionSpec};
use lace_model::{AppName, Code, FamilyName, Problem, ServiceName};
use std::collections::BTreeMap;

/// The name of the secret that holds the cookie of a service's cluster.
pub fn cookie_name(service: &ServiceName) -> String {
    format!("{COOKIE_PREFIX}{}", service.as_str().replace('-', "_"))
}

/// The name of the secret that is the authority of a service's cluster, where its distribution goes over TLS.
pub fn authority_name(service: &ServiceName) -> String {
    format!("{CA_PREFIX}{}", service.as_str().replace('-', "_"))
}

/// A service while its revision is made.
pub(super) struct Making<'a> {
    pub app: &'a AppName,
    pub name: &'a ServiceName,
    pub live: &'a LiveApplication,
    /// What the file says.
    pub says: &'a ServiceSpec,
    /// What the file and what was applied before it say together.
    pub merged: &'a ServiceSpec,
    /// What the wanted revision says.
    pub base: Option<&'a RevisionSpec>,
    /// What the request says of all services.
    pub beside: &'a BTreeMap<ServiceName, ServiceSpec>,
    /// The package that it gets; none where it has none, or goes on with the one that it has.
    pub package: Option<&'a StoredPackage>,
}

/// A new revision's content, and the secrets that have to be made for it.
pub(super) struct Made {
    pub spec: RevisionSpec,
    pub generate: Vec<String>,
}

impl Making<'_> {
    /// The content; or every mistake at once.
    pub fn make(&self) -> Result<Made, Vec<Problem>> {
        let mut problems = Vec::new();
        let release = self.release(&mut problems);
        let start = self.start(release, &mut problems);
        let mut beam = self.beam(release);
        let mut generate = Vec::new();
        let links = links::of(self, &mut problems);
        let mut secrets = self.secrets(beam.as_ref(), &mut generate, &mut problems);
        if let Some(beam) = &beam {
            problems.extend(self.runs(release).and_then(|release| tls::missing(release, beam)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut spec = self.plain(start);
        spec.links = links;
        if let Some(release) = release {
            spec.release = format!("{}@{}", release.name, release.version);
            spec.tree = Some(release.tree);
            spec.kind = release.kind;
            if !self.is_packaged() {
                spec.stop_command = self.merged.stop_command.clone().or_else(|| release.stop.clone());
            }
            spec.templates = self.merged.templates.clone().unwrap_or_else(|| release.templates.clone());
        }
        if let Some(stored) = self.package {
            problems.extend(package::lay(&mut spec, self, stored));
        }
        problems.extend(spec.kind.check_start(&spec.start).err());
        if beam.is_some() {
            problems.extend(lace_model::beam::refuse_heart(&spec.env, &spec.start).err());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        if let Some(beam) = &mut beam {
            isolation::name(beam, spec.isolation, self.merged.beam.as_ref().map(|said| said.names));
        }
        spec.beam = beam;
        for name in links::secrets(&spec) {
            let version = self.version_of(&name, &mut generate);
            secrets.insert(name, version);
        }
        spec.secrets = secrets;
        (spec.limits, spec.family_limits) = self.limits();
        Ok(Made { spec, generate })
    }

    /// The fields that come straight from the file, from the live revision, or from a default.
    fn plain(&self, start: Vec<String>) -> RevisionSpec {
        let says = self.says;
        let base = self.base;
        macro_rules! kept {
            ($field:ident) => {
                says.$field.clone().or_else(|| base.map(|b| b.$field.clone())).unwrap_or_default()
            };
            (? $field:ident) => {
                says.$field.clone().or_else(|| base.and_then(|b| b.$field.clone()))
            };
        }
        RevisionSpec {
            release: base.map(|b| b.release.clone()).unwrap_or_default(),
            tree: base.and_then(|b| b.tree),
            package: base.and_then(|b| b.package.clone()),
            links: BTreeMap::new(),
            kind: base.map_or(ReleaseKind::Generic, |b| b.kind),
            start,
            stop_command: kept!(?stop_command),
            env: kept!(env),
            secrets: BTreeMap::new(),
            files: kept!(files),
            templates: kept!(templates),
            limits: Limits::default(),
            family_limits: BTreeMap::new(),
            isolation: kept!(isolation),
            beam: None,
            check: kept!(?check),
            live: kept!(?live),
            stop: kept!(stop),
            restart: kept!(restart),
            volumes: kept!(volumes),
            firewall: kept!(firewall),
            bootstrap: kept!(?bootstrap),
            // It belongs to its command.
            bootstrap_with: self.joins().map(str::to_owned),
            bootstrap_each_start: match says.bootstrap {
                Some(_) => says.bootstrap_each_start.unwrap_or(false),
                None => base.is_some_and(|b| b.bootstrap_each_start),
            },
            before: kept!(before),
        }
    }

    /// The release that the file names (or that was applied, where nothing lives yet).
    fn release(&self, problems: &mut Vec<Problem>) -> Option<&Release> {
        let wanted = match self.base {
            Some(_) => self.says.release.as_ref(),
            None => self.merged.release.as_ref(),
        }?;
        let found = self.live.release(wanted);
        if found.is_none() {
            let version = wanted.version.as_ref().map(|v| format!("@{v}")).unwrap_or_default();
            problems.push(
                Problem::not_found(format!("release {}{version}", wanted.name))
                    .hint(format!("upload it: `lace release upload {} PATH`", wanted.name)),
            );
        }
        found
    }

    /// The release that its nodes will have: the one that is named now, or the one that they have.
    fn runs<'r>(&'r self, named: Option<&'r Release>) -> Option<&'r Release> {
        named.or_else(|| {
            let (name, version) = self.base?.release.split_once('@')?;
            self.live.releases.values().find(|r| r.name.as_str() == name && r.version == version)
        })
    }

    fn start(&self, release: Option<&Release>, problems: &mut Vec<Problem>) -> Vec<String> {
        if self.is_packaged() {
            return self.base.map(|base| base.start.clone()).unwrap_or_default();
        }
        let said = self.says.start.clone();
        let own = || self.merged.start.clone().or_else(|| release.map(|r| r.start.clone()));
        let start = match (said, release, self.base) {
            (Some(start), ..) => Some(start),
            (None, None, Some(base)) => Some(base.start.clone()),
            _ => own(),
        };
        let start = start.filter(|s| !s.is_empty());
        if start.is_none() && problems.is_empty() {
            problems.push(
                Problem::new(Code::Usage, format!("service {}/{} has nothing to start", self.app, self.name))
                    .hint("give it a release, or a `start` command"),
            );
        }
        start.unwrap_or_default()
    }

    /// Does a package say what runs?
    fn is_packaged(&self) -> bool {
        self.package.is_some() || self.base.is_some_and(|base| base.package.is_some())
    }

    fn beam(&self, release: Option<&Release>) -> Option<Beam> {
        let kind = release.map(|r| r.kind).or(self.base.map(|b| b.kind)).unwrap_or_default();
        let kept = self.base.and_then(|b| b.beam.clone());
        let own = matches!(kind, ReleaseKind::Relx | ReleaseKind::Mix).then(Beam::default);
        let beam = self.says.beam.clone().or(kept).or_else(|| self.merged.beam.clone()).or(own);
        let is_alone = self.says.bootstrap.as_ref().is_some_and(Vec::is_empty);
        beam.map(|beam| Beam { join: beam.join && !is_alone, ..beam })
    }

    /// The service or family that its nodes join.
    fn joins(&self) -> Option<&str> {
        match self.says.bootstrap {
            Some(_) => self.says.bootstrap_with.as_deref(),
            None => self.base.and_then(|base| base.bootstrap_with.as_deref()),
        }
    }

    /// The service whose cookie and authority its nodes show: who joins another one is let in there.
    fn cluster(&self) -> ServiceName {
        let joined = self.joins().and_then(|with| with.split('/').next()?.parse().ok());
        joined.unwrap_or_else(|| self.name.clone())
    }

    fn secrets(
        &self,
        beam: Option<&Beam>,
        generate: &mut Vec<String>,
        problems: &mut Vec<Problem>,
    ) -> BTreeMap<String, u64> {
        let cluster = self.cluster();
        let made = [
            (cookie_name(&cluster), beam.is_some()),
            (authority_name(&cluster), beam.is_some_and(|b| b.tls)),
        ];
        let is_made = |name: &String| name.starts_with(PASSWORD_PREFIX) || is_ours(name);
        let kept = self.base.map(|b| b.secrets.keys().filter(|n| !is_made(n)).cloned().collect());
        let names: Vec<String> = self.says.secrets.clone().or(kept).unwrap_or_default();
        let mut secrets = BTreeMap::new();
        for name in names {
            match self.live.secrets.get(&name) {
                Some(version) => drop(secrets.insert(name, *version)),
                None => problems.push(
                    Problem::not_found(format!("secret {name} in {}", self.app))
                        .hint(format!("set it: `lace secret set {} {name}`", self.app)),
                ),
            }
        }
        for (name, _) in made.into_iter().filter(|(_, is_wanted)| *is_wanted) {
            let version = self.version_of(&name, generate);
            secrets.insert(name, version);
        }
        secrets
    }

    /// The newest version of a secret that is made where there is none.
    fn version_of(&self, name: &str, generate: &mut Vec<String>) -> u64 {
        self.live.secrets.get(name).copied().unwrap_or_else(|| {
            generate.push(name.to_owned());
            1
        })
    }

    /// What most may use of each, and what families have that may use something else. Jobs of the service get the first.
    fn limits(&self) -> (Limits, BTreeMap<FamilyName, Limits>) {
        let live = self.live.services.get(self.name);
        let there = live.into_iter().flat_map(|l| &l.families).filter(|(_, f)| !f.deleting);
        let mut families = merge::families(self.name, self.merged);
        for (name, _) in there {
            families.entry(name.clone()).or_default();
        }
        let each: BTreeMap<_, _> =
            families.iter().map(|(name, spec)| (name, self.limits_of(name, spec))).collect();
        macro_rules! most {
            ($field:ident) => {
                each.values().map(|l| l.$field).max().unwrap_or_default()
            };
        }
        let most = Limits { cpu: most!(cpu), memory: most!(memory), disk: most!(disk), pids: most!(pids) };
        let own = each.into_iter().filter(|(_, l)| *l != most).map(|(name, l)| (name.clone(), l)).collect();
        (most, own)
    }

    /// What the file says of the family; what it does not say stays.
    fn limits_of(&self, name: &FamilyName, merged: &FamilySpec) -> Limits {
        let says = self.says.families.get(name);
        let is_there = self.live.services.get(self.name).is_some_and(|l| l.families.contains_key(name));
        let base = self.base.filter(|_| is_there).map(|b| b.limits_of(name));
        let usual = Limits::default();
        macro_rules! limit {
            ($field:ident) => {{
                let kept = || base.map(|l| l.$field).or(merged.$field);
                says.and_then(|f| f.$field).or_else(kept).unwrap_or(usual.$field)
            }};
        }
        Limits { cpu: limit!(cpu), memory: limit!(memory), disk: limit!(disk), pids: limit!(pids) }
    }
}

/// Refuses a demand that no host could meet even if it were empty.
pub(super) fn check_size(work: &mut Work, name: &ServiceName, limits: &Limits) {
    let hosts = &work.facts.hosts;
    if hosts.is_empty() || hosts.iter().any(|h| h.memory >= limits.memory && h.cpu >= limits.cpu) {
        return;
    }
    let memory = hosts.iter().map(|h| h.memory).max().unwrap_or_default();
    let cpu = hosts.iter().map(|h| h.cpu).max().unwrap_or_default();
    work.problems.push(
        Problem::new(
            Code::CannotPlace,
            format!(
                "a node of {}/{name} wants {} of memory and {} cpu, more than any host has",
                work.request.app,
                limits.memory.human(),
                limits.cpu
            ),
        )
        .hint(format!(
            "the largest host has {} of memory and {cpu} cpu: ask for less, or add a host",
            memory.human()
        )),
    );
}
