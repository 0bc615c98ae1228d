//! A tool of this machine that reads what strangers send: run with a few directories to itself, and nothing else.
//!
//! Its root is an empty one with `/usr` (read-only), `/dev/null`, `/dev/urandom` and the places that it is given. It is nobody (user and group
//! 65534, no capabilities, no new privileges), in namespaces of its own for mounts, processes, network, IPC and names, and ends
//! with whoever started it ([`Lifeline`]). It does not go through a shell, and has the environment that it is given.
//!
//! [`Confined::command`] starts our own executable in role `confined`, which becomes all that and then the tool
//! ([`main`]): between fork and exec of a process with threads little may be done.

mod group;

pub use group::Group;

use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::pid1::seccomp::Filter;
use crate::skeleton::{USR_LINKS, hidden, live_paths};
use crate::sys::mounts::{self, NODEV, NOEXEC, NOSUID, RDONLY};
use crate::sys::process::{pidfd_open, pidfd_signal, wait_readable};
use crate::sys::{change_directory, check, own, pipe, set_cloexec};

/// The user and the group that tools run as: nobody's.
pub const NOBODY: u32 = 65_534;
/// Where tools are looked for.
const TOOLS: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
/// Most open files of a tool.
const FILES_OPEN_MAX: u64 = 256;
/// The devices that tools see.
const DEVICES: [&str; 2] = ["/dev/null", "/dev/urandom"];
/// Exit status where the tool could not be started, as of shells.
const NOT_STARTED: i32 = 126;
/// Where the new root is put together: nobody sees it there but us.
const BUILDING: &str = "/proc";

/// What a tool may have.
#[derive(Debug, Clone)]
pub struct Confined {
    /// Places that it may write to: where they are here, and where it sees them.
    pub own: Vec<(PathBuf, PathBuf)>,
    /// Places that it may read and run: the same.
    pub shown: Vec<(PathBuf, PathBuf)>,
    /// Most bytes of one file that it writes.
    pub file_bytes_max: u64,
    /// Most bytes of its address space, for each of its processes.
    pub memory_bytes_max: u64,
    /// Most seconds of processor time, for each of its processes.
    pub cpu_seconds_max: u64,
    /// Most time that all of it takes; no bound without.
    pub within: Option<Duration>,
    /// Directories of cgroups that it is in ([`Group::dirs`]).
    pub groups: Vec<PathBuf>,
}

/// What a tool lives by: it ends, with all that it began, when this is dropped, or whoever holds it is killed.
#[derive(Debug)]
pub struct Lifeline {
    _ours: OwnedFd,
    theirs: OwnedFd,
}

impl Lifeline {
    fn new() -> io::Result<Self> {
        let (theirs, ours) = pipe()?;
        // Whoever else inherits this end learns nothing by it.
        set_cloexec(theirs.as_fd(), false)?;
        Ok(Self { _ours: ours, theirs })
    }
}

impl Confined {
    /// The command that runs `program` (its whole path) so, and what it lives by. `exe` is an executable with role `confined`.
    ///
    /// # Errors
    /// No pipe can be had.
    pub fn command(&self, exe: &Path, program: &Path) -> io::Result<(Command, Lifeline)> {
        let lifeline = Lifeline::new()?;
        let mut command = Command::new(exe);
        command.arg("confined").env_clear();
        let limits = [self.file_bytes_max, self.memory_bytes_max, self.cpu_seconds_max];
        command.args(limits.map(|limit| limit.to_string()));
        for (kind, places) in [("own", &self.own), ("shown", &self.shown)] {
            for (from, to) in places {
                command.args([kind.as_ref(), from.as_os_str(), to.as_os_str()]);
            }
        }
        for dir in &self.groups {
            command.arg("group").arg(dir);
        }
        if let Some(within) = self.within {
            command.args(["within", &within.as_millis().to_string()]);
        }
        command.args(["lifeline", &lifeline.theirs.as_raw_fd().to_string()]);
        command.arg("run").arg(program);
        Ok((command, lifeline))
    }
}

