//! Revisions: what rolls and rolls back.

use crate::beam::Beam;
use crate::check::{Check, Probe};
use crate::package::{LinkUse, PackageUse};
use crate::release::ReleaseKind;
use crate::{ByteSize, CpuMillis, Digest, FamilyName, Millis, Name, ServicePath, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A file that is written into each node before its start; the content is a minijinja template over the node's context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Template text.
    pub content: String,
    /// Permission bits.
    #[serde(default = "default_mode")]
    pub mode: u32,
    /// Written as it is, without rendering.
    #[serde(default)]
    pub verbatim: bool,
}

fn default_mode() -> u32 {
    0o644
}

/// How a process is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StopSpec {
    /// Signal name without SIG.
    pub signal: String,
    /// After that, everything in the node is killed.
    pub timeout: Span,
}

impl Default for StopSpec {
    fn default() -> Self {
        Self { signal: "TERM".into(), timeout: Span::secs(30) }
    }
}

/// Waiting times between restarts of a crashed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backoff {
    /// Before the first restart (half of it at most for the very first, see pid1).
    pub min: Span,
    /// Never longer than this.
    pub max: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Span(500), max: Span::secs(60) }
    }
}

/// What each node may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Processor.
    pub cpu: CpuMillis,
    /// Memory.
    pub memory: ByteSize,
    /// Disk for the writable layer (advice where the host has no project quota).
    pub disk: ByteSize,
    /// Processes and threads.
    pub pids: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cpu: CpuMillis(250), memory: ByteSize::mib(128), disk: ByteSize::mib(1024), pids: 1024 }
    }
}

/// A volume that each node index has of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Name within the service.
    pub name: Name,
    /// Size.
    pub size: ByteSize,
    /// Path in the node.
    pub at: String,
    /// Schedule of backups (cron), if wanted.
    #[serde(default)]
    pub backup: Option<String>,
    /// How many backups are kept.
    #[serde(default)]
    pub keep: Option<u32>,
}

/// An opening of the firewall: `tcp:9100 from any`, `tcp:8096:8099 from shop`, `udp:53 from 10.0.0.0/8`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Opening {
    /// `tcp` or `udp`.
    pub protocol: Protocol,
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
    /// From where.
    pub from: OpenTo,
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Who may come in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpenTo {
    /// Everybody.
    Any,
    /// Another application's nodes.
    App(Name),
    /// A network in CIDR form.
    Net(String),
}

impl std::str::FromStr for Opening {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "{text:?} is not an opening: write tcp:PORT, tcp:FIRST:LAST or udp:PORT, then `from any|APP|CIDR`"
            )
        };
        let (ports, from) = match text.split_once(" from ") {
            Some((ports, from)) => (ports.trim(), from.trim()),
            None => (text.trim(), "any"),
        };
        let mut parts = ports.split(':');
        let protocol = match parts.next() {
            Some("tcp") => Protocol::Tcp,
            Some("udp") => Protocol::Udp,
            _ => return Err(bad()),
        };
        let first: u16 = parts.next().and_then(|p| p.parse().ok()).filter(|p| *p > 0).ok_or_else(bad)?;
        let last = parts.next().map_or(Ok(first), |p| p.parse().map_err(|_| bad()))?;
        if parts.next().is_some() || last < first {
            return Err(bad());
        }
        let from = match from {
            "any" => OpenTo::Any,
            net if net.split_once('/').is_some_and(|(a, p)| {
                a.parse::<std::net::Ipv4Addr>().is_ok() && p.parse::<u8>().is_ok_and(|p| p <= 32)
            }) =>
            {
                OpenTo::Net(net.into())
            }
            app => OpenTo::App(Name::new(app).map_err(|_| bad())?),
        };
        Ok(Self { protocol, first, last, from })
    }
}

impl std::fmt::Display for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = if self.protocol == Protocol::Tcp { "tcp" } else { "udp" };
        write!(f, "{protocol}:{}", self.first)?;
        if self.last != self.first {
            write!(f, ":{}", self.last)?;
        }
        match &self.from {
            OpenTo::Any => f.write_str(" from any"),
            OpenTo::App(app) => write!(f, " from {app}"),
            OpenTo::Net(net) => write!(f, " from {net}"),
        }
    }
}

/// How nodes are kept apart from their host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Network, files, users and processes of their own: root in a node is nobody outside.
    #[default]
    Border,
    /// The host's network and files, as a user of the node's own without rights; processes and temporary files of its own.
    Host,
    /// The same, as the host's root.
    HostRoot,
}

impl Isolation {
    /// Has it the host's network and files?
    pub fn is_on_host(self) -> bool {
        self != Self::Border
    }

    fn is_border(&self) -> bool {
        !self.is_on_host()
    }
}

/// Where alone files and volumes of a node may lie that has the host's files: what is put elsewhere would stay there.
pub const OWN_PLACE: &str = "/app";

/// Ports of one opening that count as taken on a host: who opens thousands listens on few of them.
const PORTS_MAX: usize = 64;

