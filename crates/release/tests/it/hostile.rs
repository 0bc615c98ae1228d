//! Archives and trees that are meant to do harm: each refused with its reason, nothing left behind.

use crate::{Tar, gz, noise};
use lace_model::Code;
use lace_model::release::{Tree, TreeEntry, TreeNode};
use lace_model::{Digest, release::CHUNK_BYTES_MAX};
use lace_release::{Limits, ReleaseError, materialise, read_dir, read_stream, verify};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

fn small() -> Limits {
    Limits { entries: 50, bytes: 1 << 20, growth: 20, growth_free: 64 << 10 }
}

fn refusal(bytes: &[u8]) -> ReleaseError {
    read_stream(bytes, &small()).expect_err("it is refused")
}

#[test]
fn every_hostile_tar_is_refused_with_its_reason() {
    let tar = Tar::default;
    let long = format!("{}/x", vec!["y".repeat(200); 16].join("/"));
    let many = (0..60).fold(tar(), |all, n| all.file(&format!("f{n}"), b""));
    let implicit = (0..9).fold(tar(), |all, n| all.file(&format!("d{n}/1/2/3/4/5/6"), b""));
    let fan =
        (0..45).fold(tar().link("l0", "x"), |all, n| all.link(&format!("l{}", n + 1), &format!("l{n}")));
    let cases = [
        ("an absolute path", tar().file("/etc/passwd", b"x"), "the path is absolute"),
        ("dots", tar().file("../x", b"x"), "it has `..` in it"),
        ("dots inside", tar().file("a/../../x", b"x"), "it has `..` in it"),
        ("an absolute link", tar().link("x", "/etc/passwd"), "points to an absolute path"),
        ("a link out", tar().link("a/x", "../../etc"), "the link leaves the release"),
        (
            "a chain out",
            tar().dir("a").link("a/up", "..").link("out", "a/up/../x"),
            "the link leaves the release",
        ),
        ("a chain through a missing one", tar().link("x", "no/../../y"), "the link leaves the release"),
        ("a circle", tar().link("a", "b").link("b", "a"), "the link runs in a circle"),
        ("too many links", fan, "the link runs in a circle"),
        (
            "a file under a link",
            tar().link("d", "e").dir("e").file("d/x", b"x"),
            "it lies under a symbolic link",
        ),
        ("a file under a file", tar().file("d", b"x").file("d/x", b"x"), "it lies under a file"),
        (
            "a hard link out",
            tar().raw(b'1', b"x", b"../etc/shadow", 0o644, b""),
            "the hard link leaves the release",
        ),
        ("a hard link to nothing", tar().raw(b'1', b"x", b"y", 0o644, b""), "points to no file before it"),
        (
            "a hard link to a link",
            tar().link("y", "z").raw(b'1', b"x", b"y", 0o644, b""),
            "points to no file before it",
        ),
        ("a character device", tar().raw(b'3', b"null", b"", 0o666, b""), "it is a device"),
        ("a block device", tar().raw(b'4', b"sda", b"", 0o666, b""), "it is a device"),
        ("a fifo", tar().raw(b'6', b"p", b"", 0o666, b""), "it is a fifo"),
        ("a sparse file", tar().raw(b'S', b"s", b"", 0o666, b""), "sparse"),
        ("an unknown kind", tar().raw(b'Z', b"z", b"", 0o666, b""), "a kind that is not known"),
        ("setuid", tar().raw(b'0', b"su", b"", 0o4755, b"x"), "setuid"),
        ("setgid", tar().raw(b'0', b"su", b"", 0o2755, b"x"), "setgid"),
        ("twice", tar().file("x", b"1").file("./x", b"2"), "it is there twice"),
        ("a file and a directory", tar().file("x", b"1").dir("x"), "it is there twice"),
        ("a link over a directory", tar().dir("x").link("x", "y"), "it is there twice"),
        ("no UTF-8", tar().raw(b'0', b"\xff\xfe", b"", 0o644, b""), "not UTF-8"),
        ("a link to no UTF-8", tar().raw(b'2', b"x", b"\xff", 0o644, b""), "not UTF-8"),
        (
            "a long name",
            tar().raw(b'L', b"l", b"", 0, "x".repeat(300).as_bytes()).file("x", b""),
            "longer than 255 bytes",
        ),
        (
            "a long path",
            tar().raw(b'L', b"l", b"", 0, long.as_bytes()).file("x", b""),
            "longer than 3072 bytes",
        ),
        (
            "a PAX path out",
            tar().raw(b'x', b"p", b"", 0, b"14 path=../up\n").file("x", b""),
            "it has `..` in it",
        ),
        ("a huge name", tar().raw(b'L', b"l", b"", 0, &[b'x'; 70_000]).file("x", b""), "more than 64 KiB"),
        ("many entries", many, "more than 50 files and directories"),
        ("many directories in paths", implicit, "more than 50 files and directories"),
        (
            "too many bytes",
            tar().file("x", &noise(1, 900_000)).file("y", &noise(2, 200_000)),
            "more than 1048576 bytes",
        ),
        ("empty parts", tar().file("a//b", b""), "an empty part"),
    ];
    assert!(cases.len() >= 15);
    for (what, archive, words) in cases {
        let bytes = archive.bytes();
        for bytes in [&bytes, &zstd::encode_all(&*bytes, 1).expect("zstd")] {
            let error = refusal(bytes);
            let said = error.to_string();
            assert!(said.contains(words), "{what}: {said}");
            assert!(matches!(error.code(), Code::UnsafeArchive | Code::TooLarge), "{what}: {said}");
        }
    }
}

