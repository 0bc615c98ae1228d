//! Reasons: every "no" and every "not yet" is a value.

use crate::{ByteSize, FamilyPath, HostId, Millis, Name, NodeId, NodePath, Span};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why something is refused, delayed or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// There is no host at all.
    NoHosts,
    /// A host was looked at and cannot take the node.
    HostRejected {
        /// Which.
        host: HostId,
        /// Its name.
        name: String,
        /// Why not.
        why: HostRejection,
    },
    /// Waiting for a node to be gone before another takes its place.
    WaitsForNode {
        /// The node in the way.
        node: NodeId,
    },
    /// The rollout waits until a node is ready.
    WaitsForReady {
        /// The node.
        node: NodePath,
    },
    /// A node is ready, and must stay so for a while before the next one follows.
    WaitsForGood {
        /// The node.
        node: NodePath,
        /// For how long.
        span: Span,
    },
    /// All are ready; the revision is watched for a while before it counts as good.
    Watching {
        /// For how much longer.
        left: Span,
    },
    /// A person paused the rollout.
    Paused,
    /// A node that this family's count no longer covers is stopped first.
    ScalingDown {
        /// The index.
        index: u32,
    },
    /// The family is stopped by wish.
    Stopped,
    /// The host does not answer; its nodes are replaced after the given time.
    HostAway {
        /// Which host.
        host: HostId,
        /// When its nodes count as lost.
        left: Span,
    },
    /// Too many hosts vanished at once: the observer is suspected, nothing is moved.
    ManyHostsAway {
        /// How many are away.
        away: usize,
        /// Of how many.
        of: usize,
    },
    /// The revision failed.
    RevisionFailed {
        /// Which.
        revision: u64,
        /// Why.
        cause: String,
    },
    /// A need is not met yet.
    WaitsForFamily {
        /// Which family must be healthy first.
        family: FamilyPath,
    },
    /// A job that must end well first has not.
    WaitsForJob {
        /// The command of the job.
        command: String,
        /// No host has had room for it since then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        no_room_since: Option<Millis>,
    },
    /// A pool was looked at, and gives no host now.
    PoolRejected {
        /// Which.
        pool: Name,
        /// Why not, in words.
        why: String,
    },
    /// A host comes from a pool.
    WaitsForHost {
        /// From which.
        pool: Name,
        /// What it is called, where that is known.
        host: Option<Name>,
        /// What it costs, where that is known.
        price: Option<String>,
    },
    /// Free text where no variant fits.
    Other {
        /// The text.
        text: String,
    },
}

/// Why a host cannot take a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum HostRejection {
    /// Not enough processor.
    Cpu {
        /// Free thousandths.
        free: u32,
        /// Wanted thousandths.
        wanted: u32,
    },
    /// Not enough memory.
    Memory {
        /// Free bytes.
        free: u64,
        /// Wanted bytes.
        wanted: u64,
    },
    /// Not enough node slots.
    Slots {
        /// How many the host may carry.
        limit: u32,
    },
    /// No address left in the host's blocks.
    Addresses,
    /// It is being drained.
    Draining,
    /// It does not answer.
    Away,
    /// Its disk is nearly full.
    DiskFull,
    /// The limit of nodes of this family per host.
    PerHost {
        /// The limit.
        limit: u32,
    },
    /// Another node there has a port that it needs of the host's network.
    Port {
        /// The port.
        port: u16,
    },
    /// It is in none of the family's pools.
    Pool {
        /// Those.
        pools: Vec<Name>,
    },
    /// The family's condition does not hold of it.
    Condition {
        /// The condition.
        text: String,
        /// Why that cannot be said, if so.
        cause: Option<String>,
    },
    /// Nodes there would not reach those that the family has.
    Network {
        /// Where it is.
        network: String,
        /// Where the family's nodes are.
        nodes: String,
    },
    /// It lacks something that the release needs.
    Preflight {
        /// What.
        missing: Vec<String>,
    },
}

impl fmt::Display for HostRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu { free, wanted } => {
                write!(f, "{} cpu free, {} wanted", f64::from(*free) / 1000.0, f64::from(*wanted) / 1000.0)
            }
            Self::Memory { free, wanted } => {
                let [free, wanted] = [free, wanted].map(|bytes| ByteSize(*bytes).human());
                write!(f, "{free} memory free, {wanted} wanted")
            }
            Self::Slots { limit } => write!(f, "carries {limit} nodes already, its limit"),
            Self::Addresses => f.write_str("no address left in its blocks"),
            Self::Draining => f.write_str("is being drained"),
            Self::Away => f.write_str("does not answer"),
            Self::DiskFull => f.write_str("its disk is over 90 % full"),
            Self::PerHost { limit } => {
                write!(f, "carries {limit} of this family already, the limit per host")
            }
            Self::Port { port } => write!(
                f,
                "another node there has port {port}, and isolation `host` has one network for all (where they listen at \
                 addresses of their own, say so by per_host)"
            ),
            Self::Pool { pools } => {
                let names: Vec<&str> = pools.iter().map(Name::as_str).collect();
                write!(f, "is in no pool of {}", names.join(", "))
            }
            Self::Condition { text, cause: None } => write!(f, "is not where {text}"),
            Self::Condition { text, cause: Some(cause) } => write!(f, "is it where {text}? {cause}"),
            Self::Network { network, nodes } => {
                write!(f, "is in {network}, which does not reach the family's nodes in {nodes}")
            }
            Self::Preflight { missing } => write!(f, "lacks {}", missing.join(", ")),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHosts => f.write_str("there is no host yet"),
            Self::HostRejected { name, why, .. } => write!(f, "host {name}: {why}"),
            Self::WaitsForNode { node } => write!(f, "waits until node {node} is gone"),
            Self::WaitsForReady { node } => write!(f, "waits until {} is ready", node.short()),
            Self::WaitsForGood { node, span } => {
                write!(f, "waits until {} has been ready for {span}", node.short())
            }
            Self::Watching { left } => write!(f, "all ready; watched for another {left}"),
            Self::Paused => f.write_str("the rollout is paused"),
            Self::ScalingDown { index } => write!(f, "node {index} is beyond the wanted count"),
            Self::Stopped => f.write_str("stopped by wish"),
            Self::HostAway { left, .. } => write!(f, "its host does not answer; replaced in {left}"),
            Self::ManyHostsAway { away, of } => {
                write!(f, "{away} of {of} hosts went silent at once: nothing is moved until someone looks")
            }
            Self::RevisionFailed { revision, cause } => write!(f, "revision {revision} failed: {cause}"),
            Self::WaitsForFamily { family } => write!(f, "waits until {family} is healthy"),
            Self::WaitsForJob { command, no_room_since: None } => write!(f, "waits for the job `{command}`"),
            Self::WaitsForJob { command, .. } => {
                write!(f, "waits for the job `{command}`, for which no connected host has room")
            }
            Self::PoolRejected { pool, why } => write!(f, "pool {pool}: {why}"),
            Self::WaitsForHost { pool, host, price } => {
                let host = host.as_ref().map_or("a host".to_owned(), |host| format!("host {host}"));
                let price = price.as_ref().map_or(String::new(), |price| format!(" for {price}"));
                write!(f, "no host has room: waits for {host} from pool {pool}{price}")
            }
            Self::Other { text } => f.write_str(text),
        }
    }
}
