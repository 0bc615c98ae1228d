//! Snapshots of volumes that have a size: copies of their file beside it, `PLACE@NAME.snapshot`, with its holes.
//!
//! While a node has the volume, its file system is held still (`FIFREEZE`, ioctl_fs(2) of util-linux fsfreeze(8)) for as long as the
//! copy takes: whoever writes waits meanwhile, and what is copied is as if the power had failed at one moment, which
//! ext4 and databases mend by themselves. Where the host's own file system can share blocks (`FICLONE`), that is a
//! moment; elsewhere it lasts as long as reading what is in it, and is given up after [`STILL_MAX`].

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::carry::reading;
use super::{image_of, is_in_use};
use crate::sys::check;

/// Writers are held up for no longer.
const STILL_MAX: Duration = Duration::from_secs(30);
/// Most snapshots of one volume.
pub const SNAPSHOTS_MAX: usize = 32;
/// Bytes between two looks at the clock.
const PIECE_BYTES: usize = 8 << 20;
/// What is left free of a disk, in parts of it: nodes write too.
const LEFT_FREE: u64 = 20;

/// linux/fs.h: `_IOWR('X', 119, int)`, `_IOWR('X', 120, int)`, `_IOW(0x94, 9, int)`.
const FIFREEZE: libc::c_ulong = 0xC004_5877;
const FITHAW: libc::c_ulong = 0xC004_5878;
const FICLONE: libc::c_ulong = 0x4004_9409;

/// A snapshot that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// When it was taken, in milliseconds since 1970.
    pub at: u64,
    /// Bytes of the disk that it takes.
    pub bytes: u64,
}

/// The snapshots of a volume, the oldest first.
pub fn snapshots(source: &Path) -> Vec<Snapshot> {
    let entries = source.parent().map(fs::read_dir).into_iter().flatten().flatten().flatten();
    let mut found: Vec<_> = entries.filter_map(|entry| snapshot(source, &entry)).collect();
    found.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    found
}

fn snapshot(source: &Path, entry: &fs::DirEntry) -> Option<Snapshot> {
    let file = entry.file_name();
    let name = file.to_str()?.strip_prefix(source.file_name()?.to_str()?)?;
    let name = name.strip_prefix('@')?.strip_suffix(".snapshot")?.to_owned();
    let meta = entry.metadata().ok()?;
    let at = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
    Some(Snapshot { name, at: u64::try_from(at).ok()?, bytes: meta.blocks() * 512 })
}

fn file_of(source: &Path, name: &str) -> PathBuf {
    let mut file = source.file_name().unwrap_or_default().to_owned();
    file.push(format!("@{name}.snapshot"));
    source.with_file_name(file)
}

/// Takes one, whole or not at all. `held` says that a node has the volume, which then waits for the copy.
///
/// # Errors
/// There is one of that name, or too many; the volume has no size; the disk has no room; it took too long.
pub fn take(source: &Path, name: &str, held: bool) -> io::Result<()> {
    let (image, to) = (image_of(source), file_of(source, name));
    if !image.exists() {
        let text = "its size is not enforced on this host, so it is no file that could be copied at once";
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    if to.exists() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("there is a snapshot {name} already"),
        ));
    }
    if snapshots(source).len() >= SNAPSHOTS_MAX {
        return Err(io::Error::other(format!("it has {SNAPSHOTS_MAX} snapshots, which is the most")));
    }
    if !held {
        has_room(&image)?;
        return copy(&image, &to, None);
    }
    copy_held(source, &image, &to)
}

/// Copies the file of a volume that a node has, which waits for the copy.
pub(super) fn copy_held(source: &Path, image: &Path, to: &Path) -> io::Result<()> {
    has_room(image)?;
    let (place, mounted) = reading(source)?;
    let taken = Still::hold(&place).and_then(|still| copy(image, to, Some(still.since + STILL_MAX)));
    drop(mounted);
    let _ = fs::remove_dir(&place);
    taken
}

/// Puts what a snapshot holds in the volume's place. No node has the volume.
///
/// # Errors
/// There is none of that name; the disk has no room.
pub fn restore(source: &Path, name: &str) -> io::Result<()> {
    let from = file_of(source, name);
    if !from.exists() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no snapshot {name}")));
    }
    has_room(&from)?;
    copy(&from, &image_of(source), None)
}

