//! `lace demo`: the whole story on this machine, with commands that anybody can type.

use super::down::end_all;
use super::end::{CutOff, End};
use super::paths::State;
use super::story::Story;
use super::visitor::Visitor;
use super::{Failure, ended, out};
use crate::command::DemoArgs;
use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The demo's own private space, so that it lives beside a real installation; `LACE_DEMO_SPACE` says another.
const SPACE: &str = "10.254.0.0/16";
/// Erlang may take this long to be installed.
const INSTALLED_WITHIN: Duration = Duration::from_secs(900);
/// Exit status after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;
/// The cluster may take this long to be as wanted.
const STATE_WITHIN: Duration = Duration::from_secs(60);

macro_rules! examples {
    ($($path:literal),* $(,)?) => {
        /// The examples that the demo deploys, so that it needs no checkout.
        const EXAMPLES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../../examples/", $path)))),*];
    };
}
examples!(
    "ball/build.sh",
    "ball/lace.toml",
    "ball/release/assemble.escript",
    "ball/release/ball.sh",
    "ball/release/sys.config",
    "ball/release/vm.args",
    "ball/src/ball/ball.app.in",
    "ball/src/ball/ball_app.erl",
    "ball/src/ball/ball_srv.erl",
    "ball/src/ball/ball_sup.erl",
    "ball/src/court/court.app.in",
    "ball/src/court/court_app.erl",
    "ball/src/court/court_door.erl",
    "ball/src/court/court_page.erl",
    "ball/src/court/court_score.erl",
    "ball/src/court/court_sup.erl",
    "hello/Procfile",
    "hello/VERSION",
    "hello/bin/hello",
    "hello/lace.toml",
);

/// Runs the command.
pub fn main(args: DemoArgs) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        eprintln!("error: lace demo makes namespaces, so it needs root");
        eprintln!("  hint: type `sudo make demo`, or `sudo lace demo`");
        return ExitCode::FAILURE;
    }
    let state = State::new(Some(&demo_dir()));
    let end = match End::listen() {
        Ok(end) => end,
        Err(error) => return ended("demo", Err(error)),
    };
    let told = tell(&args, &state, &end);
    if (args.exit || told.is_err())
        && let Err(error) = clean_up(&state)
    {
        eprintln!("error: the demo could not clean up: {error}");
        return ExitCode::FAILURE;
    }
    if told.as_ref().is_err_and(|error| error.is::<CutOff>()) {
        eprintln!("the demo was ended before its end; nothing of it is left");
        return ExitCode::from(INTERRUPTED);
    }
    ended("demo", told)
}

fn demo_dir() -> String {
    std::env::var("LACE_DEMO_STATE").unwrap_or_else(|_| "/var/lib/lace-demo".into())
}

fn clean_up(state: &State) -> Result<(), Failure> {
    let ended = end_all(state)?;
    for path in [state.dir().to_owned(), state.master_key()] {
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(e) = removed
            && e.kind() != std::io::ErrorKind::NotFound
        {
            return Err(format!("{}: {e}", path.display()).into());
        }
    }
    if let Some(nodes) = ended {
        eprintln!("the demo has ended: {nodes} nodes and its state are removed, nothing of it is left");
    }
    Ok(())
}

