//! The scripts of a relx release, changed in copies that lie over the release.
//!
//! The extended start script has the version that it was made with written into it, while the release handler says in
//! `start_erl.data` what shall be booted: after a hot upgrade the next start would be the old release again. The copy asks
//! that file. And its tools hand the cookie over as a word of a command line, where everybody on the host can read it; the
//! copy lets them read `$HOME/.erlang.cookie`, as they do of themselves where nobody says a cookie.

use crate::spec::{of_release, over};
use lace_machine::FileSpec;
use std::path::Path;

/// Extended start scripts have some 35 kB.
const SCRIPT_BYTES_MAX: u64 = 256 << 10;
/// How the scripts of relx 3 and 4 hand the cookie to `erl_call`, nodetool, and remote shells.
const HANDED: [&str; 4] =
    [" -c \"${COOKIE}\"", " -setcookie \"${COOKIE}\"", " -setcookie \"$COOKIE\"", " -setcookie ${COOKIE}"];
/// The second word of the file that the release handler writes last of all.
const PERMANENT: &str = "$(awk '{ print $2; exit }' \"$RELEASE_ROOT_DIR/releases/start_erl.data\")";

/// The copies for a release's version.
pub fn files(layer: &Path, version: &str) -> Vec<FileSpec> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(layer.join("app/bin")).into_iter().flatten().flatten() {
        let is_script = entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= SCRIPT_BYTES_MAX);
        let name = format!("bin/{}", entry.file_name().to_string_lossy());
        let read = is_script.then(|| of_release(layer, &name).ok()).flatten();
        let Some((text, executable)) = read.filter(|(text, _)| text.contains("RELX_")) else { continue };
        let without_cookie = HANDED.iter().fold(text.clone(), |text, words| text.replace(words, ""));
        // `bin/NAME-1.0.0` means that version, whatever is permanent.
        let is_of_version = name.ends_with(&format!("-{version}"));
        let changed =
            if is_of_version { without_cookie } else { of_what_is_permanent(&without_cookie, version) };
        if changed != text {
            files.push(over(&name, changed, executable));
        }
    }
    files
}

/// The script, which boots whatever release is permanent.
fn of_what_is_permanent(text: &str, version: &str) -> String {
    let said = format!("\nREL_VSN=\"{version}\"\n");
    let Some((before, after)) = text.split_once(&said).filter(|(head, _)| head.contains("RELEASE_ROOT_DIR="))
    else {
        return text.to_owned();
    };
    let after = after.replace(&format!("RELEASE_VSN=\"{version}\""), "RELEASE_VSN=\"$REL_VSN\"");
    format!("{before}\nREL_VSN=\"{PERMANENT}\"\n{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_boot_what_is_permanent_and_say_no_cookie() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("app/bin");
        std::fs::create_dir_all(&bin).unwrap();
        let text = "# RELX_\nRELEASE_ROOT_DIR=x\nREL_VSN=\"1.0\"\nexport RELEASE_VSN=\"1.0\"\n\
            erl_call -R -c \"${COOKIE}\" -e\nERL_FLAGS=\"$x -setcookie ${COOKIE}\" y\n";
        for name in ["ring", "ring-1.0"] {
            std::fs::write(bin.join(name), text).unwrap();
        }
        std::fs::write(bin.join("other"), "REL_VSN=\"1.0\"").unwrap();
        let mut files = files(dir.path(), "1.0");
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let texts: Vec<_> =
            files.iter().map(|file| String::from_utf8_lossy(&file.content).into_owned()).collect();
        assert_eq!(texts.len(), 2);
        assert!(texts.iter().all(|text| !text.contains("COOKIE")), "{texts:?}");
        assert!(texts[0].contains("erl_call -R -e\nERL_FLAGS=\"$x\" y"), "{}", texts[0]);
        assert!(!texts[0].contains("1.0") && texts[0].contains("RELEASE_VSN=\"$REL_VSN\""), "{}", texts[0]);
        assert!(texts[1].contains("REL_VSN=\"1.0\""), "{}", texts[1]);
        // The script of another version is not understood, and left alone.
        assert_eq!(of_what_is_permanent(text, "2.0"), text);
    }
}
