//! Templates: the words that a node's renderer knows. An unknown one would end each start of each node instead.

use super::mistake::{Mistakes, nearest};
use super::shape::join;
use super::tree::Node;
use std::collections::BTreeSet;

/// What a template may speak of; variables (`vars.NAME`) were filled in before.
const WORDS: [&str; 8] = ["self", "index", "first", "all", "members", "env", "secrets", "links"];
/// What is known of a node. The engine does not tell what is asked of `self`, so only `first` is compared with it.
const OF_A_NODE: [&str; 6] = ["index", "name", "fqdn", "address", "state", "node"];
/// Functions that the engine brings.
const FUNCTIONS: [&str; 4] = ["range", "dict", "debug", "namespace"];

/// Checks each text of a service that is rendered: environment, commands, contents of files.
pub(super) fn check(service: &str, node: &Node, mistakes: &mut Mistakes) {
    let path = format!("service.{service}");
    let mut texts: Vec<(String, &Node)> =
        node.each("env").map(|(key, value)| (format!("{path}.env.{}", key.name), value)).collect();
    let release = node.get("release").and_then(|release| release.get("start"));
    let joins = node.get("bootstrap");
    let joins = joins.and_then(|said| said.get("command")).or(joins.filter(|said| said.fields().is_none()));
    let commands = [("command", node.get("command")), ("release.start", release), ("bootstrap", joins)];
    let tasks =
        node.each("task").map(|(key, task)| (format!("task.{}.command", key.name), task.get("command")));
    for (key, words) in commands.map(|(key, words)| (key.to_owned(), words)).into_iter().chain(tasks) {
        let Some(said) = words else { continue };
        match said.list() {
            Some(words) => texts.extend(words.iter().map(|word| (join(&path, &key), word))),
            None => texts.push((join(&path, &key), said)),
        }
    }
    for (key, file) in node.each("files").filter(|(_, file)| file.flag_of("verbatim") != Some(true)) {
        texts.extend(file.get("content").map(|content| (format!("{path}.files.{:?}", key.name), content)));
    }
    for (key, said) in texts {
        if let Some((message, hint)) = said.text().and_then(fault) {
            mistakes.hint(said.place, &key, message, hint);
        }
    }
}

/// What is wrong with a template, and how to mend it.
pub(super) fn fault(text: &str) -> Option<(String, String)> {
    fault_beside(text, &[])
}

/// As [`fault`], where more words are known.
pub(crate) fn fault_beside(text: &str, more: &[&str]) -> Option<(String, String)> {
    if !["{{", "{%", "{#"].iter().any(|opening| text.contains(opening)) {
        return None;
    }
    let engine = minijinja::Environment::new();
    let template = match engine.template_from_str(text) {
        Ok(template) => template,
        Err(error) => {
            let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            let line = error
                .line()
                .filter(|_| text.contains('\n'))
                .map_or(String::new(), |n| format!(" in its line {n}"));
            let hint = "an expression is written {{word}}; a file with signs of its own is `verbatim = true`";
            return Some((format!("this is no template{line}: {detail}"), hint.into()));
        }
    };
    let used: BTreeSet<String> = template.undeclared_variables(true).into_iter().collect();
    used.iter().find_map(|word| {
        let mut parts = word.split('.');
        let first = parts.next().unwrap_or_default();
        if !WORDS.contains(&first) && !FUNCTIONS.contains(&first) && !more.contains(&first) {
            let mut known: Vec<&str> = words().collect();
            known.extend(more);
            return Some((format!("templates do not know the word {first:?}"), nearest(first, known)));
        }
        let of = parts.next().filter(|of| first == "first" && !OF_A_NODE.contains(of))?;
        Some((format!("templates do not know {of:?} of a node"), nearest(of, OF_A_NODE)))
    })
}

fn words() -> impl Iterator<Item = &'static str> {
    WORDS.into_iter().chain(["vars"])
}