/// A tool of this machine; none where it is not installed. What an administrator put into `/usr/local` is not asked.
pub fn tool(name: &str) -> Option<PathBuf> {
    TOOLS.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

/// Gives a place to the user that tools run as.
///
/// # Errors
/// What the system says.
pub fn give(path: &Path) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY))
}

/// A pipe with a name, which a tool and whoever started it may open.
///
/// # Errors
/// What the system says; it is there already.
pub fn make_fifo(path: &Path) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the name outlives the call.
    check(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }.into())?;
    give(path)
}

/// Entry of role `confined`: `FILE_BYTES MEMORY_BYTES CPU_SECONDS (own|shown FROM TO | group DIR | within MS | lifeline FD)... run
/// PROGRAM WORD...`. Ends as the tool ends. The process has one thread, and is root.
pub fn main(words: Vec<OsString>) -> i32 {
    match parse(words).and_then(|(confined, lifeline, words)| enter(&confined, lifeline, &words)) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: lace confined: {error}");
            NOT_STARTED
        }
    }
}

fn parse(words: Vec<OsString>) -> io::Result<(Confined, Option<i32>, Vec<OsString>)> {
    let off = || io::Error::other("its words are off: it is started by the controller only");
    let mut words = words.into_iter();
    let mut limit = || words.next().and_then(|word| word.to_str()?.parse().ok()).ok_or_else(off);
    let mut confined = Confined {
        file_bytes_max: limit()?,
        memory_bytes_max: limit()?,
        cpu_seconds_max: limit()?,
        own: Vec::new(),
        shown: Vec::new(),
        within: None,
        groups: Vec::new(),
    };
    let mut lifeline = None;
    loop {
        let kind = words.next().ok_or_else(off)?;
        if kind == "run" {
            break;
        }
        let word = words.next().ok_or_else(off)?;
        let number = || word.to_str().and_then(|word| word.parse::<u32>().ok()).ok_or_else(off);
        match kind.to_str() {
            Some("own") => confined.own.push((word.into(), words.next().ok_or_else(off)?.into())),
            Some("shown") => confined.shown.push((word.into(), words.next().ok_or_else(off)?.into())),
            Some("group") => confined.groups.push(word.into()),
            Some("within") => confined.within = Some(Duration::from_millis(number()?.into())),
            Some("lifeline") => lifeline = Some(number()?.cast_signed()),
            _ => return Err(off()),
        }
    }
    let tool: Vec<_> = words.collect();
    if tool.is_empty() { Err(off()) } else { Ok((confined, lifeline, tool)) }
}

fn enter(confined: &Confined, lifeline: Option<i32>, words: &[OsString]) -> io::Result<i32> {
    let until = confined.within.map(|within| Instant::now() + within);
    let lifeline = lifeline.map(|fd| own(fd.into()));
    if let Some(lifeline) = &lifeline {
        set_cloexec(lifeline.as_fd(), true)?;
    }
    for dir in &confined.groups {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", dir.display()));
        fs::write(dir.join("cgroup.procs"), std::process::id().to_string()).map_err(named)?;
    }
    let flags = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    // SAFETY: plain numbers.
    check(unsafe { libc::unshare(flags) }.into())?;
    mounts::make_private()?;
    build_root(confined)?;
    limit(confined)?;
    // The first process of the new space of processes: when it ends, all of it ends.
    let (above, held) = pipe()?;
    let first = fork()?;
    if first == 0 {
        drop(held);
        // SAFETY: plain numbers. It stays root, so that the wish outlives the change of users below it.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
        // Whoever is above us may have ended before we wished: then its end of the pipe is closed.
        if !matches!(wait_readable(above.as_fd(), Duration::ZERO), Ok(false)) {
            // SAFETY: ends this process without what belongs to its parent.
            unsafe { libc::_exit(NOT_STARTED) };
        }
        let status = run(words).unwrap_or_else(|error| {
            eprintln!("error: lace confined: {}: {error}", words[0].to_string_lossy());
            NOT_STARTED
        });
        // SAFETY: ends this process without what belongs to its parent.
        unsafe { libc::_exit(status) };
    }
    drop(above);
    let ended = keep(first, lifeline.as_ref().map(AsFd::as_fd), until);
    drop(held);
    ended
}

