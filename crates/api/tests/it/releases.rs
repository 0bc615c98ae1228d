//! Releases and their chunks.

use crate::house::{House, name, request};
use axum::body::Body;
use lace_model::release::{Release, ReleaseRef, Tree, TreeEntry, TreeNode};
use lace_model::{Code, Digest};
use lace_wire::api::Accepted;
use serde_json::{Value, json};

fn tree(chunks: &[&[u8]]) -> Tree {
    let size = chunks.iter().map(|c| c.len() as u64).sum();
    let chunks = chunks.iter().map(|c| Digest::of(c)).collect();
    let file = TreeNode::File { size, executable: true, chunks };
    Tree {
        entries: vec![
            TreeEntry { path: "bin".into(), node: TreeNode::Dir },
            TreeEntry { path: "bin/ball".into(), node: file },
        ],
    }
}

fn upload(version: &str, tree: &Tree) -> Value {
    json!({"name": "ball", "version": version, "tree": tree, "kind": "generic", "start": ["bin/ball"]})
}

async fn put(house: &House, bytes: &'static [u8]) {
    let path = format!("/v1/blobs/{}", Digest::of(bytes));
    assert_eq!(house.call(&house.admin, "PUT", &path, bytes).await.status, 204);
}

async fn release(house: &House, version: &str, bytes: &'static [u8]) -> Release {
    put(house, bytes).await;
    house.post("/v1/releases", upload(version, &tree(&[bytes]))).await.ok()
}

#[tokio::test]
async fn half_an_upload_is_refused_and_completed_later() {
    let house = House::on_disk();
    let (one, two): (&[u8], &[u8]) = (b"first half, ", b"second half");
    let tree = tree(&[one, two]);
    put(&house, one).await;
    let problem = house.post("/v1/releases", upload("1.0", &tree)).await.problem(409);
    assert_eq!(problem.details, [Digest::of(two).to_string()]);
    assert!(house.state.store.list::<Release>("").expect("rows").is_empty(), "nothing half made");

    let asked = json!([Digest::of(one), Digest::of(two)]);
    let missing: Vec<Digest> = house.post("/v1/blobs/missing", asked).await.ok();
    assert_eq!(missing, [Digest::of(two)]);
    put(&house, two).await;
    let made: Release = house.post("/v1/releases", upload("1.0", &tree)).await.ok();
    assert_eq!((made.tree, made.bytes), (tree.digest(), 23));
    assert_eq!(house.last_audit().1, "release upload");
    let path = format!("/v1/blobs/{}", made.tree);
    assert_eq!(house.get(&path).await.ok::<Tree>(), tree, "the tree is a blob under its digest");
}

