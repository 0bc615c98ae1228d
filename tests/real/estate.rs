//! Providers, pools and what families say of their hosts, on a real host.

use crate::lace::{Lace, may_run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A release as Wombat's demonstration has it: a start script, a stop script, a template, a way to join.
fn riak(lace: &Lace) {
    let dir = lace.files().join("riak");
    fs::create_dir_all(dir.join("bin")).expect("made");
    fs::create_dir_all(dir.join("etc")).expect("made");
    let scripts = [
        ("bin/riak", "#!/bin/sh\ntest \"$1\" = start || exit 0\ncat etc/vm.args\nexec sleep 100000\n"),
        ("bin/bootstrap", "#!/bin/sh\necho joining\n"),
    ];
    for (file, text) in scripts {
        fs::write(dir.join(file), text).expect("written");
        fs::set_permissions(dir.join(file), fs::Permissions::from_mode(0o755)).expect("executable");
    }
    fs::write(dir.join("etc/vm.args"), "-name riak@{{self.fqdn}}\n").expect("written");
    let made = Command::new("tar").args(["-czf", "riak.tar.gz", "riak"]).current_dir(lace.files()).status();
    assert!(made.expect("tar runs").success());
}

/// CLI.md's lines. What makes hosts from pools is to come, so a person gives the pool the one host that there is.
const SCRIPT: &str = r#"provider add my-ec2 --kind ec2 --region eu-west-1
release upload riak riak.tar.gz --start "bin/riak start" --stop "bin/riak stop" --template etc/vm.args
family create shop/riak --release riak --count 0 --select random --bootstrap cmd:bin/bootstrap
firewall set shop/riak tcp:8096:8099
pool add eu-small --provider my-ec2 --region eu-west-1 --image ami-123456 --profile t3.small
family set shop/riak --pool eu-small
host set HOST --pool eu-small
node add shop/riak 2"#;

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("a word").push(c),
        }
    }
    words
}

#[test]
fn wombats_script_runs_line_by_line() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(182, 0);
    riak(&lace);
    let hosts = lace.run(&["host", "list", "--format", "json"]).ok().json();
    let host = hosts[0]["host"]["name"].as_str().expect("a name").to_owned();
    for line in SCRIPT.lines() {
        lace.run_in(lace.files(), &words(&line.replace("HOST", &host)), &[], "").ok();
    }
    assert_eq!(lace.ready("shop"), 2);
    let why = lace.run(&["why", "shop/riak/1"]).ok().out;
    assert!(why.contains("(pool eu-small, price not known)"), "{why}");
    lace.run(&["pool", "set", "eu-small", "--price-per-hour", "0.0228"]).ok();
    let why = lace.run(&["why", "shop/riak/1"]).ok().out;
    assert!(why.contains("(pool eu-small, 0.0228 USD per hour)"), "{why}");

    // Of what the pool and the host are, a condition may ask; where none fits, nodes wait with the reason.
    let refused = lace.run(&["family", "set", "shop/riak", "--where", "regoin == \"eu\""]).ends(2);
    assert!(refused.err.contains("did you mean \"region\"?"), "{}", refused.err);
    lace.run(&["family", "set", "shop/riak", "--where", "region == \"eu-west-1\" && memory > 64*MiB"]).ok();
    lace.run(&["node", "add", "shop/riak"]).ok();
    assert_eq!(lace.ready("shop"), 3);
    lace.run(&["pool", "remove", "eu-small", "--yes"]).ends(8);
    lace.run(&["provider", "remove", "my-ec2", "--yes"]).ends(8);
    lace.down_and_nothing_left();
}

#[test]
fn credentials_are_in_no_file_of_the_state() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(182, 1);
    let secret = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
    let line = format!("access-key-id=AKIAIOSFODNN7EXAMPLE\nsecret-access-key={secret}\n");
    let added = lace.run_with(&["provider", "add", "my-ec2", "--kind", "ec2", "--stdin"], &line).ok();
    assert!(!added.out.contains(secret) && added.out.contains("sealed"), "{}", added.out);
    let shown = lace.run(&["provider", "show", "my-ec2", "--format", "json"]).ok().out;
    assert!(shown.contains("secret-access-key") && !shown.contains(secret), "{shown}");
    let found = Command::new("grep").args(["-rlaF", secret]).arg(lace.state()).output().expect("grep runs");
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    lace.down_and_nothing_left();
}
