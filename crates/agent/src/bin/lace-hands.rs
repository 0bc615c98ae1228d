//! An executable with the roles `agent`, `pid1` and `copy` only: for tests and benchmarks of this crate.
//!
//! `lace-hands agent STATE LABEL CONTROLLER [CA_FILE TOKEN]`

use lace_agent::AgentConfig;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("pid1") => lace_machine::pid1::main(&words[1..]),
        Some("copy") => lace_agent::copy_main(&words[1..]),
        Some("agent") if words.len() >= 4 => agent(&words[1..]),
        _ => std::process::exit(64),
    }
}

fn agent(words: &[String]) -> ! {
    let config = AgentConfig {
        state_dir: words[0].clone().into(),
        controllers: vec![words[2].clone()],
        ca_pem: words.get(3).and_then(|file| std::fs::read_to_string(file).ok()),
        join_token: words.get(4).cloned(),
        name: lace_model::Name::new("host").unwrap_or_else(|_| std::process::exit(64)),
        exe: std::env::current_exe().unwrap_or_default(),
        installation_label: words[1].clone(),
        capacity: None,
        net_socket: std::path::Path::new(&words[0]).join("net.sock"),
        space: "10.192.0.0/10".to_owned(),
        address: None,
        door: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended =
        runtime.map(|runtime| runtime.block_on(lace_agent::run(config, std::future::pending::<()>())));
    let _ = writeln!(std::io::stderr(), "agent ended: {ended:?}");
    std::process::exit(1);
}
