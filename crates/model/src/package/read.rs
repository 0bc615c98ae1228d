//! From a checked tree to a package. What the shapes have refused is passed over here without a word.

use super::{
    Action, Checked, Consumed, ImageWish, Metric, MetricSource, Package, Port, Provided, Question, Role,
    SCRIPT_TIMEOUT, Script, Setting, Storage, Template, Verb,
};
use crate::Name;
use crate::manifest::COUNT_MAX;
use crate::manifest::format;
use crate::manifest::tree::Node;
use crate::revision::{Protocol, StopSpec};
use std::collections::{BTreeMap, BTreeSet};

/// The package; `None` where its name or version is missing.
pub(super) fn package(tree: &Node) -> Option<Package> {
    let head = tree.get("package")?;
    let scripts = scripts(tree);
    let own = scripts.get(&Verb::Check).map(asks_script);
    Some(Package {
        name: head.parsed_of("name")?,
        version: head.text_of("version")?,
        summary: head.text_of("summary").unwrap_or_default(),
        state: head.word_of("state").unwrap_or_default(),
        release: head.word_of("release").unwrap_or_default(),
        change_if_all: head.text_of("change_if_all"),
        roles: named(tree, "role", |node| Some(role(node))),
        settings: by_text(tree, "setting", |node| Some(setting(node))),
        ports: named(tree, "port", port),
        provides: named(tree, "provides", provided),
        consumes: by_text(tree, "consumes", consumed),
        templates: by_text(tree, "template", template),
        actions: named(tree, "action", action),
        volumes: named(tree, "volume", storage),
        check: tree.get("check").and_then(checked).or(own),
        live: tree.get("live").and_then(checked),
        metrics: tree.get("metrics").and_then(metrics),
        metric: by_text(tree, "metric", metric),
        stop: tree.get("stop").map(stop).unwrap_or_default(),
        reload: tree.get("reload").and_then(|reload| reload.text_of("signal")),
        image: tree.get("image").map(image).unwrap_or_default(),
        scripts,
    })
}

fn named<T>(tree: &Node, key: &str, one: impl Fn(&Node) -> Option<T>) -> BTreeMap<Name, T> {
    tree.each(key).filter_map(|(key, node)| Some((Name::new(key.name.clone()).ok()?, one(node)?))).collect()
}

fn by_text<T>(tree: &Node, key: &str, one: impl Fn(&Node) -> Option<T>) -> BTreeMap<String, T> {
    tree.each(key).filter_map(|(key, node)| Some((key.name.clone(), one(node)?))).collect()
}

fn roles(node: &Node, key: &str) -> BTreeSet<Name> {
    let words = node.words_of(key).unwrap_or_default();
    words.into_iter().filter_map(|word| Name::new(word).ok()).collect()
}

fn help(node: &Node) -> String {
    node.text_of("help").unwrap_or_default()
}

fn role(node: &Node) -> Role {
    Role {
        help: help(node),
        count: node.u32_of("count").unwrap_or(1),
        min: node.u32_of("min").unwrap_or(0),
        max: node.u32_of("max").unwrap_or(COUNT_MAX),
        shares: roles(node, "shares"),
        cpu: node.parsed_of("cpu"),
        memory: node.parsed_of("memory"),
        disk: node.parsed_of("disk"),
        pids: node.u32_of("pids"),
    }
}

/// One setting or parameter.
pub(super) fn setting(node: &Node) -> Setting {
    let scalar = |key: &str| node.get(key).and_then(Node::scalar);
    Setting {
        kind: node.text_of("type").map_or(Default::default(), |_| node.word_of("type").unwrap_or_default()),
        default: scalar("default"),
        help: help(node),
        min: scalar("min"),
        max: scalar("max"),
        choices: node.words_of("choices").unwrap_or_default(),
        secret: node.flag_of("secret").unwrap_or(false),
    }
}

