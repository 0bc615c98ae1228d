//! From PID 1 to a running program: fork, give up rights, exec.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, RawFd};

use super::rights;
use super::seccomp::Filter;
use super::users::{self, User};
use crate::sys::step::{Step, StepError};
use crate::sys::{self, check};

/// Where programs are searched when the environment does not say.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program about to be started.
pub struct Launch<'a> {
    /// Program and arguments.
    pub argv: &'a [String],
    /// Environment on top of the base.
    pub env: &'a BTreeMap<String, String>,
    /// Working directory.
    pub cwd: Option<&'a str>,
    /// As in [`users::resolve`].
    pub user: Option<&'a str>,
    /// What becomes 0, 1 and 2.
    pub stdio: [RawFd; 3],
    /// 0 is a terminal and becomes the controlling one.
    pub terminal: bool,
    /// Capabilities to keep.
    pub capabilities: u64,
    /// System calls to refuse.
    pub filter: &'a Filter,
}

/// What the child needs, prepared before the fork.
struct Prepared {
    programs: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    user: User,
}

/// Starts a program. Returns its pid when exec succeeded.
///
/// # Errors
/// The failing step, for example `exec nginx: ENOENT`.
pub fn launch(launch: &Launch) -> Result<i32, StepError> {
    let prepared = prepare(launch)?;
    let (reader, writer) = sys::pipe().step("pipe")?;
    // SAFETY: PID 1 has a single thread, so the child may run ordinary code.
    let pid = check(unsafe { libc::fork() }.into()).step("fork")? as i32;
    if pid == 0 {
        let failure = match enter(launch, &prepared) {
            Ok(()) => exec(&prepared),
            Err(error) => error,
        };
        let report = serde_json::to_vec(&failure).unwrap_or_default();
        let _ = sys::write_all(writer.as_fd(), &report);
        // SAFETY: ends the child without running destructors of PID 1's state.
        unsafe { libc::_exit(127) };
    }
    drop(writer);
    let mut report = Vec::new();
    let mut buffer = [0; 512];
    // Ends with the close-on-exec of a successful exec, or with the child.
    while let Ok(n @ 1..) = sys::read(reader.as_fd(), &mut buffer) {
        report.extend_from_slice(&buffer[..n]);
    }
    match serde_json::from_slice(&report) {
        Ok(failure) => Err(failure),
        Err(_) => Ok(pid),
    }
}

fn prepare(launch: &Launch) -> Result<Prepared, StepError> {
    let user = users::resolve(launch.user)?;
    let program = launch.argv.first().map(String::as_str).unwrap_or_default();
    if program.is_empty() {
        return Err(StepError::plain("exec: no program given"));
    }
    let mut env = base_environment(&user);
    env.extend(launch.env.iter().map(|(k, v)| (k.clone(), v.clone())));
    let path = env.get("PATH").map_or(PATH, String::as_str);
    let programs = if program.contains('/') {
        vec![c(program)?]
    } else {
        let candidate = |dir: &str| c(&format!("{dir}/{program}"));
        path.split(':').map(candidate).collect::<Result<_, _>>()?
    };
    let argv = launch.argv.iter().map(|a| c(a)).collect::<Result<_, _>>()?;
    let pair = |(k, v): (&String, &String)| c(&format!("{k}={v}"));
    Ok(Prepared {
        programs,
        argv,
        env: env.iter().map(pair).collect::<Result<_, _>>()?,
        cwd: c(launch.cwd.unwrap_or("/"))?,
        user,
    })
}

fn base_environment(user: &User) -> BTreeMap<String, String> {
    let pairs = [
        ("PATH", PATH),
        ("HOME", &user.home),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("LANG", "C.UTF-8"),
    ];
    let own = |(k, v): (&str, &str)| (k.to_owned(), v.to_owned());
    pairs.into_iter().map(own).collect()
}

fn c(text: &str) -> Result<CString, StepError> {
    CString::new(text).map_err(|_| StepError::plain("exec: a NUL byte in a word"))
}

/// In the child: becomes the session, user and rights of the program.
fn enter(launch: &Launch, prepared: &Prepared) -> Result<(), StepError> {
    // SAFETY: single-threaded child; all pointers outlive the calls.
    unsafe {
        check(libc::setsid().into()).step("setsid")?;
        reset_signals();
        // First out of the way: a source may itself be 0, 1 or 2.
        let mut sources = [0; 3];
        for (source, fd) in sources.iter_mut().zip(launch.stdio) {
            *source = check(libc::fcntl(fd, libc::F_DUPFD, 3).into()).step("dup")? as i32;
        }
        for (number, source) in sources.into_iter().enumerate() {
            check(libc::dup2(source, number as i32).into()).step("dup")?;
        }
        let cloexec = libc::CLOSE_RANGE_CLOEXEC as i32;
        check(libc::close_range(3, u32::MAX, cloexec).into()).step("close_range")?;
        if launch.terminal {
            check(libc::ioctl(0, libc::TIOCSCTTY, 0).into()).step("set controlling terminal")?;
        }
        libc::umask(0o022);
    }
    // Raising the score is always allowed; PID 1 stays below its workload.
    let _ = std::fs::write("/proc/self/oom_score_adj", "300");
    become_user(launch, &prepared.user, &prepared.cwd)
}

unsafe fn reset_signals() {
    // SAFETY: the caller is the single-threaded child.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        // The Rust runtime ignores SIGPIPE; programs expect the default.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

fn become_user(launch: &Launch, user: &User, cwd: &CString) -> Result<(), StepError> {
    // SAFETY: single-threaded child; all pointers outlive the calls.
    unsafe {
        rights::bound(launch.capabilities).step("drop capabilities")?;
        let groups = user.groups.as_ptr();
        check(libc::setgroups(user.groups.len(), groups).into()).step("setgroups")?;
        check(libc::setresgid(user.gid, user.gid, user.gid).into()).step("setgid")?;
        check(libc::setresuid(user.uid, user.uid, user.uid).into()).step("setuid")?;
        check(libc::chdir(cwd.as_ptr()).into())
            .step(format!("working directory {}", cwd.to_string_lossy()))?;
        if user.uid == 0 {
            rights::cut(launch.capabilities).step("capset")?;
        }
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into()).step("no_new_privs")?;
    }
    launch.filter.install()
}

/// Tries each candidate; returns only when none could be executed.
fn exec(prepared: &Prepared) -> StepError {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        let ends = std::iter::once(std::ptr::null());
        list.iter().map(|s| s.as_ptr()).chain(ends).collect()
    };
    let (argv, env) = (pointers(&prepared.argv), pointers(&prepared.env));
    let mut errno = libc::ENOENT;
    for program in &prepared.programs {
        // SAFETY: all strings and both null-terminated arrays outlive the call.
        unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        let failed = std::io::Error::last_os_error().raw_os_error();
        match failed {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            Some(other) => errno = other,
            None => {}
        }
    }
    let name = prepared.argv[0].to_string_lossy();
    StepError { step: format!("exec {name}"), errno }
}
