//! The package `generic`: the five scripts of a release, on a master and its nodes.

use crate::lace::{Lace, Ran, eventually, may_run};
use crate::packages::apply;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The example of the ConPaaS guide: each script writes down that it ran, how it was called and where. `hang` makes it stay,
/// deaf to SIGTERM, with a child that has left its session.
pub fn code(dir: &Path) {
    fs::create_dir_all(dir.join("code")).expect("made");
    let text = "#!/bin/bash\n\
        echo \"Executing script ${0##*/}\" >> /root/generic.out\n\
        echo \"Parameters ($#): $@\" >> /root/generic.out\n\
        echo \"My IP is $MY_IP\" >> /root/generic.out\n\
        echo \"My role is $MY_ROLE\" >> /root/generic.out\n\
        echo \"My master IP is $MASTER_IP\" >> /root/generic.out\n\
        cp /var/cache/cpsagent/agents.json /root/agents.${0##*/}\n\
        echo \"said by ${0##*/}\"\n\
        [ \"${1:-}\" != wait ] || exec tail -f /dev/null\n\
        if [ \"${1:-}\" = hang ]; then\n  trap '' TERM\n  (setsid tail -f /dev/null &)\n  while :; do tail -f /dev/null; done\nfi\n";
    for name in ["init", "notify", "run", "interrupt", "cleanup"] {
        fs::write(dir.join(format!("code/{name}.sh")), text).expect("written");
    }
}

fn work(nodes: u32) -> String {
    format!(
        "[service.work]\npackage = \"generic\"\nrelease = {{ path = \"./code\", kind = \"generic\" }}\n\
         settings = {{ grace = \"1s\" }}\n[service.work.family.node]\ncount = {nodes}\n"
    )
}

/// The service under test, by its path.
pub struct Work<'a>(pub &'a Lace, pub &'a str);

impl Work<'_> {
    pub fn action(&self, words: &[&str]) -> Ran {
        self.0.run(&[&["service", "action", self.1], words].concat())
    }

    /// How a script stands, by node.
    fn stands(&self, script: &str) -> BTreeMap<String, String> {
        let said = self.0.run(&["service", "scripts", self.1, "--format", "json"]).ok().json();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let nodes = said.as_array().expect("a list").iter();
        nodes.map(|node| (text(&node["node"]), text(&node["scripts"][script]))).collect()
    }

    pub fn all_stand(&self, script: &str, state: &str, nodes: usize) -> bool {
        let stands = self.stands(script);
        stands.len() == nodes && stands.values().all(|found| found == state)
    }

    pub fn in_node(&self, node: &str, words: &str) -> String {
        self.0.run(&["exec", &format!("{}/{node}", self.1), "--", "sh", "-c", words]).ok().out
    }

    /// How often a script ran in a node.
    fn ran(&self, node: &str, script: &str) -> usize {
        self.in_node(node, "cat /root/generic.out").matches(&format!("Executing script {script}")).count()
    }
}

pub const GOOD: &str = "stopped (return code 0)";
const NODES: [&str; 4] = ["master/1", "node/1", "node/2", "node/3"];

