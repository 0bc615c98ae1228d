//! CCL's file: Erlang terms, `{KEY, VALUE}.` each, or one list of pairs.
//!
//! CCL had no published grammar of its keys, and its users wrote them with and without underscores; so underscores
//! within a key count for nothing (`ec2_access_key_id` is `ec2_accesskeyid`). Unknown keys of a provider are named and
//! left; unknown keys of ours are mistakes. Every mistake is told with line and column, all of them at once.

use lace_beam::Term;
use lace_beam::term::parse::{Placed, parse_entries};
use lace_beam::term::print::print;
use lace_model::{AppName, Name};
use std::collections::BTreeMap;

/// Largest file, in bytes.
const BYTES_MAX: usize = 64 << 10;
/// Most nodes that a file may ask for.
const NODES_MAX: u32 = 1_000;
/// Most build steps.
const STEPS_MAX: usize = 100;
/// Where GitHub's repositories are.
const GITHUB: &str = "https://github.com";
/// What is known of EC2, without underscores.
const EC2_KEYS: [&str; 20] = [
    "accesskeyid",
    "accesskey",
    "keyid",
    "key",
    "secretaccesskey",
    "secretkey",
    "secret",
    "availabilityzone",
    "zone",
    "endpoint",
    "url",
    "host",
    "region",
    "imageid",
    "image",
    "ami",
    "amiid",
    "instancetype",
    "type",
    "size",
];
/// The keys that are neither `ec2_*` nor `github_*`.
const KEYS: [&str; 11] = [
    "ccl_provider",
    "ccl_name",
    "ccl_clustersize",
    "ccl_failovernodename",
    "ccl_failovernodes",
    "ccl_failoverapp",
    "ccl_buildsteps",
    "ccl_output",
    "ccl_start",
    "git_url",
    "git_branch",
];

/// Where the nodes shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Hosts that the controller has already.
    Local,
    /// Machines of EC2, by the keys in the file.
    Ec2,
}

/// Failover, as the file asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// How many nodes may take over.
    pub backups: u32,
    /// The application, where it is not the one named like the node or the project.
    pub application: Option<String>,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where.
    pub provider: Provider,
    /// The application of Lace.
    pub name: AppName,
    /// The project, as its repository is called.
    pub project: String,
    /// The part of the node names before the `@`.
    pub node: String,
    /// The repository.
    pub url: String,
    /// A branch or tag of it.
    pub branch: Option<String>,
    /// How many nodes.
    pub size: u32,
    /// Who takes over.
    pub failover: Option<Failover>,
    /// Shell commands that make the release.
    pub steps: Vec<String>,
    /// Where they put it, relative to the repository.
    pub output: Option<String>,
    /// What starts it, where the release does not say so itself.
    pub start: Option<String>,
    /// The keys `ec2_*`, without their prefix and underscores.
    pub ec2: BTreeMap<String, String>,
}

/// A file without mistakes.
#[derive(Debug)]
pub struct Read {
    /// What it says.
    pub config: Config,
    /// What of it means nothing here.
    pub notes: Vec<String>,
}

/// Reads a file that lies in the directory `here`: the project's name where the source is `"."`.
///
/// # Errors
/// All mistakes, each with its place.
pub fn read(text: &str, here: &str) -> Result<Read, Vec<String>> {
    if text.len() > BYTES_MAX {
        return Err(vec![format!("{} bytes; at most {BYTES_MAX} are read", text.len())]);
    }
    let entries = parse_entries(text).map_err(|error| vec![error.to_string()])?;
    let mut pairs = Pairs { here: here.to_owned(), ..Pairs::default() };
    entries.into_iter().for_each(|entry| pairs.add(entry));
    let config = pairs.config();
    match config {
        Some(config) if pairs.wrong.is_empty() => Ok(Read { config, notes: pairs.notes }),
        _ => Err(pairs.sorted()),
    }
}

#[derive(Default)]
struct Pairs {
    known: BTreeMap<String, Placed>,
    ec2: BTreeMap<String, String>,
    github: BTreeMap<String, String>,
    wrong: Vec<(usize, usize, String)>,
    notes: Vec<String>,
    here: String,
}

/// The text of an atom, a string, a binary or an integer.
fn text(term: &Term) -> Option<String> {
    match term {
        Term::Atom(atom) => Some(atom.0.clone()),
        Term::Int(number) => Some(number.to_string()),
        // Of characters only: a list of texts is no text.
        Term::List(elements) if elements.iter().any(|e| !matches!(e, Term::Int(_))) => None,
        other => other.as_text(),
    }
}

