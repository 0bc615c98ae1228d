//! Rules that no single value shows: names that point at nothing, things that are there twice, bounds on numbers.

use super::setting::Setting;
use super::{RENEW_PASSWORD, Verb, read};
use crate::ByteSize;
use crate::manifest::mistake::{Mistakes, nearest};
use crate::manifest::shape::join;
use crate::manifest::tree::{Key, Node};
use crate::manifest::whole::{LEAST, hides_system, taken};
use std::collections::BTreeMap;

/// Most things of a kind that a package may have: many more than any has, and little enough for one look.
const MOST: [(&str, usize); 10] = [
    ("role", 16),
    ("setting", 200),
    ("port", 50),
    ("provides", 20),
    ("consumes", 20),
    ("template", 100),
    ("action", 50),
    ("volume", 16),
    ("metric", 200),
    ("image.packages", 100),
];
/// Most parameters of an action, and most words of a choice.
const PARAMETERS_MAX: usize = 50;
const CHOICES_MAX: usize = 100;
/// Longest time of a script.
const TIMEOUT_MAX: crate::Span = crate::Span::secs(24 * 3600);

/// Checks the parts of a package against one another.
pub(super) fn check(tree: &Node, mistakes: &mut Mistakes) {
    amounts(tree, mistakes);
    roles(tree, mistakes);
    settings(tree, "setting", "setting", mistakes);
    ports(tree, mistakes);
    doors(tree, mistakes);
    templates(tree, mistakes);
    volumes(tree, mistakes);
    actions(tree, mistakes);
    times(tree, mistakes);
    reload(tree, mistakes);
    checks(tree, mistakes);
}

/// One way of telling a change, and something that can change.
fn reload(tree: &Node, mistakes: &mut Mistakes) {
    let Some(node) = tree.get("reload") else { return };
    if tree.get("script").is_some_and(|script| script.get("notify").is_some()) {
        let hint = "leave one of them out: the script may send the signal";
        mistakes.hint(node.place, "reload", "changes are told by the script `notify` already", hint);
    }
    if names(tree, "template").next().is_none() {
        let hint = "add [template], or the script `notify`";
        mistakes.hint(node.place, "reload", "no template is there that could change", hint);
    }
}

fn amounts(tree: &Node, mistakes: &mut Mistakes) {
    for (key, most) in MOST {
        let said = key.split('.').try_fold(tree, |node, part| node.get(part));
        let Some(said) = said else { continue };
        let count = said.fields().map(Vec::len).or(said.list().map(<[_]>::len)).unwrap_or_default();
        too_many(said, key, count, most, mistakes);
    }
    if let Some(role) = tree.get("role").filter(|role| role.fields().is_some_and(Vec::is_empty)) {
        mistakes.hint(role.place, "role", "the package has no role", "write [role.NAME]");
    }
}

fn too_many(node: &Node, key: &str, count: usize, most: usize, mistakes: &mut Mistakes) {
    if count > most {
        mistakes.add(node.place, key, format!("there are {count}; at most {most} are allowed"));
    }
}

fn names<'a>(tree: &'a Node, key: &'a str) -> impl Iterator<Item = &'a str> {
    tree.each(key).map(|(key, _)| key.name.as_str())
}

/// What a text names has to be there. Not asked of a text that is no name at all: that is said already.
fn known(tree: &Node, said: Option<&Node>, kind: &str, path: &str, mistakes: &mut Mistakes) {
    let Some((node, word)) = said.and_then(|node| Some((node, node.text()?))) else { return };
    let word = word.split('/').next().unwrap_or_default();
    if crate::manifest::format::named_door(word).is_some() || kind == "setting" {
        if names(tree, kind).any(|name| name == word) {
            return;
        }
        let hint = nearest(word, names(tree, kind));
        mistakes.hint(node.place, path, format!("there is no {kind} {word:?}"), hint);
    }
}

fn known_roles(tree: &Node, node: &Node, key: &str, path: &str, mistakes: &mut Mistakes) {
    for said in node.get(key).and_then(Node::list).unwrap_or_default() {
        known(tree, Some(said), "role", &join(path, key), mistakes);
    }
}

