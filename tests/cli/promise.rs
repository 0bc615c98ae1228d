//! The page that promises the command line, held against the command line itself: every command and every flag of its
//! blocks is there, or stands in the list of what is not built yet; and nothing stands there that is.
//!
//! The page lies beside the checkout (`../shared/CLI.md`); where it does not, there is nothing to hold against.

use crate::command::line::Cli;
use clap::CommandFactory;
use std::collections::BTreeSet;
use std::path::Path;

/// What the page promises and later work brings: commands, and flags of commands that are there.
const NOT_YET: &[&str] = &[
    "autoscale",
    "ci",
    "farm",
    "image",
    "import",
    "logdrain",
    "node add --pool",
    "notify",
    "promote",
    "provider check",
    "sync",
    "volume create --shared",
];

/// Flags of lines for several commands, which belong to another one of them (`delete`).
const OF_ANOTHER: &[&str] = &["start --force", "stop --force", "restart --force"];

#[test]
fn the_page_and_the_command_line_say_the_same() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/CLI.md");
    let Ok(text) = std::fs::read_to_string(&page) else { return };
    let promised = promises(&text);
    assert!(promised.len() > 80, "the page has changed its form: {} promises", promised.len());
    let missing: BTreeSet<String> = promised.iter().flat_map(Promise::missing).collect();
    // `start|stop|restart|delete TARGET [--force]`: a flag that one of several has.
    let missing: BTreeSet<String> =
        missing.into_iter().filter(|line| !OF_ANOTHER.contains(&line.as_str())).collect();
    let expected: BTreeSet<String> = NOT_YET.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(missing, expected, "left: missing now; right: the list of what is not built yet");
}

/// A command and the flags that the page names with it.
#[derive(Debug)]
struct Promise {
    words: Vec<String>,
    flags: Vec<String>,
}

impl Promise {
    /// What of it is not there.
    fn missing(&self) -> Vec<String> {
        let mut command = &Cli::command();
        for (depth, word) in self.words.iter().enumerate() {
            match command.find_subcommand(word) {
                Some(inner) => command = inner,
                // What is no command of it is an argument.
                None if depth > 0 && !command.has_subcommands() => break,
                None => return vec![self.words[..=depth].join(" ")],
            }
        }
        let cli = Cli::command();
        let known = |flag: &&String| {
            let named = |arg: &clap::Arg| {
                arg.get_long() == Some(flag) || arg.get_short().map(String::from).as_ref() == Some(flag)
            };
            !command.get_arguments().chain(cli.get_arguments()).any(named)
        };
        let dashes = |flag: &String| if flag.len() == 1 { "-" } else { "--" };
        let words = self.words.join(" ");
        self.flags.iter().filter(known).map(|flag| format!("{words} {}{flag}", dashes(flag))).collect()
    }
}

/// All that the blocks promise. A line may promise several commands, a noun several verbs.
fn promises(page: &str) -> Vec<Promise> {
    let blocks = page.split("```").skip(1).step_by(2).filter(|block| !block.starts_with("toml"));
    let mut all = Vec::new();
    for line in blocks.flat_map(str::lines) {
        // Two commands of a line are far apart; so are a command and what is said of it.
        for piece in line.split("  ").map(str::trim) {
            if let Some(command) = piece.strip_prefix("lace ") {
                all.extend(of_command(command));
            }
        }
    }
    all.extend(of_nouns(page));
    all
}

/// `scale TARGET N [--save]`, `start|stop TARGET [--force]`.
fn of_command(text: &str) -> Vec<Promise> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let names = words.iter().take_while(|word| is_name(word)).count().min(2);
    let flags = flags(text);
    let mut paths: Vec<Vec<String>> = vec![Vec::new()];
    for word in &words[..names] {
        paths = paths
            .iter()
            .flat_map(|path| word.split('|').map(|w| [path.clone(), vec![w.to_owned()]].concat()))
            .collect();
    }
    // `deploy [TARGET]`, `image | farm | ci`: the flags belong to all of them, where there are any.
    paths.into_iter().map(|words| Promise { words, flags: flags.clone() }).collect()
}

/// `pool add NAME --provider P | set | list`, which may go on in the next line.
fn of_nouns(page: &str) -> Vec<Promise> {
    let block = page.split("## Nouns").nth(1).and_then(|rest| rest.split("```").nth(1)).unwrap_or_default();
    let mut all = Vec::new();
    let mut nouns: Vec<String> = Vec::new();
    for line in block.lines() {
        let rest = match line.strip_prefix("lace ") {
            Some(rest) => {
                let (head, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                nouns = head.split('|').map(str::to_owned).collect();
                rest
            }
            None => line,
        };
        // `image | farm | ci` are nouns, each of them.
        if rest.trim_start().starts_with('|') {
            let words =
                rest.split(['|', ' ']).map(str::trim).take_while(|word| !word.starts_with(['(', '.']));
            let others = words.filter(|word| !word.is_empty()).map(str::to_owned);
            all.extend(
                nouns.drain(..).chain(others).map(|noun| Promise { words: vec![noun], flags: Vec::new() }),
            );
            continue;
        }
        for piece in rest.split(" | ").map(str::trim).filter(|piece| !piece.starts_with('(')) {
            let verbs = piece.split_whitespace().next().filter(|word| is_name(word)).unwrap_or_default();
            let words = verbs.split('|').filter(|verb| !verb.is_empty());
            for (noun, verb) in nouns.iter().flat_map(|noun| words.clone().map(move |verb| (noun, verb))) {
                all.push(Promise { words: vec![noun.clone(), verb.to_owned()], flags: flags(piece) });
            }
        }
    }
    all
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c == '|')
}

/// The flags that a piece names, without their dashes; words behind `--` are somebody else's.
fn flags(text: &str) -> Vec<String> {
    let own = text.split(" -- ").next().unwrap_or_default();
    let words = own.split(|c: char| c.is_whitespace() || "[]()|,".contains(c));
    let flag = |word: &str| word.strip_prefix("--").or_else(|| word.strip_prefix('-')).map(str::to_owned);
    // `+N|-N` are numbers.
    let is_flag = |flag: &String| flag.starts_with(|c: char| c.is_ascii_lowercase());
    words.filter_map(flag).filter(is_flag).collect()
}
