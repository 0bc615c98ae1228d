//! Packages: what a good one says, every mistake of a bad one at once, and never a panic.

use lace_model::package::{self, Named, Package, ReleaseWish, Verb, parse_sample, render, resolve};
use lace_model::{Name, Span};
use proptest::prelude::*;
use std::collections::BTreeMap;

const GOOD: &str = include_str!("keeper.toml");

/// The least that is a package; a test's own lines stand before or behind it.
const LEAST: &str = "package = { name = \"a\", version = \"1\" }\nrole.x = {}\nscript.start = \"s/start\"\n";

fn keeper() -> Package {
    package::parse(GOOD).expect("a good package")
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn mistakes(text: &str) -> String {
    let mistakes = package::parse(text).expect_err("it has mistakes");
    mistakes.iter().map(|m| format!("{m}\n")).collect()
}

/// One mistake beside the least package: the message must contain the words.
fn refused(body: &str, words: &str) {
    let said = mistakes(&format!("{LEAST}{body}\n"));
    assert!(said.contains(words), "{body}\n  said: {said}  wanted: {words}");
    assert_eq!(said.lines().count(), 1, "{body}\n  said: {said}");
    assert!(said.starts_with("line "), "{said}");
}

#[test]
fn a_good_package_is_data() {
    let keeper = keeper();
    assert_eq!(keeper.key(), "keeper@7.0-1");
    assert_eq!(keeper.release, ReleaseWish::None);
    assert_eq!(keeper.roles.keys().map(Name::as_str).collect::<Vec<_>>(), ["primary", "replica"]);
    assert_eq!((keeper.roles[&name("primary")].count, keeper.roles[&name("replica")].count), (1, 0));
    assert_eq!(keeper.scripts[&Verb::Init].timeout, Span::secs(300));
    assert_eq!(keeper.templates["/etc/users.conf"].mode, 0o600);
    assert!(keeper.check.is_some(), "the script `check` is the check");
    let files: Vec<_> = keeper.files();
    assert!(files.contains(&("scripts/flush.sh", Named::Script)), "{files:?}");
    assert!(files.contains(&("templates/users.j2", Named::Template)), "{files:?}");
    let kept = serde_json::to_string(&keeper).expect("JSON");
    assert_eq!(serde_json::from_str::<Package>(&kept).expect("the same"), keeper);
}

#[test]
fn a_process_is_told_of_changes_in_one_way() {
    let reload = "reload.signal = \"HUP\"\n";
    let template = "template.\"/etc/x\" = \"t/x\"\n";
    let good = package::parse(&format!("{LEAST}{reload}{template}")).expect("good");
    assert_eq!(good.reload.as_deref(), Some("HUP"));
    refused(reload, "no template is there");
    refused(
        &format!("{reload}{template}script.notify = \"s/notify\""),
        "told by the script `notify` already",
    );
    refused(&format!("reload.signal = \"KILL\"\n{template}"), "KILL");
    refused(&format!("reload = {{}}\n{template}"), "signal");
}

#[test]
fn seven_mistakes_are_seven_lines() {
    let text = r#"[package]
name = "Redis"
version = "7 0"

[role.primary]
cuont = 1

[setting.maxmemory]
type = "size"
default = "32 megs"

[port.keys]
number = 6379
setting = "prot"

[script]
start = "../start.sh"
strat = "x"
"#;
    insta::assert_snapshot!(mistakes(text), @r#"
    line 2, column 8: package.name: "Redis" is not a name: a name starts with a small letter and has at most 39 of a-z, 0-9 and -
    line 3, column 11: package.version: "7 0" is not a version: letters, digits and . _ + - ~, at most 64
    line 6, column 1: role.primary.cuont: the key is not known (did you mean "count"?)
    line 10, column 11: setting.maxmemory.default: "32 megs" is not a size such as 64MiB
    line 14, column 11: port.keys.setting: there is no setting "prot" (known here: maxmemory)
    line 17, column 9: script.start: "../start.sh" is not a path within the package, without . and .., such as scripts/start.sh
    line 18, column 1: script.strat: the key is not known (did you mean "start"?)
    "#);
}

#[test]
fn each_mistake_says_what_is_wrong_and_how_to_mend_it() {
    let cases = [
        ("setting.a = { type = \"sise\" }", "did you mean \"size\"?"),
        ("setting.a = { type = \"whole\", default = \"x\" }", "\"x\" is not a whole number"),
        ("setting.a = { type = \"whole\", default = 0, min = 1 }", "default: 0 is less than 1"),
        ("setting.a = { type = \"size\", default = \"2GiB\", max = \"1GiB\" }", "2GiB is more than 1GiB"),
        ("setting.a = { type = \"whole\", min = 2, max = 1 }", "no value is between min and max"),
        ("setting.a = { type = \"whole\", min = \"x\" }", "min: \"x\" is not a whole number"),
        ("setting.a = { type = \"flag\", min = 1 }", "values of this type have no such bound"),
        ("setting.a = { default = \"abc\", max = 2 }", "the text has 3 characters; at most 2 are allowed"),
        ("setting.a = { max = \"x\" }", "is not a number of characters"),
        ("setting.a = { type = \"choice\" }", "a choice of nothing"),
        ("setting.a = { choices = [\"x\"] }", "only a choice has them (write type = \"choice\")"),
        ("setting.a = { type = \"choice\", choices = [\"on\", \"off\"], default = \"onn\" }", "did you mean"),
        ("setting.a = { type = \"time\", default = \"5 minutes\" }", "is not a length of time such as 30s"),
        ("setting.a = { type = \"number\", default = \"inf\" }", "is not a number"),
        ("setting.\"a-b\" = {}", "is not a variable's name"),
        ("role.y = { count = 3, max = 2 }", "count: 3 is not between min 0 and max 2 (write count = 2)"),
        ("role.y = { min = 3, max = 2 }", "min 3 is more than max 2"),
        ("role.y = { shares = [\"z\"] }", "role.y.shares: there is no role \"z\""),
        ("role.y = { shares = [\"y\"] }", "a role does its own work anyway"),
        ("role.y = { memory = \"1KiB\" }", "no program runs in less than 1MiB"),
        ("role.Y = {}", "is not a name"),
        ("port.a = {}", "number: the key is missing"),
        ("port.a = { number = 0 }", "0 is not between 1 and 65535"),
        ("port = { a = { number = 80 }, b = { number = 80 } }", "the port \"a\" has this number too"),
        ("port.a = { number = 80, roles = [\"z\"] }", "there is no role \"z\" (known here: x)"),
        ("provides.a = { port = \"b\" }", "provides.a.port: there is no port \"b\" (none is known here)"),
        ("consumes.a = {}", "consumes.a.interface: the key is missing"),
        ("template.\"etc/x\" = \"t\"", "is not an absolute path"),
        ("template.\"/etc/x\" = \"/t\"", "is not a path within the package"),
        ("template.\"/etc/x\" = \"a/../../t\"", "is not a path within the package"),
        ("template.\"/run/lace/x\" = \"t\"", "/run/lace belongs to the node itself"),
        ("template.\"/etc/x\" = { from = \"t\", mode = \"4755\" }", "permission bits such as 0600"),
        ("script.init = { timeout = \"5s\" }", "script.init.file: the key is missing"),
        ("script.init = { file = \"s\", timeout = \"0s\" }", "script.init.timeout: 0ms is not between"),
        ("script.init = 3", "text or a table is wanted, a whole number found"),
        ("action.backup = { script = \"s\" }", "this is the name of a verb (write it under [script]"),
        ("action.renew-password = { script = \"s\" }", "this is an action that Lace has itself"),
        ("action.a = {}", "action.a.script: the key is missing"),
        (
            "action.a = { script = \"s\", parameter.p = { type = \"whole\", default = \"x\" } }",
            "action.a.parameter.p.default: \"x\" is not a whole number",
        ),
        ("volume.a = { size = \"1KiB\", at = \"/data\" }", "no volume is smaller than 1MiB"),
        ("volume.a = { size = \"1GiB\", at = \"/etc\" }", "/etc belongs to the node itself"),
        (
            "volume = { a = { size = \"1GiB\", at = \"/d\" }, b = { size = \"1GiB\", at = \"/d\" } }",
            "the volume \"a\" is there already",
        ),
        ("check = { http = \"web/up\" }", "check.http: there is no port \"web\""),
        ("check = { interval = \"1s\" }", "exactly one of http, tcp, script is wanted, 0 found"),
        ("live = { script = \"s\", interval = \"0s\" }", "no probe is answered in no time"),
        ("script.check = \"s\"\ncheck = { script = \"s\" }", "said twice"),
        ("metric.a = { help = \"x\" }", "nothing says where the figures are read"),
        ("stop.signal = \"SIGTERM\"", "did you mean \"TERM\"?"),
        ("image.packages = [\"Nginx\"]", "is not the name of a Debian package"),
        ("image.packages = [\"nginx; rm\"]", "is not the name of a Debian package"),
        ("imgae = {}", "did you mean \"image\"?"),
    ];
    for (body, words) in cases {
        refused(body, words);
    }
}

#[test]
fn files_that_are_no_package() {
    let check = |text: &str, words: &str| {
        let said = mistakes(text);
        assert!(said.contains(words), "{text}\n  said: {said}  wanted: {words}");
    };
    check("", "package: the key is missing");
    check("", "script: the key is missing");
    check("[package\n", "not TOML");
    check("{\"package\": {\"name\": \"a\", \"name\": \"b\"}}", "the key is there twice");
    check("package = { name = \"a\", version = \"1\" }\nrole = {}\nscript.start = \"s\"", "has no role");
    check(&"#".repeat(package::PACKAGE_BYTES_MAX + 1), "at most 262144 are read");
    check(&format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000)), "not TOML");
}

