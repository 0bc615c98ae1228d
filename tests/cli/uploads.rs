//! Releases: only what is missing travels.

use crate::fake::Fake;
use crate::samples;
use lace_model::release::Tree;
use lace_model::{Code, Digest, Problem};
use lace_wire::api::ReleaseUpload;
use std::path::Path;

fn project(dir: &Path) {
    let root = dir.join("app");
    std::fs::create_dir_all(root.join("bin")).expect("made");
    for (name, content) in [("bin/run", "#!/bin/sh\nsleep 9\n"), ("a", "aaa"), ("b", "bbb")] {
        std::fs::write(root.join(name), content).expect("written");
    }
}

fn upload(fake: &Fake) -> ReleaseUpload {
    let called = fake.called();
    let call = called.iter().rev().find(|c| c.line == "POST /v1/releases").expect("uploaded");
    serde_json::from_slice(&call.body).expect("an upload")
}

const UPLOAD: [&str; 6] = ["release", "upload", "game", "app", "--start", "bin/run --fast"];

#[test]
fn only_missing_chunks_travel() {
    let fake = Fake::start();
    project(fake.dir());
    let missing = Digest::of(b"bbb");
    fake.on("POST /v1/blobs/missing", [missing]).on("POST /v1/releases", samples::release("1"));
    let ran = fake.lace(&UPLOAD);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.err.contains("sent 1 of 3 chunks, 3 B"), "{ran:?}");
    let puts: Vec<_> = fake.called().into_iter().filter(|c| c.line.starts_with("PUT")).collect();
    assert_eq!(puts.len(), 1);
    assert_eq!(puts[0].line, format!("PUT /v1/blobs/{missing}"));
    assert_eq!(puts[0].body.as_ref(), b"bbb");
    let upload = upload(&fake);
    assert_eq!(upload.start, ["bin/run", "--fast"]);
    assert!(upload.version.starts_with("0.0.0-"), "{}", upload.version);
}

#[test]
fn what_cannot_start_is_refused_before_anything_travels() {
    let fake = Fake::start();
    project(fake.dir());
    let ran = fake.lace(&["release", "upload", "game", "app"]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert!(ran.err.contains("--start"), "{ran:?}");
    assert_eq!(fake.lines(), Vec::<String>::new());
}

#[test]
fn a_rebuilt_release_gets_its_digest_behind_its_version() {
    let fake = Fake::start();
    project(fake.dir());
    std::fs::write(fake.dir().join("app/VERSION"), "1.2.0\n").expect("written");
    fake.on("POST /v1/blobs/missing", Vec::<Digest>::new());
    let taken = Problem::new(Code::Conflict, "game@1.2.0 is there with another content");
    fake.refuse("POST /v1/releases", &taken).on("POST /v1/releases", samples::release("1.2.0-x"));
    let ran = fake.lace(&UPLOAD);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(upload(&fake).version.starts_with("1.2.0-"));
}

#[test]
fn a_version_that_was_said_is_a_conflict() {
    let fake = Fake::start();
    project(fake.dir());
    fake.on("POST /v1/blobs/missing", Vec::<Digest>::new());
    fake.refuse("POST /v1/releases", &Problem::new(Code::Conflict, "taken"));
    let words: Vec<&str> = UPLOAD.iter().copied().chain(["--version", "1"]).collect();
    assert_eq!(fake.lace(&words).exit, 8);
}

#[test]
fn unsafe_trees_are_refused() {
    let fake = Fake::start();
    project(fake.dir());
    std::os::unix::fs::symlink("../../etc/shadow", fake.dir().join("app/leak")).expect("linked");
    let ran = fake.lace(&UPLOAD);
    assert_eq!(ran.exit, 1, "{ran:?}");
    assert!(ran.err.contains("leak"), "{ran:?}");
    assert_eq!(fake.lines(), Vec::<String>::new());
}

#[test]
fn a_download_is_what_was_uploaded() {
    let fake = Fake::start();
    project(fake.dir());
    fake.on("POST /v1/blobs/missing", Vec::<Digest>::new());
    fake.on("POST /v1/releases", samples::release("1"));
    fake.lace(&UPLOAD);
    let tree: Tree = upload(&fake).tree;
    let mut release = samples::release("1");
    release.tree = tree.digest();
    fake.on("GET /v1/releases/game@1", release);
    fake.on(&format!("GET /v1/blobs/{}", tree.digest()), &tree);
    for content in ["#!/bin/sh\nsleep 9\n", "aaa", "bbb"] {
        let line = format!("GET /v1/blobs/{}", Digest::of(content.as_bytes()));
        fake.on_raw(&line, 200, content.into());
    }
    let ran = fake.lace(&["release", "download", "game@1", "again"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(std::fs::read_to_string(fake.dir().join("again/b")).expect("there"), "bbb");
    assert_eq!(fake.lace(&["release", "download", "game@1", "again"]).exit, 8);
}

#[test]
fn secrets_come_from_input_variable_or_file() {
    let fake = Fake::start();
    fake.on("PUT /v1/apps/shop/secrets/KEY", serde_json::json!({ "operation": null, "message": "kept" }));
    let value = |fake: &Fake| fake.called().last().expect("called").body.to_vec();
    assert_eq!(fake.line().input("from input\n").run(&["secret", "set", "shop", "KEY"]).exit, 0);
    assert_eq!(value(&fake), b"from input");
    let ran = fake.line().env("KEY", "from env").run(&["secret", "set", "shop", "KEY", "--from-env"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(value(&fake), b"from env");
    std::fs::write(fake.dir().join("key"), b"from\xfffile\n").expect("written");
    assert_eq!(fake.lace(&["secret", "set", "shop", "KEY", "--file", "key"]).exit, 0);
    assert_eq!(value(&fake), b"from\xfffile\n");
    assert_eq!(fake.lace(&["secret", "set", "shop", "KEY"]).exit, 2, "nothing on the input");
    let large = "x".repeat(70_000);
    assert_eq!(fake.line().input(&large).run(&["secret", "set", "shop", "KEY"]).exit, 1);
}
