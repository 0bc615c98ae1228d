//! Trees are written whole, as they were read, or not at all.

use crate::{noise, put};
use lace_model::release::{Tree, TreeNode};
use lace_release::{ChunkSource, Limits, Packed, materialise, needed, read_dir, sweep};
use proptest::collection::btree_map;
use proptest::prelude::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

fn write(packed: &Packed, dest: &Path) -> lace_release::Result<()> {
    materialise(&packed.tree, dest, |digest| packed.chunks.chunk(digest).map_err(std::io::Error::other))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[derive(Clone, Debug)]
enum Thing {
    Dir,
    File(usize, u64, bool),
    Link,
}

fn things() -> impl Strategy<Value = std::collections::BTreeMap<String, Thing>> {
    let thing = prop_oneof![
        1 => Just(Thing::Dir),
        4 => (prop_oneof![0..100usize, 0..300_000usize], any::<u64>(), any::<bool>())
            .prop_map(|(size, seed, executable)| Thing::File(size, seed, executable)),
        1 => Just(Thing::Link),
    ];
    btree_map("[a-c]([a-c/åß]{0,6}[a-z])?", thing, 0..12)
}

/// Makes what can be made; what collides with something made before is left out.
fn make(root: &Path, things: &std::collections::BTreeMap<String, Thing>) {
    std::fs::create_dir_all(root).expect("a root");
    for (path, thing) in things {
        let full = root.join(path);
        let parent = full.parent().expect("a parent");
        if full.symlink_metadata().is_ok() || std::fs::create_dir_all(parent).is_err() {
            continue;
        }
        // Never through a link that was made before.
        if parent.canonicalize().expect("it is there")
            != root.canonicalize().expect("root").join(parent.strip_prefix(root).expect("inside"))
        {
            continue;
        }
        match thing {
            Thing::Dir => std::fs::create_dir_all(&full).expect("a directory"),
            Thing::File(size, seed, executable) => {
                std::fs::write(&full, noise(*seed, *size)).expect("a file");
                let mode = if *executable { 0o755 } else { 0o644 };
                std::fs::set_permissions(&full, PermissionsExt::from_mode(mode)).expect("a mode");
            }
            Thing::Link => std::os::unix::fs::symlink("./somewhere", &full).expect("a link"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn what_is_written_is_what_was_read(things in things()) {
        let place = tempfile::tempdir().expect("a directory");
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        make(&from, &things);
        let packed = read_dir(&from, &Limits::default()).expect("a tree");
        write(&packed, &to).expect("written");
        let again = read_dir(&to, &Limits::default()).expect("a tree");
        prop_assert_eq!(&again.tree, &packed.tree);
        prop_assert_eq!(names(place.path()).len(), 2);
    }
}

#[test]
fn modes_and_owners_are_ours_whatever_the_release_had() {
    let place = tempfile::tempdir().expect("a directory");
    let from = place.path().join("from");
    put(&from, "bin/x", "x", true);
    put(&from, "etc/y", "y", false);
    for (path, mode) in [("bin/x", 0o700), ("etc/y", 0o666), ("bin", 0o777)] {
        std::fs::set_permissions(from.join(path), PermissionsExt::from_mode(mode)).expect("a mode");
    }
    let packed = read_dir(&from, &Limits::default()).expect("a tree");
    let to = place.path().join("deep/er/to");
    write(&packed, &to).expect("written");
    let mode = |path: &str| to.join(path).metadata().expect("it is there").mode() & 0o7777;
    assert_eq!([mode("bin/x"), mode("etc/y"), mode("bin"), mode("")], [0o755, 0o644, 0o755, 0o755]);
    let me = rustix::process::geteuid().as_raw();
    assert_eq!(to.join("bin/x").metadata().expect("it is there").uid(), me);
}

#[test]
fn a_goal_that_is_there_is_left_alone() {
    let place = tempfile::tempdir().expect("a directory");
    put(&place.path().join("from"), "x", "x", false);
    let packed = read_dir(&place.path().join("from"), &Limits::default()).expect("a tree");
    let to = place.path().join("to");
    write(&packed, &to).expect("written");
    let inode = to.metadata().expect("it is there").ino();
    materialise(&packed.tree, &to, |_| unreachable!("nothing is fetched")).expect("nothing to do");
    assert_eq!(to.metadata().expect("it is there").ino(), inode);
}

#[test]
fn a_failure_at_any_chunk_leaves_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    for n in 0..5 {
        put(&place.path().join("from"), &format!("d/{n}"), noise(n, 100), false);
    }
    let packed = read_dir(&place.path().join("from"), &Limits::default()).expect("a tree");
    let to = place.path().join("to");
    for bad in 0..needed(&packed.tree).len() {
        let mut n = 0;
        let mut failing = |digest: &lace_model::Digest, wrong: &[u8]| {
            n += 1;
            if n == bad + 1 && wrong.is_empty() {
                return Err(std::io::Error::other("the link broke"));
            }
            if n == bad + 1 {
                Ok(wrong.to_vec())
            } else {
                packed.chunks.chunk(digest).map_err(std::io::Error::other)
            }
        };
        let said =
            materialise(&packed.tree, &to, |digest| failing(digest, b"")).expect_err("broken").to_string();
        assert!(said.contains("the link broke"), "{said}");
        n = 0;
        let mut forged = |digest: &lace_model::Digest| {
            n += 1;
            if n == bad + 1 {
                Ok(b"forged".to_vec())
            } else {
                packed.chunks.chunk(digest).map_err(std::io::Error::other)
            }
        };
        let said = materialise(&packed.tree, &to, &mut forged).expect_err("forged").to_string();
        assert!(said.contains("another digest"), "{said}");
        assert_eq!(names(place.path()), ["from"]);
    }
}

#[test]
fn a_size_that_the_chunks_do_not_have_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    put(&place.path().join("from"), "x", "four", false);
    let packed = read_dir(&place.path().join("from"), &Limits::default()).expect("a tree");
    let mut tree: Tree = packed.tree.clone();
    if let TreeNode::File { size, .. } = &mut tree.entries[0].node {
        *size = 5;
    }
    let to = place.path().join("to");
    let fetch = |digest: &lace_model::Digest| packed.chunks.chunk(digest).map_err(std::io::Error::other);
    let said = materialise(&tree, &to, fetch).expect_err("refused").to_string();
    assert!(said.contains("its chunks have 4 bytes, not 5"), "{said}");
    assert!(!to.exists());
}

#[test]
fn leftovers_of_a_crash_are_swept() {
    let place = tempfile::tempdir().expect("a directory");
    put(&place.path().join(".0123.abc.part"), "bin/x", "x", true);
    put(&place.path().join("0123"), "bin/x", "x", true);
    assert_eq!(sweep(place.path()).expect("swept"), 1);
    assert_eq!(names(place.path()), ["0123"]);
}

#[test]
fn what_says_how_to_deploy_is_no_part_of_the_release() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |path: &str, text: &str| put(dir.path(), path, text, false);
    write("lace.toml", "count = 1");
    write("bin/run", "run");
    write("inner/lace.toml", "this one belongs to the release");
    write(".git/HEAD", "main");
    let told = |packed: lace_release::Packed| {
        packed.tree.entries.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>()
    };
    let paths = || told(read_dir(dir.path(), &Limits::default()).expect("read"));
    let first = ["bin", "bin/run", "inner", "inner/lace.toml"];
    assert_eq!(paths(), first);
    write("lace.toml", "count = 2");
    write("monday.plan", "{\n  \"lace_plan\": 1,\n  \"plan\": {}\n}");
    assert_eq!(paths(), first, "another manifest, a saved plan: the same release");
    // A manifest of another name is known by who reads it.
    let other = "my [1] manifest.toml";
    write(other, "count = 3");
    let manifest = dir.path().join("inner/..").join(other);
    let packed = lace_release::read_path(&dir.path().join("."), &Limits::default(), Some(&manifest));
    assert_eq!(told(packed.expect("read")), first);
    assert_eq!(paths().last().map(String::as_str), Some(other));
    std::fs::remove_file(manifest).expect("removed");
    write("floor.plan", "of a house");
    write("log/today.log", "noise");
    write("log/.keep", "");
    write(".laceignore", "# gitignore(5)\n*.log\ninner/\n!/lace.toml\n");
    assert_eq!(paths(), ["bin", "bin/run", "floor.plan", "lace.toml", "log", "log/.keep"]);
}