/// Waits until the first process has ended, and ends it where nobody holds the lifeline any more, or its time is over. The kernel
/// tells by a signal only of the thread that forked us, which may end sooner than its process.
fn keep(first: libc::pid_t, lifeline: Option<BorrowedFd>, until: Option<Instant>) -> io::Result<i32> {
    let process = pidfd_open(first).inspect_err(|_| {
        let _ = crate::sys::process::kill(first, libc::SIGKILL);
    })?;
    let entry = |fd: i32| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    loop {
        // A descriptor below zero is passed over (poll(2)).
        let mut polls = [entry(process.as_raw_fd()), entry(lifeline.map_or(-1, |fd| fd.as_raw_fd()))];
        let left = until.map(|until| until.saturating_duration_since(Instant::now()).as_millis());
        let timeout = left.map_or(-1, |left| i32::try_from(left).unwrap_or(i32::MAX));
        // SAFETY: two valid pollfds.
        match check(unsafe { libc::poll(polls.as_mut_ptr(), 2, timeout) }.into()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(_) if polls[0].revents != 0 => {}
            _ => pidfd_signal(process.as_fd(), libc::SIGKILL)?,
        }
        return wait_for(first);
    }
}

/// An empty root with what is given, and nothing of the old one.
fn build_root(confined: &Confined) -> io::Result<()> {
    let root = mounts::new_mount("tmpfs", &[("mode", "0755"), ("size", "1m")], NOSUID | NODEV)?;
    // Taken before the new root hides anything.
    let mut trees = Vec::new();
    for path in live_paths().into_iter().filter(|path| !path.starts_with("/etc")) {
        trees.push((mounts::clone_tree(&path, true)?, path, RDONLY | NOSUID | NODEV));
    }
    for (from, to) in &confined.shown {
        trees.push((clone(from)?, to.clone(), RDONLY | NOSUID | NODEV));
    }
    for (from, to) in &confined.own {
        trees.push((clone(from)?, to.clone(), NOSUID | NODEV | NOEXEC));
    }
    for device in DEVICES {
        trees.push((mounts::clone_tree(device, false)?, device.into(), NOSUID | NOEXEC));
    }
    let links: Vec<_> = USR_LINKS
        .iter()
        .filter_map(|name| Some((*name, fs::read_link(Path::new("/").join(name)).ok()?)))
        .collect();
    mounts::attach(root.as_fd(), BUILDING)?;
    let inside = |path: &Path| Path::new(BUILDING).join(path.strip_prefix("/").unwrap_or(path));
    for (name, target) in links {
        symlink(target, Path::new(BUILDING).join(name))?;
    }
    for (tree, to, attributes) in &trees {
        let place = inside(to);
        if to.starts_with("/dev") {
            fs::create_dir_all(inside(Path::new("/dev")))?;
            fs::write(&place, "")?;
        } else {
            fs::create_dir_all(&place)?;
        }
        mounts::set_attributes(tree.as_fd(), *attributes, None, true)?;
        mounts::attach(tree.as_fd(), &place)?;
    }
    for path in hidden() {
        let flags = RDONLY | NOSUID | NODEV | NOEXEC;
        let empty = mounts::new_mount("tmpfs", &[("mode", "0555"), ("size", "4k")], flags)?;
        mounts::attach(empty.as_fd(), inside(path))?;
    }
    change_directory(BUILDING)?;
    mounts::pivot_here()?;
    seal_root()
}

