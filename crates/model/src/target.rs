//! Targets: the planner's immutable statement of which nodes shall be where.

use crate::rollout::{Rollout, Split};
use crate::{FamilyPath, Generation, HostId, Millis, NodeId, Reason};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// What shall become of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Want {
    /// It shall run.
    Run,
    /// It shall stop and go away; it stays in the target until its host says that it is gone.
    Gone,
}

/// One node of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNode {
    /// Its id, derived from the planning seed.
    pub id: NodeId,
    /// Its index in the family, from 1.
    pub index: u32,
    /// The revision it runs.
    pub revision: u64,
    /// The family's restart counter when it was planned.
    pub restart: u64,
    /// Its host.
    pub host: HostId,
    /// Its address.
    pub address: Ipv4Addr,
    /// What shall become of it.
    pub want: Want,
    /// When it was planned: deadlines count from here.
    pub planned_at: Millis,
    /// The mesh of Erlang nodes that it belongs to; always 0 for others. Nodes of two meshes never connect.
    #[serde(default, skip_serializing_if = "is_first_mesh")]
    pub mesh: u64,
}

/// Who votes on where a family's one copy runs, as its nodes are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteOrder {
    /// The newer one counts.
    pub generation: u64,
    /// The members, by index.
    pub seats: Vec<VoteSeat>,
    /// The seat of the controller, which votes too where the number of nodes is even. It never runs the copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<u32>,
    /// Said to a node: no other was in its seat before, so it votes at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_first: bool,
}

/// Seats of controllers lie above those of all nodes.
const WITNESSES: u32 = 1 << 30;

/// The seat of the controller of an epoch. A restored one knows nothing of what the one before it promised, which may
/// even be there still: it is another witness, and takes the former one's place as any member takes one.
pub fn witness_seat(epoch: u64) -> u32 {
    WITNESSES | (epoch % u64::from(WITNESSES)) as u32
}

/// A member of a vote set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteSeat {
    /// The node's index.
    pub index: u32,
    /// Where it is.
    pub address: Ipv4Addr,
}

/// How far the votes of a family are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Votes {
    /// The set.
    pub order: VoteOrder,
    /// Its members are the same since this generation.
    pub since: u64,
    /// When the family's first nodes were planned: they are the first in their seats.
    #[serde(default)]
    pub founded_at: Option<Millis>,
    /// When nobody can count by the members before any more; none while too few have heard of these.
    #[serde(default)]
    pub settles_at: Option<Millis>,
}

/// The target of one family as stored: key = the family's path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The family.
    pub family: FamilyPath,
    /// Its generation.
    pub generation: Generation,
    /// The generation that it was derived from.
    pub parent: Option<Generation>,
    /// When it was made.
    pub made_at: Millis,
    /// All nodes, by index, those that are to go included.
    pub nodes: Vec<PlannedNode>,
    /// The rollout that is under way, or the last one.
    pub rollout: Option<Rollout>,
    /// The last revision that was healthy as a whole: where a revert goes.
    pub good: Option<u64>,
    /// The indexes of its nodes begin after this one: 0, unless the last new revision came up beside the old.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub base: u32,
    /// The mesh of Erlang nodes that new nodes belong to, unless the rollout under way has one of its own.
    #[serde(default, skip_serializing_if = "is_first_mesh")]
    pub mesh: u64,
    /// Who votes on its one copy; kept once there was one.
    #[serde(default)]
    pub votes: Option<Votes>,
    /// Why it is not (yet) as wanted.
    pub reasons: Vec<Reason>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_first_mesh(mesh: &u64) -> bool {
    *mesh == 0
}

impl Target {
    /// The indexes of `count` wanted nodes, those aside that stand beside them during a rollout.
    pub fn indexes(&self, count: u32) -> RangeInclusive<u32> {
        self.base + 1..=self.base.saturating_add(count)
    }

    /// Does the node stand by without a part of the work: the new one before the doors switch, the old one after?
    pub fn stands_by(&self, node: &PlannedNode) -> bool {
        let Some(rollout) = &self.rollout else { return false };
        let Some(split) = rollout.split.as_ref().filter(|split| split.base.is_some()) else { return false };
        let idle = if split.permille == Some(Split::WHOLE) { rollout.from } else { Some(rollout.to) };
        idle == Some(node.revision)
    }
    /// The node that shall run at an index.
    pub fn running(&self, index: u32) -> Option<&PlannedNode> {
        self.nodes.iter().find(|n| n.index == index && n.want == Want::Run)
    }
}
