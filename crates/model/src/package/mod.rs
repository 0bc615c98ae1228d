//! Packages: how to run a kind of service, as data.
//!
//! The way: [`crate::manifest`]'s reader (TOML or JSON to a tree with places), its check of shapes against the tables in
//! [`keys`], [`read`] (into these types), [`whole`] (rules between values). This room reads no files: what a package names
//! is listed by [`Package::files`], and who has the directory looks after them.

mod figure;
mod keys;
mod read;
mod render;
mod sample;
mod setting;
mod stored;
mod used;
mod verb;
mod whole;

pub use figure::{FIGURES_MAX, Figure, read_figures};
pub use render::{render, template_fault};
pub use sample::{Sample, parse_sample};
pub use setting::{Setting, SettingKind, Value, resolve, resolve_parameters};
pub use stored::StoredPackage;
pub use used::{
    LinkUse, PACKAGE_HOME, PASSWORD_PREFIX, PackageRef, PackageUse, RENEW_PASSWORD, RoleBounds, password_of,
    words_of,
};
pub use verb::Verb;

use crate::family::StateKind;
use crate::manifest::mistake::Mistakes;
use crate::manifest::schema::{reference_of, schema_of};
use crate::manifest::{Mistake, Place, text};
use crate::revision::{Limits, Protocol, StopSpec};
use crate::{ByteSize, Code, CpuMillis, Name, Problem, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the file that describes a package.
pub const PACKAGE_FILE: &str = "package.toml";
/// Largest `package.toml`, in bytes: two hundred settings with their help take a tenth of it.
pub const PACKAGE_BYTES_MAX: usize = 256 * 1024;
/// Time for a script that says none.
pub const SCRIPT_TIMEOUT: Span = Span::secs(60);

/// A package without mistakes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// What it is, in a line.
    pub summary: String,
    /// What a failed host means for its nodes.
    pub state: StateKind,
    /// Does it run a release of the user's?
    pub release: ReleaseWish,
    /// A script that ends with 0 on every node, or people cannot have another revision replace them.
    #[serde(default)]
    pub change_if_all: Option<String>,
    /// Its roles; each becomes a family.
    pub roles: BTreeMap<Name, Role>,
    /// What can be set.
    pub settings: BTreeMap<String, Setting>,
    /// Ports that its nodes listen on.
    pub ports: BTreeMap<Name, Port>,
    /// Interfaces for other services, by name.
    pub provides: BTreeMap<Name, Provided>,
    /// Interfaces of other services that it uses, by the name of the link.
    pub consumes: BTreeMap<String, Consumed>,
    /// Templates by the path that they are rendered to.
    pub templates: BTreeMap<String, Template>,
    /// Scripts by verb.
    pub scripts: BTreeMap<Verb, Script>,
    /// Actions by name.
    pub actions: BTreeMap<Name, Action>,
    /// Storage of each node.
    pub volumes: BTreeMap<Name, Storage>,
    /// Is a node ready?
    pub check: Option<Checked>,
    /// Is a node alive?
    pub live: Option<Checked>,
    /// Where its figures are read.
    pub metrics: Option<MetricSource>,
    /// Its figures by name.
    pub metric: BTreeMap<String, Metric>,
    /// How its process stops.
    pub stop: StopSpec,
    /// The signal by which its process takes its templates anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<String>,
    /// What has to be installed.
    pub image: ImageWish,
}

/// Does a package run a release of the user's?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseWish {
    /// It takes none.
    #[default]
    None,
    /// It may have one.
    Optional,
    /// It is nothing without one.
    Required,
}

/// One role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// What it does.
    pub help: String,
    /// Nodes at first.
    pub count: u32,
    /// Never fewer.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// Roles whose work a node of this one does too until they are scaled.
    pub shares: BTreeSet<Name>,
    /// Processor of each node.
    pub cpu: Option<CpuMillis>,
    /// Memory of each node.
    pub memory: Option<ByteSize>,
    /// Disk of each node.
    pub disk: Option<ByteSize>,
    /// Processes and threads of each node.
    pub pids: Option<u32>,
}