fn roles(tree: &Node, mistakes: &mut Mistakes) {
    for (key, node) in tree.each("role") {
        let path = format!("role.{}", key.name);
        let of = |key: &str| node.u32_of(key);
        let (count, min) = (of("count").unwrap_or(1), of("min").unwrap_or(0));
        let max = of("max").unwrap_or(u32::MAX);
        if min > max {
            mistakes.add(node.place, &path, format!("min {min} is more than max {max}"));
        } else if count < min || count > max {
            let place = node.get("count").unwrap_or(node).place;
            let message = format!("{count} is not between min {min} and max {max}");
            let hint = format!("write count = {}", count.clamp(min, max));
            mistakes.hint(place, &join(&path, "count"), message, hint);
        }
        if let Some(said) = node.get("memory").filter(|_| small(node, "memory")) {
            mistakes.add(said.place, &join(&path, "memory"), format!("no program runs in less than {LEAST}"));
        }
        known_roles(tree, node, "shares", &path, mistakes);
        shares_itself(node, key, &path, mistakes);
    }
}

fn shares_itself(node: &Node, key: &Key, path: &str, mistakes: &mut Mistakes) {
    let said = node.get("shares").and_then(Node::list).unwrap_or_default().iter();
    for said in said.filter(|said| said.text() == Some(&key.name)) {
        mistakes.add(said.place, &join(path, "shares"), "a role does its own work anyway");
    }
}

fn small(node: &Node, key: &str) -> bool {
    node.parsed_of::<ByteSize>(key).is_some_and(|size| size < LEAST)
}

/// Settings of the package, or parameters of an action.
fn settings(parent: &Node, key: &str, path: &str, mistakes: &mut Mistakes) {
    for (name, node) in parent.each(key) {
        let path = join(path, &name.name);
        let setting = read::setting(node);
        choices(&setting, node, &path, mistakes);
        for (bound, text) in [("min", &setting.min), ("max", &setting.max)] {
            let Some((said, text)) = node.get(bound).zip(text.as_ref()) else { continue };
            let path = join(&path, bound);
            match setting.kind {
                kind if kind.is_ordered() => {
                    if let Err(message) = kind.value(text) {
                        mistakes.add(said.place, &path, message);
                    }
                }
                super::SettingKind::Text if bound == "max" && text.parse::<u32>().is_ok() => {}
                super::SettingKind::Text if bound == "max" => {
                    mistakes.add(said.place, &path, format!("{text:?} is not a number of characters"));
                }
                _ => mistakes.add(said.place, &path, "values of this type have no such bound"),
            }
        }
        if setting.is_empty() {
            mistakes.add(node.place, &path, "no value is between min and max");
        } else if let Some((said, text)) = node.get("default").zip(setting.default.as_ref())
            && let Err(message) = setting.value(text)
        {
            mistakes.add(said.place, &join(&path, "default"), message);
        }
    }
}

fn choices(setting: &Setting, node: &Node, path: &str, mistakes: &mut Mistakes) {
    let is_choice = setting.kind == super::SettingKind::Choice;
    match node.get("choices") {
        Some(said) if !is_choice => {
            mistakes.hint(
                said.place,
                &join(path, "choices"),
                "only a choice has them",
                "write type = \"choice\"",
            );
        }
        Some(said) => too_many(said, path, setting.choices.len(), CHOICES_MAX, mistakes),
        None => {}
    }
    if is_choice && setting.choices.is_empty() {
        mistakes.hint(node.place, path, "a choice of nothing", "write choices = [\"on\", \"off\"]");
    }
}

/// Two ports of one node cannot have the same number.
fn ports(tree: &Node, mistakes: &mut Mistakes) {
    let mut seen: Vec<(&Key, &Node)> = Vec::new();
    for (key, node) in tree.each("port") {
        let path = format!("port.{}", key.name);
        known(tree, node.get("setting"), "setting", &join(&path, "setting"), mistakes);
        known_roles(tree, node, "roles", &path, mistakes);
        let same = seen.iter().find(|(_, other)| clash(node, other));
        if let (Some((other, _)), Some(number)) = (same, node.get("number")) {
            let message = format!("the port {:?} has this number too", other.name);
            mistakes.add(number.place, &join(&path, "number"), message);
        }
        seen.push((key, node));
    }
}

fn clash(one: &Node, other: &Node) -> bool {
    let transport = |node: &Node| node.text_of("protocol").unwrap_or_else(|| "tcp".into());
    let roles = |node: &Node| node.words_of("roles").unwrap_or_default();
    let (of_one, of_other) = (roles(one), roles(other));
    let meet = of_one.is_empty() || of_other.is_empty() || of_one.iter().any(|role| of_other.contains(role));
    let number = one.u32_of("number");
    number.is_some() && number == other.u32_of("number") && transport(one) == transport(other) && meet
}

