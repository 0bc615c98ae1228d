//! `lace up`, `lace down` and `lace demo` as a person meets them: upgrades, mistakes, Ctrl-C.

use crate::lace::{Lace, eventually, may_run};
use crate::load::Connection;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
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

/// Status and body of a page of the controller.
fn page(lace: &Lace, url: &str) -> (u16, String) {
    let path = url.strip_prefix(&lace.url()).expect("a page of this controller");
    let address = lace.url().trim_start_matches("http://").parse().expect("an address");
    let (status, body, _) =
        Connection::open(address).and_then(|mut c| c.get("localhost", path, "")).expect("answered");
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn up_ends_with_the_address_a_link_that_logs_in_once_and_what_comes_next() {
    if !may_run() {
        return;
    }
    let lace = Lace::new(214, 2, EXE.as_ref());
    let said = lace.start().out;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("lace is up at {}", lace.url()), "{said}");
    let link = lines[1].strip_prefix("log in once at ").unwrap_or_else(|| panic!("no link: {said}"));
    let next = lines.iter().skip_while(|line| **line != "next:").skip(1);
    let commands: Vec<_> = next.filter(|line| line.starts_with("  lace ")).collect();
    assert_eq!(commands.len(), 3, "three next commands: {said}");
    assert_eq!(page(&lace, link).0, 303, "it logs in");
    let (status, body) = page(&lace, link);
    assert_ne!(status, 303, "once only: {body}");
    lace.run(&["status"]).ok();
    lace.down_and_nothing_left();
}