fn port(node: &Node) -> Option<Port> {
    Some(Port {
        number: node.u32_of("number")?.try_into().ok()?,
        protocol: node.word_of("protocol").unwrap_or(Protocol::Tcp),
        setting: node.text_of("setting"),
        roles: roles(node, "roles"),
        help: help(node),
    })
}

fn provided(node: &Node) -> Option<Provided> {
    let password = node.flag_of("password").unwrap_or(false);
    Some(Provided { port: node.parsed_of("port")?, roles: roles(node, "roles"), password, help: help(node) })
}

fn consumed(node: &Node) -> Option<Consumed> {
    let required = node.flag_of("required").unwrap_or(false);
    Some(Consumed { interface: node.parsed_of("interface")?, required, help: help(node) })
}

fn template(node: &Node) -> Option<Template> {
    let from = node.text().map(str::to_owned).or_else(|| node.text_of("from"))?;
    let mode = node.text_of("mode").and_then(|text| format::mode(&text)).unwrap_or(0o644);
    Some(Template { from, mode, roles: roles(node, "roles") })
}

fn scripts(tree: &Node) -> BTreeMap<Verb, Script> {
    let one = |node: &Node| {
        let file = node.text().map(str::to_owned).or_else(|| node.text_of("file"))?;
        let timeout = node.parsed_of("timeout").unwrap_or(SCRIPT_TIMEOUT);
        Some(Script { file, timeout, roles: roles(node, "roles") })
    };
    tree.each("script").filter_map(|(key, node)| Some((Verb::of(&key.name)?, one(node)?))).collect()
}

fn asks_script(script: &Script) -> Checked {
    let question = Question::Script { file: script.file.clone() };
    Checked { question, interval: None, timeout: Some(script.timeout), failures: None, grace: None }
}

fn action(node: &Node) -> Option<Action> {
    Some(Action {
        file: node.text_of("script")?,
        help: help(node),
        timeout: node.parsed_of("timeout").unwrap_or(SCRIPT_TIMEOUT),
        roles: roles(node, "roles"),
        once: node.flag_of("once").unwrap_or(false),
        if_all: node.text_of("if_all"),
        if_any: node.text_of("if_any"),
        parameters: by_text(node, "parameter", |node| Some(setting(node))),
    })
}

fn storage(node: &Node) -> Option<Storage> {
    Some(Storage { size: node.parsed_of("size")?, at: node.text_of("at")? })
}

fn checked(node: &Node) -> Option<Checked> {
    let http = node.text_of("http").and_then(|door| format::named_door(&door));
    let question = http
        .map(|(port, path)| Question::Http { port, path })
        .or_else(|| Some(Question::Tcp { port: node.parsed_of("tcp")? }))
        .or_else(|| Some(Question::Script { file: node.text_of("script")? }))?;
    Some(Checked {
        question,
        interval: node.parsed_of("interval"),
        timeout: node.parsed_of("timeout"),
        failures: node.u32_of("failures"),
        grace: node.parsed_of("grace"),
    })
}

fn metrics(node: &Node) -> Option<MetricSource> {
    let http = node.text_of("http").and_then(|door| format::named_door(&door));
    http.map(|(port, path)| MetricSource::Http { port, path })
        .or_else(|| Some(MetricSource::Script { file: node.text_of("script")? }))
}

fn metric(node: &Node) -> Option<Metric> {
    let unit = node.text_of("unit").unwrap_or_default();
    Some(Metric { help: help(node), unit, kind: node.word_of("kind").unwrap_or_default() })
}

fn stop(node: &Node) -> StopSpec {
    let usual = StopSpec::default();
    StopSpec {
        signal: node.text_of("signal").unwrap_or(usual.signal),
        timeout: node.parsed_of("timeout").unwrap_or(usual.timeout),
    }
}

fn image(node: &Node) -> ImageWish {
    ImageWish {
        packages: node.words_of("packages").unwrap_or_default(),
        programs: node.words_of("programs").unwrap_or_default(),
    }
}
