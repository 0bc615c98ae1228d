//! What directories take of the disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Entries looked at for one answer: who has more is far above any bound, or gets a low estimate.
const ENTRIES_MAX: usize = 1_000_000;

/// Bytes of the disk below a directory. Links are not followed; what vanishes meanwhile does not count.
pub(crate) fn tree_bytes(dir: &Path) -> u64 {
    let mut bytes = 0;
    let mut entries = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            // Of the entry itself, also of a link.
            let Ok(meta) = entry.metadata() else { continue };
            // A file of several names counts its share at each.
            let names = if meta.is_dir() { 1 } else { meta.nlink().max(1) };
            bytes += meta.blocks() * 512 / names;
            entries += 1;
            if entries > ENTRIES_MAX {
                return bytes;
            }
            if meta.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_holes_take_nothing() {
        let dir = std::env::temp_dir().join(format!("lace-usage-{}", std::process::id()));
        fs::create_dir_all(dir.join("a/b")).unwrap();
        let empty = tree_bytes(&dir);
        fs::write(dir.join("a/b/file"), vec![7; 100_000]).unwrap();
        fs::hard_link(dir.join("a/b/file"), dir.join("a/same")).unwrap();
        std::os::unix::fs::symlink("/usr", dir.join("away")).unwrap();
        fs::File::create(dir.join("hole")).unwrap().set_len(1 << 40).unwrap();
        let more = tree_bytes(&dir) - empty;
        fs::remove_dir_all(&dir).unwrap();
        assert!((100_000..120_000).contains(&more), "{more}");
    }
}
