//! Every format gives the same tree, and the same bytes of it.

use crate::{gz, noise, put};
use lace_model::release::{Tree, TreeNode};
use lace_release::{ArchiveKind, ChunkSource, Limits, needed, read_archive, read_dir, read_stream};
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;

fn small_release(root: &Path) {
    put(root, "bin/game", "#!/bin/sh\necho game\n", true);
    put(root, "lib/game/big.beam", noise(1, 700_000), false);
    put(root, "lib/empty", "", false);
    put(root, &format!("deep/{}/file", "x".repeat(150)), "long name", false);
    std::fs::create_dir_all(root.join("log")).expect("a directory");
    std::os::unix::fs::symlink("../lib/game/big.beam", root.join("bin/link")).expect("a link");
}

fn tar_of(root: &Path, prefix: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all(prefix, root).expect("a tar");
    builder.into_inner().expect("a tar")
}

fn zip_of(root: &Path, tree: &Tree) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for entry in &tree.entries {
        let full = root.join(&entry.path);
        let options = SimpleFileOptions::default();
        match &entry.node {
            TreeNode::Dir => {
                writer.add_directory(&*entry.path, options.unix_permissions(0o755)).expect("dir")
            }
            TreeNode::Symlink { target } => {
                writer.add_symlink(&*entry.path, target, options).expect("a link")
            }
            TreeNode::File { executable, .. } => {
                let mode = if *executable { 0o755 } else { 0o644 };
                writer.start_file(&*entry.path, options.unix_permissions(mode)).expect("a file");
                writer.write_all(&std::fs::read(full).expect("a file")).expect("a file");
            }
        }
    }
    writer.finish().expect("a zip").into_inner()
}

fn all_formats(root: &Path, tree: &Tree) -> Vec<(ArchiveKind, Vec<u8>)> {
    let tar = tar_of(root, ".");
    let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    bz2.write_all(&tar).expect("bzip2");
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(&tar).expect("xz");
    vec![
        (ArchiveKind::TarGz, gz(&tar)),
        (ArchiveKind::TarBz2, bz2.finish().expect("bzip2")),
        (ArchiveKind::TarXz, xz.finish().expect("xz")),
        (ArchiveKind::TarZst, zstd::encode_all(&*tar, 3).expect("zstd")),
        (ArchiveKind::Zip, zip_of(root, tree)),
        (ArchiveKind::Tar, tar),
    ]
}

#[test]
fn every_format_gives_the_same_tree_and_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("root");
    small_release(&root);
    let wanted = read_dir(&root, &Limits::default()).expect("a tree");
    assert!(wanted.tree.entries.iter().any(|e| e.path == "bin/link"));
    for (kind, bytes) in all_formats(&root, &wanted.tree) {
        assert_eq!(ArchiveKind::of(&bytes), Some(kind));
        let file = dir.path().join("archive");
        std::fs::write(&file, &bytes).expect("an archive");
        let from_file = read_archive(&file, &Limits::default()).expect("a tree");
        let from_stream = read_stream(&*bytes, &Limits::default()).expect("a tree");
        assert_eq!(from_file.tree, wanted.tree, "{kind:?}");
        assert_eq!(from_stream.tree, wanted.tree, "{kind:?}");
        for digest in needed(&wanted.tree) {
            let chunk = from_file.chunks.chunk(&digest).expect("a chunk");
            assert_eq!(chunk, wanted.chunks.chunk(&digest).expect("a chunk"));
        }
    }
}

#[test]
fn one_top_directory_is_stripped_unless_it_is_part_of_a_release() {
    let paths = |bytes: &[u8]| -> Vec<String> {
        let packed = read_stream(bytes, &Limits::default()).expect("a tree");
        packed.tree.entries.into_iter().map(|entry| entry.path).collect()
    };
    let tar = crate::Tar::default();
    assert_eq!(paths(&tar.file("game-1.0/bin/game", b"x").bytes()), ["bin", "bin/game"]);
    let tar = crate::Tar::default();
    assert_eq!(paths(&tar.file("bin/game", b"x").bytes()), ["bin", "bin/game"]);
    let tar = crate::Tar::default();
    assert_eq!(paths(&tar.file("a/x", b"x").file("b", b"y").bytes()), ["a", "a/x", "b"]);
    let tar = crate::Tar::default();
    assert_eq!(paths(&tar.file("erts-13.1/bin/erl", b"x").bytes())[0], "erts-13.1");
}

#[test]
fn times_and_owners_do_not_count() {
    let dir = tempfile::tempdir().expect("a directory");
    small_release(&dir.path().join("a"));
    let first = read_dir(&dir.path().join("a"), &Limits::default()).expect("a tree").tree.digest();
    std::thread::sleep(std::time::Duration::from_millis(20));
    small_release(&dir.path().join("b"));
    put(&dir.path().join("b"), ".git/config", "not part of it", false);
    assert_eq!(read_dir(&dir.path().join("b"), &Limits::default()).expect("a tree").tree.digest(), first);
}

/// A release of 6 MB; the next version has a changed line early in one file, and a new small file.
#[test]
fn a_nearly_equal_release_shares_nine_chunks_of_ten() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    for n in 0..6 {
        put(root, &format!("lib/app-{n}/app.beam"), noise(n, 1_000_000), false);
    }
    let first = read_dir(root, &Limits::default()).expect("a tree");
    let mut changed = noise(3, 1_000_000);
    changed.splice(1000..1010, *b"a longer line than before");
    put(root, "lib/app-3/app.beam", changed, false);
    put(root, "VERSION", "2", false);
    let second = read_dir(root, &Limits::default()).expect("a tree");
    let (old, new) = (needed(&first.tree), needed(&second.tree));
    let bytes = |digests: &mut dyn Iterator<Item = _>| -> usize {
        digests.map(|digest| second.chunks.chunk(digest).expect("a chunk").len()).sum()
    };
    let shared = bytes(&mut new.intersection(&old));
    let all = bytes(&mut new.iter());
    println!(
        "{} of {} chunks, {shared} of {all} bytes are shared",
        new.intersection(&old).count(),
        new.len()
    );
    assert!(shared * 10 > all * 9, "{shared} of {all} bytes are shared");
    assert!(new.intersection(&old).count() * 10 > new.len() * 9);
}

#[test]
fn a_file_that_changes_after_it_was_read_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    put(dir.path(), "x", "before", false);
    let packed = read_dir(dir.path(), &Limits::default()).expect("a tree");
    put(dir.path(), "x", "AFTER!", false);
    let digest = *needed(&packed.tree).first().expect("a chunk");
    let said = packed.chunks.chunk(&digest).expect_err("it has changed").to_string();
    assert!(said.contains("its file has changed since it was read"), "{said}");
}

#[test]
fn what_is_no_archive() {
    let check = |bytes: &[u8], words: &str| {
        let said = read_stream(bytes, &Limits::default()).expect_err("no archive").to_string();
        assert!(said.contains(words), "{said}");
    };
    check(b"", "no archive of a known kind");
    check(&noise(1, 5000), "no archive of a known kind");
    check(&gz(b"hello")[..10], "damaged");
    check(b"PK\x03\x04 and no more", "damaged");
    let whole = gz(&crate::Tar::default().file("x", &noise(1, 100_000)).bytes());
    check(&whole[..whole.len() / 2], "damaged");
}
