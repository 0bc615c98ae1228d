//! What a family of Erlang/OTP or Elixir nodes wants beyond other families.

use crate::group::GlobalGroup;
use crate::{Code, Problem, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The distribution port that every BEAM node listens on (one address per node, so one port is enough).
pub const DISTRIBUTION_PORT: u16 = 9100;

/// The cookie of a service's cluster is the secret whose name starts so.
pub const COOKIE_PREFIX: &str = "LACE_COOKIE_";

/// Is a secret of this name Lace's own, and none of the application's?
pub fn is_ours(name: &str) -> bool {
    name.starts_with(COOKIE_PREFIX) || name.starts_with(CA_PREFIX)
}

/// The secret whose name starts so is a cluster's own authority: certificate and key (PEM), made by Lace.
pub const CA_PREFIX: &str = "LACE_CA_";

/// How the nodes are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeamNames {
    /// `game@game-1.game.shop.lace.internal`.
    #[default]
    Dns,
    /// `game@10.192.0.7`.
    Address,
    /// `game-1@10.192.0.7`: of nodes with isolation `host`, whose runtimes are on one network.
    Indexed,
}

/// Settings of a BEAM family (`beam = { ... }` in the manifest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Beam {
    /// The part of the node name before the `@`; the service's name where empty.
    pub name: Option<String>,
    /// How nodes are named.
    pub names: BeamNames,
    /// The distributed application (kernel `distributed`), if any.
    pub failover: Option<String>,
    /// How many nodes may take it over.
    pub backups: u32,
    /// Lace decides by votes of the nodes where the distributed application runs: never on two, whatever is cut.
    pub votes: bool,
    /// The master takes the application over again when it is back.
    pub takeover: bool,
    /// kernel `distributed` timeout in milliseconds.
    pub failover_timeout: Span,
    /// kernel `net_ticktime`, seconds, equal on all nodes.
    pub net_ticktime: u32,
    /// kernel `sync_nodes_timeout`.
    pub sync_timeout: Span,
    /// Nodes join by connecting to the first one.
    pub join: bool,
    /// Applications that must run before a node counts as ready.
    pub applications: Vec<String>,
    /// Replace literal 127.0.0.1 in vm.args and sys.config by the node's address.
    pub replace_loopback: bool,
    // What came later is left out where it says nothing, so that digests of older revisions stay.
    /// Each node has an epmd of its own on port 4369; without, none is asked and the distribution port is fixed.
    #[serde(skip_serializing_if = "is_false")]
    pub epmd: bool,
    /// Each node connects to those that another one knows (`-connect_all`); without, `global` is off too.
    #[serde(skip_serializing_if = "is_true")]
    pub connect_all: bool,
    /// The family is made of clusters of at most so many nodes, by index; one cluster where 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub cluster_size: u32,
    /// The first nodes of each cluster, which are connected to those of the others out of sight of the rest.
    #[serde(skip_serializing_if = "is_one")]
    pub gateways: u32,
    /// Each cluster is a global group of OTP, too.
    #[serde(skip_serializing_if = "is_false")]
    pub global_groups: bool,
    /// Global groups of OTP by name, each a range of the family's indexes; nodes in none are a group of their own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, GlobalGroup>,
    /// Distribution goes over TLS: both sides show a certificate of the cluster's own authority.
    #[serde(skip_serializing_if = "is_false")]
    pub tls: bool,
    /// How long those certificates are good; a new one is in the node after a third of it.
    #[serde(skip_serializing_if = "is_usual_lifetime")]
    pub tls_lifetime: Span,
}

/// What OTP takes for distribution over TLS: the boot script has to load it.
pub const TLS_APPLICATIONS: [&str; 3] = ["crypto", "public_key", "ssl"];

/// The agent may be away for two thirds of it.
const TLS_LIFETIME: Span = Span::secs(14 * 24 * 3600);

fn is_usual_lifetime(lifetime: &Span) -> bool {
    *lifetime == TLS_LIFETIME
}

/// The flag by which a runtime asks to be started again by OTP's own watchdog, beside whoever keeps it.
pub const HEART: &str = "-heart";

/// The variable that says how heart starts a runtime.
pub const HEART_COMMAND: &str = "HEART_COMMAND";

/// Is it a variable whose words a runtime takes for flags?
pub fn is_flags(name: &str) -> bool {
    name.starts_with("ERL_") && name.ends_with("FLAGS") || name == "ELIXIR_ERL_OPTIONS"
}

/// Where a `-heart` of its own stands in a text, in bytes.
fn heart_at(text: &str) -> Option<usize> {
    let is_edge = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "\"'=;".contains(c));
    text.match_indices(HEART).map(|(at, _)| at).find(|at| {
        let (before, after) = (&text[..*at], &text[at + HEART.len()..]);
        is_edge(before.chars().next_back()) && is_edge(after.chars().next())
    })
}

/// The text without `-heart`.
pub fn without_heart(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(at) = heart_at(&text) {
        text.replace_range(at..at + HEART.len(), "");
    }
    text
}

