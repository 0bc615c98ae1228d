//! Scenarios: scripts of our own commands with the output that they shall have, against a real installation each.
//!
//! A file in `tests/scenarios` is read from top to bottom:
//!
//! - `# ...`: a remark.
//! - `--- PATH [executable]` up to `---`: the file is written, below the scenario's own directory.
//! - `$ lace WORDS`: is run there. `NAME=VALUE` may stand before it, `<<< TEXT` (its stdin) behind it; `$TOKEN`, `$ID`
//!   and `$FIRST` in the words are the last token, the last id, and the first id of the last answer that had one, `$URL` is the controller's address, `$HOST`
//!   this machine's name as a host.
//! - `$ until TEXT: lace WORDS`: is run until its output holds the text, within a minute; the output is not compared.
//! - what follows is the output: stdout, the lines of stderr behind `! `, and `[exit N]` where N is not 0. `[..]` stands
//!   for anything within a line.
//!
//! What is never the same twice is replaced first (see `stable`). `LACE_BLESS=1` writes what comes into the files.

mod stable;

use crate::lace::{Lace, Ran, eventually, may_run};
use stable::Stable;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

macro_rules! scenarios {
    ($($name:ident in $net:literal, $quarter:literal;)*) => {
        $(#[test]
        fn $name() {
            play(stringify!($name), $net, $quarter);
        })*
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    a_first_day in 221, 0;
    a_plan_that_is_late in 221, 1;
    bad_versions in 221, 2;
    hosts_and_nodes in 187, 0;
    jobs_and_schedules in 221, 3;
    mistakes in 222, 0;
    people in 166, 2;
    secrets in 222, 1;
    steering_a_rollout in 187, 1;
    tokens_and_roles in 222, 2;
    volumes in 222, 3;
}

#[test]
fn every_scenario_is_played() {
    let files = fs::read_dir(dir()).expect("scenarios").flatten();
    let mut found: Vec<String> =
        files.filter_map(|f| Some(f.path().file_stem()?.to_str()?.to_owned())).collect();
    found.sort();
    assert_eq!(found, NAMES);
}

/// One step: what is typed and what it shall say.
struct Step {
    line: String,
    expected: Vec<String>,
}

/// What a scenario consists of.
enum Part {
    Remark(String),
    File { head: String, text: String },
    Step(Step),
}

fn parse(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(head) = line.strip_prefix("--- ") {
            let text = lines.by_ref().take_while(|l| *l != "---").map(|l| format!("{l}\n")).collect();
            parts.push(Part::File { head: head.to_owned(), text });
        } else if let Some(typed) = line.strip_prefix("$ ") {
            parts.push(Part::Step(Step { line: typed.to_owned(), expected: Vec::new() }));
        } else if line.is_empty() || line.starts_with('#') {
            parts.push(Part::Remark(line.to_owned()));
        } else if let Some(Part::Step(step)) = parts.last_mut() {
            step.expected.push(line.to_owned());
        } else {
            panic!("what is {line:?}?");
        }
    }
    parts
}

fn print(parts: &[Part]) -> String {
    let one = |part: &Part| match part {
        Part::Remark(line) => format!("{line}\n"),
        Part::File { head, text } => format!("--- {head}\n{text}---\n"),
        Part::Step(step) => {
            let said: String = step.expected.iter().map(|line| format!("{line}\n")).collect();
            format!("$ {}\n{said}", step.line)
        }
    };
    parts.iter().map(one).collect()
}

