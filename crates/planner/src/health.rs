//! The health of families and applications, in one word and one sentence.

use lace_model::NodeId;
use lace_model::family::Family;
use lace_model::node::NodeStatus;
use lace_model::target::Target;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// In one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// As wanted.
    Healthy,
    /// Not running, as wanted.
    Stopped,
    /// On its way.
    Progressing,
    /// Less than wanted.
    Degraded,
    /// Nothing works, or the wanted revision does not.
    Failed,
}

/// A word, a sentence, and the count behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthLine {
    /// The word.
    pub health: Health,
    /// The sentence.
    pub sentence: String,
    /// Nodes that are ready.
    pub ready: u32,
    /// Nodes that are wanted.
    pub wanted: u32,
}

/// The health of a family.
pub fn status_line(
    family: &Family,
    target: Option<&Target>,
    observed: &BTreeMap<NodeId, NodeStatus>,
) -> HealthLine {
    let _ = (target, observed);
    HealthLine {
        health: Health::Progressing,
        sentence: String::new(),
        ready: 0,
        wanted: family.count,
    }
}

/// The health of an application (or a service): the worst of its families.
pub fn application_line<'a>(families: impl IntoIterator<Item = &'a HealthLine>) -> HealthLine {
    let _ = families.into_iter().count();
    HealthLine {
        health: Health::Healthy,
        sentence: String::new(),
        ready: 0,
        wanted: 0,
    }
}
