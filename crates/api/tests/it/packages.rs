//! Packages: kept by digest, looked at before, and those of the catalogue.

use crate::house::House;
use axum::body::Body;
use lace_model::package::StoredPackage;
use lace_model::release::{Tree, TreeEntry, TreeNode};
use lace_model::{Code, Digest};
use serde_json::{Value, json};

const PACKAGE: &str =
    "package = { name = \"ball\", version = \"1.0\" }\nrole.web = {}\nscript.start = \"start.sh\"\n";
const START: &str = "#!/bin/sh\nexec sleep 9\n";

fn file(path: &str, text: &str, executable: bool) -> TreeEntry {
    let chunks = vec![Digest::of(text.as_bytes())];
    TreeEntry { path: path.into(), node: TreeNode::File { size: text.len() as u64, executable, chunks } }
}

fn tree(package: &str, start: &str, executable: bool) -> Tree {
    Tree { entries: vec![file("package.toml", package, false), file("start.sh", start, executable)] }
}

async fn put(house: &House, texts: &[&str]) {
    for text in texts {
        let path = format!("/v1/blobs/{}", Digest::of(text.as_bytes()));
        assert_eq!(house.call(&house.admin, "PUT", &path, (*text).to_owned()).await.status, 204);
    }
}

fn upload(tree: &Tree) -> Value {
    json!({ "tree": tree })
}

#[tokio::test]
async fn a_package_is_kept_once_and_named_by_its_digest() {
    let house = House::on_disk();
    let tree = tree(PACKAGE, START, true);
    put(&house, &[PACKAGE]).await;
    let problem = house.post("/v1/packages", upload(&tree)).await.problem(409);
    assert_eq!(problem.details, [Digest::of(START.as_bytes()).to_string()], "half of it is refused");
    put(&house, &[START]).await;
    let made: StoredPackage = house.post("/v1/packages", upload(&tree)).await.ok();
    assert_eq!((made.spec.key().as_str(), made.tree, made.built_in), ("ball@1.0", tree.digest(), false));
    assert_eq!(house.last_audit().1, "package upload");
    house.clock.advance(5);
    assert_eq!(house.post("/v1/packages", upload(&tree)).await.ok::<StoredPackage>(), made);
    assert_eq!(house.get("/v1/packages/ball").await.ok::<StoredPackage>(), made, "the newest of the name");
    assert_eq!(house.get("/v1/packages/ball@1.0").await.ok::<StoredPackage>(), made);
    assert_eq!(house.get(&format!("/v1/blobs/{}", made.tree)).await.ok::<Tree>(), tree);
}

#[tokio::test]
async fn another_content_under_a_name_is_a_conflict() {
    let house = House::new();
    put(&house, &[PACKAGE, START, "#!/bin/sh\nexit 1\n"]).await;
    house.post("/v1/packages", upload(&tree(PACKAGE, START, true))).await.ok::<StoredPackage>();
    let other = house.post("/v1/packages", upload(&tree(PACKAGE, "#!/bin/sh\nexit 1\n", true))).await;
    assert!(other.problem(409).hint.expect("a hint").contains("another version"));
}