impl Role {
    /// How many nodes it may have.
    pub fn bounds(&self) -> RoleBounds {
        RoleBounds { min: self.min, max: self.max }
    }

    /// What a node may use where the service says nothing else.
    pub fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits {
            cpu: self.cpu.unwrap_or(usual.cpu),
            memory: self.memory.unwrap_or(usual.memory),
            disk: self.disk.unwrap_or(usual.disk),
            pids: self.pids.unwrap_or(usual.pids),
        }
    }
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its number where no setting says another.
    pub number: u16,
    /// Transport.
    pub protocol: Protocol,
    /// The setting that says the number.
    pub setting: Option<String>,
    /// Roles that listen on it; none: all.
    pub roles: BTreeSet<Name>,
    /// What it is for.
    pub help: String,
}

/// An interface for other services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provided {
    /// The port's name.
    pub port: Name,
    /// Roles that answer; none: those of the port.
    pub roles: BTreeSet<Name>,
    /// Who speaks to it has to know a password, which is made for the service.
    #[serde(default)]
    pub password: bool,
    /// What it is.
    pub help: String,
}

/// An interface that is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumed {
    /// Which.
    pub interface: Name,
    /// The service is nothing without it.
    pub required: bool,
    /// What for.
    pub help: String,
}

/// A template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The file of the package.
    pub from: String,
    /// Permission bits of what it becomes.
    pub mode: u32,
    /// Roles that have it; none: all.
    pub roles: BTreeSet<Name>,
}

/// A script and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The file of the package.
    pub file: String,
    /// It is killed after that (`start` runs as long as it likes).
    pub timeout: Span,
    /// Roles whose nodes are asked (`backup`, `restore`); none: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Name>,
}

/// A named action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// The file of the package.
    pub file: String,
    /// What it does.
    pub help: String,
    /// It is killed after that.
    pub timeout: Span,
    /// Roles whose nodes can do it; none: all.
    pub roles: BTreeSet<Name>,
    /// One node is enough, the first that can.
    pub once: bool,
    /// It begins nowhere unless this file ends with 0 on all of its nodes.
    #[serde(default)]
    pub if_all: Option<String>,
    /// It begins nowhere unless this file ends with 0 on one of its nodes.
    #[serde(default)]
    pub if_any: Option<String>,
    /// What can be said to it.
    pub parameters: BTreeMap<String, Setting>,
}

/// Storage of each node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Size where the service says no other.
    pub size: ByteSize,
    /// Path in the node.
    pub at: String,
}

/// What is asked of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// `GET path` on a port answers 200 to 399.
    Http {
        /// The port's name.
        port: Name,
        /// The path.
        path: String,
    },
    /// A connection to a port opens.
    Tcp {
        /// The port's name.
        port: Name,
    },
    /// A script of the package ends with 0.
    Script {
        /// The file.
        file: String,
    },
}

/// A question and its rhythm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What is asked.
    pub question: Question,
    /// Between two probes.
    pub interval: Option<Span>,
    /// For one probe.
    pub timeout: Option<Span>,
    /// So many failures in a row count.
    pub failures: Option<u32>,
    /// After a start failures do not count.
    pub grace: Option<Span>,
}

/// Where figures come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricSource {
    /// Prometheus text at a port and path.
    Http {
        /// The port's name.
        port: Name,
        /// The path.
        path: String,
    },
    /// A script prints `NAME VALUE` lines.
    Script {
        /// The file.
        file: String,
    },
}

/// How a figure behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricKind {
    /// It goes up and down.
    #[default]
    Gauge,
    /// It only grows.
    Counter,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// What it counts.
    pub help: String,
    /// Its unit.
    pub unit: String,
    /// How it behaves.
    pub kind: MetricKind,
}

/// What a node's image must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageWish {
    /// Debian packages.
    pub packages: Vec<String>,
    /// Programs that these bring.
    pub programs: Vec<String>,
}

