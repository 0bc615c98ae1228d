//! The mount API of descriptors: fsopen(2), fsmount(2), open_tree(2), mount_setattr(2), move_mount(2).
//!
//! Mounts are prepared detached, so that a half-built root never appears in a mount table.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::{check, cstring, own};

/// `MOUNT_ATTR_*` of linux/mount.h.
pub const RDONLY: u64 = 0x1;
/// No set-user-id, no file capabilities.
pub const NOSUID: u64 = 0x2;
/// No device files.
pub const NODEV: u64 = 0x4;
/// No execution.
pub const NOEXEC: u64 = 0x8;
const IDMAP: u64 = 0x0010_0000;

const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const OPEN_TREE_CLONE: u32 = 1;
const AT_RECURSIVE: u32 = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;

#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

fn fsconfig(fs: &OwnedFd, command: u32, key: Option<&str>, value: Option<&str>) -> io::Result<()> {
    let text = |s: Option<&str>| s.map(CString::new).transpose();
    let invalid = |_| io::Error::from_raw_os_error(libc::EINVAL);
    let (key, value) = (text(key).map_err(invalid)?, text(value).map_err(invalid)?);
    let pointer = |s: &Option<CString>| s.as_ref().map_or(std::ptr::null(), |s| s.as_ptr());
    // SAFETY: the strings outlive the call.
    check(unsafe {
        libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), command, pointer(&key), pointer(&value), 0)
    })
    .map(drop)
}

/// A new, detached mount of a file system type. An option with an empty value is a flag.
/// Each value is limited to 255 bytes by the kernel.
pub fn new_mount(kind: &str, options: &[(&str, &str)], attributes: u64) -> io::Result<OwnedFd> {
    let name = cstring(kind)?;
    // SAFETY: the name outlives the call.
    let fs = own(check(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), FSOPEN_CLOEXEC) })?);
    for (key, value) in options {
        if value.is_empty() {
            fsconfig(&fs, FSCONFIG_SET_FLAG, Some(key), None)?;
        } else {
            fsconfig(&fs, FSCONFIG_SET_STRING, Some(key), Some(value))?;
        }
    }
    fsconfig(&fs, FSCONFIG_CMD_CREATE, None, None)?;
    // SAFETY: plain numbers.
    check(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), FSMOUNT_CLOEXEC, attributes) }).map(own)
}

/// A detached bind mount of a path (with everything mounted below it, when `recursive`).
pub fn clone_tree(path: impl AsRef<Path>, recursive: bool) -> io::Result<OwnedFd> {
    let path = cstring(path)?;
    let mut flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32;
    if recursive {
        flags |= AT_RECURSIVE;
    }
    // SAFETY: the path outlives the call.
    check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) }).map(own)
}

/// Sets attributes on a mount (and below it), and the id mapping of a user namespace when given.
pub fn set_attributes(
    tree: BorrowedFd,
    attributes: u64,
    userns: Option<BorrowedFd>,
    recursive: bool,
) -> io::Result<()> {
    let mut attr = MountAttr { attr_set: attributes, ..MountAttr::default() };
    if let Some(userns) = userns {
        attr.attr_set |= IDMAP;
        attr.userns_fd = userns.as_raw_fd() as u64;
    }
    let flags = libc::AT_EMPTY_PATH as u32 | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the struct outlives the call and its size is passed.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            std::mem::size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Attaches a detached mount at a path.
pub fn attach(tree: BorrowedFd, target: impl AsRef<Path>) -> io::Result<()> {
    let target = cstring(target)?;
    // SAFETY: the path outlives the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Takes a mount off this namespace; whoever uses it keeps it (`MNT_DETACH`).
pub fn detach(place: impl AsRef<Path>) -> io::Result<()> {
    let place = cstring(place)?;
    // SAFETY: the path outlives the call.
    check(unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) }.into()).map(drop)
}

/// Takes the mount tree of this namespace out of propagation (`rprivate`).
pub fn make_private() -> io::Result<()> {
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: constant strings.
    let ret =
        unsafe { libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
    check(ret.into()).map(drop)
}

/// Has the mount tree of this namespace follow the one that it was copied from, and not the other way round (`rslave`).
pub fn make_slave() -> io::Result<()> {
    let flags = libc::MS_REC | libc::MS_SLAVE;
    // SAFETY: constant strings.
    let ret =
        unsafe { libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
    check(ret.into()).map(drop)
}

/// Makes the current directory (a mount) the root and lets go of the old one: the
/// `pivot_root(".", ".")` idiom of pivot_root(2).
pub fn pivot_here() -> io::Result<()> {
    // SAFETY: constant strings.
    unsafe {
        check(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
        check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH).into())?;
        check(libc::chdir(c"/".as_ptr()).into())?;
    }
    Ok(())
}
