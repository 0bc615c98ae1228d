//! The scripts of a mix release, changed in copies that lie over the release.
//!
//! Its start script hands the cookie to the runtime as a word of the command line, where everybody on the host can
//! read it. The copy does not: the runtime then reads `$HOME/.erlang.cookie`, as it does of itself. Its `env.sh` may
//! choose another node name for another platform; the copy ends with ours, and has no `-heart`.

use super::{args, flags};
use crate::spec::{of_release, over};
use lace_machine::FileSpec;
use lace_model::beam::{Beam, DISTRIBUTION_PORT, without_heart};
use std::path::Path;

/// What the scripts of Elixir 1.9 and later say to hand the cookie over.
const HANDED: &str = "--cookie \"$RELEASE_COOKIE\"";
/// What stands in RELEASE_COOKIE, which a script must find: nothing reads it any more.
pub const NOT_THE_COOKIE: &str = "read-from-HOME";
/// Start scripts are a few kilobytes.
const SCRIPT_BYTES_MAX: u64 = 256 << 10;

/// The copies for a release's version: start scripts, `env.sh`, and what `rpc` and `remote` start with.
pub fn files(layer: &Path, version: &str, node: Option<&str>, beam: &Beam) -> Result<Vec<FileSpec>, String> {
    let mut files = starts(layer)?;
    let releases = format!("releases/{version}");
    if let (Some(node), Ok((text, executable))) = (node, of_release(layer, &format!("{releases}/env.sh"))) {
        let ours = format!("export RELEASE_DISTRIBUTION=name\nexport RELEASE_NODE='{node}'\n");
        let text = without_heart(text.trim_end());
        files.push(over(&format!("{releases}/env.sh"), format!("{text}\n{ours}"), executable));
    }
    let remote = format!("{releases}/remote.vm.args");
    if let Ok((text, executable)) = of_release(layer, &remote) {
        let port = format!("-erl_epmd_port {DISTRIBUTION_PORT}\n");
        let port = if beam.epmd { String::new() } else { port };
        let tls = if beam.tls { format!("{}\n", flags::TLS) } else { String::new() };
        let flags = format!("-start_epmd false\n{port}{tls}-dist_listen false\n");
        let own = args::kept(text.trim_end(), beam.tls, None).join("\n");
        files.push(over(&remote, format!("{own}\n{flags}"), executable));
    }
    Ok(files)
}

fn starts(layer: &Path) -> Result<Vec<FileSpec>, String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(layer.join("app/bin")).into_iter().flatten().flatten() {
        let is_script = entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= SCRIPT_BYTES_MAX);
        let name = format!("bin/{}", entry.file_name().to_string_lossy());
        let read = is_script.then(|| of_release(layer, &name).ok()).flatten();
        if let Some((text, executable)) = read.filter(|(text, _)| text.contains("RELEASE_COOKIE")) {
            files.push(over(&name, without_cookie(&name, &text)?, executable));
        }
    }
    Ok(files)
}

fn without_cookie(name: &str, text: &str) -> Result<String, String> {
    let text = text.replace(HANDED, "");
    if text.contains("--cookie") || text.contains("-setcookie") {
        return Err(format!(
            "{name} puts the cookie on the command line in a way that is not known: take the script that mix makes"
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_the_command_line_is_the_cookie() {
        let text = "start () {\n  exec elixir \\\n    --cookie \"$RELEASE_COOKIE\" \\\n    --erl x\n}\n\
            rpc () {\n  exec elixir --hidden --cookie \"$RELEASE_COOKIE\" \\\n   y\n}\n";
        let made = without_cookie("bin/x", text).unwrap();
        assert!(!made.contains("cookie") && made.contains("--hidden  \\\n"), "{made}");
        let refused = without_cookie("bin/x", "exec erl -setcookie $RELEASE_COOKIE").unwrap_err();
        assert!(refused.starts_with("bin/x puts the cookie"), "{refused}");
    }
}