#[test]
fn five_scripts_run_on_a_master_and_its_nodes() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(156, 0);
    code(lace.files());
    apply(&lace, &work(3)).ok();
    let work_ = Work(&lace, "shop/work");
    eventually("each node is initialised", || work_.all_stand("init.sh", GOOD, 4));
    assert!(work_.all_stand("run.sh", "never started", 4));
    let master = lace.run(&["node", "show", "shop/work/master/1", "--format", "json"]).ok().json();
    let master = format!("My master IP is {}", master["status"]["address"].as_str().unwrap_or_default());
    for node in NODES {
        let out = work_.in_node(node, "cat /root/generic.out");
        let role = node.split('/').next().expect("a role");
        assert!(out.contains(&format!("My role is {role}")) && out.contains(&master), "{node}: {out}");
    }
    eventually("all know all", || {
        NODES.iter().all(|node| {
            work_.in_node(node, "cat /var/cache/cpsagent/agents.json").matches("\"ip\"").count() == 4
        })
    });

    // What is refused, and in what words.
    assert!(work_.action(&["interrupt"]).ends(8).err.contains("nothing to interrupt"));
    assert!(work_.action(&["rum"]).ends(7).err.contains("run"));
    assert!(work_.action(&["run", "parameter=x"]).ends(2).err.contains("parameters"));
    assert!(lace.run(&["scale", "shop/work/master", "2"]).ends(2).err.contains("always 1"));

    work_.action(&["run", "parameters=wait two  *"]).ok();
    assert!(work_.all_stand("run.sh", "running", 4));
    for verb in ["run", "cleanup"] {
        let ran = work_.action(&[verb]).ends(8);
        assert!(ran.err.contains("run.sh still runs") && ran.err.contains("node/3"), "{}", ran.err);
    }
    assert!(work_.in_node("node/2", "cat /root/generic.out").contains("Parameters (3): wait two *"));

    // A node more while the scripts run: it is initialised; the others are told when they have time, once.
    apply(&lace, &work(4)).ok();
    eventually("the new one is initialised", || {
        work_.stands("init.sh").get("shop/work/node/4").map(String::as_str) == Some(GOOD)
    });
    assert!(NODES.iter().all(|node| work_.ran(node, "notify.sh") == 0));
    work_.action(&["interrupt"]).ok();
    eventually("the run has ended", || {
        let stands = work_.stands("run.sh");
        NODES.iter().all(|node| stands[&format!("shop/work/{node}")] == "stopped (return code 143)")
    });
    eventually("all are told", || NODES.iter().all(|node| work_.ran(node, "notify.sh") == 1));
    assert_eq!(work_.ran("node/4", "notify.sh"), 0, "it is the news");
    assert!(work_.in_node("master/1", "cat /root/agents.notify.sh").contains("node-4"));

    // Deaf scripts with children that left: the second interrupt kills all of it, at once.
    eventually("all are idle", || work_.action(&["run", "parameters=hang"]).status == 0);
    work_.action(&["interrupt", "parameters=hang"]).ok();
    eventually("it is interrupted", || work_.all_stand("interrupt.sh", "running", 5));
    work_.action(&["interrupt"]).ok();
    for script in ["run.sh", "interrupt.sh"] {
        eventually("it is killed", || work_.all_stand(script, "stopped (return code 137)", 5));
    }
    let left = "pgrep -c tail || true";
    eventually("nothing is left", || {
        NODES.iter().all(|node| work_.in_node(node, left).trim_end().ends_with('0'))
    });

    // Of two that ask at once one is told no: nowhere run both.
    let before = work_.ran("node/1", "run.sh");
    let at_once = std::thread::scope(|scope| {
        let one = scope.spawn(|| Work(&lace, "shop/work").action(&["run", "parameters=wait"]).status);
        let other = Work(&lace, "shop/work").action(&["run", "parameters=wait"]).status;
        let mut both = [one.join().expect("ran"), other];
        both.sort_unstable();
        both
    });
    assert_eq!(at_once, [0, 8]);
    assert!(work_.all_stand("run.sh", "running", 5));
    assert_eq!(work_.ran("node/1", "run.sh"), before + 1);
    work_.action(&["interrupt"]).ok();

    // Two nodes fewer; the others are told.
    apply(&lace, &work(2)).ok();
    eventually("all are told", || NODES[..3].iter().all(|node| work_.ran(node, "notify.sh") == 2));
    eventually("all are idle", || work_.action(&["cleanup"]).status == 0);
    eventually("it is cleaned up", || work_.all_stand("cleanup.sh", GOOD, 3));
    assert!(lace.run(&["logs", "shop/work"]).ok().out.contains("said by cleanup.sh"));
    assert!(NODES[..3].iter().all(|node| work_.ran(node, "init.sh") == 1));
}

/// The same with another word in `init.sh`, as an archive.
fn archive(lace: &Lace, word: &str) -> String {
    let dir = lace.files().join(word);
    code(&dir);
    fs::write(dir.join("code/init.sh"), format!("echo {word} >> /root/version\n")).expect("written");
    let file = lace.files().join(format!("{word}.tar.gz"));
    let mut tar = std::process::Command::new("tar");
    let made = tar.arg("-czf").arg(&file).arg("-C").arg(dir.join("code")).arg(".").status();
    assert!(made.expect("tar").success());
    file.to_str().expect("text").to_owned()
}

