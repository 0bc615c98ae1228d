//! A package at work in a service: what its revision pins.

use super::{MetricSource, Package, Question, Script, Template, Value, Verb};
use crate::check::{Check, Probe};
use crate::manifest::format;
use crate::revision::Isolation;
use crate::{Digest, Name, ServiceName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where a package lies in its nodes. (A release lies at `/app`.)
pub const PACKAGE_HOME: &str = "/package";
/// That a node was initialised, with a border and on the host; it goes with the node.
const INITIALISED: [&str; 2] = ["/var/lib/lace-initialised", "/app/.lace-initialised"];

/// The file in a volume that says which version of the package its data is of; it goes with copies of the volume.
const VERSION_FILE: &str = ".lace-version";

/// A package as a manifest names it: `redis`, `redis@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRef {
    /// Its name.
    pub name: Name,
    /// Its version; none: the one that came last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl PackageRef {
    /// Of its text: `NAME`, `NAME@VERSION`. None where it is no such text.
    pub fn of(text: &str) -> Option<Self> {
        format::release(text).map(|(name, version)| Self { name, version })
    }
}

impl fmt::Display for PackageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => self.name.fmt(f),
        }
    }
}

/// How many nodes a role may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleBounds {
    /// Never fewer.
    pub min: u32,
    /// Never more.
    pub max: u32,
}

impl fmt::Display for RoleBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "always {}", self.min)
        } else {
            write!(f, "{} to {}", self.min, self.max)
        }
    }
}

/// The package of a revision, by digest, and all of it that its nodes and their hosts have to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageUse {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its tree.
    pub tree: Digest,
    /// Every setting with its value, as templates and scripts get it.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// Its roles: each is a family of the service.
    pub roles: BTreeMap<Name, RoleBounds>,
    /// Its ports with the numbers that they have here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<Name, u16>,
    /// Its templates by the path that they are rendered to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, Template>,
    /// What runs when something has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Script>,
    /// What runs in a node before it goes for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Script>,
    /// The signal that its process gets when what was rendered for it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<String>,
    /// The secrets that hold passwords of what it provides, by interface.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passwords: BTreeMap<Name, String>,
    /// Where the figures of its nodes are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricSource>,
    /// Debian packages that its nodes find installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image: Vec<String>,
}

impl PackageUse {
    /// `NAME@VERSION`.
    pub fn key(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// A service of the same application whose interface is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkUse {
    /// The service that provides it.
    pub service: ServiceName,
    /// What it provides.
    pub interface: Name,
    /// The port that answers.
    pub port: u16,
    /// All its ports by name, where it has others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<Name, u16>,
    /// Families whose nodes answer.
    pub families: BTreeSet<Name>,
    /// The secret that holds its password, where it wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// The action that every service has whose package provides something with a password: another one, for all who have it.
pub const RENEW_PASSWORD: &str = "renew-password";
/// How names of secrets begin that hold the passwords of services.
pub const PASSWORD_PREFIX: &str = "LACE_PASSWORD_";

/// The secret that holds the password of a service.
pub fn password_of(service: &ServiceName) -> String {
    format!("{PASSWORD_PREFIX}{}", service.as_str().replace('-', "_"))
}

/// The words of a command that runs a script of a package: it knows its verb by LACE_VERB.
pub fn words_of(verb: &str, script: &str) -> Vec<String> {
    let script = format!("{PACKAGE_HOME}/{script}");
    ["env", &format!("LACE_VERB={verb}"), &script].map(str::to_owned).to_vec()
}

/// Words for a shell (POSIX.1-2017, 2.2.2): names of files may hold anything.
fn quoted(words: &[String]) -> String {
    let quote = |word: &String| format!("'{}'", word.replace('\'', r"'\''"));
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

impl Package {
    /// The words that run the script of a verb; none where it has no such script.
    pub fn command(&self, verb: Verb) -> Option<Vec<String>> {
        self.scripts.get(&verb).map(|script| words_of(verb.as_str(), &script.file))
    }

    /// The words of a node's process: `install` where it may, `upgrade` where another version had its volumes, `init` where it
    /// was never started, `configure`, then `start`. `home` is the path of a volume, which remembers whose version its data is.
    pub fn start(&self, isolation: Isolation, home: Option<&str>) -> Vec<String> {
        let start = self.command(Verb::Start).unwrap_or_default();
        let bounded = |verb| {
            let script: &Script = self.scripts.get(&verb)?;
            let seconds = script.timeout.0.div_ceil(1000);
            Some(format!("timeout -k 5 {seconds} {}", quoted(&words_of(verb.as_str(), &script.file))))
        };
        let each = |verb| bounded(verb).map(|words| format!("{words} || exit"));
        let marker = INITIALISED[usize::from(isolation.is_on_host())];
        let init = bounded(Verb::Init);
        let init = init.map(|words| format!("[ -e {marker} ] || {{ {words} && : > {marker}; }} || exit"));
        let install = each(Verb::Install).filter(|_| isolation == Isolation::HostRoot);
        let (upgrade, mark) = home.map(|home| self.versions(home, bounded(Verb::Upgrade))).unzip();
        let before = install.into_iter().chain(upgrade.flatten()).chain(init);
        let steps: Vec<String> = before.chain(mark).chain(each(Verb::Configure)).collect();
        if steps.is_empty() {
            return start;
        }
        vec!["/bin/sh".into(), "-c".into(), format!("{}\nexec {}", steps.join("\n"), quoted(&start))]
    }

    /// The step that upgrades what another version left in a volume, and the one that notes this version there.
    fn versions(&self, home: &str, upgrade: Option<String>) -> (Option<String>, String) {
        let file = quoted(&[format!("{home}/{VERSION_FILE}")]);
        let new = quoted(&[format!("{home}/{VERSION_FILE}.new")]);
        let version = quoted(std::slice::from_ref(&self.version));
        let upgrade = upgrade.map(|words| {
            format!(
                "was=$(cat {file} 2>/dev/null)\nif [ -n \"$was\" ] && [ \"$was\" != {version} ]; then\n\
                 echo \"upgrade from version $was to\" {version}\nLACE_FROM_VERSION=$was {words} || \
                 {{ echo \"upgrade from version $was to\" {version} 'failed' >&2; exit 1; }}\nfi"
            )
        });
        let mark = format!(
            "[ \"$(cat {file} 2>/dev/null)\" = {version} ] || \
             {{ printf '%s\\n' {version} > {new} && mv {new} {file}; }} || exit"
        );
        (upgrade, mark)
    }

    /// A question of the package as a node's check.
    pub fn asked(&self, asked: &super::Checked, settings: &BTreeMap<String, Value>) -> Option<Check> {
        let number = |port: &Name| self.port(port, settings);
        let probe = match &asked.question {
            Question::Http { port, path } => Probe::Http { port: number(port)?, path: path.clone() },
            Question::Tcp { port } => Probe::Tcp { port: number(port)? },
            Question::Script { file } => Probe::Exec { argv: words_of("check", file) },
        };
        let usual = Check::new(probe);
        Some(Check {
            interval: asked.interval.unwrap_or(usual.interval),
            timeout: asked.timeout.unwrap_or(usual.timeout),
            failures: asked.failures.unwrap_or(usual.failures),
            grace: asked.grace.unwrap_or(usual.grace),
            ..usual
        })
    }
}
