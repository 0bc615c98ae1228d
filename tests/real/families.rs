//! What a manifest promises beside the daily work: names by address, what a host must have, schedules, `before` jobs.

use crate::cluster::ball;
use crate::daily::project;
use crate::lace::{Lace, eventually, may_run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Changes a file's text.
fn change(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("read");
    assert!(text.contains(from), "{from} is not in {}", path.display());
    fs::write(path, text.replace(from, to)).expect("written");
}

#[test]
fn a_cluster_by_address_has_its_own_address_where_it_said_loopback() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(217, 2);
    let dir = ball(&lace);
    let dir = Path::new(&dir);
    change(&dir.join("lace.toml"), "beam = { ", "beam = { names = \"address\", replace_loopback = true, ");
    change(
        &dir.join("release/sys.config"),
        " {sasl,",
        " {ball, [{page, \"http://127.0.0.1:8080/\"}]},\n {sasl,",
    );
    lace.run(&["deploy", "ball", dir.to_str().expect("text"), "--var", "nodes=2"]).ok();
    assert_eq!(lace.ready("ball"), 2);
    let address = |n: u32| {
        let family = &lace.status("ball")["apps"][0]["families"][0];
        let nodes = family["nodes"].as_array().expect("nodes");
        let node = nodes.iter().find(|node| node["status"]["path"] == format!("ball/ball/ball/{n}"));
        node.expect("there")["status"]["address"].as_str().expect("an address").to_owned()
    };
    let eval = |words: &str| lace.run(&["exec", "ball/ball/1", "--", "bin/ball", "eval", words]).ok().out;
    let said = eval("{node(), nodes()}");
    for n in 1..=2 {
        assert!(said.contains(&format!("'ball@{}'", address(n))), "{said}");
    }
    let said = eval("application:get_env(ball, page)");
    assert!(said.contains(&format!("http://{}:8080/", address(1))) && !said.contains("127.0.0.1"), "{said}");
    lace.down_and_nothing_left();
}

/// A program that wants a library which is nowhere.
fn program_without_library(dir: &Path) {
    let cc = |words: &[&str]| {
        let ran = Command::new("cc").args(words).current_dir(dir).output().expect("cc");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    fs::write(dir.join("ssl.c"), "int ssl(void) { return 0; }\n").expect("written");
    fs::write(dir.join("main.c"), "int ssl(void);\nint main(void) { return ssl(); }\n").expect("written");
    cc(&["-shared", "-fPIC", "-Wl,-soname,libssl.so.0.9", "-o", "libssl.so.0.9", "ssl.c"]);
    cc(&["-o", "bin/run", "main.c", "./libssl.so.0.9"]);
    for file in ["ssl.c", "main.c", "libssl.so.0.9"] {
        fs::remove_file(dir.join(file)).expect("removed");
    }
}

/// The skeleton of a release whose runtime is to come from the host.
fn release_without_runtime(dir: &Path) {
    for file in ["ssl.c", "bin/run", "Procfile"] {
        let _ = fs::remove_file(dir.join(file));
    }
    fs::create_dir_all(dir.join("releases/1.0.0")).expect("made");
    let script = dir.join("bin/game");
    for (file, text) in [
        (dir.join("releases/start_erl.data"), "99.9 1.0.0"),
        (dir.join("releases/1.0.0/vm.args"), "-name game@127.0.0.1\n"),
        (dir.join("releases/1.0.0/sys.config"), "[].\n"),
        (script.clone(), "#!/bin/sh\n# RELX_\nexec sleep 1000\n"),
    ] {
        fs::write(file, text).expect("written");
    }
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("executable");
}

#[test]
fn what_the_host_lacks_is_said_before_anything_is_placed() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(218, 1);
    let dir = project(&lace, "old", "true", "count = 2");
    program_without_library(&dir);
    let path = dir.to_str().expect("text");
    let ran = lace.run(&["deploy", "old", path, "--timeout", "20s"]).ends(5);
    assert!(ran.err.contains("libssl.so.0.9"), "{}", ran.err);
    release_without_runtime(&dir);
    let ran = lace.run(&["deploy", "old", path, "--timeout", "20s"]).ends(5);
    assert!(ran.err.contains("ERTS 99.9"), "{}", ran.err);
    assert!(
        lace.cgroups()
            .iter()
            .all(|root| { !fs::read_dir(root).expect("read").flatten().any(|entry| entry.path().is_dir()) })
    );
    lace.down_and_nothing_left();
}

/// Every file of a release that says one text says another one of the same length.
fn patch(dir: &Path, from: &str, to: &str) -> usize {
    let mut patched = 0;
    for entry in fs::read_dir(dir).expect("read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            patched += patch(&path, from, to);
            continue;
        }
        let (mut bytes, from) = (fs::read(&path).expect("read"), from.as_bytes());
        let places: Vec<_> =
            (0..bytes.len().saturating_sub(from.len())).filter(|at| bytes[*at..].starts_with(from)).collect();
        places.iter().for_each(|at| bytes[*at..*at + from.len()].copy_from_slice(to.as_bytes()));
        if !places.is_empty() {
            fs::write(&path, bytes).expect("written");
            patched += 1;
        }
    }
    patched
}

