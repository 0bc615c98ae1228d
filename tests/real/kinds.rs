//! Kinds of Erlang releases: with their runtime and for the host's, templates, heart, the background, stopping, giving up.

use crate::elixir::pond;
use crate::lace::{Lace, eventually, may_run};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const SAID: [&str; 2] = ["with", "without"];

/// The release `guest`, `with` its runtime or `without`.
fn build(lace: &Lace, runtime: &str) -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kinds/build.escript");
    let place = lace.files().join(runtime);
    let made = Command::new("escript").arg(script).arg(&place).arg(runtime).output().expect("escript");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(made.status.success(), "{}{}", text(&made.stdout), text(&made.stderr));
    place
}

/// An application of that name whose service `guest` runs what lies there; `more` is said of the service.
fn project(lace: &Lace, app: &str, release: &Path, more: &str) -> String {
    let dir = lace.files().join(format!("{app}.project"));
    std::fs::create_dir_all(&dir).expect("made");
    let manifest = format!(
        "[application]\nname = \"{app}\"\n\n[service.guest]\nrelease = {{ path = \"{}\" }}\ncpu = 0.25\nmemory = \"128MiB\"\n\
         rollout = {{ healthy_for = \"500ms\" }}\n{more}\n",
        release.display()
    );
    std::fs::write(dir.join("lace.toml"), manifest).expect("written");
    dir.display().to_string()
}

/// What `guest:facts/0` says on a node: greeting, who it was told that it is, who it is, process limit, heart, root of OTP.
fn facts(lace: &Lace, node: &str) -> Value {
    let said = lace.run(&["beam", "rpc", node, "guest", "facts", "--format", "json"]).ok().json();
    said["value"].clone()
}

fn in_node(lace: &Lace, node: &str, line: &str) -> String {
    let ran = lace.run(&["exec", node, "--", "sh", "-c", line]).ok();
    ran.out.rsplit("| ").next().unwrap_or_default().trim().to_owned()
}

fn restarts(lace: &Lace, app: &str) -> Vec<u64> {
    let status = lace.status(app);
    let nodes = status["apps"][0]["families"][0]["nodes"].as_array().expect("nodes").clone();
    nodes.iter().map(|node| node["status"]["restarts"].as_u64().expect("a number")).collect()
}