/// Removes one; none of that name is fine.
///
/// # Errors
/// It cannot be removed.
pub fn forget(source: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(file_of(source, name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Lets go of file systems that an agent held still when it died.
pub fn thaw_all(sources: impl Iterator<Item = PathBuf>) {
    for source in sources.filter(|source| is_in_use(&image_of(source)).unwrap_or(false)) {
        let Ok((place, mounted)) = reading(&source) else { continue };
        if let Ok(dir) = File::open(&place) {
            // Where it is not held, the kernel says so, and nothing is to be done.
            let _ = freeze(&dir, FITHAW);
        }
        drop(mounted);
        let _ = fs::remove_dir(&place);
    }
}

/// A file system that is held still; it goes on when this is dropped.
struct Still {
    dir: File,
    since: Instant,
}

impl Still {
    fn hold(place: &Path) -> io::Result<Self> {
        let dir = File::open(place)?;
        freeze(&dir, FIFREEZE)?;
        Ok(Self { dir, since: Instant::now() })
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        if let Err(error) = freeze(&self.dir, FITHAW) {
            tracing::error!(%error, "a volume's file system is still held");
        }
    }
}

fn freeze(dir: &File, what: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the argument is not looked at.
    check(unsafe { libc::ioctl(dir.as_raw_fd(), what as _, 0) }.into()).map(drop)
}

/// The copy takes as many blocks as its origin has.
fn has_room(origin: &Path) -> io::Result<()> {
    let (meta, disk) = (fs::metadata(origin)?, rustix::fs::statvfs(origin)?);
    let (free, all) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
    let takes = meta.blocks() * 512;
    if free >= takes + all / LEFT_FREE {
        return Ok(());
    }
    let text =
        format!("the host's disk has no room for {} MiB more: {} MiB are free", takes >> 20, free >> 20);
    Err(io::Error::new(io::ErrorKind::StorageFull, text))
}

/// Whole or not at all: made beside its place. Shares blocks where the host's file system can.
fn copy(from: &Path, to: &Path, until: Option<Instant>) -> io::Result<()> {
    let mut fresh = to.file_name().unwrap_or_default().to_owned();
    fresh.push(".part");
    let fresh = to.with_file_name(fresh);
    let copied = copy_to(from, &fresh, until).and_then(|()| fs::rename(&fresh, to));
    if copied.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    copied
}

fn copy_to(from: &Path, to: &Path, until: Option<Instant>) -> io::Result<()> {
    let (from, to) = (File::open(from)?, File::create(to)?);
    // SAFETY: two open descriptors.
    if check(unsafe { libc::ioctl(to.as_raw_fd(), FICLONE as _, from.as_raw_fd()) }.into()).is_err() {
        copy_pieces(&from, &to, until)?;
    }
    to.sync_all()
}

/// Copies what is no hole.
fn copy_pieces(from: &File, to: &File, until: Option<Instant>) -> io::Result<()> {
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut at = 0;
    while let Some((begin, end)) = piece(from, at)? {
        let (mut here, mut there) = (begin, begin);
        while here < end {
            let most = usize::try_from(end - here).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let copied = rustix::fs::copy_file_range(from, Some(&mut here), to, Some(&mut there), most)?;
            if copied == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if until.is_some_and(|until| Instant::now() > until) {
                let text = format!(
                    "copying it takes longer than its node may be held up ({} s): stop the service first",
                    STILL_MAX.as_secs()
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
        at = end;
    }
    Ok(())
}

/// The next bytes of a file that are no hole (lseek(2), `SEEK_DATA`).
fn piece(file: &File, at: u64) -> io::Result<Option<(u64, u64)>> {
    use rustix::fs::{SeekFrom, seek};
    let begin = match seek(file, SeekFrom::Data(at)) {
        Err(rustix::io::Errno::NXIO) => return Ok(None),
        begin => begin?,
    };
    Ok(Some((begin, seek(file, SeekFrom::Hole(begin))?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_copy_has_the_holes_of_its_origin() {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("1.img"), dir.path().join("1@x.snapshot"));
        let file = File::create(&from).expect("made");
        file.set_len(64 << 20).expect("sized");
        for at in [0, 20 << 20, (64 << 20) - 5] {
            file.write_all_at(b"hello", at).expect("written");
        }
        copy(&from, &to, None).expect("copied");
        assert!(fs::read(&from).expect("read") == fs::read(&to).expect("read"));
        assert!(fs::metadata(&to).expect("there").blocks() * 512 < 1 << 20);
        let late = copy(&from, &dir.path().join("late"), Some(Instant::now() - Duration::from_secs(1)));
        assert!(late.is_err() || !dir.path().join("late.part").exists());
    }

    #[test]
    fn snapshots_are_listed_by_age_and_are_their_volumes_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let source = dir.path().join("1");
        fs::write(dir.path().join("1.img"), "volume").expect("written");
        fs::write(dir.path().join("11@other.snapshot"), "").expect("written");
        let names = || snapshots(&source).into_iter().map(|s| s.name).collect::<Vec<_>>();
        assert_eq!(names(), Vec::<String>::new());
        copy(&image_of(&source), &file_of(&source, "one"), None).expect("copied");
        assert_eq!(names(), ["one"]);
        fs::write(dir.path().join("1.img"), "later").expect("written");
        restore(&source, "one").expect("restored");
        assert_eq!(fs::read(dir.path().join("1.img")).expect("read"), b"volume");
        assert_eq!(restore(&source, "two").expect_err("none").kind(), io::ErrorKind::NotFound);
        forget(&source, "one").expect("gone");
        forget(&source, "one").expect("gone already");
        assert_eq!(names(), Vec::<String>::new());
    }
}
