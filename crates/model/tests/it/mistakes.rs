//! Bad manifests: every mistake at once, with place and hint, and never a panic.

use lace_model::manifest::{self, Options};
use proptest::prelude::*;

fn mistakes(text: &str) -> String {
    mistakes_with(text, &Options::default())
}

fn mistakes_with(text: &str, options: &Options) -> String {
    let mistakes = manifest::parse(text, options).expect_err("it has mistakes");
    mistakes.iter().map(|m| format!("{m}\n")).collect()
}

/// One mistake in a service `x`: the message must contain the words.
fn refused(body: &str, words: &str) {
    let text = format!("[application]\nname = \"a\"\n[service.x]\n{body}\n");
    let said = mistakes(&text);
    assert!(said.contains(words), "{body}\n  said: {said}  wanted: {words}");
    assert_eq!(said.lines().count(), 1, "{body}\n  said: {said}");
}

#[test]
fn five_mistakes_are_five_lines() {
    let text = r#"[application]
name = "Shop"

[service.game]
release = "game@1.0"
cuont = 3
memory = "256 megs"
check = { http = "8080/up", interval = "2 seconds" }
needs = ["databse"]

[service.database]
command = []
"#;
    insta::assert_snapshot!(mistakes(text), @r#"
    line 2, column 8: application.name: "Shop" is not a name: a name starts with a small letter and has at most 39 of a-z, 0-9 and -
    line 6, column 1: service.game.cuont: the key is not known (did you mean "count"?)
    line 7, column 10: service.game.memory: "256 megs" is not a size: write a number and B, KiB, MiB, GiB, TiB, kB, MB or GB
    line 8, column 18: service.game.check.http: "8080/up" is not a port and a path such as :8080/up
    line 8, column 40: service.game.check.interval: "2 seconds" is not a length of time: write a number and ms, s, m, h or d
    line 12, column 11: service.database.command: the command has no first word
    "#);
}

#[test]
fn each_mistake_says_what_is_wanted() {
    let cases = [
        ("count = \"3\"", "count: a whole number is wanted, text found"),
        ("count = -1", "-1 is not between 0 and 10000"),
        ("count = 1.5", "a whole number is wanted, a number found"),
        ("count = 99999999999999999999", "a number that is too large found"),
        ("count = 2026-01-01", "a date found"),
        ("cpu = 0", "share of processors"),
        ("cpu = true", "text or a number is wanted, true or false found"),
        ("memory = \"1 QiB\"", "is not a size"),
        ("select = \"cheap\"", "did you mean \"cheapest\"?"),
        ("state = \"x\"", "known here: replaceable, single-writer, pinned"),
        ("command = \"bin/x start\"", "write [\"bin/x\", \"start\"]"),
        ("command = [\"\"]", "the command has no first word"),
        ("command = [1]", "command: text is wanted, a whole number found"),
        ("release = \"Game\"", "write NAME or NAME@VERSION"),
        ("release = \"game@../x\"", "write NAME or NAME@VERSION"),
        ("release = 3", "text or a table is wanted"),
        ("release = {}", "it has neither a name nor a path"),
        ("release = { name = \"g\", build = [[\"x\"]] }", "this belongs to a release with a path"),
        (
            "command = [\"x\"]\nrelease = { name = \"g\", start = [\"y\"] }",
            "said twice: `command` says it too",
        ),
        ("env = { \"1X\" = \"a\" }", "a variable's name"),
        ("env = { X = [] }", "text, a number or true/false is wanted"),
        ("secrets = [\"A\", \"A\"]", "\"A\" is there twice"),
        ("files = { \"etc/x\" = \"x\" }", "an absolute path"),
        ("files = { \"/etc/../x\" = \"x\" }", "an absolute path"),
        (
            "files = { \"/x\" = { from = \"a\", content = \"b\" } }",
            "exactly one of from, content is wanted, 2 found",
        ),
        ("files = { \"/x\" = { content = \"b\", mode = \"4755\" } }", "permission bits such as 0600"),
        ("needs = [\"y\"]", "there is no service \"y\""),
        ("needs = [\"x\"]", "in a circle: x -> x"),
        ("firewall = [\"tcp:99999\"]", "is not an opening"),
        ("firewall = [\"icmp\"]", "is not an opening"),
        ("volumes = [{ name = \"v\", size = \"1GiB\" }]", "at: the key is missing"),
        ("volumes = [{ name = \"v\", size = \"1GiB\", at = \"v\" }]", "an absolute path"),
        (
            "volumes = [{ name = \"v\", size = \"1GiB\", at = \"/a\" }, { name = \"v\", size = \"1GiB\", at = \"/b\" }]",
            "two volumes have the name \"v\"",
        ),
        ("volumes = [{ name = \"v\", size = 0, at = \"/v\" }]", "size: no volume holds anything in 0B"),
        (
            "volumes = [{ name = \"v\", size = \"0MiB\", at = \"/v\" }]",
            "no volume holds anything in 0B: it takes at least 1MiB",
        ),
        (
            "volumes = [{ name = \"v\", size = \"1023KiB\", at = \"/v\" }]",
            "at least 1MiB (write a size such as 10GiB",
        ),
        ("volumes = [{ name = \"v\", size = \"1MiB\", at = \"/etc\" }]", "/etc belongs to the node itself"),
        (
            "volumes = [{ name = \"v\", size = \"1MiB\", at = \"/usr/lib\" }]",
            "/usr/lib belongs to the node itself",
        ),
        ("volumes = [{ name = \"v\", size = \"1MiB\", at = \"/run\" }]", "/run belongs to the node itself"),
        ("files = { \"/proc/sys/x\" = \"x\" }", "/proc belongs to the node itself"),
        (
            "files = { \"/run/lace/context.json\" = { content = \"x\" } }",
            "/run/lace belongs to the node itself",
        ),
        ("memory = \"1B\"", "x.memory: no program runs in 1B: it takes at least 1MiB"),
        ("memory = 1", "x.memory: no program runs in 1B"),
        ("family.y.memory = \"1KiB\"", "service.x.family.y.memory: no program runs in 1KiB"),
        (
            "env = { X = \"{{nope.x}}\" }",
            "env.X: templates do not know the word \"nope\" (known here: self, index",
        ),
        ("env = { X = \"a{{frist}}\" }", "(did you mean \"first\"?)"),
        (
            "env = { X = \"{{first.adress}}\" }",
            "do not know \"adress\" of a node (did you mean \"address\"?)",
        ),
        ("command = [\"x\", \"{{first\"]", "x.command: this is no template: "),
        ("bootstrap = \"cmd:join {{ fist }}\"", "x.bootstrap: templates do not know"),
        (
            "task.t = { command = [\"{{nope}}\"], schedule = \"0 0 * * *\" }",
            "task.t.command: templates do not know",
        ),
        (
            "files = { \"/x\" = { content = \"a\\n{% for m in al %}{% endfor %}\" } }",
            "do not know the word \"al\"",
        ),
        ("count = 10001", "10001 is not between 0 and 10000"),
        ("check = { tcp = \":80\", interval = \"0s\" }", "check.interval: no probe is answered in no time"),
        ("live = { tcp = \":80\", timeout = \"0ms\" }", "live.timeout: no probe is answered in no time"),
        ("task.t = { command = [\"x\"], schedule = \"0 0 31 2 *\" }", "\"0 0 31 2 *\" is never due"),
        (
            "task.t = { command = [\"x\"], schedule = \"@daily\", timezone = \"UTC\" }",
            "is not a schedule of five fields",
        ),
        (
            "task.t = { command = [\"x\"], schedule = \"0 0 29 2 1\", timezone = \"Mars/Olympus\" }",
            "task.t.timezone: \"Mars/Olympus\" is not a time zone such as Europe/Stockholm",
        ),
        ("volumes = [{ name = \"v\", size = \"1GiB\", at = \"/\" }]", "is not an absolute path"),
        ("volumes = [{ name = \"v\", size = \"1GiB\", at = \"/proc\" }]", "/proc belongs to the node itself"),
        (
            "volumes = [{ name = \"v\", size = \"1GiB\", at = \"/sys/fs/x\" }]",
            "/sys belongs to the node itself",
        ),
        (
            "volumes = [{ name = \"v\", size = \"1GiB\", at = \"/dev/shm\" }]",
            "/dev belongs to the node itself",
        ),
        (
            "volumes = [{ name = \"v\", size = \"1GiB\", at = \"/run/lace/x\" }]",
            "/run/lace belongs to the node itself",
        ),
        ("beam = { net_tickime = 8 }", "did you mean \"net_ticktime\"?"),
        ("beam = { failover = \"Game\" }", "a name that Erlang takes"),
        ("beam = { global_groups = { left = \"1-3\", right = \"3-4\" } }", "in left and in right"),
        ("beam = { global_groups = { left = \"3-1\" } }", "not a range of nodes"),
        ("beam = { global_groups = { Left = \"1\" } }", "a name that Erlang takes"),
        ("beam = { global_groups = { left = \"1-3\" }, connect_all = false }", "without connect_all"),
        ("beam = { global_groups = { left = \"1-3\" }, names = \"address\" }", "only when its node is there"),
        (
            "beam = { global_groups = { left = \"1-3\" }, cluster_size = 3 }",
            "cluster_size makes the clusters",
        ),
        ("beam = { global_groups = { left = \"1-3\" }, failover = \"x\" }", "failover is for all nodes"),
        ("beam = { cluster_size = 3, join = false }", "keeps to no clusters"),
        ("family.web = {}\nfamily.web-1 = {}", "web-1 is the name of node 1 of web"),
        ("bootstrap = { command = [\"join\"], with = \"x\" }", "would wait for itself"),
        ("bootstrap = { command = [\"join\"], with = \"x/nobody\" }", "x has no family"),
        ("bootstrap = \"join\"", "write join-first, none or cmd:COMMAND"),
        ("before = [\"x\"]", "before[0]: a list of words is wanted"),
        ("check = { interval = \"2s\" }", "exactly one of http, tcp, exec is wanted, 0 found"),
        ("check = { tcp = \":0\" }", "a port such as :8080"),
        ("check = { tcp = \":80\", http = \":80/\" }", "exactly one of http, tcp, exec is wanted, 2 found"),
        ("check = \":8080\"", "a table is wanted, text found"),
        ("live = { exec = [] }", "the command has no first word"),
        ("stop = { signal = \"SIGTERM\" }", "did you mean \"TERM\"?"),
        ("rollout = { max_unavailable = 0 }", "0 is not between 1 and"),
        ("rollout = { revert = \"yes\" }", "true or false is wanted, text found"),
        ("restart = { backoff = \"60s..1s\" }", "a range of waiting times"),
        ("task.t = { command = [\"x\"] }", "schedule: the key is missing"),
        ("task.t = { command = [\"x\"], schedule = \"61 * * * *\" }", "is not a schedule of five fields"),
        ("task.t = { command = [\"x\"], schedule = \"* * * * * * *\" }", "is not a schedule of five fields"),
        ("count = 1\nfamily.y.count = 2", "write it under [service.x.family.NAME]"),
        ("family.Y.count = 2", "is not a name"),
        ("count = \"{{vars.n}}\"", "there is no variable \"n\" (declare it: [vars] n = { default = ... })"),
        ("routes = [{ host = \"a\" }]", "routes[0].port: the key is missing"),
        ("scale = { min = 1 }", "max: the key is missing"),
    ];
    for (body, words) in cases {
        refused(body, words);
    }
}

#[test]
fn files_that_are_no_manifest() {
    let check = |text: &str, words: &str| {
        let said = mistakes(text);
        assert!(said.contains(words), "{text}\n  said: {said}  wanted: {words}");
    };
    check("", "application: the key is missing");
    check("[application]\n", "application.name: the key is missing (write name = \"shop\")");
    check("[application\nname = 1", "line 1, column 13: not TOML");
    check("[application]\nname = \"a\"\nname = \"b\"", "line 3, column 1: not TOML: duplicate key");
    check("{\"application\": {\"name\": \"a\", \"name\": \"b\"}}", "the key is there twice");
    check("{\"application\":\n {\"name\": }}", "line 2, column 11: not JSON");
    check("{\"application\":\n {\"name\": 3}}", "line 2, column 11: application.name: text is wanted");
    check("servic = 1\n[application]\nname = \"a\"", "did you mean \"service\"?");
    check(&"#".repeat(manifest::MANIFEST_BYTES_MAX + 1), "at most 1048576 are read");
}

/// Depth is bounded everywhere: the walks are recursive.
#[test]
fn depth_is_bounded() {
    let deep = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let cases = [deep("[", "]", 100_000), deep("{a=", "}", 100_000), deep("[{a=", "}]", 100_000)];
    for case in cases {
        mistakes(&format!("a = {case}"));
    }
    mistakes(&format!("{}a = 1", "a.".repeat(200_000)));
    mistakes(&format!("[{}a]\nb = 1", "a.".repeat(200_000)));
    mistakes(&format!("[[{}a]]\nb = 1", "a.".repeat(200_000)));
    mistakes(&deep("{\"a\":", "}", 100_000));
    mistakes(&format!("{{\"a\":{}}}", deep("[", "]", 100_000)));
}

#[test]
fn variables_and_stages_that_are_not_there() {
    let text = r#"
[application]
name = "a"
[vars]
nodes = { help = "how many" }
[stage.production]
vars = { noodes = 3 }
[stage.production.service.gmae]
count = 3
[service.game]
count = "{{vars.nodes}}"
memory = "{{vars.memory}}"
"#;
    let options = Options { stage: Some("prod".into()), vars: [("node".into(), "1".into())].into() };
    insta::assert_snapshot!(mistakes_with(text, &options), @r#"
    --stage: there is no stage "prod" (did you mean "production"?)
    --var node: there is no variable "node" (did you mean "nodes"?)
    line 7, column 10: stage.production.vars.noodes: there is no variable "noodes" (did you mean "nodes"?)
    line 8, column 27: stage.production.service.gmae: there is no such service outside the stage (did you mean "game"?)
    line 11, column 9: service.game.count: the variable "nodes" has no value (give it one: --var nodes=..., in a stage, or as its default)
    line 12, column 10: service.game.memory: there is no variable "memory" (known here: nodes)
    "#);
    let many = Options { stage: None, vars: [("nodes".into(), "many".into())].into() };
    assert!(mistakes_with(text, &many).contains("count: a whole number is wanted, \"many\" found"));
}

#[test]
fn a_circle_of_services_is_named() {
    let text = r#"
[application]
name = "a"
[service.a]
needs = ["b"]
[service.b]
needs = ["c"]
[service.c]
needs = ["b"]
"#;
    insta::assert_snapshot!(mistakes(text), @"line 7, column 9: service.b.needs: the services need one another in a circle: b -> c -> b");
}

#[test]
fn a_stage_that_is_not_chosen_is_checked_too() {
    let text =
        "[application]\nname = \"a\"\n[service.x]\n[stage.p.service.x]\ncount = \"three\"\nmemroy = 1\n";
    assert_eq!(mistakes(text).lines().count(), 2);
}

#[test]
fn all_mistakes_make_one_problem() {
    let mistakes = manifest::parse("a = 1\nb = 2", &Options::default()).expect_err("bad");
    let problem = manifest::problem(&mistakes);
    assert_eq!((problem.code.exit_status(), problem.details.len()), (2, 3));
    assert_eq!(problem.message, "the manifest has 3 mistakes");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = manifest::parse(&text, &Options::default());
    }

    #[test]
    fn no_bytes_of_a_good_manifest_can_be_changed_into_a_panic(
        at in 0..2000usize, len in 0..30usize, put in "[ -~\n]{0,12}"
    ) {
        let good = include_str!("promised.toml");
        let cut = |i: usize| good.floor_char_boundary(i.min(good.len()));
        let text = format!("{}{put}{}", &good[..cut(at)], &good[cut(at + len)..]);
        let _ = manifest::parse(&text, &Options::default());
    }

    #[test]
    fn no_json_makes_it_panic(keys in proptest::collection::vec("(application|service|vars|stage|x|name|[a-z]{1,3})", 1..6), leaf in "(\"[^\"\\\\]{0,9}\"|1|1e999|null|true|\\[\\]|\\{\\})") {
        let text = keys.iter().rev().fold(leaf, |inner, key| format!("{{\"{key}\": {inner}}}"));
        let _ = manifest::parse(&text, &Options::default());
    }
}