#[tokio::test]
async fn what_check_refuses_is_refused_here_too() {
    let house = House::new();
    let wrong =
        "package = { name = \"ball\", version = \"1.0\" }\nrole.web = { cuont = 1 }\nscript.start = \"s\"\n";
    put(&house, &[PACKAGE, START, wrong, "exit"]).await;
    let mistaken = house.post("/v1/packages", upload(&tree(wrong, START, true))).await.problem(422);
    assert_eq!(mistaken.code, Code::InvalidPackage);
    assert!(mistaken.details[0].contains("line 2, column 14: role.web.cuont"), "{mistaken:?}");
    let idle = house.post("/v1/packages", upload(&tree(PACKAGE, START, false))).await.problem(422);
    assert!(idle.details[0].contains("start.sh: it is not executable"), "{idle:?}");
    let bare = house.post("/v1/packages", upload(&tree(PACKAGE, "exit", true))).await.problem(422);
    assert!(bare.details[0].contains("does not say what runs it"), "{bare:?}");
    let empty = house.post("/v1/packages", upload(&Tree::default())).await;
    assert_eq!(empty.problem(404).code, Code::NotFound);
    let mut outside = tree(PACKAGE, START, true);
    outside
        .entries
        .push(TreeEntry { path: "x".into(), node: TreeNode::Symlink { target: "../../etc/shadow".into() } });
    let outside = house.post("/v1/packages", upload(&outside)).await;
    assert_eq!(outside.problem(422).code, Code::UnsafeArchive);
    let many = (0..2_001).map(|n| TreeEntry { path: format!("d{n:05}"), node: TreeNode::Dir }).collect();
    let many = house.post("/v1/packages", upload(&Tree { entries: many })).await;
    assert_eq!(many.problem(413).code, Code::TooLarge);
    assert!(house.state.store.list::<StoredPackage>("").expect("rows").is_empty());
}

#[tokio::test]
async fn packages_of_the_catalogue_are_there_and_stay() {
    let house = House::on_disk();
    lace_api::keep_built_in(&house.state.store, 7).expect("kept");
    let listed: Vec<StoredPackage> = house.get("/v1/packages").await.ok();
    assert!(listed.iter().all(|package| package.built_in && package.uploaded_at == 7), "{listed:?}");
    let redis: StoredPackage = house.get("/v1/packages/redis").await.ok();
    assert_eq!(redis.spec.roles.len(), 3);
    assert_eq!(house.get(&format!("/v1/blobs/{}", redis.tree)).await.status, 200);
    lace_api::keep_built_in(&house.state.store, 8).expect("kept");
    let again: StoredPackage = house.get("/v1/packages/redis").await.ok();
    assert_eq!(again.uploaded_at, 7, "nothing is written where nothing changed");
    let key = redis.spec.key();
    assert_eq!(house.delete(&format!("/v1/packages/{key}")).await.problem(409).code, Code::Conflict);
    let theirs = PACKAGE.replace("ball", "redis");
    put(&house, &[&theirs, START]).await;
    let ours = house.post("/v1/packages", upload(&tree(&theirs, START, true))).await.problem(409);
    assert!(ours.message.contains("comes with Lace"), "{ours:?}");
    let gone = StoredPackage { tree: Digest::of(b"former"), ..redis };
    house.put(&gone);
    lace_api::keep_built_in(&house.state.store, 9).expect("kept");
    let renewed: StoredPackage = house.get("/v1/packages/redis").await.ok();
    assert_eq!(renewed.uploaded_at, 9, "one of a former Lace is replaced");
    house.put(&StoredPackage { tree: Digest::of(b"a person's"), built_in: false, ..renewed });
    lace_api::keep_built_in(&house.state.store, 10).expect("kept");
    let stays: StoredPackage = house.get("/v1/packages/redis").await.ok();
    assert_eq!(stays.tree, Digest::of(b"a person's"), "one of a person is not");
}

#[tokio::test]
async fn a_package_that_nothing_uses_can_be_deleted() {
    let house = House::new();
    put(&house, &[PACKAGE, START]).await;
    house.post("/v1/packages", upload(&tree(PACKAGE, START, true))).await.ok::<StoredPackage>();
    let mine = house.call(&house.shop, "DELETE", "/v1/packages/ball@1.0", Body::empty()).await;
    assert_eq!(mine.problem(403).code, Code::NotAllowed, "not by a deployer of one application");
    assert_eq!(house.delete("/v1/packages/ball@1.0").await.status, 204);
    assert_eq!(house.last_audit().1, "package delete");
    assert_eq!(house.delete("/v1/packages/ball@1.0").await.problem(404).code, Code::NotFound);
}