/// A key as it is compared: without the underscores after its prefix.
fn plain(key: &str) -> String {
    match key.split_once('_') {
        Some((prefix, rest)) => format!("{prefix}_{}", rest.replace('_', "")),
        None => key.to_owned(),
    }
}

impl Pairs {
    fn mistake(&mut self, line: usize, column: usize, message: impl Into<String>) {
        self.wrong.push((line, column, message.into()));
    }

    fn sorted(mut self) -> Vec<String> {
        self.wrong.sort();
        let told = self.wrong.into_iter();
        told.map(|(line, column, message)| format!("line {line}, column {column}: {message}")).collect()
    }

    fn add(&mut self, entry: Placed) {
        let Placed { line, column, term } = entry;
        let pair = match term.as_tuple() {
            Some([Term::Atom(key), value]) => Some((key.0.clone(), value.clone())),
            _ => None,
        };
        let Some((written, value)) = pair else {
            let shown: String = print(&term, None).chars().take(60).collect();
            return self.mistake(line, column, format!("expected {{KEY, VALUE}}, found {shown}"));
        };
        let key = plain(&written);
        let of_provider = [("ec2_", true), ("github_", false)];
        for (prefix, is_ec2) in of_provider {
            let Some(rest) = key.strip_prefix(prefix) else { continue };
            let Some(value) = text(&value) else {
                return self.mistake(line, column, format!("{written} has to be a text"));
            };
            if is_ec2 && !EC2_KEYS.contains(&rest) {
                self.notes
                    .push(format!("{written} is not used: known of EC2 are ec2_{}", EC2_KEYS.join(", ec2_")));
            }
            let keys = if is_ec2 { &mut self.ec2 } else { &mut self.github };
            if keys.insert(rest.to_owned(), value).is_some() {
                self.mistake(line, column, format!("{written} is said twice"));
            }
            return;
        }
        if !KEYS.contains(&key.as_str()) {
            let nearest = nearest(&key).map(|known| format!(": is {known} meant?")).unwrap_or_default();
            return self.mistake(line, column, format!("the key {written} is not known{nearest}"));
        }
        if self.known.insert(key, Placed { line, column, term: value }).is_some() {
            self.mistake(line, column, format!("{written} is said twice"));
        }
    }

    /// The text of a key; a mistake where it has none.
    fn text(&mut self, key: &str) -> Option<String> {
        let Placed { line, column, term } = self.known.get(key)?.clone();
        let found = text(&term).filter(|text| !text.is_empty() && !text.contains('\0'));
        if found.is_none() {
            self.mistake(line, column, format!("{key} has to be a text"));
        }
        found
    }

    fn number(&mut self, key: &str, from: u32) -> Option<u32> {
        let Placed { line, column, term } = self.known.get(key)?.clone();
        let number = match &term {
            // Names of nodes, as some wrote: their number is what counts. A text is a list, too, of characters.
            Term::List(nodes)
                if key == "ccl_failovernodes" && text(&term).is_none_or(|text| text.is_empty()) =>
            {
                u32::try_from(nodes.len()).ok()
            }
            term => text(term).and_then(|text| text.parse().ok()),
        };
        let found = number.filter(|n| (from..=NODES_MAX).contains(n));
        if found.is_none() {
            self.mistake(line, column, format!("{key} has to be a number from {from} to {NODES_MAX}"));
        }
        found
    }

    fn steps(&mut self) -> Vec<String> {
        let Some(Placed { line, column, term }) = self.known.get("ccl_buildsteps").cloned() else {
            return Vec::new();
        };
        // A lone text is a list of characters.
        let steps = match (&term, text(&term)) {
            (_, Some(one)) if !one.is_empty() => Some(vec![one]),
            (Term::List(steps), _) => steps.iter().map(text).collect(),
            _ => None,
        };
        match steps {
            Some(steps) if steps.len() <= STEPS_MAX => return steps,
            Some(_) => self.mistake(line, column, format!("more than {STEPS_MAX} ccl_buildsteps")),
            None => self.mistake(line, column, "ccl_buildsteps has to be a list of texts"),
        }
        Vec::new()
    }

    fn provider(&mut self) -> Provider {
        let Some(said) = self.text("ccl_provider") else {
            return if self.ec2.is_empty() { Provider::Local } else { Provider::Ec2 };
        };
        match said.as_str() {
            "local" => Provider::Local,
            "ec2" | "amazon" | "aws" => Provider::Ec2,
            _ => {
                let Placed { line, column, .. } = self.known["ccl_provider"].clone();
                self.mistake(line, column, format!("ccl_provider is local or ec2, not {said}"));
                Provider::Local
            }
        }
    }