#[test]
fn versions_of_code_are_enabled_whole_and_the_active_one_stays() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(156, 1);
    code(lace.files());
    apply(&lace, &work(1)).ok();
    let work_ = Work(&lace, "shop/work");
    let upload = |word: &str, version: &str| {
        let file = archive(&lace, word);
        lace.run(&["release", "upload", "work", &file, "--files", "--version", version])
    };
    upload("two", "2").ok();
    upload("three", "3").ok();
    upload("three", "3").ok();
    // The same version with other content, by two at once: one of them is told no.
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| upload("four", "4"));
        (one.join().expect("ran").status, upload("five", "4").status)
    });
    assert_eq!((one, other), (0, 8));
    // What leaves the tree never comes in.
    let evil = lace.files().join("evil");
    fs::create_dir_all(&evil).expect("made");
    std::os::unix::fs::symlink("../../../etc/shadow", evil.join("run.sh")).expect("linked");
    let evil =
        lace.run(&["release", "upload", "work", evil.to_str().expect("text"), "--files", "--version", "9"]);
    assert!(evil.status != 0 && evil.err.contains("run.sh"), "{}", evil.err);
    let listed = lace.run(&["release", "list", "--format", "json"]).ok().json();
    let versions: Vec<_> = listed.as_array().expect("a list").iter().map(|r| r["version"].clone()).collect();
    assert_eq!(versions[..3], ["4", "3", "2"], "the newest first, and no other");

    // Not active until it is enabled.
    let version = |node: &str| work_.in_node(node, "cat /root/version 2>/dev/null || true").trim().to_owned();
    assert!(version("master/1").is_empty());
    lace.run(&["release", "activate", "shop/work", "work@2"]).ok();
    eventually("all have it", || ["master/1", "node/1"].iter().all(|node| version(node).ends_with("two")));
    let refused = lace.run(&["release", "delete", "work@2"]).ends(8);
    assert!(refused.err.contains("in use by shop/work"), "{}", refused.err);

    // The controller dies amid enabling another one: afterwards it is there, whole.
    let asked = lace.run(&["release", "activate", "shop/work", "work@3", "--timeout", "1ms"]);
    assert!([0, 4].contains(&asked.status), "{}", asked.err);
    lace.kill("server");
    eventually("all have it", || {
        ["master/1", "node/1"].iter().all(|node| {
            let words = ["exec", &format!("shop/work/{node}"), "--", "cat", "/root/version"];
            lace.run(&words).out.trim().ends_with("three")
        })
    });
    lace.run(&["wait", "shop", "--for", "healthy", "--timeout", "60s"]).ok();

    // Code whose init.sh fails is taken back by itself; it says why.
    let dir = lace.files().join("bad");
    code(&dir);
    fs::write(dir.join("code/init.sh"), "echo it is broken >&2\nexit 7\n").expect("written");
    let bad = dir.join("code");
    lace.run(&["release", "upload", "work", bad.to_str().expect("text"), "--files", "--version", "5"]).ok();
    let ran = lace.run(&["release", "activate", "shop/work", "work@5", "--timeout", "110s"]).ends(3);
    assert!(ran.err.contains("it is broken"), "{}", ran.err);
    eventually("the former one runs", || version("node/1").ends_with("three"));

    let to = lace.files().join("back");
    lace.run(&["release", "download", "work@3", to.to_str().expect("text")]).ok();
    assert_eq!(fs::read_to_string(to.join("init.sh")).expect("read"), "echo three >> /root/version\n");

    // A script that says very much ends as any other.
    let dir = lace.files().join("loud");
    code(&dir);
    fs::write(dir.join("code/run.sh"), "yes 'this is said again and again' | head -c 10000000\n")
        .expect("written");
    let loud = dir.join("code");
    lace.run(&["release", "upload", "work", loud.to_str().expect("text"), "--files", "--version", "6"]).ok();
    lace.run(&["release", "activate", "shop/work", "work@6"]).ok();
    lace.run(&["release", "delete", "work@5"]).ok();
    eventually("it has its process", || work_.action(&["run"]).status == 0);
    eventually("all of it is said", || work_.all_stand("run.sh", GOOD, 2));
    let last = lace.run(&["logs", "shop/work/node/1"]).ok().out;
    assert!(last.contains("again and again"));
}