/// Interfaces, checks and figures speak of ports.
fn doors(tree: &Node, mistakes: &mut Mistakes) {
    for (key, node) in tree.each("provides") {
        let path = format!("provides.{}", key.name);
        known(tree, node.get("port"), "port", &join(&path, "port"), mistakes);
        known_roles(tree, node, "roles", &path, mistakes);
    }
    for part in ["check", "live", "metrics"] {
        let Some(node) = tree.get(part) else { continue };
        for key in ["http", "tcp"] {
            known(tree, node.get(key), "port", &join(part, key), mistakes);
        }
    }
}

fn templates(tree: &Node, mistakes: &mut Mistakes) {
    for (key, node) in tree.each("template") {
        let path = format!("template.{:?}", key.name);
        if let Some(taken) = taken(&key.name) {
            mistakes.add(key.place, &path, format!("{taken} belongs to the node itself"));
        }
        known_roles(tree, node, "roles", &path, mistakes);
    }
}

fn volumes(tree: &Node, mistakes: &mut Mistakes) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (key, node) in tree.each("volume") {
        let path = format!("volume.{}", key.name);
        if let Some(said) = node.get("size").filter(|_| small(node, "size")) {
            mistakes.add(said.place, &join(&path, "size"), format!("no volume is smaller than {LEAST}"));
        }
        let Some((said, at)) = node.get("at").and_then(|said| Some((said, said.text()?))) else { continue };
        let path = join(&path, "at");
        if let Some(taken) = taken(at).or(hides_system(at).then_some(at)) {
            mistakes.add(said.place, &path, format!("{taken} belongs to the node itself"));
        }
        if let Some(other) = seen.insert(at.to_owned(), &key.name) {
            mistakes.add(said.place, &path, format!("the volume {other:?} is there already"));
        }
    }
}

fn actions(tree: &Node, mistakes: &mut Mistakes) {
    for (key, node) in tree.each("action") {
        let path = format!("action.{}", key.name);
        if let Some(verb) = Verb::of(&key.name) {
            let hint = format!("write it under [script], or give the action another name than {verb}");
            mistakes.hint(key.place, &path, "this is the name of a verb", hint);
        }
        if key.name == RENEW_PASSWORD {
            mistakes.hint(key.place, &path, "this is an action that Lace has itself", "give it another name");
        }
        known_roles(tree, node, "roles", &path, mistakes);
        let count = node.each("parameter").count();
        too_many(node, &join(&path, "parameter"), count, PARAMETERS_MAX, mistakes);
        settings(node, "parameter", &join(&path, "parameter"), mistakes);
    }
}

fn times(tree: &Node, mistakes: &mut Mistakes) {
    for part in ["script", "action"] {
        for (key, node) in tree.each(part) {
            let Some(said) = node.get("timeout") else { continue };
            let Some(time) = node.parsed_of::<crate::Span>("timeout") else { continue };
            let path = format!("{part}.{}.timeout", key.name);
            if time.0 == 0 || time > TIMEOUT_MAX {
                mistakes.add(said.place, &path, format!("{time} is not between 1ms and {TIMEOUT_MAX}"));
            }
        }
    }
    for part in ["check", "live"] {
        for key in ["interval", "timeout"] {
            let Some(said) = tree.get(part).and_then(|part| part.get(key)) else { continue };
            if said.text().and_then(|text| text.parse().ok()) == Some(crate::Span(0)) {
                mistakes.add(said.place, &join(part, key), "no probe is answered in no time");
            }
        }
    }
}

fn checks(tree: &Node, mistakes: &mut Mistakes) {
    let script = tree.get("script").and_then(|scripts| scripts.get("check"));
    if let Some((said, _)) = tree.get("check").zip(script) {
        let hint = "take out [check], or `check` of [script]; [check] may name a script too";
        mistakes.hint(said.place, "check", "said twice: the script `check` says it too", hint);
    }
    let figures = tree.get("metric").filter(|_| tree.get("metrics").is_none());
    if let Some(said) = figures {
        let hint = "write [metrics] with http or script";
        mistakes.hint(said.place, "metric", "nothing says where the figures are read", hint);
    }
}
