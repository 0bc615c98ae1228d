//! Where git's hook and the controller meet: a directory for one push, with two named pipes.
//!
//! The hook is ours and the only one that runs. It writes which refs are asked for, the commit's subject and its code, says so in one
//! pipe, and reads in the other whether the push may come in and what to tell the pusher. All of it is written by a process that
//! has read what strangers sent, so nothing in it is believed beyond what it may be.

use crate::{CODE_BYTES_MAX, Pushed};
use lace_machine::confined;
use lace_model::push::{PushKey, SUBJECT_BYTES_MAX};
use lace_model::{Code, Problem, ServicePath};
use rustix::fs::{Mode, OFlags};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the hook sees its directory.
pub(crate) const SPOOL: &str = "/spool";
/// Where git sees the hooks.
pub(crate) const HOOKS: &str = "/hooks";
/// Most bytes of the list of refs that is read: one ref is wanted.
const REFS_BYTES_MAX: u64 = 4096;

/// `pre-receive` of githooks(5): the refs come on stdin; what goes to stderr is told to the pusher.
const HOOK: &str = "\
#!/bin/sh
cat >/spool/refs || exit 1
read -r _ commit _ </spool/refs
case $commit in
*[!0]*) git log -1 --format=%s \"$commit^{commit}\" -- 2>/dev/null | head -c 1000 >/spool/subject
  git archive --format=tar -o /spool/code.tar \"$commit^{tree}\" 2>/spool/failed && rm -f /spool/failed ;;
esac
echo asked >/spool/asked
{ read -r verdict; cat >&2; } </spool/answer
[ \"$verdict\" = yes ]
";

/// `post-receive` of githooks(5): the branch is there.
const DONE_HOOK: &str = "\
#!/bin/sh
cat >/dev/null
echo updated >/spool/asked
{ read -r verdict; cat >&2; } </spool/answer
";

/// Does a push of this process have it?
pub(crate) fn is_ours(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(&mark()))
}

/// Removes what pushes of former processes left: none is under way yet.
pub(crate) fn clear(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"push-")) {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(%error, path = %entry.path().display(), "what a push left could not be removed");
        }
    }
}

/// What the directories of this process's pushes begin with.
pub(crate) fn mark() -> String {
    format!("push-{}-", std::process::id())
}

/// The directory of one push; it goes away with its owner.
pub(crate) struct Spool {
    pub dir: PathBuf,
    pub hooks: PathBuf,
}

impl Drop for Spool {
    fn drop(&mut self) {
        for dir in [&self.dir, &self.hooks] {
            if let Err(error) = fs::remove_dir_all(dir) {
                tracing::warn!(%error, dir = %dir.display(), "what a push left could not be removed");
            }
        }
    }
}

impl Spool {
    /// An empty one below `parent`, with a name that no other push has.
    pub fn make(parent: &Path, name: &str) -> io::Result<Self> {
        let spool =
            Self { dir: parent.join(format!("{name}.spool")), hooks: parent.join(format!("{name}.hooks")) };
        let made = spool.fill();
        if made.is_err() {
            drop(spool);
            made?;
            unreachable!("it failed");
        }
        Ok(spool)
    }

    fn fill(&self) -> io::Result<()> {
        for dir in [&self.dir, &self.hooks] {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
        }
        for (name, text) in [("pre-receive", HOOK), ("post-receive", DONE_HOOK)] {
            let hook = self.hooks.join(name);
            fs::write(&hook, text)?;
            fs::set_permissions(&hook, PermissionsExt::from_mode(0o755))?;
        }
        for pipe in ["asked", "answer"] {
            confined::make_fifo(&self.dir.join(pipe))?;
        }
        confined::give(&self.dir)
    }

    /// What was written into a file, not beyond `most` bytes; a link is not followed.
    fn read(&self, name: &str, most: u64) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.open(name)?.take(most).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(self.dir.join(name), flags, Mode::empty())?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::other(format!("{name} is no file")))
        }
    }

    /// Our end of a pipe. Its directory is git's: what is no pipe any more is not opened, nor is a link followed. A pipe to
    /// write into opens when somebody reads ([`io::ErrorKind`] of `ENXIO` before).
    pub fn pipe(&self, name: &str, how: OFlags) -> io::Result<File> {
        let flags = how | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(self.dir.join(name), flags, Mode::empty())?);
        if file.metadata()?.file_type().is_fifo() {
            Ok(file)
        } else {
            Err(io::Error::other(format!("{name} is no pipe")))
        }
    }

    /// What is asked to be let in.
    ///
    /// # Errors
    /// It is not one commit for one branch, or its code is too large.
    pub fn pushed(&self, service: &ServicePath, key: PushKey) -> Result<Pushed, Problem> {
        let broken =
            |e: io::Error| Problem::new(Code::Error, format!("the push could not be looked at: {e}"));
        let refs = self.read("refs", REFS_BYTES_MAX).map_err(broken)?;
        let (commit, branch) = wanted(&refs)?;
        if let Ok(said) = self.read("failed", 1000) {
            return Err(too_much(&said));
        }
        let subject = self.read("subject", 1000).unwrap_or_default();
        let code = self.open("code.tar").map_err(broken)?;
        Ok(Pushed {
            service: service.clone(),
            key,
            branch: branch.to_owned(),
            commit: commit.to_owned(),
            subject: one_line(&subject),
            code: Arc::new(code),
        })
    }
}

