//! Packages as files: is everything there that `package.toml` names, is it what it should be, and what do the templates
//! become? The same look for who writes a package, for who uploads one, and for the controller that takes it.

pub mod catalog;
mod files;
mod golden;

pub use golden::{GOLDEN, Rendering, faults, renderings};

use crate::chunk::ChunkSource;
use crate::tree::Limits;
use files::{Files, Text};
use lace_model::package::{self, Named, PACKAGE_FILE, Package, template_fault};
use lace_model::release::Tree;
use lace_model::{Code, Problem};
use std::collections::BTreeSet;

/// How much a package may be: descriptions, scripts and templates. What a service runs is a release or an image.
pub const PACKAGE_LIMITS: Limits =
    Limits { entries: 2_000, bytes: 64 << 20, growth: 100, growth_free: 8 << 20 };

/// Shells that shellcheck understands.
const SHELLS: [&str; 4] = ["sh", "bash", "dash", "ksh"];
/// Files that need no other to name them: what people read, and what golden files are made from.
const FREE: [&str; 5] = ["README", "LICENSE", "CHANGELOG", "samples/", "golden/"];

/// A package and what is to be said about its files.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What its `package.toml` says.
    pub package: Package,
    /// What keeps it from being used, a line each.
    pub mistakes: Vec<String>,
    /// What may be a slip, a line each.
    pub remarks: Vec<String>,
    /// Its scripts that a shell runs.
    pub shells: Vec<String>,
}

impl Looked {
    /// The package, where it can be used.
    ///
    /// # Errors
    /// `InvalidPackage` with every mistake.
    pub fn good(self) -> Result<Package, Problem> {
        if self.mistakes.is_empty() { Ok(self.package) } else { Err(refusal(&self.package, self.mistakes)) }
    }
}

/// A package with mistakes, as a problem for people.
pub fn refusal(package: &Package, mistakes: Vec<String>) -> Problem {
    let message = match mistakes.len() {
        1 => format!("package {} has a mistake", package.key()),
        n => format!("package {} has {n} mistakes", package.key()),
    };
    Problem::new(Code::InvalidPackage, message)
        .hint("mend it, then: lace package check DIR")
        .details(mistakes)
}

/// Looks at a package's files.
///
/// # Errors
/// `NotFound` without a `package.toml`; `InvalidPackage` with every mistake in it; those of the source.
pub fn look_at(tree: &Tree, source: &dyn ChunkSource) -> Result<Looked, Problem> {
    let files = Files { tree, source };
    let text = match files.text(PACKAGE_FILE).map_err(|e| e.problem())? {
        Text::Is(text) => text,
        Text::Not(why) => {
            return Err(Problem::not_found(format_args!("package here: {PACKAGE_FILE} {why}"))
                .hint("lace package new NAME makes one to begin with"));
        }
    };
    let package = package::parse(&text).map_err(|mistakes| package::problem(PACKAGE_FILE, &mistakes))?;
    let mut looked = Looked { package, mistakes: Vec::new(), remarks: Vec::new(), shells: Vec::new() };
    let named = looked.package.files().into_iter();
    let named: BTreeSet<(String, bool)> =
        named.map(|(file, named)| (file.to_owned(), named == Named::Script)).collect();
    for (file, is_script) in &named {
        let text = files.text(file).map_err(|e| e.problem())?;
        let fault =
            if *is_script { script(&files, file, text, &mut looked) } else { template(text, &looked) };
        looked.mistakes.extend(fault.map(|fault| format!("{file}: {fault}")));
    }
    unused(&files, &named, &mut looked).map_err(|e| e.problem())?;
    Ok(looked)
}

/// What is wrong with a script.
fn script(files: &Files, file: &str, text: Text, looked: &mut Looked) -> Option<String> {
    let text = match text {
        Text::Is(text) => text,
        Text::Not(_) if files.is_program(file) => String::new(),
        Text::Not(why) => return Some(why),
    };
    if files.executable(file) != Some(true) {
        return Some("it is not executable (chmod +x)".into());
    }
    if files.is_program(file) {
        return None;
    }
    let first = text.lines().next().unwrap_or_default();
    if first.ends_with('\r') || text.contains("\r\n") {
        return Some("its lines end with CR LF: no interpreter is found so (save it with LF)".into());
    }
    let Some(words) = first.strip_prefix("#!").filter(|words| words.trim_start().starts_with('/')) else {
        return Some("its first line does not say what runs it (write #!/bin/sh)".into());
    };
    let words: Vec<&str> =
        words.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word)).collect();
    let shell = if words.first() == Some(&"env") { words.get(1) } else { words.first() };
    if shell.is_some_and(|shell| SHELLS.contains(shell)) {
        looked.shells.push(file.to_owned());
    }
    None
}

/// What is wrong with a template.
fn template(text: Text, looked: &Looked) -> Option<String> {
    match text {
        Text::Is(text) => {
            template_fault(&text, &looked.package).map(|(message, hint)| format!("{message} ({hint})"))
        }
        Text::Not(why) => Some(why),
    }
}

/// Files that nothing names, neither `package.toml` nor a script by its name.
fn unused(files: &Files, named: &BTreeSet<(String, bool)>, looked: &mut Looked) -> crate::Result<()> {
    let is_named = |path: &str| path == PACKAGE_FILE || named.iter().any(|(file, _)| file == path);
    let is_free = |path: &str| FREE.iter().any(|free| path.starts_with(free));
    let left: Vec<&str> = files.paths().filter(|path| !is_named(path) && !is_free(path)).collect();
    let mut scripts = String::new();
    for (file, _) in named.iter().filter(|(_, is_script)| *is_script && !left.is_empty()) {
        if let Text::Is(text) = files.text(file)? {
            scripts.push_str(&text);
        }
    }
    let nobody = |path: &&str| !scripts.contains(path.rsplit('/').next().unwrap_or(path));
    looked.remarks.extend(left.into_iter().filter(nobody).map(|path| format!("{path}: nothing names it")));
    Ok(())
}
