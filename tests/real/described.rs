//! The API against its own description: schemathesis (PyPI) makes requests from the OpenAPI document, good and bad ones, and holds
//! the answers against it. Nothing may break the controller, and no answer may be another than is promised.

use crate::daily::project;
use crate::lace::{Lace, may_run};
use std::path::Path;
use std::process::Command;

/// What is asked of each answer. That good requests are taken is not: an address may be formed well and be nobody's.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,ignored_auth,unsupported_method";

/// Not tried: what stays open, what ends the session that asks, what makes the controller go elsewhere by an address in the
/// request, and the pages that stand beside the API.
const NOT_TRIED: &str = "^/$|^/login$|/v1/(stream|events|session|authority|providers)";

#[test]
fn every_answer_is_as_the_document_says() {
    try_the_api("10.166.4.0/24", 10);
}

#[test]
#[ignore = "long"]
fn every_answer_to_many_requests_is_as_the_document_says() {
    try_the_api("10.166.5.0/24", 100);
}

fn try_the_api(space: &str, examples: u32) {
    if !may_run() {
        return;
    }
    let lace = Lace::within(space, Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    let dir = project(&lace, "shop", "echo hello", "");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let token = lace.run(&["token", "create", "stranger", "--role", "admin"]).ok().out.trim().to_owned();
    let seed = std::env::var("LACE_SEED").unwrap_or_else(|_| "1".into());
    let tried = Command::new("schemathesis")
        .current_dir(lace.files())
        .args(["run", &format!("{}/v1/openapi.json", lace.url()), "--header"])
        .arg(format!("Authorization: Bearer {token}"))
        .args(["--checks", CHECKS, "--exclude-path-regex", NOT_TRIED, "--seed", &seed])
        .args(["--max-examples", &examples.to_string(), "--request-timeout", "20", "--workers", "1"])
        .args(["--no-color", "--suppress-health-check", "all"])
        .output()
        .expect("schemathesis: scripts/install.sh --for test");
    let told = String::from_utf8_lossy(&tried.stdout);
    let cases = told.lines().rev().find(|line| line.contains("generated")).unwrap_or("no cases");
    eprintln!("seed {seed}: {}", cases.trim());
    assert!(tried.status.success(), "seed {seed}:\n{told}{}", String::from_utf8_lossy(&tried.stderr));
    lace.run(&["status"]).ok();
    let log = std::fs::read_to_string(lace.state().join("run/server.log")).unwrap_or_default();
    assert!(!log.contains("panicked"), "{log}");
    lace.down_and_nothing_left();
}