/// Refuses heart in what a person says of a node: nobody else than its PID 1 starts its process again.
///
/// # Errors
/// `Usage`, naming the variable or the command.
pub fn refuse_heart(env: &BTreeMap<String, String>, start: &[String]) -> Result<(), Problem> {
    let flags = env.iter().find(|(name, text)| is_flags(name) && heart_at(text).is_some());
    let place = match flags {
        Some((name, _)) => format!("env {name} has {HEART}"),
        None if env.contains_key(HEART_COMMAND) => format!("env {HEART_COMMAND} is set"),
        None if start.iter().any(|word| word == HEART) => format!("the start command has {HEART}"),
        None => return Ok(()),
    };
    let text = format!("{place}: OTP's heart would start the runtime behind the back of its node");
    Err(Problem::new(Code::Usage, text).hint(
        "leave it out: a node's PID 1 starts its process again, and `live = { ... }` finds one that hangs",
    ))
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_true(flag: &bool) -> bool {
    *flag
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_one(number: &u32) -> bool {
    *number == 1
}

impl Default for Beam {
    fn default() -> Self {
        Self {
            name: None,
            names: BeamNames::Dns,
            failover: None,
            backups: 1,
            votes: true,
            takeover: true,
            failover_timeout: Span(2000),
            net_ticktime: 8,
            sync_timeout: Span(5000),
            join: true,
            applications: Vec::new(),
            replace_loopback: false,
            epmd: false,
            connect_all: true,
            cluster_size: 0,
            gateways: 1,
            global_groups: false,
            groups: BTreeMap::new(),
            tls: false,
            tls_lifetime: TLS_LIFETIME,
        }
    }
}

impl Beam {
    /// Which cluster of the family a node belongs to, from 0.
    pub fn cluster_of(&self, index: u32) -> u32 {
        index.saturating_sub(1).checked_div(self.cluster_size).unwrap_or(0)
    }

    /// Do nodes of both share global names? Those that know other groups do not trust one another, and wait for ever.
    pub fn shares_groups(&self, other: &Self) -> bool {
        let by_cluster = |beam: &Self| beam.global_groups.then_some(beam.cluster_size);
        self.groups == other.groups && by_cluster(self) == by_cluster(other)
    }

    /// The indexes of all nodes that a cluster may have; none where there are no clusters.
    pub fn of_cluster(&self, cluster: u32) -> RangeInclusive<u32> {
        let first = cluster.saturating_mul(self.cluster_size).saturating_add(1);
        first..=first.saturating_add(self.cluster_size).saturating_sub(1)
    }

    /// The global group that a node is in, by name.
    pub fn group_of(&self, index: u32) -> Option<&str> {
        let mut groups = self.groups.iter();
        groups.find(|(_, group)| group.has(index)).map(|(name, _)| name.as_str())
    }

    /// Shall two nodes of the family be connected: the same cluster, the same global group?
    pub fn is_near(&self, one: u32, other: u32) -> bool {
        self.cluster_of(one) == self.cluster_of(other) && self.group_of(one) == self.group_of(other)
    }

    /// Is a node one of its cluster's gateways to the other clusters?
    pub fn is_gateway(&self, index: u32) -> bool {
        let place = index.saturating_sub(1).checked_rem(self.cluster_size);
        place.is_some_and(|place| place < self.gateways)
    }

    /// Do its nodes vote on where the distributed application runs?
    pub fn is_voted(&self) -> bool {
        self.votes && self.failover.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heart_is_found_where_it_is_a_flag() {
        let table = [
            ("-heart", ""),
            ("+K true -heart -env A b", "+K true  -env A b"),
            ("export ERL_FLAGS=\"-heart\"\n-heart", "export ERL_FLAGS=\"\"\n"),
            ("-heartless -my-heart -heart-rate", "-heartless -my-heart -heart-rate"),
        ];
        for (text, expected) in table {
            assert_eq!(without_heart(text), expected);
        }
        let env = |name: &str, text: &str| BTreeMap::from([(name.to_owned(), text.to_owned())]);
        let said = |env: &BTreeMap<String, String>, start: &[&str]| {
            let start: Vec<_> = start.iter().map(|word| (*word).to_owned()).collect();
            refuse_heart(env, &start).map_err(|problem| problem.message)
        };
        assert_eq!(said(&env("ERL_FLAGS", "+P 1000"), &["bin/x", "foreground"]), Ok(()));
        assert!(said(&env("ERL_ZFLAGS", "+P 1 -heart"), &[]).unwrap_err().starts_with("env ERL_ZFLAGS has"));
        assert!(said(&env("HEART_COMMAND", "x"), &[]).unwrap_err().starts_with("env HEART_COMMAND is"));
        assert!(said(&BTreeMap::new(), &["erl", "-heart"]).unwrap_err().starts_with("the start command"));
        assert_eq!(said(&env("PULSE", "-heart"), &[]), Ok(()));
    }
}
