//! Files that are replaced while the node runs.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::sys;

/// Replaces a file by what the descriptor holds: a reader sees the old one or the new one, never half of it. The
/// content goes through the kernel only: PID 1 stays as small as it is.
///
/// Where everything in the node is one `user`'s, that user writes: a link that it has put in the way leads nowhere else
/// than where it could write itself.
pub(super) fn put(path: &Path, mode: u32, content: OwnedFd, user: Option<u32>) -> io::Result<()> {
    let _user = user.map(sys::Acting::of).transpose()?;
    let mut content = File::from(content);
    content.rewind()?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let fresh = path.with_file_name(format!(".{}.lace-new", name.to_string_lossy()));
    let _ = fs::remove_file(&fresh);
    let written = fill(&fresh, mode, &mut content).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

fn fill(path: &Path, mode: u32, content: &mut File) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(content, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode & 0o7777))
}
