//! The text of a proposed manifest.

use super::{ProjectKind, names};
use std::path::Path;

/// The whole text.
pub(super) fn manifest(dir: &Path, kind: ProjectKind, name: &str, release: &str) -> String {
    let service = match kind {
        ProjectKind::Rebar => rebar(release),
        ProjectKind::Mix => mix(release),
        ProjectKind::Release => BUILT.to_owned(),
        ProjectKind::Procfile => PROCFILE.to_owned(),
        ProjectKind::Program => program(&names::program(dir).unwrap_or_default()),
        ProjectKind::Package => package(dir),
        ProjectKind::Unknown => UNKNOWN.to_owned(),
    };
    let beam = matches!(kind, ProjectKind::Rebar | ProjectKind::Mix | ProjectKind::Release);
    let more = if beam { BEAM } else { "" };
    format!(
        "# Made by `lace init`. All keys: `lace schema`. Try it: `lace plan`, then `lace deploy`.\n\n\
         [application]\nname = \"{name}\"\n\n[service.{name}]\n{service}{COMMON}{more}"
    )
}

const COMMON: &str = r#"count = 1                     # nodes; change it at any time: lace scale TARGET N
memory = "256MiB"             # of each node
# cpu = 0.5
# env = { PORT = "8080" }
# secrets = ["SECRET_KEY_BASE"]                    # values: lace secret set APP NAME
# check = { http = ":8080/up", grace = "20s" }      # ready
# firewall = ["tcp:8080 from any"]
"#;

const BEAM: &str = r#"beam = {}                     # nodes find and join one another
# beam = { failover = "NAME", backups = 2 }        # the application runs on one node and moves when that dies
stop = { signal = "TERM", timeout = "30s" }
"#;

const BUILT: &str = r#"release = { path = "." }      # a release that is built already
"#;

const PROCFILE: &str = r#"release = { path = "." }      # the Procfile says what runs: `web`, else the first line
"#;

const UNKNOWN: &str = r#"# Nothing known was found here: say what makes the release and what runs.
# release = { path = ".", build = [["make"]], output = "out", start = ["bin/server"] }
command = ["sleep", "infinity"]
"#;

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
    let word = program.replace('\\', r"\\").replace('"', r#"\""#).replace(|c: char| c.is_control(), "");
    format!("release = {{ path = \".\", start = [\"{word}\"] }}\n")
}

fn package(dir: &Path) -> String {
    let (package, file) = names::package(dir).unwrap_or(("php", "index.php"));
    format!(
        "# {file} was found: the package `{package}` would run this. Packages are not yet supported; until then say what runs.\n\
         # package = \"{package}\"\n\
         release = {{ path = \".\", start = [\"{package}\"] }}\n"
    )
}