/// Nothing more comes into the root itself.
fn seal_root() -> io::Result<()> {
    let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV;
    // SAFETY: constant strings.
    let sealed =
        unsafe { libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
    check(sealed.into()).map(drop)
}

fn clone(from: &Path) -> io::Result<OwnedFd> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", from.display()));
    mounts::clone_tree(from, true).map_err(named)
}

fn limit(confined: &Confined) -> io::Result<()> {
    let limits = [
        (libc::RLIMIT_FSIZE, confined.file_bytes_max),
        (libc::RLIMIT_AS, confined.memory_bytes_max),
        (libc::RLIMIT_CPU, confined.cpu_seconds_max),
        (libc::RLIMIT_NOFILE, FILES_OPEN_MAX),
        (libc::RLIMIT_CORE, 0),
    ];
    for (which, most) in limits {
        let most = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the struct outlives the call.
        check(unsafe { libc::setrlimit(which, &raw const most) }.into())?;
    }
    Ok(())
}

/// Runs the tool as nobody below this process, and ends as it ends; whatever it left behind ends with us.
fn run(words: &[OsString]) -> io::Result<i32> {
    let child = fork()?;
    if child == 0 {
        let error = become_nobody().err().unwrap_or_else(|| {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).current_dir("/").exec()
        });
        eprintln!("error: lace confined: {}: {error}", words[0].to_string_lossy());
        // SAFETY: ends this process without what belongs to its parent.
        unsafe { libc::_exit(NOT_STARTED) };
    }
    wait_for(child)
}

fn become_nobody() -> io::Result<()> {
    // SAFETY: plain numbers; no memory is passed.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()).into())?;
        check(libc::setresgid(NOBODY, NOBODY, NOBODY).into())?;
        check(libc::setresuid(NOBODY, NOBODY, NOBODY).into())?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
    }
    let filter = Filter::new().and_then(|filter| filter.install());
    filter.map_err(|error| io::Error::other(error.to_string()))
}

fn fork() -> io::Result<libc::pid_t> {
    // SAFETY: this process has one thread.
    let pid = check(unsafe { libc::fork() }.into())?;
    Ok(pid as libc::pid_t)
}

/// Waits for a child and for what it leaves behind; a signal that ended it is 128 and its number, as of shells.
fn wait_for(child: libc::pid_t) -> io::Result<i32> {
    loop {
        let mut status = 0;
        // SAFETY: the number is valid for writing.
        let ended = unsafe { libc::waitpid(-1, &mut status, 0) };
        match check(ended.into()) {
            Ok(pid) if pid == i64::from(child) => {
                let by_signal = libc::WIFSIGNALED(status).then(|| 128 + libc::WTERMSIG(status));
                return Ok(by_signal.unwrap_or_else(|| libc::WEXITSTATUS(status)));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_nobody_of_ours_would_say_are_refused() {
        let parsed = |line: &str| parse(line.split(' ').map(OsString::from).collect());
        let line = "1 2 3 own /a /b group /g shown /c /d lifeline 7 within 1500 run /usr/bin/git x";
        let (confined, lifeline, words) = parsed(line).expect("good");
        assert_eq!((lifeline, confined.within), (Some(7), Some(Duration::from_millis(1500))));
        assert_eq!((confined.groups.len(), confined.shown.len()), (1, 1));
        assert_eq!((confined.file_bytes_max, confined.memory_bytes_max, confined.cpu_seconds_max), (1, 2, 3));
        assert_eq!(confined.own, [("/a".into(), "/b".into())]);
        assert_eq!(words, ["/usr/bin/git", "x"]);
        for bad in [
            "",
            "1 2",
            "1 2 3",
            "1 2 3 run",
            "1 2 3 own /a run x",
            "1 2 3 more /a /b run x",
            "a b c run x",
            "1 2 3 lifeline -1 run x",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