fn tell(args: &DemoArgs, state: &State, end: &Arc<End>) -> Result<(), Failure> {
    if state.dir().exists() {
        eprintln!("an earlier demo is cleaned up first");
        clean_up(state)?;
    }
    let (port, door) = (free_ports()?, free_door()?);
    let url = format!("http://127.0.0.1:{port}");
    let config = state.dir().join("cli");
    let env = BTreeMap::from([("LACE_CONFIG_DIR".to_owned(), config.display().to_string())]);
    let mut story = Story::new(env, end.clone());
    let places = unpack(state)?;

    story.chapter("controller, agent, DNS and door of this machine");
    let (listen, dir) = (format!("127.0.0.1:{port}"), state.dir().display().to_string());
    let at = door.to_string();
    let space = std::env::var("LACE_DEMO_SPACE").unwrap_or_else(|_| SPACE.into());
    let up = ["up", "--detach", "--state", &dir, "--listen", &listen, "--door", &at, "--space", &space];
    story.step("lace up", &up, 0)?;
    generic(&mut story, &places)?;
    wait_for_erlang(&mut story, end)?;
    cluster(&mut story, &places, args.nodes)?;
    let visitor = visit(&mut story, door)?;
    survive(&mut story)?;
    story.say(&visitor.words());
    scale(&mut story, args.nodes)?;
    story.say(&visitor.words());
    upgrade(&mut story, &places, args.nodes)?;
    story.table();
    out(&format!("\n{}", visitor.words()));
    if visitor.failed() > 0 {
        return Err("pages failed, and none should".into());
    }
    if args.exit {
        return Ok(());
    }
    let login = std::fs::read_to_string(state.login_token())?;
    out(&format!("\nIt stays up until Ctrl-C. The dashboard: {url}/login?token={}", login.trim()));
    out(&format!("Look around: LACE_CONFIG_DIR={} lace status", config.display()));
    end.wait();
    clean_up(state)
}

/// A port whose successor is free too (API and link), 7440 first.
fn free_ports() -> Result<u16, Failure> {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (7440..7600)
        .step_by(2)
        .find(|p| free(*p) && free(*p + 1))
        .ok_or_else(|| "no free port from 7440 to 7600".into())
}

/// Where the door may be.
fn free_door() -> Result<SocketAddr, Failure> {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = (7480..7600).find(free).ok_or("no free port from 7480 to 7600")?;
    Ok(([127, 0, 0, 1], port).into())
}

struct Places {
    ball: PathBuf,
    hello: PathBuf,
}

fn unpack(state: &State) -> Result<Places, Failure> {
    let root = state.dir().join("examples");
    for (path, text) in EXAMPLES {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap_or(&root))?;
        fs::write(&file, text)?;
        let program = text.starts_with("#!");
        fs::set_permissions(&file, fs::Permissions::from_mode(if program { 0o755 } else { 0o644 }))?;
    }
    Ok(Places { ball: root.join("ball"), hello: root.join("hello") })
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn generic(story: &mut Story, places: &Places) -> Result<(), Failure> {
    story.chapter("generic nodes: two shell scripts, each with its own address");
    story.step(
        "two generic nodes: packed, uploaded, running",
        &["deploy", "hello", &text(&places.hello)],
        0,
    )?;
    story.type_in(&["node", "list", "hello"], 0)?;
    Ok(())
}

/// `make demo` installs Erlang in the background and says how far it is in a file.
fn wait_for_erlang(story: &mut Story, end: &End) -> Result<(), Failure> {
    let began = Instant::now();
    match std::env::var_os("LACE_INSTALL_STATUS") {
        Some(path) => installed(story, end, Path::new(&path))?,
        None if has_erlang() => {}
        None => {
            let what = "Erlang is missing: type `make demo`, or install the Debian package erlang-base";
            return Err(what.into());
        }
    }
    if began.elapsed() > Duration::from_secs(1) {
        story.took("waited for Erlang to be installed", began.elapsed());
    }
    Ok(())
}

fn has_erlang() -> bool {
    let quiet = std::process::Stdio::null;
    Command::new("erlc").arg("-h").stdout(quiet()).stderr(quiet()).status().is_ok()
}

/// What `scripts/install.sh --background` writes.
#[derive(serde::Deserialize)]
struct Installing {
    state: String,
    stage: String,
    elapsed_s: u64,
    estimate_s: u64,
    message: String,
}