/// Git's archive is cut off at the limit of files; git says nothing then.
fn too_much(said: &str) -> Problem {
    let said = said.trim();
    if said.is_empty() {
        let text = format!("the commit's code has more than {} MiB", CODE_BYTES_MAX >> 20);
        return Problem::new(Code::TooLarge, text).hint("keep data and build products out of the repository");
    }
    Problem::new(Code::UnsafeArchive, format!("git cannot pack the commit's code: {}", one_line(said)))
}

/// The commit and the branch of the one ref that is pushed.
fn wanted(refs: &str) -> Result<(&str, &str), Problem> {
    let usage = |text: &str, hint: &str| Problem::new(Code::Usage, text.to_owned()).hint(hint);
    let mut lines = refs.lines();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(usage(
            "a push makes one version, of one branch",
            "push one branch at a time: git push lace main",
        ));
    };
    let words: Vec<&str> = line.split(' ').collect();
    let [_, commit, name] = words[..] else {
        return Err(usage("this push is not understood", "push one branch: git push lace main"));
    };
    if commit.bytes().all(|digit| digit == b'0') {
        let hint = "versions are deleted with: lace release delete NAME@VERSION";
        return Err(usage("branches are not deleted here: a push makes a version", hint));
    }
    if !(commit.len() == 40 && commit.bytes().all(|digit| digit.is_ascii_hexdigit())) {
        return Err(usage("this push is not understood", "push one branch: git push lace main"));
    }
    match name.strip_prefix("refs/heads/") {
        Some(branch) if !branch.is_empty() => Ok((commit, branch)),
        _ => Err(usage("only branches are pushed here, no tags or other refs", "git push lace main")),
    }
}

/// One line without control characters, at most so long as is kept.
fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut line: String = line.chars().filter(|c| !c.is_control()).collect();
    while line.len() > SUBJECT_BYTES_MAX {
        line.pop();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    const NONE: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn one_commit_for_one_branch_is_wanted() {
        let line = |commit: &str, name: &str| format!("{NONE} {commit} {name}\n");
        let good = line(COMMIT, "refs/heads/feature/x");
        assert_eq!(wanted(&good).expect("good"), (COMMIT, "feature/x"));
        let two = format!("{good}{good}");
        let cases = [
            (two.as_str(), "one version"),
            ("", "one version"),
            (&line(NONE, "refs/heads/main"), "not deleted"),
            (&line(COMMIT, "refs/tags/v1"), "only branches"),
            (&line(COMMIT, "refs/heads/"), "only branches"),
            (&line("../../x", "refs/heads/main"), "not understood"),
            ("hello", "not understood"),
        ];
        for (refs, word) in cases {
            let problem = wanted(refs).expect_err(refs);
            assert!(problem.message.contains(word), "{refs}: {problem}");
        }
    }

    #[test]
    fn a_subject_is_one_line_of_text() {
        assert_eq!(one_line("Mend \x1b[31mit\nand more"), "Mend [31mit");
        assert_eq!(one_line(&"ä".repeat(500)).len(), SUBJECT_BYTES_MAX);
        assert_eq!(one_line(""), "");
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (spool, hooks) = (dir.path().join("spool"), dir.path().join("hooks"));
        fs::create_dir(&spool).expect("made");
        fs::create_dir(&hooks).expect("made");
        let spool = Spool { dir: spool, hooks };
        std::os::unix::fs::symlink("/etc/passwd", spool.dir.join("code.tar")).expect("linked");
        assert!(spool.open("code.tar").is_err());
        assert!(spool.open("nothing").is_err());
        fs::create_dir(spool.dir.join("refs")).expect("made");
        assert!(spool.open("refs").is_err(), "no directory");
        // Nor are pipes anything but what they were.
        std::os::unix::fs::symlink("/dev/null", spool.dir.join("answer")).expect("linked");
        fs::write(spool.dir.join("asked"), "").expect("written");
        for (name, how) in [("answer", OFlags::WRONLY), ("asked", OFlags::RDWR)] {
            assert!(spool.pipe(name, how).is_err(), "{name}");
        }
    }
}
