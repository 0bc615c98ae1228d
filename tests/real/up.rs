//! `lace up`, `lace down` and `lace demo` as a person meets them: upgrades, mistakes, Ctrl-C.

use crate::lace::{Lace, eventually, may_run};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

const EXE: &str = env!("CARGO_BIN_EXE_lace");

#[test]
fn a_replaced_binary_is_what_starts_next() {
    if !may_run() {
        return;
    }
    let place = tempfile::tempdir().expect("directory");
    let (exe, beside) = (place.path().join("lace"), place.path().join("x"));
    fs::copy(EXE, &exe).expect("copied");
    let lace = Lace::new(246, 1, &exe);
    lace.start();
    fs::copy(EXE, &beside).expect("copied");
    fs::rename(&beside, &exe).expect("replaced");
    let former = lace.pid("agent");
    lace.kill("agent");
    let connected = || {
        let ran = lace.run(&["host", "list", "--format", "json"]);
        ran.status == 0 && ran.json()[0]["liveness"]["connected"] == true
    };
    eventually("another agent is connected", || lace.pid("agent") != former && connected());
    let runs = fs::read_link(format!("/proc/{}/exe", lace.pid("agent"))).expect("a link");
    assert_eq!(runs, exe, "the binary that is there now");
    // Where nothing is there any more, the one that runs goes on.
    fs::remove_file(&exe).expect("removed");
    let former = lace.pid("net");
    lace.kill("net");
    eventually("started from itself", || lace.pid("net") != former);
    fs::copy(EXE, &exe).expect("copied");
    lace.down_and_nothing_left();
}

#[test]
fn wrong_words_are_told_at_once_and_change_nothing() {
    if !may_run() {
        return;
    }
    let lace = Lace::new(246, 2, EXE.as_ref());
    for (words, said) in [
        (&["--space", "banana"][..], "10.192.0.0/10"),
        (&["--space", "10.246.0.0/28"], "from /8 to /24"),
        (&["--listen", "banana"], "--listen"),
        (&["--listen", "127.0.0.1:65535"], "--link"),
    ] {
        let ran = lace.run_here(&[&["up", "--detach"], words].concat()).ends(2);
        assert!(ran.err.contains(said), "{}", ran.err);
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let ran = lace.run_here(&["up", "--detach", "--space", "10.246.128.0/18", "--listen", &address]).ends(1);
    assert!(ran.err.contains(&format!("cannot listen on {address}")), "{}", ran.err);
    assert!(!lace.run(&["context", "list"]).ok().out.contains("local"), "no context without a controller");
    lace.run_here(&["down"]).ok();
    // Everything that listens is reached from here, too, and the context ends with the installation.
    let address = format!("0.0.0.0:{}", taken.local_addr().expect("bound").port());
    drop(taken);
    // Nor where its addresses are somebody's already.
    let ran = lace.run_here(&["up", "--detach", "--space", "127.0.0.0/8", "--listen", &address]).ends(1);
    assert!(ran.err.contains("interface lo has 127.0.0.1"), "{}", ran.err);
    let ran = lace.run_here(&["up", "--detach", "--space", "10.246.128.0/18", "--listen", &address]).ok();
    assert!(ran.out.contains("https://") && !ran.out.contains("0.0.0.0"), "{}", ran.out);
    lace.run(&["status"]).ok();
    assert!(lace.run(&["context", "list"]).ok().out.contains(&format!("local-{}", lace.label())));
    lace.down_and_nothing_left();
    assert!(!lace.run(&["context", "list"]).ok().out.contains("local"));
}

/// The directory of contexts and the state of a demo.
fn demo(dir: &Path) -> Command {
    let mut command = Command::new(EXE);
    command.arg("demo").env("LACE_DEMO_STATE", dir.join("demo")).env("LACE_CONFIG_DIR", dir.join("cli"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_demo_leaves_other_controllers_alone_and_ends_when_asked() {
    if !may_run() {
        return;
    }
    let other = Lace::up_in(246, 3);
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("demo");
    let url = fs::read_to_string(other.files().join("cli/contexts.toml")).expect("contexts");
    let url = url.split('"').find(|word| word.starts_with("http")).expect("an address").to_owned();
    let token = fs::read_to_string(other.state().join("admin.token")).expect("a token");
    let mut child =
        demo(dir.path()).env("LACE_URL", url).env("LACE_TOKEN", token.trim()).spawn().expect("started");
    let cgroups = || {
        let settings = fs::read(state.join("up.json")).ok()?;
        let settings: serde_json::Value = serde_json::from_slice(&settings).ok()?;
        let label = settings["label"].as_str()?.to_owned();
        let root = Path::new("/sys/fs/cgroup");
        let places = [root.to_owned(), root.join("pids"), root.join("memory")];
        let nodes = places.iter().filter_map(|p| fs::read_dir(p.join(format!("lace-{label}"))).ok());
        nodes.flatten().flatten().any(|e| e.path().is_dir()).then_some(label)
    };
    let mut label = None;
    eventually("nodes of the demo run", || {
        label = cgroups();
        label.is_some()
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("asked to end");
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert!(!state.exists(), "the demo's state is left");
    let label = label.expect("a label");
    let links = Command::new("nft").args(["list", "tables"]).output().expect("nft runs").stdout;
    assert!(!String::from_utf8_lossy(&links).contains(&label), "the demo's network is left");
    let apps = other.run(&["app", "list", "--format", "json"]).ok().json();
    assert_eq!(apps.as_array().map(Vec::len), Some(0), "the demo worked on another controller: {apps}");
    other.down_and_nothing_left();
}
