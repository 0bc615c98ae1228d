//! The few system calls that std does not offer, each with a safe face and an `io::Result`.
//!
//! Nothing here knows about nodes. All `unsafe` of the crate lives in this room and in
//! `pid1::launch` (the code between fork and exec).

pub mod addresses;
pub mod clone;
pub mod fdpass;
pub mod mounts;
pub mod process;
pub mod step;

use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Turns the `-1 and errno` convention into a result.
pub fn check(value: libc::c_long) -> io::Result<libc::c_long> {
    if value < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// A path as a C string; a path with a NUL byte is refused as `EINVAL`.
pub fn cstring(path: impl AsRef<Path>) -> io::Result<CString> {
    CString::new(path.as_ref().as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Takes ownership of a descriptor number that a system call just returned.
pub fn own(fd: libc::c_long) -> OwnedFd {
    // SAFETY: callers pass the fresh result of a system call that creates a descriptor.
    unsafe { OwnedFd::from_raw_fd(fd as RawFd) }
}

/// Takes ownership of a descriptor that was inherited under a known number.
///
/// # Safety
/// The number must be open and owned by nobody else in this process.
pub unsafe fn inherit(fd: RawFd) -> OwnedFd {
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// `openat(2)` with `O_CLOEXEC` added.
pub fn open_at(dir: RawFd, path: impl AsRef<Path>, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    let path = cstring(path)?;
    // SAFETY: the path outlives the call.
    let fd = unsafe { libc::openat(dir, path.as_ptr(), flags | libc::O_CLOEXEC, mode) };
    check(fd.into()).map(own)
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)
}

/// chdir(2), for processes that have one thread: the directory belongs to the whole process.
pub fn change_directory(path: impl AsRef<Path>) -> io::Result<()> {
    let path = cstring(path)?;
    // SAFETY: the path outlives the call.
    check(unsafe { libc::chdir(path.as_ptr()) }.into()).map(drop)
}

/// A pipe (read end, write end), both close-on-exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: the array has room for two descriptors.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }.into())?;
    Ok((own(fds[0].into()), own(fds[1].into())))
}

/// A file in memory only, close-on-exec (`memfd_create(2)`).
pub fn memory_file() -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"lace".as_ptr(), libc::MFD_CLOEXEC) };
    check(fd.into()).map(own)
}

/// Sets or clears close-on-exec.
pub fn set_cloexec(fd: BorrowedFd, on: bool) -> io::Result<()> {
    let flag = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: plain fcntl on an open descriptor.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, flag) }.into()).map(drop)
}

/// Sets `O_NONBLOCK` on the open file description.
pub fn set_nonblocking(fd: BorrowedFd) -> io::Result<()> {
    // SAFETY: plain fcntl on an open descriptor.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }.into())?;
    let flags = flags as i32 | libc::O_NONBLOCK;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) }.into()).map(drop)
}

/// `read(2)` into a buffer.
pub fn read(fd: BorrowedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is valid for its length.
    let n = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    check(n as libc::c_long).map(|n| n as usize)
}

/// Writes the whole buffer, or fails.
pub fn write_all(fd: BorrowedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the buffer is valid for its length.
        let n = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        match check(n as libc::c_long) {
            Ok(n) => bytes = &bytes[n as usize..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Milliseconds of `CLOCK_BOOTTIME`: monotonic, counts suspended time.
pub fn boottime_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is valid for writing.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// Milliseconds since the Unix epoch.
pub fn unix_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// Gives an open file to a user and the group of the same number.
pub fn give(fd: BorrowedFd, user: u32) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { libc::fchown(fd.as_raw_fd(), user, user) }.into()).map(drop)
}

/// This process acts as another user towards files, until dropped. For processes with one thread.
pub struct Acting(());

impl Acting {
    /// As the user and the group of the same number, and nobody's groups.
    pub fn of(user: u32) -> io::Result<Self> {
        let acting = Acting(());
        // SAFETY: plain numbers; no memory is passed.
        unsafe {
            check(libc::setgroups(0, std::ptr::null()).into())?;
            check(libc::setegid(user).into())?;
            check(libc::seteuid(user).into())?;
        }
        Ok(acting)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        // SAFETY: plain numbers. The real user is root, who may always come back.
        unsafe {
            libc::seteuid(0);
            libc::setegid(0);
        }
    }
}

/// The effective user id of this process.
pub fn euid() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    /// What a machine has slept is in one clock and not in the other: a time namespace says so.
    #[test]
    fn time_that_a_machine_sleeps_counts() {
        const ASKED: &str = "LACE_TEST_BOOTTIME";
        if std::env::var_os(ASKED).is_some() {
            println!("\nboottime {}", super::boottime_ms());
            return;
        }
        const SLEPT_S: u64 = 1_000_000;
        let own = std::env::current_exe().unwrap();
        let asked = Command::new("unshare")
            .args(["--fork", "--time", "--monotonic", "0", "--boottime", &SLEPT_S.to_string()])
            .arg(own)
            .args(["--exact", "sys::tests::time_that_a_machine_sleeps_counts", "--nocapture"])
            .env(ASKED, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&asked.stdout);
        if !asked.status.success() && std::env::var_os("CI").is_none() {
            eprintln!("skipped: a time namespace needs root: {}", String::from_utf8_lossy(&asked.stderr));
            return;
        }
        let then = said.lines().find_map(|line| line.strip_prefix("boottime ")).expect("its clock");
        let then: u64 = then.parse().unwrap();
        let slept = then.abs_diff(super::boottime_ms());
        assert!(slept.abs_diff(SLEPT_S * 1000) < 60_000, "{slept} ms");
    }
}
