//! `lace why`: everything that is known about why something is as it is.

use crate::family::{AWAY_AFTER, HostView};
use crate::health::status_line;
use lace_model::family::Family;
use lace_model::name::TargetPath;
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::rollout::Phase;
use lace_model::target::{PlannedNode, Target, Want};
use lace_model::{FamilyPath, Millis, NodeId, Reason, Span};
use std::collections::BTreeMap;

/// The world that [`explain`] looks at.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Families.
    pub families: &'a BTreeMap<FamilyPath, Family>,
    /// Their targets.
    pub targets: &'a BTreeMap<FamilyPath, Target>,
    /// Their nodes.
    pub observed: &'a BTreeMap<NodeId, NodeStatus>,
    /// Hosts.
    pub hosts: &'a [HostView],
    /// Now.
    pub now: Millis,
}

/// Sentences about an application, a service, a family or one node: first how it is, then why.
pub fn explain(what: &TargetPath, world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, family) in world.families.iter().filter(|(path, _)| what.covers(path)) {
        let target = world.targets.get(path);
        if let Some(index) = what.index {
            node(&mut lines, world, family, target, index);
            continue;
        }
        let line = status_line(family, target, world.observed);
        lines.push(format!("{path}: {}", line.sentence));
        let Some(target) = target else { continue };
        lines.extend(target.reasons.iter().map(|r| format!("  {}", told(r, target, world))));
        lines.extend(last_lines(target));
        for index in unready(target, world) {
            node(&mut lines, world, family, Some(target), index);
        }
    }
    if lines.is_empty() {
        lines.push(format!("there is no {what}"));
    }
    lines
}

/// A reason, with the time that is left of it now.
fn told(reason: &Reason, target: &Target, world: &World) -> String {
    let left = |until: Millis| Span(until.saturating_sub(world.now));
    let since = target.rollout.as_ref().map(|r| &r.phase);
    match (reason, since) {
        (Reason::Watching { left: span }, Some(Phase::Watching { since })) => {
            Reason::Watching { left: left(since + span.ms()) }.to_string()
        }
        (Reason::HostAway { host, left: span }, _) if span.ms() > 0 => {
            let view = world.hosts.iter().find(|h| h.host.id == *host);
            let seen = view.map_or(world.now, |h| h.liveness.last_seen);
            let name = view.map_or_else(|| host.to_string(), |h| h.host.name.to_string());
            format!("host {name} does not answer; its nodes are replaced in {}", left(seen + AWAY_AFTER.ms()))
        }
        _ => reason.to_string(),
    }
}

fn last_lines(target: &Target) -> Vec<String> {
    let failed = target.rollout.iter().filter(|r| !matches!(r.phase, Phase::Done));
    failed.flat_map(|r| &r.last_lines).map(|line| format!("  | {line}")).collect()
}

fn unready(target: &Target, world: &World) -> Vec<u32> {
    const SHOWN_MAX: usize = 10;
    let running = target.nodes.iter().filter(|n| n.want == Want::Run);
    let unready = running.filter(|n| world.observed.get(&n.id).is_none_or(|s| !s.ready));
    unready.map(|n| n.index).take(SHOWN_MAX).collect()
}

fn node(lines: &mut Vec<String>, world: &World, family: &Family, target: Option<&Target>, index: u32) {
    let name = family.path.node(index).short();
    let nodes: Vec<&PlannedNode> =
        target.iter().flat_map(|t| &t.nodes).filter(|n| n.index == index).collect();
    if nodes.is_empty() {
        let wanted = target.map_or(1..=family.count, |target| target.indexes(family.count));
        let why = if !wanted.contains(&index) {
            format!("the family shall have {} nodes{}", family.count, from_where(&wanted))
        } else if !family.running {
            "the family is stopped by wish".into()
        } else {
            "it is not placed; see the family's reasons".into()
        };
        lines.push(format!("{name}: {why}"));
        return;
    }
    for node in nodes {
        lines.push(format!("{name}: {}", about(node, world)));
        if let Some(exit) = world.observed.get(&node.id).filter(|s| !s.ready).and_then(|s| s.exit.as_ref()) {
            lines.extend(exit.last_lines.iter().map(|line| format!("  | {line}")));
        }
    }
}

/// Where the indexes do not begin with 1.
fn from_where(wanted: &std::ops::RangeInclusive<u32>) -> String {
    let usual = *wanted.start() == 1 || wanted.is_empty();
    if usual { String::new() } else { format!(", {} to {}", wanted.start(), wanted.end()) }
}

fn about(node: &PlannedNode, world: &World) -> String {
    let host = world.hosts.iter().find(|h| h.host.id == node.host);
    let host_name = host.map_or_else(|| "a host that is gone".into(), |h| format!("host {}", h.host.name));
    let host_name = format!("{host_name}{}", host.map_or_else(String::new, pool_and_price));
    let verb = if node.want == Want::Gone { "is to go from" } else { "revision" };
    let place = match node.want {
        Want::Gone => format!("{verb} {host_name}"),
        Want::Run => format!("{verb} {} on {host_name}", node.revision),
    };
    let state = world
        .observed
        .get(&node.id)
        .map_or_else(|| "not reported by its host yet".to_owned(), |status| state(status, world.now));
    let silent = host.filter(|h| !h.liveness.connected).map_or("", |_| "; its host does not answer");
    format!("{place}, {state}{silent}")
}

/// With the number that placement goes by.
fn pool_and_price(view: &HostView) -> String {
    let Some(pool) = &view.pool else { return String::new() };
    let price = pool.price.as_ref().map_or_else(|| "price not known".to_owned(), ToString::to_string);
    format!(" (pool {}, {price})", pool.name)
}

fn state(status: &NodeStatus, now: Millis) -> String {
    let age = Span(now.saturating_sub(status.since) / 1000 * 1000);
    let word = match status.phase {
        NodePhase::Preparing => "its files are being laid out",
        NodePhase::Starting => "starting",
        NodePhase::Running if status.ready => "ready",
        NodePhase::Running => "running, not ready",
        NodePhase::Backoff => "its process ended and starts again",
        NodePhase::Stopping => "stopping",
        NodePhase::Stopped => "stopped",
        NodePhase::Failed => "could not be made",
        NodePhase::Gone => "gone",
    };
    let mut text = format!("{word} for {age}");
    if let Some(exit) = status.exit.as_ref().filter(|_| !status.ready) {
        text.push_str(&format!(", last end: {exit}"));
    }
    if status.restarts > 0 {
        text.push_str(&format!(", {} restarts", status.restarts));
    }
    if let Some(detail) = &status.detail {
        text.push_str(&format!(": {detail}"));
    }
    text
}
