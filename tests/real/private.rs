//! What lies on the disk is root's alone.

use crate::daily::project;
use crate::lace::{Lace, may_run};
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What somebody who is not root and owns nothing here may do, by the mode bits of others.
const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const PASS: u32 = 0o1;

/// Everything below a directory that others may list, read, write or connect to, given that they know its name.
fn open_to_others(dir: &Path, found: &mut Vec<PathBuf>) {
    let mode = |path: &Path| fs::symlink_metadata(path).map_or(0, |meta| meta.permissions().mode());
    if mode(dir) & (READ | WRITE) != 0 {
        found.push(dir.to_owned());
    }
    if mode(dir) & PASS == 0 {
        return;
    }
    for entry in fs::read_dir(dir).expect("root reads it").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a type"));
        if kind.is_dir() {
            open_to_others(&path, found);
        } else if !kind.is_symlink() {
            let wanted = if kind.is_socket() { WRITE } else { READ | WRITE };
            if mode(&path) & wanted != 0 {
                found.push(path);
            }
        }
    }
}

#[test]
fn nobody_else_reads_the_state_after_a_day_s_work() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(246);
    let manifest = "count = 2\nsecrets = [\"PASSWORD\"]\nvolumes = [{ name = \"data\", at = \"/data\", size = \"1MiB\" }]";
    let dir = project(&lace, "shop", "echo mine > /srv/mine; chmod 666 /srv/mine; echo up", manifest);
    let dir = dir.to_str().expect("text");
    lace.run(&["app", "create", "shop"]).ok();
    lace.run_with(&["secret", "set", "shop", "PASSWORD"], "hunter2-hunter2").ok();
    lace.run(&["deploy", "shop", dir]).ok();
    lace.run(&["exec", "shop", "--", "touch", "/data/a"]).ok();
    lace.run(&["server", "backup", lace.files().join("backup").to_str().expect("text")]).ok();
    let mut found = Vec::new();
    open_to_others(&lace.state(), &mut found);
    assert!(found.is_empty(), "others may read or write {found:#?}");
    // The link that logs in is told once, to who typed the command, and lies in no log.
    for log in fs::read_dir(lace.state().join("run")).expect("listed").flatten() {
        if log.path().extension().is_some_and(|ext| ext == "log") {
            let text = fs::read_to_string(log.path()).expect("read");
            assert!(!text.contains("login?token="), "{} holds the link", log.path().display());
        }
    }
    lace.down_and_nothing_left();
}
