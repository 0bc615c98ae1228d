//! CCL's file as it is: source from git, one build in a job node, a cluster with failover, commands, the end.

use crate::lace::{Lace, Ran, eventually, may_run};
use std::path::{Path, PathBuf};
use std::process::Command;

fn git(dir: &Path, words: &[&str]) {
    let who = ["-c", "user.name=ccl", "-c", "user.email=ccl@example.com", "-c", "init.defaultBranch=main"];
    let ran = Command::new("git").args(who).args(words).current_dir(dir).output().expect("git");
    assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// The example in a repository of its own; the file that names it lies beside it.
pub fn repository(lace: &Lace) -> PathBuf {
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/m8ball");
    let to = lace.files().join("m8ball");
    let copied = Command::new("cp").arg("-r").arg(from).arg(&to).status().expect("cp");
    assert!(copied.success());
    git(&to, &["init", "--quiet"]);
    git(&to, &["add", "--all"]);
    git(&to, &["commit", "--quiet", "--message", "The whole"]);
    to
}

pub fn file(lace: &Lace, name: &str, text: &str) -> String {
    let path = lace.files().join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// The node that answers, as each node says.
fn answers(ran: &Ran) -> Vec<String> {
    let begins = ran.out.lines().filter_map(|line| line.split_once("| {'"));
    begins.filter_map(|(_, answer)| Some(answer.split_once('\'')?.0.to_owned())).collect()
}

const HEAD: &str = "%% As CCL had it.\n{ccl_provider, local}.\n{git_url, \"m8ball\"}.\n";

#[test]
fn ccl_files_deploy_execute_and_destroy_as_they_did() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(217, 3);
    repository(&lace);
    let whole = format!(
        "{HEAD}{{ccl_clustersize, 3}}.\n{{ccl_failovernodename, m8ball}}.\n{{ccl_failovernodes, 2}}.\n\
         {{ccl_buildsteps, [\"./build.sh compile\", \"./build.sh rel; echo built with \\\"$(nproc)\\\" processors\",\n\
         \"rel/m8ball/bin/m8ball start\"]}}.\n"
    );
    let whole = file(&lace, "m8ball.config", &whole);
    let ran = lace.run(&["ccl", "deploy", "--config", &whole]).ok();
    for told in ["source: m8ball at ", "== ./build.sh compile", "built with ", "left out of the build"] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    assert_eq!(lace.ready("m8ball"), 3);
    // Built once, and what it said is kept.
    let jobs = lace.run(&["job", "list", "--app", "m8ball", "--format", "json"]).ok().json();
    let jobs = jobs.as_array().expect("a list");
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let id = jobs[0]["id"].as_str().expect("an id");
    eventually("the build's job has ended", || {
        lace.run(&["job", "show", id, "--format", "json"]).ok().json()["state"] == "done"
    });
    assert!(lace.run(&["job", "logs", id]).ok().out.contains("== ./build.sh rel"));

    let asked = answers(&lace.run(&["ccl", "execute", "bin/m8ball ask"]).ok());
    assert!(asked.len() == 3 && asked.iter().all(|n| n.starts_with("m8ball@m8ball-1.")), "{asked:?}");
    let ran = lace.run(&["ccl", "execute", "bin/m8ball rpc net_adm ping \"['m8ball@{{first}}']\""]).ok();
    assert_eq!(ran.out.matches("pong").count(), 3, "{}", ran.out);
    // {{ccl_name}} became the name of each node itself.
    let ran = lace.run(&["ccl", "execute", "--app", "m8ball", "bin/m8ball rpc m8ball home"]).ok();
    assert!((1..=3).all(|n| ran.out.contains(&format!("'m8ball@m8ball-{n}.m8ball.m8ball.lace.internal'"))));
    lace.run(&["ccl", "execute", "--config", &whole, "exit {{index}}"]).ends(3);

    let _ = lace.run(&["exec", "m8ball/m8ball/1", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("the killed node has it again, and everybody sees it", || {
        let asked = answers(&lace.run(&["ccl", "execute", "bin/m8ball ask"]));
        lace.ready("m8ball") == 3 && asked.iter().filter(|n| n.starts_with("m8ball@m8ball-1.")).count() == 3
    });

    // A build that fails changes nothing and says why.
    let bad = file(&lace, "bad.config", &format!("{HEAD}{{ccl_buildsteps, [\"echo wrong here; exit 7\"]}}."));
    let ran = lace.run(&["ccl", "deploy", "--config", &bad]).ends(1);
    assert!(ran.err.contains("ended with status 7") && ran.err.contains("wrong here"), "{}", ran.err);
    let none = file(&lace, "none.config", &format!("{HEAD}{{ccl_buildsteps, [\"true\"]}}."));
    let ran = lace.run(&["ccl", "deploy", "--config", &none]).ends(1);
    assert!(ran.err.contains("nowhere is releases/start_erl.data"), "{}", ran.err);
    assert_eq!(lace.ready("m8ball"), 3);
    let wrong = file(&lace, "wrong.config", &format!("{HEAD}{{ccl_clustersize, 3.\n"));
    let ran = lace.run(&["ccl", "deploy", "--config", &wrong]).ends(2);
    assert!(ran.err.contains("line 4, column "), "{}", ran.err);

    lace.run(&["ccl", "destroy", "--yes"]).ok();
    assert_eq!(lace.run(&["status", "m8ball"]).status, 7);
    lace.run(&["ccl", "execute", "true"]).ends(125);
    lace.down_and_nothing_left();
}
