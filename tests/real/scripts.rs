//! The shell scripts that a newcomer meets before there is a binary: what they say, and that they touch nothing unasked.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Programs of every Debian that the scripts use; nothing that they look for is among them.
const TOOLS: [&str; 19] = [
    "awk", "bash", "cat", "date", "env", "head", "id", "mkdir", "mktemp", "mv", "nproc", "readlink", "rm",
    "sed", "sh", "sleep", "tail", "tr", "wc",
];

/// A machine that has only the usual programs, and what the test adds.
struct Bare {
    dir: tempfile::TempDir,
}

impl Bare {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("open to all");
        fs::create_dir(dir.path().join("bin")).expect("made");
        for tool in TOOLS {
            symlink(Path::new("/usr/bin").join(tool), dir.path().join("bin").join(tool)).expect("linked");
        }
        for script in ["install.sh", "stage.sh"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script);
            fs::copy(from, dir.path().join(script)).expect("copied");
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program that leaves a mark when it is run.
    fn with(self, program: &str) -> Self {
        let file = self.path("bin").join(program);
        let mark = self.path("mark");
        fs::write(&file, format!("#!/bin/sh\necho {program} >> {}\n", mark.display())).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
        self
    }

    fn run(&self, script: &str, words: &[&str], as_nobody: bool) -> (i32, String) {
        let mut command = Command::new(self.path(script));
        command.args(words).env_clear().env("PATH", self.path("bin")).current_dir(self.dir.path());
        if as_nobody {
            command.uid(65_534).gid(65_534);
        }
        let Output { status, stdout, stderr } = command.output().expect("runs");
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        (status.code().unwrap_or(-1), said)
    }
}

#[track_caller]
fn check((status, said): (i32, String), expected: i32, words: &[&str]) {
    assert_eq!(status, expected, "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not said:\n{said}");
    }
}

#[test]
fn an_install_that_cannot_begin_says_what_to_do() {
    let bare = Bare::new();
    check(bare.run("install.sh", &["--for", "build"], false), 2, &["no apt-get", "gcc", "package manager"]);
    check(bare.run("install.sh", &["--for", "lunch"], false), 2, &["lunch", "build, host, demo"]);
    check(bare.run("install.sh", &["--quick"], false), 2, &["unknown argument '--quick'"]);
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let bare = Bare::new().with("apt-get");
    let said = bare.run("install.sh", &["--for", "build"], true);
    check(said, 2, &["only root may install them", "run as root: apt-get install"]);
    assert!(!bare.path("mark").exists(), "apt-get was run");
}

#[test]
fn a_dry_run_names_the_packages_and_installs_none() {
    let bare = Bare::new().with("apt-get").with("cargo");
    check(bare.run("install.sh", &["--for", "demo", "--dry-run"], false), 0, &["erlang-base", "gcc"]);
    assert!(!bare.path("mark").exists(), "apt-get or cargo was run");
}

#[test]
fn a_stage_passes_on_how_its_command_ended() {
    let bare = Bare::new();
    let run = |words: &[&str]| bare.run("stage.sh", words, false);
    check(run(&["first part", "10", "true"]), 0, &["== first part (about", "== first part: done in"]);
    assert!(fs::read_to_string(bare.path("target/stages/first-part.seconds")).is_ok());
    let failed = run(&["second", "10", "sh", "-c", "echo the reason; exit 7"]);
    check(failed, 7, &["the reason", "FAILED", "exit 7"]);
    assert!(!bare.path("target/stages/second.seconds").exists(), "a failure is no measure");
}