#[tokio::test]
async fn the_same_again_is_fine_and_another_is_a_conflict() {
    let house = House::new();
    let first = release(&house, "1.0", b"one").await;
    house.clock.advance(5);
    assert_eq!(release(&house, "1.0", b"one").await, first);
    put(&house, b"two").await;
    let got = house.post("/v1/releases", upload("1.0", &tree(&[b"two"]))).await;
    assert!(got.problem(409).hint.expect("a hint").contains("--version"));
    let listed: Vec<Release> = house.get("/v1/releases").await.ok();
    assert_eq!(listed, std::slice::from_ref(&first));
    assert_eq!(house.get("/v1/releases/ball@1.0").await.ok::<Release>(), first);
    assert_eq!(house.get("/v1/releases/ball@2.0").await.problem(404).code, Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_from_many_at_once_is_fine() {
    let house = House::on_disk();
    put(&house, b"one").await;
    let tree = tree(&[b"one"]);
    let upload = || house.post("/v1/releases", upload("1.0", &tree));
    let made = tokio::join!(upload(), upload(), upload(), upload());
    for made in [made.0, made.1, made.2, made.3] {
        assert_eq!(made.ok::<Release>().tree, tree.digest());
    }
}

#[tokio::test]
async fn bad_trees_and_words_are_refused() {
    let house = House::new();
    put(&house, b"x").await;
    for path in ["../x", "/etc/passwd", "a//b", "a/./b", ""] {
        let file = TreeNode::File { size: 1, executable: false, chunks: vec![Digest::of(b"x")] };
        let bad = Tree { entries: vec![TreeEntry { path: path.into(), node: file }] };
        let got = house.post("/v1/releases", upload("1.0", &bad)).await;
        assert_eq!(got.problem(422).code, Code::UnsafeArchive, "{path:?}");
    }
    let link = TreeNode::Symlink { target: "../../etc/shadow".into() };
    let bad = Tree { entries: vec![TreeEntry { path: "a".into(), node: link }] };
    assert_eq!(house.post("/v1/releases", upload("1.0", &bad)).await.problem(422).code, Code::UnsafeArchive);
    for version in ["", "1/2", "a b", &"9".repeat(101)] {
        let got = house.post("/v1/releases", upload(version, &tree(&[b"x"]))).await;
        assert_eq!(got.problem(422).code, Code::Usage, "{version:?}");
    }
    let mut startless = upload("1.0", &tree(&[b"x"]));
    startless["start"] = json!([]);
    assert_eq!(house.post("/v1/releases", startless).await.problem(422).code, Code::Usage);
}

#[tokio::test]
async fn a_chunk_is_what_its_digest_says() {
    let house = House::new();
    let path = format!("/v1/blobs/{}", Digest::of(b"right"));
    assert_eq!(house.call(&house.admin, "PUT", &path, "wrong").await.problem(422).code, Code::Usage);
    assert_eq!(house.get(&path).await.problem(404).code, Code::NotFound);
    assert_eq!(house.call(&house.admin, "PUT", &path, "right").await.status, 204);
    assert_eq!(&house.get(&path).await.body[..], b"right");
    assert_eq!(house.get("/v1/blobs/short").await.problem(422).code, Code::Usage);
    let large = vec![7u8; (1 << 20) + 5000];
    let path = format!("/v1/blobs/{}", Digest::of(&large));
    assert_eq!(house.call(&house.admin, "PUT", &path, large).await.problem(413).code, Code::TooLarge);
}

#[tokio::test]
async fn a_release_that_is_in_use_stays() {
    let house = House::new();
    let host = house.add_host(1);
    release(&house, "1.0", b"one").await;
    release(&house, "2.0", b"two").await;
    let mut wanted = request("shop", 1);
    let service = wanted.spec.services.get_mut(&name("game")).expect("the service");
    service.start = None;
    service.release = Some(ReleaseRef { name: name("ball"), version: Some("1.0".into()) });
    house.post("/v1/apps/shop/apply", json!(wanted)).await.ok::<Accepted>();
    assert_eq!(house.delete("/v1/releases/ball@1.0").await.problem(409).code, Code::Conflict);

    let activate = |r: &str| json!({"verb": "activate", "target": "shop/game", "release": r});
    house.place("shop/game/game", 1, host);
    house.verb(activate("ball")).await.ok::<Accepted>();
    let problem = house.delete("/v1/releases/ball@1.0").await.problem(409);
    assert_eq!(problem.code, Code::Conflict, "the way back needs it");
    assert_eq!(house.delete("/v1/releases/ball@2.0").await.problem(409).code, Code::Conflict);
    assert_eq!(house.verb(activate("ball@9")).await.problem(404).code, Code::NotFound);
    assert_eq!(house.verb(activate("Ball")).await.problem(422).code, Code::Usage);

    release(&house, "3.0", b"three").await;
    assert_eq!(house.delete("/v1/releases/ball@3.0").await.status, 204);
    assert_eq!(
        house.last_audit(),
        ("root".into(), "release delete".into(), "ball@3.0".into(), "done".into())
    );
    assert_eq!(house.delete("/v1/releases/ball@3.0").await.problem(404).code, Code::NotFound);
}

#[tokio::test]
async fn a_deployer_of_one_application_uploads_but_does_not_delete() {
    let house = House::new();
    release(&house, "1.0", b"one").await;
    let got =
        house.call(&house.shop, "POST", "/v1/releases", upload("1.0", &tree(&[b"one"])).to_string()).await;
    assert_eq!(got.status, 200);
    let got = house.call(&house.shop, "DELETE", "/v1/releases/ball@1.0", Body::empty()).await;
    assert_eq!(got.problem(403).code, Code::NotAllowed);
}

/// An archive with one program.
fn archive(content: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text, mode) in [("bin/run", content, 0o755), ("Procfile", "web: bin/run\n", 0o644)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(mode);
        archive.append_data(&mut header, path, text.as_bytes()).expect("packed");
    }
    archive.into_inner().expect("packed")
}

#[tokio::test]
async fn an_archive_is_a_release() {
    let house = House::on_disk();
    let send = |query: &'static str, content: &'static str| {
        let body = archive(content);
        let (house, path) = (&house, format!("/v1/archives?{query}"));
        async move { house.call(&house.admin, "POST", &path, body).await }
    };
    let made: Release = send("file=web-1.2.tar.gz&version=1.2", "#!/bin/sh\n").await.ok();
    assert_eq!((made.name.as_str(), made.version.as_str()), ("web", "1.2"));
    assert_eq!(made.start, ["bin/run"]);
    assert_eq!(house.last_audit().1, "release upload");
    let again: Release = send("file=web-1.2.tar.gz&version=1.2", "#!/bin/sh\n").await.ok();
    assert_eq!(again, made, "the same again is the same");
    let other = send("name=web&version=1.2", "#!/bin/sh\nexit 1\n").await;
    assert_eq!(other.problem(409).code, Code::Conflict);
    let scratch = std::fs::read_dir(&house.state.config.scratch).expect("a directory");
    let left: Vec<_> =
        scratch.flatten().filter(|e| e.file_name().to_string_lossy().starts_with("archive-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_is_no_archive_is_refused() {
    let house = House::on_disk();
    let got = house.call(&house.admin, "POST", "/v1/archives?name=web", "no archive").await;
    assert_eq!(got.status, 422, "{:?}", got.body);
    assert!(house.state.store.list::<Release>("").expect("rows").is_empty());
}