    /// The repository, and what it is called.
    fn repository(&mut self) -> Option<(String, Option<String>, String)> {
        let branch = self.text("git_branch").or_else(|| self.github.remove("branch"));
        if let Some(url) = self.text("git_url") {
            let (url, at) = match url.split_once('#') {
                Some((url, at)) => (url.to_owned(), Some(at.to_owned()).filter(|at| !at.is_empty())),
                None => (url, None),
            };
            let project = Some(last_part(&url)).filter(|part| !part.trim_matches('.').is_empty());
            let project = project.unwrap_or_else(|| self.here.clone());
            return Some((url, at.or(branch), project));
        }
        let mut first = |keys: &[&str]| keys.iter().find_map(|key| self.github.remove(*key));
        let user = first(&["username", "user", "owner", "account"]);
        let project = first(&["project", "repository", "repo", "projectname", "reponame"]);
        match (user, project) {
            (Some(user), Some(project)) => {
                let project = project.trim_end_matches(".git").to_owned();
                Some((format!("{GITHUB}/{user}/{project}.git"), branch, project))
            }
            (None, Some(path)) if path.contains('/') => {
                let path = path.trim_end_matches(".git").to_owned();
                Some((format!("{GITHUB}/{path}.git"), branch, last_part(&path)))
            }
            _ => {
                self.mistake(1, 1, "no source: github_username and github_project, or git_url, are needed");
                None
            }
        }
    }

    fn name(&mut self, project: &str) -> AppName {
        let Some(said) = self.text("ccl_name") else { return lace_release::name_from(project) };
        Name::new(said.clone()).unwrap_or_else(|error| {
            let Placed { line, column, .. } = self.known["ccl_name"].clone();
            self.mistake(line, column, error.to_string());
            lace_release::name_from(&said)
        })
    }

    fn node(&mut self, project: &str) -> String {
        let good = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let Some(said) = self.text("ccl_failovernodename") else {
            return project.chars().map(|c| if good(c) { c } else { '_' }).collect();
        };
        // Some wrote the whole node name.
        let base = said.split('@').next().unwrap_or_default().to_owned();
        if base.is_empty() || !base.chars().all(good) {
            let Placed { line, column, .. } = self.known["ccl_failovernodename"].clone();
            self.mistake(line, column, format!("{said:?} cannot be the name of a node"));
        }
        base
    }

    fn config(&mut self) -> Option<Config> {
        let provider = self.provider();
        let size = self.number("ccl_clustersize", 1).unwrap_or(1);
        let backups = self.number("ccl_failovernodes", 0);
        let (steps, output, start) = (self.steps(), self.text("ccl_output"), self.text("ccl_start"));
        let application = self.text("ccl_failoverapp");
        let (url, branch, project) = self.repository()?;
        let (name, node) = (self.name(&project), self.node(&project));
        let asked = self.known.contains_key("ccl_failovernodename") || application.is_some();
        if !asked && backups.is_some_and(|n| n > 0) {
            let Placed { line, column, .. } = self.known["ccl_failovernodes"].clone();
            self.mistake(line, column, "ccl_failovernodes needs ccl_failovernodename");
        }
        if let Some(more) = backups.filter(|n| *n >= size && size > 0) {
            self.notes
                .push(format!("{more} failover nodes are more than there are beside the first: all are"));
        }
        let backups = backups.unwrap_or(size.saturating_sub(1)).min(size.saturating_sub(1));
        let failover = asked.then_some(Failover { backups, application });
        for key in self.github.keys() {
            self.notes.push(format!("github_{key} is not used: git asks for what it needs"));
        }
        let ec2 = self.ec2.clone();
        Some(Config { provider, name, project, node, url, branch, size, failover, steps, output, start, ec2 })
    }
}

fn last_part(url: &str) -> String {
    let bare = url.trim_end_matches('/').trim_end_matches(".git");
    bare.rsplit(['/', ':']).next().unwrap_or(bare).to_owned()
}

/// The known key that a wrong one is nearest to.
fn nearest(key: &str) -> Option<&'static str> {
    let same = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let best = KEYS.into_iter().max_by_key(|known| same(known, key))?;
    (same(best, key) > 5).then_some(best)
}

#[cfg(test)]
mod tests;