/// A package with actions that are slow, loud or no good.
fn patient(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(dir.join("scripts")).expect("made");
    let action = |name: &str| format!("[action.{name}]\nscript = \"scripts/{name}.sh\"\ntimeout = \"20s\"\n");
    let actions: String = ["slow", "loud", "bad"].map(action).concat();
    let text = format!(
        "[package]\nname = \"patient\"\nversion = \"1\"\n[role.one]\n[script]\nstart = \"scripts/start.sh\"\n{actions}\
         [action.late]\nscript = \"scripts/slow.sh\"\ntimeout = \"1s\"\n"
    );
    fs::write(dir.join("package.toml"), text).expect("written");
    let scripts = [
        ("start", "exec sleep 100000"),
        ("slow", "echo x >> /tmp/slow\nsleep 4\necho slept"),
        ("loud", "yes again | head -c 50000000\necho the end"),
        ("bad", "echo it will not do >&2\nexit 9"),
    ];
    for (name, text) in scripts {
        let path = dir.join(format!("scripts/{name}.sh"));
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
}

#[test]
fn an_action_has_one_outcome_whoever_dies_meanwhile() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(156, 2);
    let dir = lace.files().join("patient");
    patient(&dir);
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
    apply(&lace, "[service.x]\npackage = \"patient\"\n").ok();
    let act = |words: &[&str]| lace.run(&[&["service", "action", "shop/x"], words].concat());
    let begun = || lace.run(&["exec", "shop/x/one/1", "--", "cat", "/tmp/slow"]).out.lines().count();

    assert!(act(&["bad"]).ends(1).err.contains("it will not do"));
    assert!(act(&["loud"]).ok().out.lines().count() <= 100, "only its last words are kept");
    act(&["late"]).ends(1);
    assert_eq!(begun(), 1);

    // The controller dies: the action goes on, and its outcome is known.
    assert_eq!(act(&["slow", "--timeout", "1ms"]).status, 4);
    eventually("it has begun", || begun() == 2);
    lace.kill("server");
    let op = || lace.run(&["op", "list", "--subject", "shop/x", "--format", "json"]).json();
    eventually("it is done", || op()[0]["state"] == "done");

    // The agent dies: nobody knows, it says so, and does not do it again.
    assert_eq!(act(&["slow", "--timeout", "1ms"]).status, 4);
    eventually("it has begun", || begun() == 3);
    lace.kill("agent");
    eventually("it is not known", || op()[0]["state"] == "failed");
    assert!(op()[0]["message"].as_str().is_some_and(|text| text.contains("not known")), "{}", op()[0]);
    assert_eq!(begun(), 3);
}

#[test]
fn a_startup_script_runs_once_in_each_node_before_all_else() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.158.10.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    let code = lace.files().join("code");
    fs::create_dir_all(&code).expect("made");
    fs::write(code.join("init.sh"), "echo init >> /root/order\n").expect("written");
    let manifest = "[service.work]\npackage = \"generic\"\nrelease = { path = \"./code\", kind = \"generic\" }\n\
        settings = { startup = \"echo \\\"startup $MY_ROLE\\\" >> $HOME/order\\ntest -d /app\" }\n\
        rollout = { deadline = \"8s\" }\n[service.work.family.node]\ncount = 1\n";
    apply(&lace, manifest).ok();
    let work = Work(&lace, "shop/work");
    for role in ["master", "node"] {
        let node = format!("{role}/1");
        eventually("it is initialised", || work.in_node(&node, "cat /root/order").contains("init"));
        assert_eq!(work.in_node(&node, "cat /root/order"), format!("startup {role}\ninit\n"));
    }
    lace.run(&["restart", "shop/work"]).ok();
    assert_eq!(work.in_node("node/1", "grep -c startup /root/order"), "1\n", "once in its life");

    // From a file; one that fails is taken back by itself.
    let file = lace.files().join("startup.sh");
    let said = format!("startup=@{}", file.display());
    fs::write(&file, "echo 'from a file' > /root/order\n").expect("written");
    lace.run(&["service", "set", "shop/work", &said]).ok();
    assert!(work.in_node("node/1", "cat /root/order").starts_with("from a file"));
    fs::write(&file, "echo 'no such thing' >&2\nexit 3\n").expect("written");
    lace.run(&["service", "set", "shop/work", &said]).ends(3);
    eventually("the former one is back", || work.action(&["scripts"]).status == 0);
    assert!(work.in_node("node/1", "cat /root/order").starts_with("from a file"));
}