/// Everything that decides how the nodes of a service run. Its digest decides whether something rolls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionSpec {
    /// `name@version` of the release, for people; empty for a bare command.
    pub release: String,
    /// Tree of the release.
    pub tree: Option<Digest>,
    /// The package that says how it runs, where it is made of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Box<PackageUse>>,
    /// Interfaces of other services that it uses, by the name of the link.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, LinkUse>,
    /// Sort of release.
    pub kind: ReleaseKind,
    /// Command that runs in the foreground; relative programs are found in `/app`.
    pub start: Vec<String>,
    /// Command that stops it (before the signal).
    #[serde(default)]
    pub stop_command: Option<Vec<String>>,
    /// Environment; values are templates.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Secrets by name, with the version that this revision uses.
    #[serde(default)]
    pub secrets: BTreeMap<String, u64>,
    /// Files by path in the node.
    #[serde(default)]
    pub files: BTreeMap<String, FileSpec>,
    /// Files of the release that are templates.
    #[serde(default)]
    pub templates: Vec<String>,
    /// Limits of each node, where its family has none of its own.
    #[serde(default)]
    pub limits: Limits,
    /// Limits of families whose nodes may use something else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub family_limits: BTreeMap<FamilyName, Limits>,
    /// How its nodes are kept apart from their host.
    #[serde(default, skip_serializing_if = "Isolation::is_border")]
    pub isolation: Isolation,
    /// BEAM settings, for a BEAM release.
    #[serde(default)]
    pub beam: Option<Beam>,
    /// Ready?
    #[serde(default)]
    pub check: Option<Check>,
    /// Alive?
    #[serde(default)]
    pub live: Option<Check>,
    /// How it stops.
    #[serde(default)]
    pub stop: StopSpec,
    /// Restarts of a crashed process.
    #[serde(default)]
    pub restart: Backoff,
    /// Volumes.
    #[serde(default)]
    pub volumes: Vec<VolumeSpec>,
    /// Openings.
    #[serde(default)]
    pub firewall: Vec<Opening>,
    /// Clustering command (`cmd:...`), run on a node after it is ready.
    #[serde(default)]
    pub bootstrap: Option<Vec<String>>,
    /// Whose first ready node it joins: SERVICE or SERVICE/FAMILY; its own family where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_with: Option<String>,
    /// It runs at each start of the process, not once in a node's life: what it does is gone with the process.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bootstrap_each_start: bool,
    /// Jobs that must end well before any node of this revision starts.
    #[serde(default)]
    pub before: Vec<Vec<String>>,
}

impl RevisionSpec {
    /// Secrets that hold passwords of services: its own, and those of the services that it uses.
    pub fn passwords(&self) -> impl Iterator<Item = &String> {
        let own = self.package.iter().flat_map(|package| package.passwords.values());
        own.chain(self.links.values().filter_map(|link| link.password.as_ref()))
    }

    /// What it runs, for people: its release, or else its package; empty for a bare command.
    pub fn title(&self) -> String {
        let package = self.package.as_ref().filter(|_| self.release.is_empty());
        package.map_or_else(|| self.release.clone(), |package| package.key())
    }

    /// Ports that each node takes of its host's network, as far as the service says them: those of its checks, and those
    /// that it opens (the first [`PORTS_MAX`] of each range). None where nodes have networks of their own.
    pub fn host_ports(&self) -> BTreeSet<(Protocol, u16)> {
        if !self.isolation.is_on_host() {
            return BTreeSet::new();
        }
        let probes = [&self.check, &self.live].into_iter().flatten().map(|check| &check.probe);
        let probed = probes.filter_map(|probe| match probe {
            Probe::Http { port, .. } | Probe::Tcp { port } => Some((Protocol::Tcp, *port)),
            Probe::Exec { .. } => None,
        });
        let opened = self.firewall.iter().flat_map(|opening| {
            (opening.first..=opening.last).take(PORTS_MAX).map(|port| (opening.protocol, port))
        });
        probed.chain(opened).collect()
    }

    /// What each node of this family may use.
    pub fn limits_of(&self, family: &FamilyName) -> &Limits {
        self.family_limits.get(family).unwrap_or(&self.limits)
    }

    /// As the nodes of one family run it: its limits are that family's.
    pub fn of_family(mut self, family: &FamilyName) -> Self {
        if let Some(own) = self.family_limits.remove(family) {
            self.limits = own;
        }
        self.family_limits.clear();
        self
    }
}

/// A revision as stored: key `APP/SERVICE#NUMBER` with the number in ten digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The service.
    pub service: ServicePath,
    /// Counts from 1 within the service.
    pub number: u64,
    /// Digest of the spec.
    pub digest: Digest,
    /// What it says.
    pub spec: RevisionSpec,
    /// When it was made.
    pub created_at: Millis,
    /// By whom.
    pub created_by: String,
    /// Why: `apply`, `rollback to 3`, `secret rotated`.
    pub note: String,
    /// Known to be bad: the cause.
    #[serde(default)]
    pub bad: Option<String>,
}
