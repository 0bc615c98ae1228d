//! The text of a proposed manifest.

use super::{ProjectKind, name_from, names};
use crate::procfile;
use std::path::Path;

/// The whole text.
pub(super) fn manifest(dir: &Path, kind: ProjectKind, name: &str, release: &str) -> String {
    if kind == ProjectKind::Procfile {
        return format!("{HEAD}[application]\nname = \"{name}\"\n{}", procfile(dir, name));
    }
    let service = match kind {
        ProjectKind::Rebar => rebar(release),
        ProjectKind::Mix => mix(release),
        ProjectKind::Release => BUILT.to_owned(),
        ProjectKind::Program => program(&names::program(dir).unwrap_or_default()),
        ProjectKind::Package => package(dir),
        ProjectKind::Unknown | ProjectKind::Procfile => UNKNOWN.to_owned(),
    };
    let beam = matches!(kind, ProjectKind::Rebar | ProjectKind::Mix | ProjectKind::Release);
    let more = if beam { BEAM } else { "" };
    format!(
        "{HEAD}[application]\nname = \"{name}\"\n\n[service.{name}]\n{service}{SIZE}{PORT_MAYBE}{COMMON}{more}"
    )
}

const HEAD: &str =
    "# Made by `lace init`. All keys: `lace schema`. Try it: `lace plan`, then `lace deploy`.\n\n";

const SIZE: &str = r#"count = 1                     # nodes; change it at any time: lace scale TARGET N
memory = "256MiB"             # of each node
# cpu = 0.5
"#;

const PORT_MAYBE: &str = r#"# env = { PORT = "8080" }
# check = { http = ":8080/up", grace = "20s" }      # ready
"#;

/// For a process that listens where `PORT` says.
const PORT: &str = r#"env = { PORT = "8080" }
check = { tcp = ":8080", grace = "20s" }           # ready; better: http = ":8080/up"
"#;

const COMMON: &str = r#"# secrets = ["SECRET_KEY_BASE"]                    # values: lace secret set APP NAME
# firewall = ["tcp:8080 from any"]
"#;

const BEAM: &str = r#"beam = {}                     # nodes find and join one another
# beam = { failover = "NAME", backups = 2 }        # the application runs on one node and moves when that dies
stop = { signal = "TERM", timeout = "30s" }
"#;

const BUILT: &str = r#"release = { path = "." }      # a release that is built already
"#;

const UNKNOWN: &str = r#"# Nothing known was found here: say what makes the release and what runs.
# release = { path = ".", build = [["make"]], output = "out", start = ["bin/server"] }
command = ["sleep", "infinity"]
"#;

/// A service for each line of a Procfile; `release` is what runs before each rollout.
fn procfile(dir: &Path, name: &str) -> String {
    let text = names::read(&dir.join("Procfile")).unwrap_or_default();
    let entries = procfile::entries(&text);
    let (before, running): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(n, _)| *n == "release");
    let Some(usual) = procfile::usual(&running) else {
        return format!("\n[service.{name}]\n{UNKNOWN}{SIZE}{PORT_MAYBE}{COMMON}");
    };
    let service = if running.len() > 1 { name_from(usual.0).to_string() } else { name.to_owned() };
    let mut text = format!(
        "\n[service.{service}]\nrelease = {{ path = \".\" }}      # the Procfile says what runs: `{}`\n",
        usual.0
    );
    for (_, command) in before {
        text.push_str(&format!("before = [{}]\n", words(command)));
    }
    let port = if usual.1.contains("PORT") { PORT } else { PORT_MAYBE };
    text.push_str(&format!("{SIZE}{port}{COMMON}"));
    for (name, command) in running.into_iter().filter(|entry| *entry != usual) {
        let (name, start) = (name_from(name), words(command));
        text.push_str(&format!(
            "\n[service.{name}]\nrelease = {{ path = \".\", start = {start} }}\ncount = 1\nmemory = \"256MiB\"\n"
        ));
    }
    text
}

/// A command as TOML.
fn words(command: &str) -> String {
    let words: Vec<_> = procfile::words(command).iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A word as TOML.
fn quoted(word: &str) -> String {
    let word = word.replace('\\', r"\\").replace('"', r#"\""#).replace(|c: char| c.is_control(), "");
    format!("\"{word}\"")
}

fn rebar(release: &str) -> String {
    format!(
        "# Built by rebar3 on this machine; `include_erts` true makes it run where no Erlang is installed.\n\
         release = {{ path = \".\", build = [[\"rebar3\", \"as\", \"prod\", \"release\"]], \
         output = \"_build/prod/rel/{release}\" }}\n"
    )
}

fn mix(release: &str) -> String {
    format!(
        "# Built by mix on this machine.\n\
         release = {{ path = \".\", build = [[\"env\", \"MIX_ENV=prod\", \"mix\", \"release\", \"--overwrite\"]], \
         output = \"_build/prod/rel/{release}\" }}\n"
    )
}

fn program(program: &str) -> String {
    format!("release = {{ path = \".\", start = [{}] }}\n", quoted(program))
}

fn package(dir: &Path) -> String {
    let (package, file) = names::package(dir).unwrap_or(("php", "index.php"));
    format!(
        "# {file} was found: the package `{package}` would run this. Packages are not yet supported; until then say what runs.\n\
         # package = \"{package}\"\n\
         release = {{ path = \".\", start = [\"{package}\"] }}\n"
    )
}