fn zip_with(fill: impl FnOnce(&mut zip::ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    fill(&mut writer);
    writer.finish().expect("a zip").into_inner()
}

fn replace(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<usize> =
        (0..=bytes.len() - from.len()).filter(|i| bytes[*i..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

/// Mode bits are in the upper half of the external attributes, where the writer puts no special ones.
fn with_mode(bytes: Vec<u8>, mode: u32) -> Vec<u8> {
    replace(bytes, &(0o100_644u32 << 16).to_le_bytes(), &(mode << 16).to_le_bytes())
}

#[test]
fn every_hostile_zip_is_refused_with_its_reason() {
    let plain = || SimpleFileOptions::default();
    let one = |name: &str, mode: u32| {
        zip_with(|zip| {
            zip.start_file(name, plain().unix_permissions(mode)).expect("a file");
            zip.write_all(b"content").expect("content");
        })
    };
    let two = zip_with(|zip| {
        for name in ["aaaa", "bbbb"] {
            zip.start_file(name, plain()).expect("a file");
        }
    });
    let link = zip_with(|zip| zip.add_symlink("x", "../../etc/passwd", plain()).expect("a link"));
    let cases = [
        (replace(one("XXXabc", 0o644), b"XXX", b"../"), "it has `..` in it"),
        (replace(one("Xetc", 0o644), b"Xetc", b"/etc"), "the path is absolute"),
        (with_mode(one("su", 0o644), 0o104_755), "setuid"),
        (with_mode(one("p", 0o644), 0o010_644), "it is a fifo"),
        (with_mode(one("tty", 0o644), 0o020_644), "it is a device"),
        (with_mode(one("sda", 0o644), 0o060_644), "it is a device"),
        (with_mode(one("s", 0o644), 0o140_644), "it is a socket"),
        (link, "the link leaves the release"),
        (replace(two, b"bbbb", b"aaaa"), "is there twice"),
        (replace(one("abcd", 0o644), b"abcd", b"\xff\xff\xff\xff"), "not UTF-8"),
    ];
    for (bytes, words) in cases {
        let error = refusal(&bytes);
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(error.code(), Code::UnsafeArchive, "{error}");
    }
}

#[test]
fn bombs_are_stopped_while_they_grow() {
    let limits = Limits { growth_free: 4 << 20, ..Limits::default() };
    let zeros = Tar::default().file("zeros", &vec![0; 12 << 20]).bytes();
    let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz2.write_all(&zeros).expect("bzip2");
    let zip = zip_with(|zip| {
        zip.start_file("zeros", SimpleFileOptions::default()).expect("a file");
        zip.write_all(&zeros).expect("zeros");
    });
    let zst = zstd::encode_all(&*zeros, 1).expect("zstd");
    for bomb in [gz(&zeros), zst, bz2.finish().expect("bzip2"), zip] {
        let error = read_stream(&*bomb, &limits).expect_err("it is refused");
        assert!(error.to_string().contains("grows beyond measure"), "{error}");
        assert_eq!(error.code(), Code::TooLarge);
    }
}

/// A header that promises more than there is, or a name of many gigabytes, costs nothing.
#[test]
fn sizes_that_lie_are_not_believed() {
    let mut bytes = Tar::default().file("x", b"").bytes();
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes().copy_from_slice(&bytes[..512]);
    header.set_size(1 << 60);
    header.set_cksum();
    bytes[..512].copy_from_slice(header.as_bytes());
    assert!(matches!(refusal(&bytes), ReleaseError::NotArchive(_) | ReleaseError::TooLarge(_)));
}

fn file(path: &str, size: u64, chunks: usize) -> TreeEntry {
    let node = TreeNode::File { size, executable: false, chunks: vec![Digest::of(b"x"); chunks] };
    TreeEntry { path: path.into(), node }
}

#[test]
fn receivers_refuse_trees_that_no_sender_makes() {
    let dir = |path: &str| TreeEntry { path: path.into(), node: TreeNode::Dir };
    let link = |path: &str, target: &str| TreeEntry {
        path: path.into(),
        node: TreeNode::Symlink { target: target.into() },
    };
    let cases = [
        (vec![file("b", 0, 0), file("a", 0, 0)], "not in order"),
        (vec![file("a", 0, 0), file("a", 0, 0)], "there twice"),
        (vec![file("a/b", 0, 0)], "its directory is missing"),
        (vec![file("a", 0, 0), file("a/b", 0, 0)], "it lies under a file"),
        (vec![link("a", "b"), file("a/b", 0, 0)], "it lies under a symbolic link"),
        (vec![file("a", 5, 0)], "0 chunks cannot have 5 bytes"),
        (vec![file("a", CHUNK_BYTES_MAX + 1, 1)], "1 chunks cannot have"),
        (vec![file("a", 0, 1)], "1 chunks cannot have 0 bytes"),
        (vec![file("/a", 0, 0)], "absolute"),
        (vec![file("", 0, 0)], "the path is empty"),
        (vec![file("a\0b", 0, 0)], "NUL"),
        (vec![dir("a"), link("a/b", "../..")], "leaves the release"),
        (vec![link("a", "/")], "absolute"),
        (vec![link("a", "")], "points nowhere"),
    ];
    let place = tempfile::tempdir().expect("a directory");
    for (entries, words) in cases {
        let tree = Tree { entries };
        let said = verify(&tree).expect_err("refused").to_string();
        assert!(said.contains(words), "{words}: {said}");
        materialise(&tree, &place.path().join("x"), |_| unreachable!("nothing is fetched"))
            .expect_err("refused");
    }
    assert_eq!(std::fs::read_dir(place.path()).expect("a directory").count(), 0);
}

#[test]
fn a_tangle_of_links_costs_little_time() {
    let start = std::time::Instant::now();
    let up = "a/".repeat(1400);
    let entries = (0..20_000)
        .map(|n| TreeEntry { path: format!("l{n:05}"), node: TreeNode::Symlink { target: up.clone() } });
    let said = verify(&Tree { entries: entries.collect() }).expect_err("refused").to_string();
    assert!(said.contains("too tangled"), "{said}");
    assert!(start.elapsed().as_secs() < 30);
}

#[test]
fn a_directory_may_not_hold_what_an_archive_may_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let check = |words: &str| {
        let error = read_dir(dir.path(), &small()).expect_err("refused");
        assert!(error.to_string().contains(words), "{error}");
    };
    let x = dir.path().join("x");
    std::os::unix::fs::symlink("/etc/passwd", &x).expect("a link");
    check("absolute path");
    std::fs::remove_file(&x).expect("removed");
    rustix::fs::mknodat(rustix::fs::CWD, &x, rustix::fs::FileType::Fifo, 0o644.into(), 0).expect("a fifo");
    check("it is a fifo");
    std::fs::remove_file(&x).expect("removed");
    drop(std::os::unix::net::UnixListener::bind(&x).expect("a socket"));
    check("it is a socket");
    std::fs::remove_file(&x).expect("removed");
    crate::put(dir.path(), "x", "x", true);
    std::fs::set_permissions(&x, std::os::unix::fs::PermissionsExt::from_mode(0o4755)).expect("setuid");
    check("setuid");
    std::fs::remove_file(&x).expect("removed");
    // A hole of a terabyte is refused by its length: reading it would outlast the test.
    std::fs::File::create(&x).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    let error = read_dir(dir.path(), &Limits::default()).expect_err("refused");
    assert!(error.to_string().contains("bytes of content"), "{error}");
}