#[test]
fn a_runtime_made_for_a_newer_system_is_refused_with_what_it_wants() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(236, 0);
    let dir = crate::cluster::ball(&lace);
    let build = |version: &str, tls: &str| {
        let out = lace.files().join("built");
        let script = Path::new(&dir).join("build.sh");
        let built = Command::new(script).arg(version).arg(&out).arg(tls).output().expect("build.sh");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        out
    };
    let project = lace.files().join("new");
    fs::create_dir_all(&project).expect("made");
    let manifest = "[application]\nname = \"new\"\n[service.new]\nrelease = { path = \"../built\" }\ncount = 1\n\
                    memory = \"128MiB\"\nbeam = { applications = [\"court\"] }\n";
    fs::write(project.join("lace.toml"), manifest).expect("written");
    let deploy = || lace.run(&["deploy", "new", project.to_str().expect("text"), "--timeout", "20s"]);
    let says = |wanted: &str| {
        let ran = deploy().ends(5);
        assert!(ran.err.contains(wanted), "{}", ran.err);
        let why = lace.run(&["why", "new/new"]);
        assert!(why.out.contains(wanted), "{}", why.out);
    };
    // The emulator's own libc, then the cryptography that TLS takes.
    let release = build("1.0.1", "false");
    assert!(patch(&release, "GLIBC_2.34\0", "GLIBC_2.99\0") > 0);
    says("glibc 2.99 or newer is needed");
    let release = build("1.0.2", "true");
    assert!(patch(&release.join("lib"), "OPENSSL_3.0.0\0", "OPENSSL_3.9.0\0") > 0);
    says("OpenSSL 3.9.0 or newer is needed (libcrypto.so.3)");
    // One that fits comes up in its place.
    build("1.0.3", "false");
    lace.run(&["deploy", "new", project.to_str().expect("text")]).ok();
    assert_eq!(lace.ready("new"), 1);
    lace.down_and_nothing_left();
}

#[test]
fn schedules_run_and_a_before_job_that_fails_stops_the_rollout() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(218, 2);
    let task = "[service.web.task.sweep]\ncommand = [\"sh\", \"-c\", \"echo swept by $COLOUR\"]\n\
                schedule = \"*/2 * * * * *\"\n";
    let manifest = format!("env = {{ COLOUR = \"red\" }}\nbefore = [[\"sh\", \"-c\", \"exit 0\"]]\n{task}");
    let dir = project(&lace, "shop", "echo up", &manifest);
    let path = dir.to_str().expect("text");
    lace.run(&["deploy", "shop", path]).ok();
    let swept = || {
        let jobs = lace.run(&["job", "list", "--format", "json"]).ok().json();
        let jobs = jobs.as_array().expect("a list").clone();
        let done =
            |job: &&serde_json::Value| job["origin"].to_string().contains("sweep") && job["state"] == "done";
        jobs.iter().filter(done).map(|job| job["last_lines"].to_string()).collect::<Vec<_>>()
    };
    eventually("the task ran twice", || swept().len() >= 2);
    assert!(swept()[0].contains("swept by red"), "{:?}", swept());

    let revision =
        |lace: &Lace| lace.status("shop")["apps"][0]["families"][0]["nodes"][0]["status"]["revision"].clone();
    let before = revision(&lace);
    change(&dir.join("lace.toml"), "exit 0", "echo no database; exit 4");
    let ran = lace.run(&["deploy", "shop", path]);
    assert!([3, 12].contains(&ran.status), "{}: {}", ran.status, ran.err);
    assert!(ran.err.contains("no database"), "the job's words are told: {}", ran.err);
    assert_eq!((lace.ready("shop"), revision(&lace)), (1, before), "nothing was rolled");
    lace.down_and_nothing_left();
}

