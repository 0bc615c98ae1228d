//! Arbitrary archives and trees: no panic, and nothing that is accepted leads out of its directory.

use crate::{Tar, gz, noise};
use lace_model::Digest;
use lace_model::release::{Tree, TreeEntry, TreeNode};
use lace_release::{Limits, materialise, read_stream, recognise, verify};
use proptest::prelude::*;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::LazyLock;
use zip::write::SimpleFileOptions;

static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let long = format!("{}/x", "d".repeat(200));
    let tar = Tar::default()
        .dir("bin")
        .file("bin/game", b"#!/bin/sh\n")
        .link("bin/link", "game")
        .raw(b'1', b"again", b"bin/game", 0o644, b"")
        .raw(b'L', b"l", b"", 0, long.as_bytes())
        .file("x", &noise(1, 3000))
        .raw(b'x', b"p", b"", 0, b"15 path=pax/up\n")
        .file("y", b"y")
        .file("releases/start_erl.data", b"13.1 1.0")
        .bytes();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(&tar).expect("xz");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["a", "b/c", "b/d"] {
        zip.start_file(name, SimpleFileOptions::default().unix_permissions(0o755)).expect("a file");
        zip.write_all(&noise(2, 500)).expect("content");
    }
    zip.add_symlink("l", "a", SimpleFileOptions::default()).expect("a link");
    let zst = zstd::encode_all(&*tar, 3).expect("zstd");
    vec![gz(&tar), zst, xz.finish().expect("xz"), zip.finish().expect("a zip").into_inner(), tar]
});

fn part() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("a"), 6 => Just("b"), 2 => Just("c"), 4 => Just(".."), 1 => Just(".")]
}

fn path(parts: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    proptest::collection::vec(part(), parts).prop_map(|parts| parts.join("/"))
}

fn tree() -> impl Strategy<Value = Tree> {
    let node = prop_oneof![
        2 => Just(TreeNode::Dir),
        1 => Just(TreeNode::File { size: 1, executable: true, chunks: vec![Digest::of(b"x")] }),
        3 => path(1..6).prop_map(|target| TreeNode::Symlink { target }),
    ];
    // Parts of paths without dots, or nearly every tree would be refused for them alone.
    let plain = proptest::collection::vec("[abc]", 1..4).prop_map(|parts| parts.join("/"));
    proptest::collection::btree_map(plain, node, 1..10).prop_map(|mut nodes| {
        for path in nodes.keys().cloned().collect::<Vec<_>>() {
            for (at, _) in path.match_indices('/') {
                nodes.entry(path[..at].to_owned()).or_insert(TreeNode::Dir);
            }
        }
        Tree { entries: nodes.into_iter().map(|(path, node)| TreeEntry { path, node }).collect() }
    })
}

/// Where every link of a directory leads, by the kernel's own judgement.
fn links_stay_inside(tree: &Tree, root: &Path) -> bool {
    let root = root.canonicalize().expect("it is there");
    let inside = |path: &str| root.join(path).canonicalize().is_ok_and(|full| full.starts_with(&root));
    let outside = |path: &str| root.join(path).exists() && !inside(path);
    !tree.entries.iter().any(|entry| outside(&entry.path))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn changed_archives_are_read_or_refused(
        seed in 0..5usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = SEEDS[seed].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(packed) = read_stream(&*bytes, &Limits::default()) {
            prop_assert!(verify(&packed.tree).is_ok());
            recognise(&packed.tree, &packed.chunks).expect("its chunks are there");
        }
    }

    #[test]
    fn what_is_accepted_stays_inside(tree in tree()) {
        let place = tempfile::tempdir().expect("a directory");
        let dest = place.path().join("a");
        // Neighbours that a link could lead to, one and two levels up.
        std::fs::write(place.path().join("b"), "secret").expect("a file");
        let written = materialise(&tree, &dest, |_| Ok(b"x".to_vec()));
        prop_assert_eq!(written.is_ok(), verify(&tree).is_ok());
        match written {
            Ok(()) => prop_assert!(links_stay_inside(&tree, &dest)),
            Err(_) => prop_assert!(!dest.exists()),
        }
        let others = std::fs::read_dir(place.path()).expect("a directory").flatten();
        prop_assert!(others.map(|e| e.file_name()).all(|name| name == "a" || name == "b"));
        prop_assert_eq!(std::fs::read(place.path().join("b")).expect("untouched"), b"secret");
    }
}

/// The generator above is of no use if it makes only one sort of tree.
#[test]
fn accepted_and_refused_trees_both_occur() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let trees = (0..400).map(|_| tree().new_tree(&mut runner).expect("a tree").current());
    let with_links = trees.filter(|t| t.entries.iter().any(|e| matches!(e.node, TreeNode::Symlink { .. })));
    let (good, bad): (Vec<Tree>, Vec<Tree>) = with_links.partition(|tree| verify(tree).is_ok());
    assert!(good.len() > 40 && bad.len() > 40, "{} accepted, {} refused", good.len(), bad.len());
}
