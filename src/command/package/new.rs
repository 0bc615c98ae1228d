//! `lace package new`: a small package that is good, to change it into another.

use super::check::write_golden;
use crate::command::session::cannot_write;
use crate::command::{Exit, Outcome, Session};
use lace_model::{Code, Name, Problem};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Stands for the name in the files below.
const NAME: &str = "@NAME@";

/// The files: path, text, permission bits.
const FILES: [(&str, &str, u32); 5] = [
    ("package.toml", include_str!("scaffold/package.toml"), 0o644),
    ("scripts/start.sh", include_str!("scaffold/scripts/start.sh"), 0o755),
    ("scripts/notify.sh", include_str!("scaffold/scripts/notify.sh"), 0o755),
    ("templates/motd.j2", include_str!("scaffold/templates/motd.j2"), 0o644),
    ("README.md", include_str!("scaffold/README.md"), 0o644),
];

/// Runs `lace package new`.
pub(super) fn run(name: &Name, dir: Option<PathBuf>, s: &mut Session) -> Outcome {
    let dir = dir.unwrap_or_else(|| PathBuf::from(name.as_str()));
    let place = s.at(&dir);
    if place.exists() {
        return Err(Problem::new(Code::Conflict, format!("{} is there already", dir.display()))
            .hint("name a directory that is not there yet: lace package new NAME DIR"));
    }
    for (path, text, mode) in FILES {
        let path = place.join(path);
        write(&path, &text.replace(NAME, name.as_str()), mode).map_err(|e| cannot_write(&path, &e))?;
    }
    write_golden(&place)?;
    s.out.say(format!("{} is made; change it, then: lace package check {}", dir.display(), dir.display()));
    Ok(Exit::DONE)
}

/// Writes a new file, with the directories that it lies in.
fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).create(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}
