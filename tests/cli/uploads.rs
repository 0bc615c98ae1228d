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
    fake.on("GET /v1/releases/game@1.2.0", samples::release("1.2.0"));
    let ran = fake.lace(&UPLOAD);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(upload(&fake).version.starts_with("1.2.0-"));
}

#[test]
fn another_conflict_makes_no_other_version() {
    let fake = Fake::start();
    project(fake.dir());
    fake.on("POST /v1/blobs/missing", Vec::<Digest>::new());
    let gone = Problem::new(Code::Conflict, "2 chunks are not here");
    fake.refuse("POST /v1/releases", &gone);
    fake.refuse("GET /v1/releases/game@1.2.0", &Problem::new(Code::NotFound, "no such release"));
    let ran = fake.lace(&UPLOAD);
    assert_eq!(ran.exit, 8, "{ran:?}");
    assert!(ran.err.contains("not here"), "{ran:?}");
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

/// A server of one file, for one test.
fn serves(content: Vec<u8>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a caller");
            let mut request = [0; 4096];
            let read = std::io::Read::read(&mut stream, &mut request).expect("a request");
            let found = request[..read].starts_with(b"GET /app.tar ");
            let (status, body) =
                if found { ("200 OK", content.as_slice()) } else { ("404 Not Found", &b""[..]) };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = std::io::Write::write_all(&mut stream, &[head.as_bytes(), body].concat());
        }
    });
    format!("http://{address}")
}

fn archive(dir: &Path) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("app", dir.join("app")).expect("packed");
    tar.into_inner().expect("written")
}

fn takes_all(fake: &Fake) {
    fake.on("POST /v1/blobs/missing", Vec::<Digest>::new()).on("POST /v1/releases", samples::release("1"));
}

#[test]
fn a_release_is_fetched_from_an_address_and_its_checksum_shown() {
    let fake = Fake::start();
    project(fake.dir());
    let url = serves(archive(fake.dir()));
    takes_all(&fake);
    let address = format!("{url}/app.tar");
    let line = ["release", "upload", "game", &address, "--start", "bin/run"];
    let ran = fake.lace(&line);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let sum = ran
        .err
        .split("sha256 ")
        .nth(1)
        .expect("the checksum")
        .trim()
        .get(..64)
        .expect("64 digits")
        .to_owned();
    assert!(upload(&fake).tree.entries.iter().any(|e| e.path.ends_with("bin/run")));
    let ran = fake.lace(&[&line[..], &["--sha256", &sum.to_uppercase()]].concat());
    assert_eq!(ran.exit, 0, "{ran:?}");
    let ran = fake.lace(&[&line[..], &["--sha256", &"0".repeat(64)]].concat());
    assert_eq!(ran.exit, 1, "{ran:?}");
    assert!(ran.err.contains("is not what was meant") && ran.err.contains(&sum), "{ran:?}");
}

#[test]
fn an_address_without_a_file_is_an_error_with_its_code() {
    let fake = Fake::start();
    let url = serves(Vec::new());
    for (address, exit, says) in [
        (format!("{url}/none"), 7, "HTTP 404"),
        ("ftp://127.0.0.1/app.tar".into(), 2, "ftp is not fetched"),
        ("http://127.0.0.1:1/app.tar".into(), 1, "cannot fetch"),
    ] {
        let ran = fake.lace(&["release", "upload", "game", &address, "--start", "bin/run"]);
        assert_eq!(ran.exit, exit, "{ran:?}");
        assert!(ran.err.contains(says), "{ran:?}");
    }
    let ran = fake.lace(&["release", "upload", "game"]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert_eq!(fake.lines(), Vec::<String>::new());
}

fn git(dir: &Path, words: &[&str]) {
    let ran = std::process::Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-C"])
        .arg(dir)
        .args(words)
        .output()
        .expect("git runs");
    assert!(ran.status.success(), "{words:?}: {ran:?}");
}

#[test]
fn a_release_is_built_from_a_repository() {
    let fake = Fake::start();
    project(fake.dir());
    let repository = fake.dir().join("app");
    git(&repository, &["init", "--quiet", "-b", "main"]);
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "--quiet", "-m", "one"]);
    git(&repository, &["tag", "v1"]);
    std::fs::remove_file(repository.join("a")).expect("removed");
    git(&repository, &["commit", "--quiet", "-am", "two"]);
    takes_all(&fake);
    let url = format!("file://{}", repository.display());
    let ran = fake.lace(&["release", "upload", "game", "--git", &format!("{url}#v1"), "--start", "bin/run"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let paths = |fake: &Fake| upload(fake).tree.entries.iter().map(|e| e.path.clone()).collect::<Vec<_>>();
    assert!(paths(&fake).contains(&"a".to_owned()), "the tag is meant: {:?}", paths(&fake));
    assert!(!paths(&fake).iter().any(|p| p.starts_with(".git")), "{:?}", paths(&fake));
    let built = ["release", "upload", "game", "out", "--git", &url, "--build", "mkdir -p out/bin", "--build"];
    let ran = fake.lace(&[&built[..], &["cp bin/run 'out/bin/the run'", "--start", "bin/run"]].concat());
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(paths(&fake).contains(&"bin/the run".to_owned()), "{:?}", paths(&fake));
    for (words, says) in [
        (vec!["--git", "file:///nowhere"], "git clone"),
        (vec!["--git", url.as_str(), "--build", "false"], "the build step `false` failed"),
    ] {
        let ran = fake.lace(&[&["release", "upload", "game"][..], &words].concat());
        assert_eq!(ran.exit, 1, "{ran:?}");
        assert!(ran.err.contains(says), "{ran:?}");
    }
}
