//! architecture.toml as values.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

pub const FILE: &str = "architecture.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Our crate -> our crates that it may depend on.
    pub crates: BTreeMap<String, Vec<String>>,
    /// Package from outside -> our crates that may depend on it.
    #[serde(default)]
    pub outside: BTreeMap<String, Vec<String>>,
    /// Our crate -> packages from outside that it may never depend on.
    #[serde(default)]
    pub refused: BTreeMap<String, Vec<String>>,
    pub lock: Lock,
    pub measures: Measures,
    #[serde(default)]
    pub exempt: Vec<Exempt>,
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    pub refused: Vec<String>,
    pub single: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measures {
    pub function_lines_max: usize,
    pub function_lines_usual: usize,
    pub function_share_usual: f64,
    pub file_lines_max: usize,
    pub file_lines_warn: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exempt {
    pub file: String,
    pub function: Option<String>,
    pub reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: String,
    /// Folders and files where the rule holds; none: everywhere.
    #[serde(default)]
    pub within: Vec<String>,
    #[serde(default)]
    pub except: Vec<String>,
    /// Whether the rule holds in tests too.
    #[serde(default)]
    pub tests: bool,
    #[serde(default)]
    pub deny: Vec<String>,
    /// Beginnings of string literals.
    #[serde(default)]
    pub literals: Vec<String>,
    pub mend: String,
}

impl Architecture {
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| format!("{FILE}: {error}"))
    }
}

impl Rule {
    pub fn holds_in(&self, file: &str) -> bool {
        let inside = |folders: &[String]| folders.iter().any(|folder| is_within(file, folder));
        (self.within.is_empty() || inside(&self.within)) && !inside(&self.except)
    }
}

fn is_within(file: &str, folder: &str) -> bool {
    file.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
