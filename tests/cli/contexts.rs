//! Contexts: where commands go, and who may read the file.

use crate::command::context::{forget_local_in, save_local_in};
use crate::fake::{Fake, Line};
use crate::samples;
use lace_model::{Code, Problem};
use lace_wire::client::Endpoint;
use std::os::unix::fs::PermissionsExt;

fn here(token: &str) -> Endpoint {
    Endpoint { url: "http://127.0.0.1:7440".into(), token: Some(token.into()), ca: None }
}

#[test]
fn the_file_is_for_its_owner_only() {
    let dir = tempfile::tempdir().expect("directory");
    save_local_in(&Line::new(dir.path()).world(), "local", &here("secret")).expect("saved");
    let mode = |path: &str| {
        let meta = std::fs::metadata(dir.path().join(path)).expect("there");
        meta.permissions().mode() & 0o777
    };
    assert_eq!(mode("config"), 0o700);
    assert_eq!(mode("config/contexts.toml"), 0o600);
    let ran = Line::new(dir.path()).run(&["context", "list"]);
    assert!(ran.out.contains("local"), "{ran:?}");
    assert!(!ran.out.contains("secret"), "tokens are not listed: {ran:?}");
}

#[test]
fn the_file_is_below_the_usual_directories() {
    let dir = tempfile::tempdir().expect("directory");
    let home = dir.path().display().to_string();
    let line = || Line::new(dir.path()).env("LACE_CONFIG_DIR", "").env("HOME", &home);
    save_local_in(&line().world(), "local", &here("t")).expect("saved");
    assert!(dir.path().join(".config/lace/contexts.toml").is_file());
    let xdg = dir.path().join("xdg").display().to_string();
    let line = line().env("XDG_CONFIG_HOME", &xdg);
    save_local_in(&line.world(), "local", &here("t")).expect("saved");
    assert!(dir.path().join("xdg/lace/contexts.toml").is_file());
}

#[test]
fn installations_of_one_machine_keep_apart() {
    let dir = tempfile::tempdir().expect("directory");
    let world = Line::new(dir.path()).world();
    assert!(save_local_in(&world, "local", &here("a")).expect("saved"), "the first one is chosen");
    assert!(!save_local_in(&world, "local-72313c", &here("b")).expect("saved"), "the second one is not");
    forget_local_in(&world, "local").expect("forgotten");
    forget_local_in(&world, "local").expect("it is gone already");
    let ran = Line::new(dir.path()).run(&["context", "list"]);
    assert!(ran.out.contains("local-72313c") && !ran.out.contains('*'), "{ran:?}");
}

#[test]
fn the_nearer_word_wins() {
    let (one, two) = (Fake::start(), Fake::start());
    one.on("GET /v1/apps", samples::apps());
    two.on("GET /v1/apps", samples::apps());
    let line = || Line::new(one.dir());
    assert_eq!(line().input("t1").run(&["context", "add", "one", &one.url]).exit, 0);
    assert_eq!(line().input("t2").run(&["context", "add", "two", &two.url]).exit, 0);
    let went = |line: Line, words: &[&str]| {
        let before = (one.lines().len(), two.lines().len());
        assert_eq!(line.run(words).exit, 0);
        (one.lines().len() - before.0, two.lines().len() - before.1)
    };
    assert_eq!(went(line(), &["app", "list"]), (1, 0), "the first one added is chosen");
    assert_eq!(went(line(), &["app", "list", "--context", "two"]), (0, 1));
    assert_eq!(went(line().env("LACE_CONTEXT", "two"), &["app", "list"]), (0, 1));
    let both = line().env("LACE_URL", &one.url).env("LACE_CONTEXT", "two");
    assert_eq!(went(both, &["app", "list"]), (1, 0), "LACE_URL wins");
    assert_eq!(line().run(&["context", "use", "two"]).exit, 0);
    assert_eq!(went(line(), &["app", "list"]), (0, 1));
    assert_eq!(line().run(&["context", "remove", "two"]).exit, 0);
    assert_eq!(line().run(&["app", "list", "--context", "two"]).exit, 7);
    assert_eq!(one.called()[0].token.as_deref(), Some("Bearer t1"));
}

#[test]
fn a_broken_file_is_named() {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::create_dir(dir.path().join("config")).expect("made");
    std::fs::write(dir.path().join("config/contexts.toml"), "current = [").expect("written");
    let ran = Line::new(dir.path()).run(&["status"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("contexts.toml"), "{ran:?}");
}

#[test]
fn a_context_has_a_name_that_can_be_typed() {
    let dir = tempfile::tempdir().expect("directory");
    for name in ["A B", "", "-x", "a/b", "\u{1b}[31m", &"x".repeat(65)] {
        for words in [
            &["context", "add", "--", name, "https://lace.example.com"][..],
            &["login", "https://lace.example.com", &format!("--name={name}")],
        ] {
            let ran = Line::new(dir.path()).input("token").run(words);
            assert_eq!(ran.exit, 2, "{ran:?}");
            assert!(ran.err.contains("is not a name of a context"), "{ran:?}");
        }
    }
    assert!(!dir.path().join("config/contexts.toml").exists());
}

#[test]
fn plain_http_does_not_leave_the_machine() {
    let dir = tempfile::tempdir().expect("directory");
    let ran = Line::new(dir.path()).run(&["context", "add", "far", "http://lace.example.com"]);
    assert_eq!(ran.exit, 2, "{ran:?}");
}

#[test]
fn a_login_link_becomes_a_session() {
    let fake = Fake::start();
    let made = serde_json::json!({ "id": samples::uuid(5), "token": "session", "expires_at": null });
    fake.on("POST /v1/login", made).on("GET /v1/apps", samples::apps());
    let link = format!("{}/login?token=once", fake.url);
    let line = || Line::new(fake.dir());
    let ran = line().run(&["login", &link]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(fake.called()[0].body.as_ref(), br#"{"token":"once"}"#);
    assert_eq!(line().run(&["app", "list"]).exit, 0);
    assert_eq!(fake.called()[1].token.as_deref(), Some("Bearer session"));
}

#[test]
fn an_api_token_on_the_input_stays_what_it_is() {
    let fake = Fake::start();
    fake.refuse("POST /v1/login", &Problem::new(Code::NotAuthenticated, "not a login token"));
    fake.refuse("GET /v1/server", &Problem::new(Code::NotAllowed, "not for viewers"));
    let ran = Line::new(fake.dir()).input("api-token\n").run(&["login", &fake.url, "--name", "x"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let file = std::fs::read_to_string(fake.dir().join("config/contexts.toml")).expect("file");
    assert!(file.contains("api-token"), "{file}");
    assert_eq!(Line::new(fake.dir()).run(&["login", &fake.url]).exit, 2, "no token at all");
}

#[test]
fn a_wrong_token_is_not_kept() {
    let fake = Fake::start();
    fake.fail(Code::NotAuthenticated);
    let ran = Line::new(fake.dir()).input("wrong").run(&["login", &fake.url]);
    assert_eq!(ran.exit, 6);
    assert!(!fake.dir().join("config/contexts.toml").exists());
}
