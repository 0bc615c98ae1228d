//! Rules that matter are tests. This room reads the tree and architecture.toml
//! and says what does not fit: where, which rule, how to mend it. It changes
//! nothing.

mod architecture;
mod crates;
mod lock;
mod measures;
mod names;
mod rooms;
mod skips;
mod source;
mod texts;
mod tree;

use std::fmt;
use std::path::Path;

use architecture::Architecture;
use tree::Tree;

/// One place that breaks one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    file: String,
    line: usize,
    rule: String,
    what: String,
    mend: String,
}

impl Finding {
    fn new(file: &str, line: usize, rule: &str, what: impl Into<String>, mend: &str) -> Self {
        let (file, rule, mend) = (file.to_owned(), rule.to_owned(), mend.to_owned());
        Self { file, line, rule, what: what.into(), mend }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}: {}", self.file, self.line, self.what)?;
        writeln!(f, "    rule: {}", self.rule)?;
        writeln!(f, "    mend: {}", self.mend)
    }
}

/// Errors fail the check; warnings are said and pass.
#[derive(Debug, Default)]
pub struct Report {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    measured: String,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            write!(f, "warning: {warning}")?;
        }
        for error in &self.errors {
            write!(f, "error: {error}")?;
        }
        let (errors, warnings) = (self.errors.len(), self.warnings.len());
        writeln!(f, "tidy: {errors} errors, {warnings} warnings; {}", self.measured)
    }
}

/// Holds the tree at `root` against its architecture.toml.
pub fn check(root: &Path) -> Result<Report, String> {
    let architecture = Architecture::read(&root.join("architecture.toml"))?;
    let tree = Tree::read(root)?;
    let mut report = Report::default();

    report.errors.extend(names::check(&tree));
    report.errors.extend(texts::check(&tree));
    report.errors.extend(skips::check(&tree));
    report.errors.extend(lock::check(&tree, &architecture.lock));
    report.errors.extend(crates::check(&tree, &architecture));

    let (sources, unreadable) = source::parse_all(&tree);
    report.errors.extend(unreadable);
    report.errors.extend(rooms::check(&sources, &architecture.rules));
    measures::check(&sources, &architecture, &mut report);

    report.errors.sort();
    report.warnings.sort();
    Ok(report)
}
