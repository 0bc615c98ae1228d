//! Good manifests and what they mean.

use lace_model::application::ServiceSpec;
use lace_model::check::Probe;
use lace_model::family::{Select, StateKind};
use lace_model::manifest::{self, Manifest, Options};
use lace_model::release::{ReleaseKind, ReleaseRef};
use lace_model::{ByteSize, CpuMillis, Name, Span};

/// The manifest of the command line's promises, block for block.
const PROMISED: &str = include_str!("promised.toml");

fn good(text: &str) -> Manifest {
    good_with(text, &Options::default())
}

fn good_with(text: &str, options: &Options) -> Manifest {
    manifest::parse(text, options).unwrap_or_else(|mistakes| panic!("{}", show(&mistakes)))
}

fn show(mistakes: &[manifest::Mistake]) -> String {
    mistakes.iter().map(|m| format!("{m}\n")).collect()
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn service(body: &str) -> ServiceSpec {
    let all = good(&format!("[application]\nname = \"a\"\n[service.x]\n{body}"));
    all.spec.services[&name("x")].clone()
}

fn options(stage: Option<&str>, vars: &[(&str, &str)]) -> Options {
    let vars = vars.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Options { stage: stage.map(str::to_owned), vars }
}

#[test]
fn the_promised_manifest_is_understood() {
    let all = good(PROMISED);
    assert_eq!(all.app, name("shop"));
    assert_eq!(all.budget.as_ref().map(|b| b.monthly_micro), Some(40_000_000));
    let game = &all.spec.services[&name("game")];
    let family = &game.families[&name("game")];
    assert_eq!((family.count, family.cpu), (Some(1), Some(CpuMillis(500))));
    assert_eq!((family.memory, family.select), (Some(ByteSize::mib(256)), Some(Select::First)));
    assert_eq!(game.env.as_ref().expect("env")["DATABASE_URL"], "{{links.db.url}}");
    assert_eq!(game.firewall.as_ref().expect("firewall")[0].to_string(), "tcp:9100 from any");
    assert_eq!(game.beam.as_ref().expect("beam").backups, 2);
    let check = game.check.as_ref().expect("check");
    assert_eq!(check.probe, Probe::Http { port: 8080, path: "/up".into() });
    assert_eq!(game.live.as_ref().expect("live").probe, Probe::Tcp { port: 8080 });
    assert_eq!(game.restart.expect("restart").max, Span::secs(60));
    assert_eq!(game.state, Some(StateKind::Replaceable));
    assert_eq!(
        game.tasks.as_ref().expect("tasks")[&name("sweep")].timezone.as_deref(),
        Some("Europe/Stockholm")
    );
    let source = &all.sources[&name("game")];
    assert_eq!((source.path.as_str(), source.output.as_deref()), (".", Some("_build/prod/rel/game")));
    assert_eq!(source.build, [["mix", "release"]]);
    assert_eq!(all.spec.services[&name("web")].needs, Some(vec![name("db")]));
}

#[test]
fn what_is_not_built_yet_is_named_with_its_line() {
    let later: Vec<String> = good(PROMISED).later.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(later.join("\n"), @r"
    line 3: not yet supported: budget
    ");
}

#[test]
fn our_own_examples_are_understood() {
    let ball = good(include_str!("../../../../examples/ball/lace.toml"));
    assert_eq!(ball.spec.services[&name("ball")].families[&name("ball")].count, Some(3));
    assert_eq!(ball.sources[&name("ball")].build, [["./build.sh", "1.0.0", "_build/ball", "false"]]);
    assert!(ball.later.is_empty());
    let hello = good(include_str!("../../../../examples/hello/lace.toml"));
    assert_eq!(hello.sources[&name("hello")].path, ".");
}

#[test]
fn variable_beats_stage_beats_default() {
    let count = |options: &Options| {
        good_with(PROMISED, options).spec.services[&name("game")].families[&name("game")].count
    };
    assert_eq!(count(&options(None, &[])), Some(1));
    assert_eq!(count(&options(Some("production"), &[])), Some(3));
    assert_eq!(count(&options(Some("production"), &[("nodes", "7")])), Some(7));
}

#[test]
fn a_stage_lays_keys_over_services() {
    let text = r#"
        [application]
        name = "a"
        [service.game]
        count = 1
        memory = "64MiB"
        env = { A = "1", B = "2" }
        check = { http = ":80/" }
        [service.game.task.t]
        command = ["x"]
        schedule = "0 0 * * *"
        [stage.production.service.game]
        count = 5
        env = { B = "3", C = "4" }
        check = { tcp = ":81" }
    "#;
    let game = &good_with(text, &options(Some("production"), &[])).spec.services[&name("game")];
    let family = &game.families[&name("game")];
    assert_eq!((family.count, family.memory), (Some(5), Some(ByteSize::mib(64))));
    let env: Vec<_> = game.env.iter().flatten().map(|(k, v)| format!("{k}{v}")).collect();
    assert_eq!(env, ["A1", "B3", "C4"]);
    assert_eq!(game.check.as_ref().expect("check").probe, Probe::Tcp { port: 81 });
    assert!(game.tasks.is_some());
    assert_eq!(good(text).spec.services[&name("game")].families[&name("game")].count, Some(1));
}

#[test]
fn variables_go_everywhere_and_other_expressions_stay() {
    let text = r#"
        [application]
        name = "{{vars.app}}"
        [vars]
        app = { default = "shop" }
        cpu = { default = 0.25 }
        on = { default = true }
        [service.x]
        command = ["run", "--{{ vars.app }}", "{{self}}", "{{first}}", "{{ index }}"]
        cpu = "{{vars.cpu}}"
        rollout = { revert = "{{vars.on}}" }
    "#;
    let all = good(text);
    assert_eq!(all.app, name("shop"));
    let x = &all.spec.services[&name("x")];
    assert_eq!(x.start.as_ref().expect("start")[1..], ["--shop", "{{self}}", "{{first}}", "{{ index }}"]);
    assert_eq!(x.families[&name("x")].cpu, Some(CpuMillis(250)));
    assert!(x.rollout.as_ref().expect("rollout").revert);
}

#[test]
fn releases_in_each_form() {
    let by_name = |text: &str| service(&format!("release = {text}")).release.expect("a release");
    assert_eq!(by_name(r#""game""#), ReleaseRef { name: name("game"), version: None });
    assert_eq!(by_name(r#""game@1.2.0-rc.1""#).version.as_deref(), Some("1.2.0-rc.1"));
    assert_eq!(by_name(r#"{ name = "game", version = "2" }"#).version.as_deref(), Some("2"));
    let spec = service(r#"release = { name = "game", start = ["a"], stop = ["b"], templates = ["c"] }"#);
    assert_eq!((spec.start, spec.stop_command), (Some(vec!["a".into()]), Some(vec!["b".into()])));
    assert_eq!(spec.templates, Some(vec!["c".into()]));
    let mut all = good(
        r#"
        [application]
        name = "a"
        [service.x]
        release = { path = "x.tar.zst", version = "3", kind = "relx", start = ["a"], templates = ["t"] }
    "#,
    );
    let source = &all.sources[&name("x")];
    assert_eq!((source.kind, source.version.as_deref()), (Some(ReleaseKind::Relx), Some("3")));
    assert_eq!(all.spec.services[&name("x")].release, None);
    all.set_release(&name("x"), ReleaseRef { name: name("x"), version: Some("3".into()) });
    assert!(all.spec.services[&name("x")].release.is_some());
}

#[test]
fn joining_in_each_form() {
    assert!(service(r#"bootstrap = "join-first""#).beam.expect("beam").join);
    assert_eq!(service(r#"bootstrap = "cmd:bin/b x""#).bootstrap, Some(vec!["bin/b".into(), "x".into()]));
    assert_eq!(service(r#"bootstrap = ["bin/b"]"#).bootstrap, Some(vec!["bin/b".into()]));
    assert!(!service("beam = { join = false }").beam.expect("beam").join);
    let alone = service(r#"bootstrap = "none""#);
    assert_eq!((alone.beam, alone.bootstrap), (None, Some(Vec::new())));
}

#[test]
fn files_are_listed_and_filled_in() {
    let mut all = good(
        r#"
        [application]
        name = "a"
        [vars]
        port = { default = 80 }
        [service.x]
        files."/etc/a" = "./a.j2"
        files."/etc/b" = { from = "b", mode = "0600", verbatim = true }
        files."/etc/c" = { content = "port {{vars.port}}" }
    "#,
    );
    let refs = all.files.clone();
    assert_eq!(
        refs.iter().map(|f| (f.from.as_str(), f.mode)).collect::<Vec<_>>(),
        [("./a.j2", 0o644), ("b", 0o600)]
    );
    all.set_file(&refs[0], "{{vars.port}} {{self}}").expect("the variable is there");
    all.set_file(&refs[1], "{{vars.none}}").expect("verbatim");
    let wrong = all.set_file(&refs[0], "{{vars.none}}").expect_err("there is no such variable");
    assert_eq!(wrong.place.line, 7);
    all.set_file(&refs[0], &"x".repeat(manifest::FILE_BYTES_MAX + 1)).expect_err("too large");
    let files = all.spec.services[&name("x")].files.clone().expect("files");
    let contents: Vec<_> = files.values().map(|f| f.content.as_str()).collect();
    assert_eq!(contents, ["80 {{self}}", "{{vars.none}}", "port 80"]);
}

#[test]
fn json_of_the_same_shape_means_the_same() {
    let toml: toml::Value = toml::from_str(PROMISED).expect("TOML");
    let json = serde_json::to_string_pretty(&toml).expect("JSON");
    let (a, b) = (good(PROMISED), good(&json));
    assert_eq!((&a.spec, &a.sources, &a.budget), (&b.spec, &b.sources, &b.budget));
    assert_eq!(a.later.len(), b.later.len());
}

#[test]
fn a_live_manifest_may_leave_everything_out() {
    let spec = service("");
    assert_eq!(spec.families.keys().collect::<Vec<_>>(), [&name("x")]);
    assert_eq!(spec, ServiceSpec { families: spec.families.clone(), ..ServiceSpec::default() });
    assert_eq!(service("stop = { command = [\"x\"] }").stop, None);
}

#[test]
fn the_schema_and_the_reference_come_from_the_keys() {
    let schema = manifest::schema();
    let service = &schema["$defs"]["service"]["properties"];
    assert_eq!(service["count"]["anyOf"][0]["maximum"], 10_000);
    assert_eq!(schema["$defs"]["application"]["required"][0], "name");
    assert_eq!(schema["$defs"]["check"]["oneOf"][1]["required"][0], "tcp");
    let text = schema.to_string();
    for reference in text.split("\"#/$defs/").skip(1) {
        let name = reference.split('"').next().expect("a name");
        assert!(schema["$defs"][name].is_object(), "{name} is not defined");
    }
    assert!(manifest::reference().contains("- `at = \"/var/lib/game\"`: where it is in the node"));
}

/// Every example of the reference is itself a good value.
#[test]
fn every_example_is_good() {
    let mut section = String::new();
    let mut tried = 0;
    for line in manifest::reference().lines() {
        if let Some(name) = line.strip_prefix("## ") {
            section = name.to_owned();
        }
        let example = line.strip_prefix("- `").and_then(|rest| rest.split_once("`: ")).map(|(e, _)| e);
        let Some(body) = example.and_then(|e| wrapped(&section, e)) else {
            continue;
        };
        good(&format!("{body}\n[application]\nname = \"a\""));
        tried += 1;
    }
    assert!(tried > 60, "{tried} examples tried");
}

fn wrapped(section: &str, example: &str) -> Option<String> {
    Some(match section {
        "service" => format!("[service.x]\n{example}\n[service.db]\npackage = \"mysql\""),
        "family" => format!("[service.x.family.y]\n{example}"),
        "release" if !example.starts_with("path") => {
            format!("[service.x.release]\npath = \".\"\n{example}")
        }
        "check" if ["http", "tcp", "exec"].iter().any(|key| example.starts_with(key)) => {
            format!("[service.x.check]\n{example}")
        }
        "check" => format!("[service.x.check]\ntcp = \":1\"\n{example}"),
        "beam" | "stop" | "rollout" | "restart" | "release" => {
            format!("[service.x.{section}]\n{example}")
        }
        "task" => {
            let rest = [("command", "command = [\"x\"]"), ("schedule", "schedule = \"0 0 * * *\"")];
            let rest: Vec<_> =
                rest.iter().filter(|(k, _)| !example.starts_with(k)).map(|(_, l)| *l).collect();
            format!("[service.x.task.t]\n{example}\n{}", rest.join("\n"))
        }
        "volume" => {
            let rest = [("name", "name = \"v\""), ("size", "size = \"1GiB\""), ("at", "at = \"/v\"")];
            let rest: Vec<_> =
                rest.iter().filter(|(k, _)| !example.starts_with(k)).map(|(_, l)| *l).collect();
            format!("[[service.x.volumes]]\n{example}\n{}", rest.join("\n"))
        }
        _ => return None,
    })
}

#[test]
fn what_does_not_fit_its_package_is_told_with_its_line() {
    let package = lace_model::package::parse(
        "[package]\nname = \"cache\"\nversion = \"1\"\n[role.primary]\nmin = 1\nmax = 1\n[role.replica]\n\
         [setting.size]\ntype = \"size\"\nmax = \"1GiB\"\n[script]\nstart = \"start.sh\"\n",
    )
    .expect("a good package");
    let said = |body: &str| {
        let text = format!("[application]\nname = \"shop\"\n[service.c]\npackage = \"cache@1\"\n{body}\n");
        let manifest = manifest::parse(&text, &Options::default()).expect("well formed");
        let mistakes = manifest.packages[0].mistakes(&package);
        mistakes.iter().map(|m| format!("{m}\n")).collect::<String>()
    };
    assert_eq!(said("settings = { size = \"1MiB\" }\n[service.c.family.replica]\ncount = 3"), "");
    let all = said(
        "settings = { sise = 1, size = \"2GiB\" }\nrelease = \"x\"\n[service.c.family.primary]\ncount = 2\n\
         [service.c.family.replca]",
    );
    insta::assert_snapshot!(all, @r#"
    line 5, column 14: service.c.settings.sise: package cache has no such setting (did you mean "size"?)
    line 5, column 31: service.c.settings.size: 2GiB is more than 1GiB (wanted: size, ..1GiB)
    line 6, column 11: service.c.release: package cache takes no release (leave it out)
    line 8, column 9: service.c.family.primary.count: 2 nodes: the role has always 1
    line 9, column 19: service.c.family.replca: package cache has no such role (did you mean "replica"?)
    "#);
    insta::assert_snapshot!(said("count = 2"), @"
    line 4, column 11: service.c.settings.size: the setting has no value (write settings = { size = ... } (size, ..1GiB))
    line 5, column 9: service.c: package cache has several roles (write it under [service.c.family.ROLE]: primary, replica)
    ");
}