/// Tells each stage with its estimate until it is all there.
fn installed(story: &mut Story, end: &End, path: &Path) -> Result<(), Failure> {
    let until = Instant::now() + INSTALLED_WITHIN;
    let mut told = String::new();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        let said: Option<Installing> = serde_json::from_str(&text).ok();
        match &said {
            Some(now) if now.state == "failed" => {
                return Err(format!("Erlang was not installed: {}", now.message).into());
            }
            Some(now) if now.state == "done" && has_erlang() => return Ok(()),
            Some(now) if now.stage != told => {
                if told.is_empty() {
                    story.chapter("Erlang is still being installed; the generic nodes run meanwhile");
                }
                let (stage, elapsed, estimate) = (&now.stage, now.elapsed_s, now.estimate_s);
                story.say(&format!("{stage} (after {elapsed} s; about {estimate} s)"));
                told.clone_from(stage);
            }
            _ => {}
        }
        if Instant::now() > until {
            return Err(format!("Erlang was not installed in time: {}", text.trim()).into());
        }
        end.sleep(Duration::from_millis(200))?;
    }
}

fn cluster(story: &mut Story, places: &Places, nodes: u32) -> Result<(), Failure> {
    story.chapter(&format!("{nodes} Erlang/OTP nodes from a release: built, uploaded, clustered, healthy"));
    let (ball, nodes) = (text(&places.ball), format!("nodes={nodes}"));
    story.step(
        "ball 1.0.0: built, uploaded, clustered, healthy",
        &["deploy", "ball", &ball, "--var", &nodes],
        0,
    )?;
    story.type_in(&["status", "ball"], 0)?;
    story.chapter("who runs the distributed application? every node is asked");
    story.step("exec on all nodes", &["exec", "ball/ball", "--", "bin/ball", "rpc", "ball_srv", "ask"], 0)?;
    Ok(())
}

/// From here on somebody looks at the page fifty times a second.
fn visit(story: &mut Story, door: SocketAddr) -> Result<Visitor, Failure> {
    story.chapter("the page: by a name of its own, from any node, fifty times a second from here on");
    story.type_in(&["open", "ball/ball"], 0)?;
    Ok(Visitor::begin(door, format!("ball.ball.localhost:{}", door.port())))
}

fn survive(story: &mut Story) -> Result<(), Failure> {
    story.chapter("node 1 is killed (SIGKILL): it comes back, and takes the application over again");
    let began = Instant::now();
    let kill = "kill -9 $(pidof beam.smp)";
    story.type_in(&["exec", "ball/ball/1", "--", "sh", "-c", kill], 0).ok();
    story.until(&["events", "--format", "jsonl"], STATE_WITHIN, |typed| typed.out.contains("node.exited"))?;
    story.step(
        "killed node seen and healthy again",
        &["wait", "ball", "--for", "healthy", "--timeout", "60s"],
        0,
    )?;
    story.took("from kill to healthy", began.elapsed());
    story.type_in(&["exec", "ball/ball", "--first", "--", "bin/ball", "rpc", "ball_srv", "ask"], 0)?;
    Ok(())
}

fn scale(story: &mut Story, nodes: u32) -> Result<(), Failure> {
    let more = (nodes + 2).to_string();
    story.chapter(&format!("scale from {nodes} to {more} and back"));
    story.step(&format!("scaled to {more}, all clustered"), &["scale", "ball/ball", &more], 0)?;
    story.type_in(&["node", "list", "ball"], 0)?;
    story.step(&format!("scaled back to {nodes}"), &["scale", "ball/ball", &nodes.to_string()], 0)?;
    Ok(())
}

fn upgrade(story: &mut Story, places: &Places, nodes: u32) -> Result<(), Failure> {
    let (ball, nodes) = (text(&places.ball), format!("nodes={nodes}"));
    let deploy = |version| vec!["deploy", "ball", ball.as_str(), "--var", nodes.as_str(), "--var", version];
    story.chapter("a rolling upgrade to version 2.0.0, one node at a time");
    story.step("2.0.0 rolled", &deploy("version=2.0.0"), 0)?;
    story.type_in(&["exec", "ball/ball", "--first", "--", "bin/ball", "rpc", "ball_srv", "ask"], 0)?;
    story.chapter("version 3.0.0 is bad: it crashes at boot, and reverts by itself (exit status 3)");
    story.step("3.0.0 found bad and reverted", &deploy("version=3.0.0"), 3)?;
    story.type_in(&["history", "ball/ball"], 0)?;
    story.type_in(&["status", "ball"], 0)?;
    Ok(())
}