/// Two nodes that share one tree have each their own texts; heart is out; who dies is started once, by PID 1.
fn runs_well(lace: &Lace, runtime: &str) {
    let env = "env = { GREETING = \"guest {{index}}\", PROCESSES = \"{{ 20000 * index }}\" }\ncount = 2";
    let dir = project(lace, runtime, &build(lace, runtime), env);
    let ran = lace.run(&["deploy", runtime, &dir]).ok();
    assert!(ran.err.contains("releases/1.0.0/vm.args.src: -heart is left out"), "{}", ran.err);
    let root = if runtime == "with" { "/app" } else { "/usr/lib/erlang" };
    for n in 1..=2_u64 {
        let node = format!("{runtime}/guest/{n}");
        let said = facts(lace, &node);
        let name = format!("guest@guest-{n}.guest.{runtime}.lace.internal");
        let expected = [format!("guest {n}"), name.clone(), name];
        for (at, text) in expected.iter().enumerate() {
            assert_eq!(said[at], **text, "{said}");
        }
        // The emulator rounds up to a power of two.
        assert_eq!(said[3], (20_000 * n).next_power_of_two(), "{said}");
        assert_eq!((&said[4], &said[5]), (&"error".into(), &root.into()), "{said}");
        let expanded =
            in_node(lace, &node, "echo $(ls /run/lace/*.args /run/lace/sys.config; ls /app/releases/1.0.0)");
        assert_eq!(
            expanded,
            "/run/lace/sys.config /run/lace/vm.args guest.boot guest.rel start.boot sys.config.src vm.args.src"
        );
        assert_eq!(in_node(lace, &node, "pidof heart || echo none"), "none");
    }
    let one = format!("{runtime}/guest/1");
    let _ = lace.run(&["exec", &one, "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("it runs again", || restarts(lace, runtime) == [1, 0] && lace.ready(runtime) == 2);
    assert_eq!(in_node(lace, &one, "pidof beam.smp | wc -w"), "1");
    lace.run(&["delete", runtime, "--yes"]).ok();
}

#[test]
fn releases_with_and_without_their_runtime_are_rendered_for_each_node() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(231, 1);
    for runtime in SAID {
        runs_well(&lace, runtime);
    }
    lace.down_and_nothing_left();
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_remedy() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(231, 2);
    let release = build(&lace, "without");
    let path = release.display().to_string();
    let usage = |words: &[&str], said: [&str; 2]| {
        let ran = lace.run(words).ends(2);
        assert!(said.iter().all(|said| ran.err.contains(said)), "{}", ran.err);
    };
    let stays = "has to stay in the foreground: `bin/guest foreground`";
    let daemon = "`bin/guest daemon` puts the runtime into the background";
    usage(&["release", "upload", "guest", &path, "--start", "bin/guest daemon"], [daemon, stays]);
    let refused = |more: &str, said: [&str; 2]| {
        let dir = project(&lace, "guest", &release, more);
        usage(&["deploy", "guest", &dir], said);
    };
    refused("command = [\"bin/guest\", \"daemon\"]", [daemon, stays]);
    refused("command = [\"bin/guest\", \"start\"]", ["`bin/guest start` puts", stays]);
    refused("env = { ERL_FLAGS = \"+P 5000 -heart\" }", ["env ERL_FLAGS has -heart", "PID 1"]);
    refused("env = { HEART_COMMAND = \"bin/guest daemon\" }", ["env HEART_COMMAND is set", "PID 1"]);

    // What goes there in a way that nobody can see before is told by how it ends.
    let hidden = "command = [\"sh\", \"-c\", \"exec bin/guest daemon\"]\nenv = { PROCESSES = \"20000\" }";
    let ran = lace.run(&["deploy", "guest", &project(&lace, "guest", &release, hidden)]).ends(12);
    assert!(ran.err.contains("exit status 0: what it had put into the background was ended"), "{}", ran.err);
    assert!(ran.err.contains("`bin/NAME foreground`"), "{}", ran.err);

    // Made for another OTP.
    std::fs::write(release.join("releases/start_erl.data"), "99.9 1.0.0").expect("written");
    let dir = project(&lace, "other", &release, "");
    let ran = lace.run(&["deploy", "other", &dir, "--timeout", "20s"]).ends(5);
    let here = Command::new("erl")
        .args(["-noshell", "-eval", "io:format(erlang:system_info(version)), halt()"])
        .output()
        .expect("erl");
    let here = String::from_utf8_lossy(&here.stdout).into_owned();
    let said =
        format!("ERTS 99.9 is not in the release, and the host has {here}: include ERTS in the release");
    assert!(ran.err.contains(&said), "{}", ran.err);
    lace.down_and_nothing_left();
}

#[test]
fn who_needs_time_to_stop_has_it_until_its_deadline() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(231, 3);
    let release = build(&lace, "without");
    let stop = |takes: &str, timeout: &str| {
        let more = format!(
            "env = {{ STOPS_IN = \"{takes}\", PROCESSES = \"20000\" }}\nstop = {{ timeout = \"{timeout}\" }}"
        );
        lace.run(&["deploy", "guest", &project(&lace, "guest", &release, &more)]).ok();
        let began = Instant::now();
        lace.run(&["restart", "guest"]).ok();
        let took = began.elapsed().as_millis();
        let logs = lace.run(&["logs", "guest/guest/1", "--tail", "100"]).ok().out;
        lace.run(&["delete", "guest", "--yes"]).ok();
        (took, logs.contains("the guest went by itself"), logs)
    };
    let (took, by_itself, logs) = stop("3000", "20s");
    assert!(by_itself && (3000..15_000).contains(&took), "{took} ms: {logs}");
    let (took, by_itself, logs) = stop("never", "2s");
    assert!(!by_itself && (2000..10_000).contains(&took), "{took} ms: {logs}");
    lace.down_and_nothing_left();
}

#[test]
fn who_lacks_an_application_is_not_ready_and_says_which() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(231, 0);
    let more = "env = { PROCESSES = \"20000\" }\nbeam = { applications = [\"guest\", \"nowhere\"] }";
    let dir = project(&lace, "guest", &build(&lace, "without"), more);
    lace.run(&["deploy", "guest", &dir, "--timeout", "5s"]).ends(4);
    eventually("it is told what is missing", || {
        lace.run(&["why", "guest/guest/1"]).out.contains("waits for applications nowhere")
    });
    assert_eq!(lace.ready("guest"), 0);
    // It runs, and can be asked.
    let asked = lace.run(&["beam", "rpc", "guest/guest/1", "init", "get_status"]).ok().out;
    assert!(asked.contains("started"), "{asked}");
    lace.down_and_nothing_left();
}