#[test]
fn volumes_are_kept_listed_and_given_again_until_somebody_says_otherwise() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(218, 3);
    let volume = "count = 2\nvolumes = [{ name = \"data\", size = \"16MiB\", at = \"/data\" }]";
    let dir = project(&lace, "shop", "echo $(hostname) >> /data/starts", volume);
    let path = dir.to_str().expect("text");
    let listed = || {
        let volumes = lace.run(&["volume", "list", "--format", "json"]).ok().json();
        let volumes = volumes.as_array().expect("a list").clone();
        let place = |v: &serde_json::Value| {
            (v["path"].as_str().expect("a place").to_owned(), v["size"].as_u64(), !v["node"].is_null())
        };
        volumes.iter().map(place).collect::<Vec<_>>()
    };
    let places = |in_use: [bool; 2]| {
        let place = |n: usize| (format!("shop/web/web/{}", n + 1), Some(16 << 20), in_use[n]);
        [place(0), place(1)]
    };
    lace.run(&["deploy", "shop", path]).ok();
    assert_eq!(listed(), places([true, true]));
    let size = lace.run(&["exec", "shop/web/1", "--", "df", "--output=target", "/data"]).ok().out;
    assert!(size.contains("/data"), "a file system of its own: {size}");
    lace.run(&["scale", "shop/web", "1"]).ok();
    assert_eq!(listed(), places([true, false]));
    lace.run(&["scale", "shop/web", "2"]).ok();
    let said = lace.run(&["exec", "shop/web/2", "--", "cat", "/data/starts"]).ok().out;
    assert_eq!(said.matches("web-2").count(), 2, "the same data: {said}");

    let ran = lace.run(&["delete", "shop", "--yes"]).ok();
    assert_eq!(listed(), places([false, false]), "{}", ran.err);
    lace.run(&["deploy", "shop", path]).ok();
    let said = lace.run(&["exec", "shop/web/1", "--", "cat", "/data/starts"]).ok().out;
    assert_eq!(said.matches("web-1").count(), 2, "given again: {said}");
    lace.run(&["delete", "shop", "--yes", "--delete-data"]).ok();
    eventually("all volumes are gone", || listed().is_empty());

    // The same by leaving the service out of the manifest.
    lace.run(&["deploy", "shop", path]).ok();
    fs::write(dir.join("lace.toml"), "[application]\nname = \"shop\"\n").expect("written");
    let file = dir.join("lace.toml");
    lace.run(&["apply", file.to_str().expect("text"), "--prune", "--delete-data", "--yes"]).ok();
    eventually("its volumes are gone", || listed().is_empty());
    lace.down_and_nothing_left();
}

/// A second family of the application; its nodes join a node of the first. Each runs its own ball: connected to each other
/// they would have one name for two, and one of them would go.
const FANS: &str = r#"
[service.fans]
release = { path = ".", build = [["./build.sh", "{{vars.version}}", "_build/ball"]], output = "_build/ball" }
count = 2
cpu = 0.25
memory = "128MiB"
needs = ["ball"]
beam = { net_ticktime = 8, connect_all = false }
bootstrap = { command = ["sh", "-ec", "echo {{first.node}} >> /tmp/joined"], with = "ball" }
check = { http = ":8080/up", interval = "500ms", timeout = "1s", failures = 3, grace = "20s" }
"#;

#[test]
fn a_family_joins_another_one_when_both_are_up() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(182, 3);
    let dir = ball(&lace);
    let manifest = Path::new(&dir).join("lace.toml");
    let text = fs::read_to_string(&manifest).expect("read");
    fs::write(&manifest, text + FANS).expect("written");
    lace.run(&["deploy", "ball", &dir, "--var", "nodes=2"]).ok();
    let ready = || {
        let status = lace.status("ball");
        let families = status["apps"][0]["families"].as_array().expect("families");
        families.iter().filter_map(|family| family["ready"].as_u64()).sum::<u64>()
    };
    assert_eq!(ready(), 4);
    let joined = |n: u32| {
        let ran = lace.run(&["exec", &format!("ball/fans/{n}"), "--", "cat", "/tmp/joined"]).ok();
        ran.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    // Each once, with the first ready node of the other family, by its name.
    let at_first: Vec<_> = (1..=2).map(joined).collect();
    for lines in &at_first {
        assert!(
            lines.len() == 1 && lines[0].ends_with("ball@ball-1.ball.ball.lace.internal"),
            "{at_first:?}"
        );
    }
    lace.run(&["restart", "ball/fans"]).ok();
    eventually("all are ready again", || ready() == 4);
    assert_eq!((1..=2).map(joined).collect::<Vec<_>>(), at_first, "a restart joins nobody again");

    // What ends with the process is done again, before the node counts as ready.
    let text = fs::read_to_string(&manifest).expect("read");
    fs::write(&manifest, text.replace("with = \"ball\" }", "with = \"ball\", each_start = true }"))
        .expect("written");
    lace.run(&["deploy", "ball", &dir, "--var", "nodes=2"]).ok();
    assert_eq!(joined(1).len(), 1);
    lace.run(&["restart", "ball/fans"]).ok();
    eventually("all are ready again", || ready() == 4);
    eventually("each has joined twice", || (1..=2).all(|n| joined(n).len() == 2));
    // Families that are connected to one another deviate from no plan.
    let far = "'ball@ball-1.ball.ball.lace.internal'";
    let met = lace.run(&["beam", "rpc", "ball/fans/1", "net_kernel", "connect_node", far]).ok().out;
    assert_eq!(met.trim(), "true");
    let told = lace.run(&["beam", "status", "ball"]).ok().out;
    assert!(told.contains("ball/fans/1") && !told.contains("not planned"), "{told}");
    lace.down_and_nothing_left();
}
