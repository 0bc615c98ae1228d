//! The health of families and applications, in one word and one sentence.

use lace_model::NodeId;
use lace_model::family::Family;
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::rollout::Phase;
use lace_model::target::{Target, Want};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// In one word; a later one is worse.
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
    /// Nothing works, or the wanted revision does not and nothing came back.
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
    let wanted = if family.running && !family.deleting { family.count } else { 0 };
    let ready = target.map_or(0, |t| ready_nodes(t, observed));
    let (health, sentence) = match target {
        _ if family.deleting => (Health::Progressing, "is being deleted".into()),
        Some(target) if !family.running => stopped(target),
        None if !family.running => (Health::Stopped, "stopped by wish".into()),
        None => (Health::Progressing, "is not planned yet".into()),
        Some(target) => running(target, observed, ready, wanted),
    };
    HealthLine { health, sentence, ready, wanted }
}

fn stopped(target: &Target) -> (Health, String) {
    match target.nodes.len() {
        0 => (Health::Stopped, "stopped by wish".into()),
        left => (Health::Progressing, format!("is being stopped: {left} nodes are still going")),
    }
}

fn running(
    target: &Target,
    observed: &BTreeMap<NodeId, NodeStatus>,
    ready: u32,
    wanted: u32,
) -> (Health, String) {
    let count = format!("{ready} of {wanted} ready");
    let reason = target.reasons.first().map(|r| format!(": {r}")).unwrap_or_default();
    match target.rollout.as_ref().map(|r| (r.to, &r.phase)) {
        Some((to, Phase::Failed { cause })) => {
            (Health::Failed, format!("revision {to} failed: {cause}; {count}"))
        }
        Some((to, Phase::Reverted { cause })) if ready == wanted => {
            (Health::Healthy, format!("{count}; revision {to} failed and was reverted: {cause}"))
        }
        // None is wanted and none is there, though its revision was never tried.
        Some((_, Phase::Rolling | Phase::Watching { .. })) if wanted == 0 && target.nodes.is_empty() => {
            (Health::Healthy, count)
        }
        Some((to, Phase::Rolling)) => {
            (Health::Progressing, format!("{count}, rolling to revision {to}{reason}"))
        }
        Some((to, Phase::Watching { .. })) => {
            (Health::Progressing, format!("{count}, revision {to}{reason}"))
        }
        Some((_, Phase::Reverting { .. } | Phase::Aborted)) => {
            (Health::Progressing, format!("{count}{reason}"))
        }
        _ if ready >= wanted => (Health::Healthy, count),
        _ => (unready(target, observed, ready), format!("{count}{reason}")),
    }
}

/// Nodes are missing: are they coming?
fn unready(target: &Target, observed: &BTreeMap<NodeId, NodeStatus>, ready: u32) -> Health {
    let coming = target.nodes.iter().filter(|n| n.want == Want::Run).any(|n| match observed.get(&n.id) {
        None => true,
        Some(s) => {
            s.restarts == 0 && matches!(s.phase, NodePhase::Preparing | NodePhase::Starting)
                || s.phase == NodePhase::Running && !s.ready && s.restarts == 0
        }
    });
    match (coming, ready) {
        (true, _) => Health::Progressing,
        (false, 0) => Health::Failed,
        _ => Health::Degraded,
    }
}

fn ready_nodes(target: &Target, observed: &BTreeMap<NodeId, NodeStatus>) -> u32 {
    let ready = |s: &NodeStatus| s.ready && s.phase == NodePhase::Running;
    let running = target.nodes.iter().filter(|n| n.want == Want::Run && !target.stands_by(n));
    running.filter(|n| observed.get(&n.id).is_some_and(ready)).count() as u32
}

/// The health of an application (or a service): the worst of its families, with that one's sentence.
pub fn application_line<'a>(families: impl IntoIterator<Item = &'a HealthLine>) -> HealthLine {
    let families: Vec<&HealthLine> = families.into_iter().collect();
    let ready = families.iter().map(|f| f.ready).sum();
    let wanted = families.iter().map(|f| f.wanted).sum();
    let all_stopped = families.iter().all(|f| f.health == Health::Stopped);
    let worst =
        families.iter().filter(|f| all_stopped || f.health != Health::Stopped).max_by_key(|f| f.health);
    match worst {
        None => HealthLine { health: Health::Healthy, sentence: "has no families".into(), ready, wanted },
        Some(worst) if worst.health == Health::Healthy => HealthLine {
            health: Health::Healthy,
            sentence: format!("{ready} of {wanted} ready"),
            ready,
            wanted,
        },
        Some(worst) => HealthLine { ready, wanted, ..(*worst).clone() },
    }
}