#[test]
fn why_a_runtime_gave_up_is_told_wherever_its_end_is_told() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(232, 0);
    let release = build(&lace, "without");
    let deploy = |app: &str, what: &str, more: &str| {
        let more = format!("env = {{ GUEST = \"{what}\", PROCESSES = \"20000\"{more} }}");
        lace.run(&["deploy", app, &project(&lace, app, &release, &more)])
    };
    let table = [
        ("boot", "crashes in boot", "", "no_table_is_free"),
        ("atoms", "makes atoms", ", ERL_FLAGS = \"+t 20000\"", "no more index entries in atom_tab (max="),
        (
            "memory",
            "wants more memory than there is",
            "",
            "binary_alloc: Cannot allocate 35184372088832 bytes",
        ),
        // The kernel leaves it no time for a dump.
        ("limit", "eats memory", "", "killed: memory limit"),
    ];
    for (app, what, more, slogan) in table {
        let ran = deploy(app, what, more).ends(12);
        assert!(ran.err.contains(slogan), "{app}: {}", ran.err);
        for words in [["status", app], ["why", &format!("{app}/guest/1")]] {
            let ran = lace.run(&words);
            assert!(ran.out.contains(slogan), "{words:?}: {}\n{}", ran.out, ran.err);
        }
        let stat = "stat -c %s /tmp/erl_crash.dump || echo 0";
        let bytes: u64 = in_node(&lace, &format!("{app}/guest/1"), stat).parse().expect("a number");
        assert!((bytes > 1000) != (app == "limit") && bytes <= 16 << 20, "{app}: {bytes}");
        lace.run(&["delete", app, "--yes"]).ok();
    }
    lace.down_and_nothing_left();
}

#[test]
fn a_mix_release_for_the_hosts_runtime_runs_without_heart_and_says_that_it_cannot_be_upgraded_hot() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(232, 2);
    let dir = pond(&lace);
    let project = Path::new(&dir);
    let mix = std::fs::read_to_string(project.join("mix.exs")).expect("read");
    let mix = mix.replace("[include_executables_for", "[include_erts: false, include_executables_for");
    std::fs::write(project.join("mix.exs"), &mix).expect("written");
    std::fs::create_dir(project.join("rel")).expect("made");
    let env = "export HEART_COMMAND=\"$RELEASE_ROOT/bin/$RELEASE_NAME daemon\"\nexport ELIXIR_ERL_OPTIONS=\"-heart\"\n";
    std::fs::write(project.join("rel/env.sh.eex"), env).expect("written");
    std::fs::write(project.join("rel/vm.args.eex"), "+K true\n-heart\n").expect("written");
    let ran = lace.run(&["deploy", "pond", &dir, "--var", "nodes=1"]).ok();
    assert!(
        ran.err.contains("env.sh: -heart is left out") && ran.err.contains("vm.args: -heart"),
        "{}",
        ran.err
    );
    let release = lace.run(&["release", "list", "--format", "json"]).ok().json();
    assert_eq!((&release[0]["kind"], &release[0]["needs"]["erts_included"]), (&"mix".into(), &false.into()));
    let asked = |module: &str, function: &str, words: &str| {
        lace.run(&["beam", "rpc", "pond/pond/1", module, function, words]).ok().out
    };
    assert!(asked("code", "root_dir", "").contains("/usr/lib/erlang"));
    assert_eq!(asked("init", "get_argument", "heart").trim(), "error");
    assert_eq!(in_node(&lace, "pond/pond/1", "pidof heart || echo none"), "none");

    // mix makes no relup.
    std::fs::write(project.join("mix.exs"), mix.replace("\"1.0.0\"", "\"1.1.0\"")).expect("written");
    let build = "cd \"$1\" && MIX_ENV=prod mix release --overwrite --quiet --path _build/next";
    let made = Command::new("sh").args(["-c", build, "sh", &dir]).output().expect("mix");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let next = project.join("_build/next").display().to_string();
    lace.run(&["release", "upload", "pond", &next]).ok();
    let ran = lace.run(&["release", "activate", "pond/pond", "pond@1.1.0", "--hot"]).ends(3);
    assert!(ran.err.contains("release 1.1.0 has no relup"), "{}", ran.err);
    assert_eq!(lace.ready("pond"), 1);
    lace.down_and_nothing_left();
}