#[test]
fn everything_is_bounded() {
    let many = |line: &dyn Fn(u32) -> String, count: u32| (0..count).map(line).collect::<String>();
    let roles = many(&|n| format!("role.r{n} = {{}}\n"), 16);
    let said = mistakes(&format!("{LEAST}{roles}"));
    assert!(said.contains("role: there are 17; at most 16 are allowed"), "{said}");
    let settings = many(&|n| format!("setting.s{n} = {{}}\n"), 201);
    assert!(mistakes(&format!("{LEAST}{settings}")).contains("at most 200"));
    let parameters = many(&|n| format!("action.a.parameter.p{n} = {{}}\n"), 51);
    let action = format!("{LEAST}action.a.script = \"s\"\n{parameters}");
    assert!(mistakes(&action).contains("action.a.parameter: there are 51; at most 50"));
}

#[test]
fn settings_become_values() {
    let said = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let package = keeper();
    let values = resolve(&package.settings, &said(&[("motto", "hello"), ("port", "7000")])).expect("good");
    assert_eq!(serde_json::to_string(&values).expect("JSON"), {
        r#"{"maxmemory":33554432,"motto":"hello","policy":"noeviction","port":7000}"#
    });
    assert_eq!(package.port(&name("keys"), &values), Some(7000));
    let wrong = said(&[("maxmem", "1"), ("maxmemory", "1KiB"), ("policy", "random")]);
    insta::assert_snapshot!(resolve(&package.settings, &wrong).expect_err("wrong").join("\n"), @r#"
    there is no setting "maxmem" (did you mean "maxmemory"?)
    setting maxmemory: 1KiB is less than 1MiB
    the setting "motto" has no value (text, ..20)
    setting policy: "random" is no choice (known here: noeviction, allkeys-lru)
    "#);
}

#[test]
fn templates_are_rendered_over_the_document_of_a_sample() {
    let package = keeper();
    let sample = "role = \"replica\"\nindex = 2\n[members]\nreplica = 2\n[settings]\nmotto = \"hi\"\n";
    let sample = parse_sample(sample, &package).expect("a sample");
    let document = sample.document(&package).expect("a document");
    let table = [
        ("plain\n", "plain\n"),
        ("{{ settings.maxmemory }} {{ ports.keys }}", "33554432 6379"),
        ("{{ role }}-{{ index }} {{ self.address }}", "replica-2 10.192.1.3"),
        ("{% for m in roles.primary %}{{ m.name }}{% endfor %}", "primary-1.keeper.sample.lace.internal"),
        ("{{ roles.replica | length }} {{ count }} {{ package.version }}", "2 2 7.0-1"),
    ];
    for (template, expected) in table {
        assert_eq!(package::template_fault(template, &package), None, "{template}");
        assert_eq!(render("t", template, &document).as_deref(), Ok(expected), "{template}");
    }
    let faults = [
        ("{{ settings.maxmem }}", "there is no setting \"maxmem\""),
        ("{{ roles.primry }}", "there is no role \"primry\""),
        ("{{ ports.x.y }}", "there is no port \"x\""),
        ("{{ setings.a }}", "do not know the word \"setings\""),
        ("{% for %}", "this is no template"),
    ];
    for (template, expected) in faults {
        let (message, _) = package::template_fault(template, &package).expect("a fault");
        assert!(message.contains(expected), "{template}: {message}");
    }
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    assert!(render("t", endless, &document).expect_err("no end").contains("t, line 1"));
}

#[test]
fn samples_are_held_to_their_package() {
    let wrong =
        "rol = \"x\"\nrole = \"primry\"\n[members]\nreplica = 21\n[settings]\nport = 0\nmot = \"x\"\n";
    let said = parse_sample(wrong, &keeper()).expect_err("wrong");
    let said: String = said.iter().map(|m| format!("{m}\n")).collect();
    insta::assert_snapshot!(said, @r#"
    line 1, column 1: rol: the key is not known (did you mean "role"?)
    line 2, column 8: role: there is no role "primry" (did you mean "primary"?)
    line 4, column 11: members.replica: 21 is not between 0 and 20
    line 6, column 8: settings.port: 0 is less than 1
    line 7, column 1: settings.mot: there is no setting "mot" (did you mean "motto"?)
    "#);
}

#[test]
fn every_key_has_a_help_and_an_example_that_is_good() {
    let schema = package::schema();
    assert_eq!(schema["title"], "package.toml");
    let reference = package::reference();
    for line in reference.lines().filter(|line| line.starts_with("- ")) {
        assert!(line.len() > 20, "{line}");
    }
    assert!(reference.contains("`init = \"scripts/run.sh\"`: before the first start of a node"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = package::parse(&text);
    }

    #[test]
    fn no_bytes_of_a_good_package_can_be_changed_into_a_panic(
        at in 0..2000usize, len in 0..30usize, put in "[ -~\n]{0,12}"
    ) {
        let cut = |i: usize| GOOD.floor_char_boundary(i.min(GOOD.len()));
        let text = format!("{}{put}{}", &GOOD[..cut(at)], &GOOD[cut(at + len)..]);
        let _ = package::parse(&text);
    }

    #[test]
    fn no_part_of_a_good_package_can_be_swapped_into_a_panic(
        key in "(package|role|setting|port|provides|template|script|action|volume|check|image|metric)",
        inner in "(x|start|name|type|min|default|number|roles)",
        leaf in "(\"[^\"\\\\]{0,9}\"|1|-1|1e99|true|\\[\\]|\\{\\}|\\[\"x\"\\])",
    ) {
        let _ = package::parse(&format!("{GOOD}\n[{key}.zzz]\n{inner} = {leaf}\n"));
        let _ = package::parse(&format!("{LEAST}{key}.x.{inner} = {leaf}\n"));
        let _ = package::parse(&format!("{{\"{key}\": {{\"{inner}\": {leaf}}}}}"));
    }

    #[test]
    fn no_template_and_no_setting_makes_it_panic(text in "\\PC{0,60}") {
        let package = keeper();
        let _ = package::template_fault(&text, &package);
        for setting in package.settings.values() {
            let _ = setting.value(&text);
        }
        let _ = parse_sample(&text, &package);
    }
}
