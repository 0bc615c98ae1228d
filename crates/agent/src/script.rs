//! Scripts of packages in their nodes: run to their end, within their time, heard.

use crate::held::Held;
use crate::node::ask;
use lace_machine::{ExecSpec, NodeHandle};
use lace_model::Span;
use lace_model::document::{ActionRun, NodeEntry};
use lace_model::package::words_of;
use std::time::Duration;

/// Lines of what an action said that are passed on, the last ones: they are stored.
const LINES_MAX: usize = 100;
/// Characters of a line.
const LINE_CHARS_MAX: usize = 200;

/// Runs an action of the node's package.
pub async fn act(
    held: &Held,
    entry: &NodeEntry,
    node: &NodeHandle,
    action: ActionRun,
) -> Result<Vec<String>, String> {
    let package = entry.spec.package.as_ref().filter(|package| package.tree == action.tree);
    if package.is_none() {
        return Err("the node has another version of the package; try again when it was replaced".into());
    }
    let command = ExecSpec::new(words_of(action.name.as_str(), &action.file));
    let command = action.env.into_iter().fold(command, ExecSpec::with);
    let mut secrets = Vec::new();
    for (variable, secret) in action.secrets {
        let value = held.secret(&secret.key()).and_then(|value| String::from_utf8(value).ok());
        let value = value.ok_or_else(|| format!("the value of {variable} has not come to this host"))?;
        secrets.push((variable, value));
    }
    let hidden: Vec<String> = secrets.iter().map(|(_, value)| value.clone()).collect();
    let command = secrets.into_iter().fold(command, ExecSpec::with);
    match run(node, command, action.timeout).await {
        Ok(lines) => Ok(lines.into_iter().map(|line| without(&hidden, line)).collect()),
        Err(cause) => Err(without(&hidden, cause)),
    }
}

/// Shorter values are parts of other words.
const HIDDEN_CHARS_MIN: usize = 4;

/// What a script said, without secrets that it was told: what it says is stored.
fn without(hidden: &[String], text: String) -> String {
    let long = |value: &&String| value.chars().count() >= HIDDEN_CHARS_MIN;
    let parts = hidden.iter().flat_map(|value| value.lines().map(str::to_owned));
    let parts: Vec<String> = parts.collect();
    parts.iter().filter(long).fold(text, |text, value| text.replace(value.as_str(), "***"))
}

/// Runs a script to its good end, and says what it said.
///
/// # Errors
/// How else it ended, with its last words.
pub async fn run(node: &NodeHandle, command: ExecSpec, timeout: Span) -> Result<Vec<String>, String> {
    let within = Duration::from_millis(timeout.0);
    let (exit, out, err) = ask(node, move |node| node.output_within(&command, within)).await?;
    if exit.code == Some(0) {
        return Ok(lines(&out));
    }
    let said = lines(if err.is_empty() { &out } else { &err });
    Err(format!("{} {}", exit.reason, said.last().map_or("", String::as_str)))
}

/// The last lines of an output, as people may see them.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let shown = |line: &str| line.chars().filter(|c| !c.is_control()).take(LINE_CHARS_MAX).collect();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(LINES_MAX)..].iter().map(|line| shown(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_not_heard() {
        let hidden = ["hunter2 two".to_owned(), "abc".to_owned()];
        assert_eq!(without(&hidden, "it is hunter2 two, abc".into()), "it is ***, abc");
    }

    #[test]
    fn the_last_lines_are_heard_without_what_a_terminal_would_obey() {
        assert_eq!(lines(b"one\n\x1b[2Jtwo\n"), ["one", "[2Jtwo"]);
        let many: String = (0..500).map(|n| format!("{n}\n")).collect();
        assert_eq!(lines(many.as_bytes()).first().map(String::as_str), Some("400"));
        assert_eq!(lines("ä".repeat(1000).as_bytes())[0].chars().count(), LINE_CHARS_MAX);
        assert!(lines(b"").is_empty());
    }
}