fn play(name: &str, net: u8, quarter: u8) {
    if !may_run() {
        return;
    }
    let file = dir().join(name).with_extension("scenario");
    let mut parts = parse(&fs::read_to_string(&file).expect("a scenario"));
    let lace = Lace::up_in(net, quarter);
    let place = lace.files().join("work");
    fs::create_dir_all(&place).expect("made");
    let mut stable = Stable::of(&lace, &place, net);
    let mut wrong = Vec::new();
    for part in &mut parts {
        match part {
            Part::Remark(_) => {}
            Part::File { head, text } => write(&place, head, text),
            Part::Step(step) => {
                let said = take(&lace, &place, &mut stable, &step.line);
                if !is_as_expected(&step.expected, &said) {
                    wrong.push(format!(
                        "$ {}\nexpected:\n{}\nsaid:\n{}",
                        step.line,
                        step.expected.join("\n"),
                        said.join("\n")
                    ));
                    step.expected = said;
                }
            }
        }
    }
    if std::env::var_os("LACE_BLESS").is_some() {
        fs::write(&file, print(&parts)).expect("written");
    } else {
        assert!(wrong.is_empty(), "{name}: LACE_BLESS=1 takes what it says now\n{}", wrong.join("\n\n"));
    }
    lace.down_and_nothing_left();
}

fn write(place: &Path, head: &str, text: &str) {
    let (path, mode) = match head.strip_suffix(" executable") {
        Some(path) => (place.join(path), 0o755),
        None => (place.join(head), 0o644),
    };
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
}

/// Runs a step's line and answers what it says, made stable.
fn take(lace: &Lace, place: &Path, stable: &mut Stable, line: &str) -> Vec<String> {
    let (until, line) = match line.strip_prefix("until ") {
        Some(rest) => rest.split_once(": ").map_or((None, rest), |(text, line)| (Some(text), line)),
        None => (None, line),
    };
    let (line, stdin) = line.split_once(" <<< ").unwrap_or((line, ""));
    let mut words: Vec<String> = words(line).into_iter().map(|word| stable.filled(&word)).collect();
    let at = words.iter().position(|word| word == "lace").expect("lace is run");
    let env: Vec<_> = words.drain(..=at).filter_map(|w| w.split_once('=').map(own)).collect();
    let run = || lace.run_in(place, &words, &env, stdin);
    let mut ran = run();
    if let Some(text) = until {
        eventually(line, || {
            let holds = ran.out.contains(text) || ran.err.contains(text);
            if !holds {
                ran = run();
            }
            holds
        });
    }
    stable.note(&ran);
    if until.is_some() {
        return Vec::new();
    }
    let mut lines: Vec<_> = told(&ran).iter().map(|line| stable.line(line)).collect();
    lines.retain(|line| !stable.is_progress(line));
    // Nodes speak in any order.
    lines.chunk_by_mut(|a, b| a.contains(" | ") && b.contains(" | ")).for_each(|of_nodes| {
        of_nodes.sort_by(|a, b| a.split(" | ").next().cmp(&b.split(" | ").next()));
    });
    lines
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn told(ran: &Ran) -> Vec<String> {
    let full = |line: &&str| !line.trim().is_empty();
    let out = ran.out.lines().filter(full).map(str::to_owned);
    let mut lines: Vec<_> = out.chain(ran.err.lines().filter(full).map(|line| format!("! {line}"))).collect();
    if ran.status != 0 {
        lines.push(format!("[exit {}]", ran.status));
    }
    lines
}

/// Words of a line; quotes keep blanks in a word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn is_as_expected(expected: &[String], said: &[String]) -> bool {
    let fits = |(expected, said): (&String, &String)| fits(expected, said);
    expected.len() == said.len() && expected.iter().zip(said).all(fits)
}

/// `[..]` stands for anything.
fn fits(expected: &str, said: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == said,
        Some((before, after)) => said.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| fits(after, &rest[at..]))
        }),
    }
}

#[test]
fn a_script_is_printed_as_it_was_read() {
    let text =
        "# day\n--- a/b executable\n#!/bin/sh\n---\n\n$ X=1 lace run 'a b' <<< hello\nout\n! err\n[exit 3]\n";
    assert_eq!(print(&parse(text)), text);
    assert_eq!(words("lace run 'a b' --x \"\""), ["lace", "run", "a b", "--x", ""]);
    assert!(fits("a [..] c[..]", "a bb c") && !fits("a [..] d", "a b c"));
}
