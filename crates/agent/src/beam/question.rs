//! What people and programs ask of a runtime, answered over its line.

use super::line::Line;
use super::over;
use super::ready::{allowed, gateways, others, own_name};
use crate::context::Peer;
use crate::hands::Hands;
use crate::spec::Secrets;
use lace_beam::Link;
use lace_model::document::{EntryBody, EntryId, NodeEntry};
use lace_model::vm::VmTop;
use lace_model::{Code, NodeId, Problem};
use lace_wire::beam::{BeamAnswer, BeamCall, BeamReport};
use std::time::Duration;
use tokio::time::Instant;

/// The entry of a BEAM node of this host.
pub fn entry(hands: &Hands, id: NodeId) -> Result<NodeEntry, Problem> {
    let found = hands.held.read(|state| match &state.entries.get(&EntryId::Node(id))?.body {
        EntryBody::Node(node) => Some(NodeEntry::clone(node)),
        _ => None,
    });
    let found = found.ok_or_else(|| Problem::new(Code::NotFound, format!("{id} is not on this host")))?;
    if found.spec.beam.is_none() {
        let problem = usage(format!("{} is no Erlang or Elixir node", found.path));
        return Err(problem.hint("beam = {} in the manifest makes one of a release"));
    }
    Ok(found)
}

fn usage(message: String) -> Problem {
    Problem::new(Code::Usage, message)
}

fn link(hands: &Hands, id: NodeId) -> Result<Link, Problem> {
    let no = |why: &str| {
        Problem::new(Code::NodeUnreachable, format!("its runtime cannot be spoken to: {why}"))
            .hint("lace logs shows what it says")
    };
    match hands.lines.line(id) {
        Line::Open(link) => Ok(link),
        Line::Young => Err(no("it has only just been started")),
        Line::Broken(why) => Err(no(&why)),
    }
}

/// Calls a function.
pub async fn call(hands: &Hands, id: NodeId, asked: &BeamCall) -> Result<BeamAnswer, Problem> {
    entry(hands, id)?;
    over::call(&link(hands, id)?, asked).await
}

/// Who it is, what it runs, whom it sees; also of one that cannot be spoken to.
pub async fn describe(hands: &Hands, id: NodeId) -> Result<BeamReport, Problem> {
    let entry = entry(hands, id)?;
    let (sample, alarms) = hands.lines.numbers(id);
    let beam = entry.spec.beam.as_ref();
    let plan = BeamReport {
        name: own_name(&entry).unwrap_or_default(),
        planned: others(hands, &entry),
        allowed: allowed(hands, &entry),
        gateways: gateways(hands, &entry),
        cluster: beam.filter(|b| b.cluster_size > 0).map(|b| b.cluster_of(entry.path.index) + 1),
        group: beam.and_then(|beam| beam.group_of(entry.path.index)).map(str::to_owned),
        failover: beam.and_then(|beam| beam.failover.clone()),
        sample,
        alarms,
        ..BeamReport::default()
    };
    let mut report = over::describe(plan, link(hands, id).map_err(|problem| problem.message)).await;
    let joined = joined(hands, &entry, &report.nodes);
    report.allowed.extend(joined);
    Ok(report)
}

/// Those of other families of the application that a node sees: whoever joins families does it himself (`bootstrap`).
fn joined(hands: &Hands, entry: &NodeEntry, nodes: &[String]) -> Vec<String> {
    let topic = hands.topic(&entry.path.family.app);
    let members = topic.iter().flat_map(|topic| &topic.members);
    let others: Vec<Peer> =
        members.filter(|member| member.path.family != entry.path.family).map(Peer::from).collect();
    let is_of_them = |name: &&String| {
        let host = name.split_once('@').map_or("", |(_, host)| host);
        others.iter().any(|peer| peer.name == host || peer.address.to_string() == host)
    };
    nodes.iter().filter(is_of_them).cloned().collect()
}

/// A look at all processes of a runtime costs it something, so there is no more than one in this time, however many ask.
const RANK_EVERY: Duration = Duration::from_secs(2);

/// Its largest processes; what was found less than two seconds ago is said again.
pub async fn top(hands: &Hands, id: NodeId, most: usize) -> Result<VmTop, Problem> {
    entry(hands, id)?;
    let link = link(hands, id)?;
    let ranking = hands.lines.ranking(id);
    let mut last = ranking.lock().await;
    if let Some((at, asked, found)) = &*last
        && at.elapsed() < RANK_EVERY
        && *asked >= most
    {
        return Ok(found.clone());
    }
    let ranker = hands.lines.ranker(id, &link).await.ok();
    let found = over::top(&link, ranker, most).await?;
    *last = Some((Instant::now(), most, found.clone()));
    Ok(found)
}

/// A picture of everything in it, as text.
pub async fn dump(hands: &Hands, id: NodeId) -> Result<String, Problem> {
    let (report, link) = (describe(hands, id).await?, link(hands, id)?);
    let entry = entry(hands, id)?;
    let secrets = Secrets::find(&hands.held, &entry.path.family.app, &entry.spec);
    let secrets = secrets.map_err(|why| Problem::new(Code::Error, why))?.texts();
    Ok(over::dump(&link, &report, secrets.into_values().collect()).await)
}