#[test]
fn who_typed_sudo_has_the_context_too() {
    if !may_run() {
        return;
    }
    let lace = Lace::new(214, 3, EXE.as_ref());
    // Where the checkout lies in somebody's home, others do not come to the binary.
    let exe = lace.files().join("lace");
    fs::copy(EXE, &exe).expect("copied");
    // A person whom only this test's processes know, in a mount namespace of their own.
    let home = lace.files().join("home");
    fs::create_dir_all(&home).expect("made");
    std::os::unix::fs::chown(&home, Some(54_321), Some(54_321)).expect("given");
    fs::set_permissions(lace.files(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("opened");
    let known = lace.files().join("passwd");
    let passwd = fs::read_to_string("/etc/passwd").expect("read");
    fs::write(&known, format!("{passwd}ada:x:54321:54321::{}:/bin/sh\n", home.display())).expect("written");
    let as_sudo = |words: &[String]| {
        let script = "mount --bind \"$0\" /etc/passwd && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script]).arg(&known).arg(&exe).args(words);
        command.env("SUDO_UID", "54321").env_remove("LACE_CONFIG_DIR").env("HOME", lace.files().join("root"));
        let ran = command.output().expect("unshare runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    as_sudo(&lace.up_words());
    let file = home.join(".config/lace/contexts.toml");
    let meta = fs::metadata(&file).expect("a context of the person's own");
    assert_eq!((meta.uid(), meta.mode() & 0o777), (54_321, 0o600));
    let ask = |words: &[&str]| {
        let mut command = Command::new(&exe);
        command.args(words).env_clear().env("HOME", &home).uid(54_321).gid(54_321);
        command.output().expect("lace runs").status.code()
    };
    assert_eq!(ask(&["status"]), Some(0), "commands find the controller without sudo");
    as_sudo(&["down".into(), "--state".into(), lace.state().display().to_string()]);
    assert!(
        !fs::read_to_string(&file).expect("read").contains("local-"),
        "the context ends with the installation"
    );
}

#[test]
fn a_unit_says_what_up_was_told() {
    let words = ["up", "--unit", "--listen", "0.0.0.0:7440", "--state", "/srv/my lace"];
    let ran = Command::new(EXE).args(words).output().expect("lace runs");
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success());
    let line = format!("ExecStart={EXE} up --listen 0.0.0.0:7440 --state \"/srv/my lace\"\n");
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("KillMode=process\n"), "nodes outlive it: {text}");
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("lace.service");
    fs::write(&path, &text).expect("written");
    // Where there is a systemd, it shall have nothing to say.
    if let Ok(said) = Command::new("systemd-analyze").arg("verify").arg(&path).output() {
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.lines().any(|line| line.contains("lace.service")), "{said}");
    }
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
        (&["--listen", "127.0.0.1:0"], "port 0"),
        (&["--link", "127.0.0.1:0"], "port 0"),
        (&["--door", "127.0.0.1:0"], "port 0"),
    ] {
        let ran = lace.run_here(&[&["up", "--detach"], words].concat()).ends(2);
        assert!(ran.err.contains(said), "{}", ran.err);
    }
    let file = lace.files().join("file");
    fs::write(&file, "no directory").expect("written");
    let place = file.to_str().expect("text");
    for words in [&["up", "--detach", "--state", place][..], &["up", "--state", place]] {
        let ran = lace.run(words).ends(1);
        assert!(ran.err.contains(place) && ran.err.contains("--state"), "{}", ran.err);
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
fn a_demo_tells_its_story_to_the_end_and_leaves_nothing() {
    if !may_run() {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let mut command = demo(dir.path());
    command.arg("--exit").env("LACE_DEMO_SPACE", "10.187.128.0/18");
    let told = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("the demo runs");
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    let complained = String::from_utf8_lossy(&told.stderr).into_owned();
    let whole = format!("{said}\n{complained}");
    assert_eq!(told.status.code(), Some(0), "{whole}");
    // In this order, as README tells it.
    let mut rest = said.as_str();
    for line in [
        "lace is up at http://127.0.0.1:",
        "-> lace up:",
        "hello/hello/2",
        "-> two generic nodes: packed, uploaded, running:",
        "-> ball 1.0.0: built, uploaded, clustered, healthy:",
        "ball/ball/3 | {'ball@ball-1.ball.ball.lace.internal'",
        "-> exec on all nodes:",
        "$ lace open ball/ball",
        "kill -9",
        "-> from kill to healthy:",
        "-> scaled to 5, all clustered:",
        "ball/ball/5",
        "-> scaled back to 3:",
        "-> 2.0.0 rolled:",
        "\"2.0.0\"",
        "-> 3.0.0 found bad and reverted:",
        "active, bad",
        "3/3",
        "step",
        "3.0.0 found bad and reverted",
    ] {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} is not said (any more):\n{whole}"));
        rest = &rest[at + line.len()..];
    }
    assert!(rest.contains(" 0 failed"), "pages failed:\n{whole}");
    let pages = said.lines().rfind(|line| line.contains("the page: ")).expect("the page is told of");
    let served = pages.split("the page: ").nth(1).and_then(|told| told.split(' ').next());
    assert!(served.and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 0), "{pages}");
    assert!(pages.matches("ball-").count() >= 2, "which nodes served: {pages}");
    assert!(complained.contains("nothing of it is left"), "{whole}");
    for path in ["demo", "demo.key"] {
        assert!(!dir.path().join(path).exists(), "{path} is left");
    }
    let label = label_of(&dir.path().join("demo"));
    let found = Command::new("nft").args(["list", "tables"]).output().expect("nft runs").stdout;
    assert!(!String::from_utf8_lossy(&found).contains(&label), "its tables are left");
    for root in ["", "pids", "memory", "unified"] {
        let group = Path::new("/sys/fs/cgroup").join(root).join(format!("lace-{label}"));
        assert!(!group.exists(), "{} is left", group.display());
    }
    let routes = Command::new("ip").args(["route", "show", "table", "all"]).output().expect("ip runs").stdout;
    assert!(!String::from_utf8_lossy(&routes).contains("10.187.128."), "its routes are left");
    let processes = Command::new("ps").args(["axo", "args"]).output().expect("ps runs").stdout;
    let state = dir.path().join("demo").display().to_string();
    assert!(!String::from_utf8_lossy(&processes).contains(&state), "its processes are left");
}

/// The short name of an installation whose state is there, as `lace up` gives it.
fn label_of(state: &Path) -> String {
    lace_model::Digest::of(state.as_os_str().as_encoded_bytes()).short()[..6].to_owned()
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
