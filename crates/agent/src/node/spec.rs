//! An entry as the machine's specification: rendered, with its secrets.

use crate::context::Context;
use crate::held::Held;
use lace_machine::{FileSpec, Limits, NodeSpec, ProcessSpec};
use lace_model::AppName;
use lace_model::document::NodeEntry;
use lace_model::revision::RevisionSpec;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the release lies in a node.
pub const HOME: &str = "/app";

/// The values that a revision names.
pub struct Secrets(BTreeMap<String, Vec<u8>>);

impl Secrets {
    /// Those that are text, for environment and templates.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let text =
            |(name, value): (&String, &Vec<u8>)| Some((name.clone(), String::from_utf8(value.clone()).ok()?));
        self.0.iter().filter_map(text).collect()
    }
}

/// Looks the secrets of a revision up.
pub fn secrets(held: &Held, app: &AppName, spec: &RevisionSpec) -> Result<Secrets, String> {
    let value = |(name, version): (&String, &u64)| {
        let value = held.secret(&format!("{app}/{name}@{version}"));
        let value =
            value.ok_or_else(|| format!("secret {name} (version {version}) has not come to this host"))?;
        Ok((name.clone(), value))
    };
    spec.secrets.iter().map(value).collect::<Result<_, _>>().map(Secrets)
}

/// Do its texts depend on who else is in the family?
pub fn speaks_of_peers(spec: &RevisionSpec) -> bool {
    let words = ["first", "all", "members"];
    let mut texts = spec.start.iter().chain(spec.env.values()).chain(spec.files.values().map(|f| &f.content));
    !spec.templates.is_empty()
        || texts.any(|text| text.contains('{') && words.iter().any(|word| text.contains(word)))
}

/// The whole specification of a node.
pub fn node(
    entry: &NodeEntry,
    context: &Context,
    secrets: &Secrets,
    layer: Option<PathBuf>,
) -> Result<NodeSpec, String> {
    let spec = &entry.spec;
    let env = environment(spec, context, secrets)?;
    let mut files = base_files(secrets);
    files.extend(rendered_files(spec, context)?);
    if let Some(layer) = &layer {
        files.extend(templates(spec, context, layer)?);
    }
    files.push(private("/run/lace/context.json", context.json()));
    let process = ProcessSpec { env, ..process(spec, context, layer.is_some())? };
    Ok(NodeSpec {
        id: entry.id.to_string(),
        hostname: entry.path.hostname(),
        fqdn: entry.path.fqdn(),
        address: entry.address,
        hosts: Vec::new(),
        nameserver: None,
        search: Some(format!("{}.{}", entry.path.family.app, lace_model::name::ZONE)),
        image: Default::default(),
        layers: layer.into_iter().collect(),
        files,
        volumes: Vec::new(),
        limits: limits(spec),
        isolation: Default::default(),
        process: Some(process),
    })
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
) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
    // A secret's name is a variable's name; the cookie travels by a way of its own.
    env.extend(secrets.texts().into_iter().filter(|(name, _)| !name.starts_with("LACE_COOKIE_")));
    for (name, template) in &spec.env {
        env.insert(name.clone(), context.render(&format!("env {name}"), template)?);
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
        restart_min_ms: spec.restart.min.0,
        restart_max_ms: spec.restart.max.0.max(spec.restart.min.0),
        stop_signal: signal(&spec.stop.signal)?,
        stop_grace_ms: spec.stop.timeout.0,
        ..ProcessSpec::default()
    })
}

fn base_files(secrets: &Secrets) -> Vec<FileSpec> {
    let file =
        |(name, value): (&String, &Vec<u8>)| private(&format!("/run/lace/secrets/{name}"), value.clone());
    secrets.0.iter().map(file).collect()
}

fn private(path: &str, content: Vec<u8>) -> FileSpec {
    FileSpec { path: path.into(), mode: 0o600, owner: None, content, tmpfs: true }
}

fn rendered_files(spec: &RevisionSpec, context: &Context) -> Result<Vec<FileSpec>, String> {
    let file = |(path, file): (&String, &lace_model::revision::FileSpec)| {
        let content =
            if file.verbatim { file.content.clone() } else { context.render(path, &file.content)? };
        let tmpfs = path.starts_with("/run/");
        Ok(FileSpec { path: path.into(), mode: file.mode, owner: None, content: content.into_bytes(), tmpfs })
    };
    spec.files.iter().map(file).collect()
}

/// Files of the release that are templates: the rendered text lies over the file of the tree.
fn templates(spec: &RevisionSpec, context: &Context, layer: &Path) -> Result<Vec<FileSpec>, String> {
    let file = |name: &String| {
        let source = layer.join("app").join(name);
        let text = std::fs::read_to_string(&source).map_err(|e| format!("template {name}: {e}"))?;
        let executable = is_executable(&source);
        Ok(FileSpec {
            path: Path::new(HOME).join(name),
            mode: if executable { 0o755 } else { 0o644 },
            owner: None,
            content: context.render(name, &text)?.into_bytes(),
            tmpfs: false,
        })
    };
    spec.templates.iter().map(file).collect()
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
}

/// A signal by name, with or without SIG.
fn signal(name: &str) -> Result<i32, String> {
    let number = match name.trim_start_matches("SIG") {
        "HUP" => libc::SIGHUP,
        "INT" => libc::SIGINT,
        "QUIT" => libc::SIGQUIT,
        "KILL" => libc::SIGKILL,
        "USR1" => libc::SIGUSR1,
        "USR2" => libc::SIGUSR2,
        "TERM" => libc::SIGTERM,
        "WINCH" => libc::SIGWINCH,
        _ => {
            return Err(format!(
                "stop signal {name:?} is not known: TERM, INT, QUIT, HUP, USR1, USR2, WINCH, KILL"
            ));
        }
    };
    Ok(number)
}