/// Reads a `package.toml`.
///
/// # Errors
/// All mistakes of the file in its order, at most [`crate::manifest::MISTAKES_MAX`]; a text that is not TOML or JSON has
/// only those mistakes.
pub fn parse(text: &str) -> Result<Package, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let package = text_within(text, PACKAGE_BYTES_MAX, &mut mistakes).and_then(|tree| {
        crate::manifest::shape::check(&tree, &keys::ROOT, "", &mut mistakes);
        whole::check(&tree, &mut mistakes);
        read::package(&tree)
    });
    match (package, mistakes.into_sorted()) {
        (Some(package), none) if none.is_empty() => Ok(package),
        (None, none) if none.is_empty() => Err(vec![unreadable()]),
        (_, mistakes) => Err(mistakes),
    }
}

/// For a hole between the tables and the reader: said, not passed over.
fn unreadable() -> Mistake {
    let message = "the package could not be understood".to_owned();
    Mistake { place: Place::default(), key: String::new(), message, hint: None }
}

fn text_within(text: &str, bytes_max: usize, mistakes: &mut Mistakes) -> Option<crate::manifest::tree::Node> {
    if text.len() > bytes_max {
        let message = format!("the file has {} bytes; at most {bytes_max} are read", text.len());
        mistakes.add(Place::default(), "", message);
        return None;
    }
    text::tree(text, mistakes)
}

/// All mistakes of a package as one problem for people. `file` is the file that has them.
pub fn problem(file: &str, mistakes: &[Mistake]) -> Problem {
    let message = match mistakes.len() {
        1 => format!("{file} has a mistake"),
        n => format!("{file} has {n} mistakes"),
    };
    Problem::new(Code::InvalidPackage, message)
        .hint("mend them and try again (`lace schema --package --reference` explains every key)")
        .details(mistakes.iter().map(Mistake::to_string))
}

/// The JSON Schema of `package.toml`.
pub fn schema() -> serde_json::Value {
    schema_of(&keys::ROOT, PACKAGE_FILE)
}

/// Every key of `package.toml` with its help, example and default, as Markdown.
pub fn reference() -> String {
    reference_of(&keys::ROOT)
}

/// A file that a package names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It is executed.
    Script,
    /// It is rendered.
    Template,
}

impl Package {
    /// Every file that the package names, with what it is for; a file may be there more than once.
    pub fn files(&self) -> Vec<(&str, Named)> {
        let verbs = self.scripts.values().map(|script| &script.file);
        let actions = self.actions.values();
        let actions = actions.flat_map(|a| [Some(&a.file), a.if_all.as_ref(), a.if_any.as_ref()]).flatten();
        let questions = [&self.check, &self.live].into_iter().flatten();
        let asked = questions.filter_map(|checked| match &checked.question {
            Question::Script { file } => Some(file),
            Question::Http { .. } | Question::Tcp { .. } => None,
        });
        let figures = self.metrics.iter().filter_map(|source| match source {
            MetricSource::Script { file } => Some(file),
            MetricSource::Http { .. } => None,
        });
        let actions = actions.chain(&self.change_if_all);
        let scripts = verbs.chain(actions).chain(asked).chain(figures);
        let scripts = scripts.map(|file| (file.as_str(), Named::Script));
        scripts.chain(self.templates.values().map(|t| (t.from.as_str(), Named::Template))).collect()
    }

    /// The number of a port with these settings.
    pub fn port(&self, name: &Name, settings: &BTreeMap<String, Value>) -> Option<u16> {
        let port = self.ports.get(name)?;
        let said = port.setting.as_ref().and_then(|setting| settings.get(setting));
        said.and_then(Value::as_u64).and_then(|n| n.try_into().ok()).or(Some(port.number))
    }

    /// Is something that is for these roles for that one?
    pub fn is_for(roles: &BTreeSet<Name>, role: &Name) -> bool {
        roles.is_empty() || roles.contains(role)
    }

    /// `NAME@VERSION`.
    pub fn key(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}
