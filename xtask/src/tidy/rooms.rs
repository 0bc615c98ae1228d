//! What a room may say: the rules of architecture.toml, on words and imports.

use std::collections::BTreeSet;

use super::Finding;
use super::architecture::Rule;
use super::source::Source;

pub fn check(sources: &[Source], rules: &[Rule]) -> Vec<Finding> {
    let pairs = sources.iter().flat_map(|source| rules.iter().map(move |rule| (source, rule)));
    pairs
        .filter(|(source, rule)| rule.holds_in(&source.path))
        .flat_map(|(source, rule)| check_one(source, rule))
        .collect()
}

fn check_one(source: &Source, rule: &Rule) -> Vec<Finding> {
    let mut found: BTreeSet<(usize, String)> = BTreeSet::new();
    let words: Vec<&str> = source.words.iter().map(|word| word.text.as_str()).collect();
    for entry in &rule.deny {
        found.extend(lines_with(source, &words, entry).into_iter().map(|line| (line, format!("`{entry}`"))));
    }
    for begin in &rule.literals {
        let texts = source.literals.iter().filter(|one| one.text.trim_start().starts_with(begin));
        found.extend(texts.map(|one| (one.line, format!("a text that begins with `{begin}`"))));
    }
    found
        .into_iter()
        .filter(|(line, _)| rule.tests || !source.is_test_at(*line))
        .map(|(line, what)| finding(source, rule, line, &what))
        .collect()
}

fn finding(source: &Source, rule: &Rule, line: usize, what: &str) -> Finding {
    Finding::new(&source.path, line, &rule.name, format!("{what} does not belong here"), &rule.mend)
}

/// Lines where the entry stands, in the code or spelled out of a `use`.
fn lines_with(source: &Source, words: &[&str], entry: &str) -> BTreeSet<usize> {
    let whole = pattern(entry);
    let short = shortened(&whole);
    let in_code = places(words, short).map(|at| source.words[at].line);
    let imported = source.imports.iter().filter(|import| {
        let words: Vec<&str> = import.words.iter().map(String::as_str).collect();
        places(&words, short).next().is_some()
    });
    in_code.chain(imported.map(|import| import.line)).collect()
}

/// `std::process::Command` -> `std` `::` `process` `::` `Command`; `todo!` -> `todo` `!`.
fn pattern(entry: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (index, part) in entry.split("::").enumerate() {
        if index > 0 {
            words.push("::");
        }
        match part.strip_suffix('!') {
            Some(name) => words.extend([name, "!"]),
            None => words.push(part),
        }
    }
    words
}

/// A long path is also found by its last two names, as one writes it after `use a::b`.
fn shortened<'a>(pattern: &'a [&'a str]) -> &'a [&'a str] {
    let from = if pattern.len() >= 5 { pattern.len() - 3 } else { 0 };
    &pattern[from..]
}

fn places<'a>(words: &'a [&str], pattern: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let fits = move |window: &[&str]| window == pattern;
    words.windows(pattern.len()).enumerate().filter(move |(_, w)| fits(w)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(deny: &[&str], tests: bool) -> Rule {
        Rule {
            name: "a rule".into(),
            within: vec!["crates/x".into()],
            except: vec!["crates/x/src/free.rs".into()],
            tests,
            deny: deny.iter().map(|entry| (*entry).to_owned()).collect(),
            literals: vec!["SELECT ".into()],
            mend: "mend it".into(),
        }
    }

    fn lines(path: &str, text: &str, rule: Rule) -> Vec<usize> {
        let source = Source::parse(path, text).unwrap();
        check(&[source], &[rule]).into_iter().map(|finding| finding.line).collect()
    }

    fn found(text: &str) -> Vec<usize> {
        let deny = ["std::process::Command", "Instant::now", "async", "libc::fork", "todo!"];
        lines("crates/x/src/a.rs", text, rule(&deny, false))
    }

    #[test]
    fn a_path_is_found_however_it_is_written() {
        for text in [
            "use std::process::Command;",
            "use std::{io, process::{Command, Stdio}};",
            "use std::process::Command as Run;",
            "fn f() { std::process::Command::new(\"x\"); }",
            "fn f() { process::Command::new(\"x\"); }",
            "fn f() { select! { a = process::Command::new() => {} } }",
            "use libc::{c_int, fork};",
            "fn f() { Instant::now(); }",
            "async fn f() {}",
            "fn f() { let s = r\"\n  SELECT x\"; }",
            "fn f() { todo!() }",
        ] {
            assert_eq!(found(text), [1], "{text}");
        }
    }

    #[test]
    fn comments_texts_and_likenesses_pass() {
        for text in [
            "// std::process::Command\nfn f() {}",
            "/// Instant::now\nfn f() {}",
            "fn f() { let s = \"Instant::now async\"; }",
            "use std::process::exit;",
            "fn asynchronous(todo: bool) {}",
            "#[cfg(test)]\nmod tests { use std::process::Command; }",
        ] {
            assert_eq!(found(text), [] as [usize; 0], "{text}");
        }
    }

    #[test]
    fn a_rule_for_tests_holds_in_tests() {
        let text = "#[cfg(test)]\nmod tests {\n fn f() { todo!() }\n}";
        assert_eq!(lines("crates/x/src/a.rs", text, rule(&["todo!"], true)), [3]);
    }

    #[test]
    fn a_rule_holds_within_its_folders_but_for_its_exceptions() {
        let text = "async fn f() {}";
        assert_eq!(lines("crates/x/src/free.rs", text, rule(&["async"], true)), [] as [usize; 0]);
        assert_eq!(lines("crates/xy/src/a.rs", text, rule(&["async"], true)), [] as [usize; 0]);
    }
}
