//! A distributed application moves to another node on purpose.
//!
//! The node that shall have it gets a task: its PID 1 wants the application more than whoever runs it, which makes room in
//! order. Everything that would make this fail for sure is refused here.

use crate::caller::Caller;
use crate::deed::Deed;
use crate::refusal::{Answer, Refusal};
use crate::scene::Scene;
use crate::state::ApiState;
use lace_model::beam::Beam;
use lace_model::document::Verb;
use lace_model::node::NodeStatus;
use lace_model::target::{PlannedNode, Target, Want};
use lace_model::task::NewTask;
use lace_model::{Code, Span, TargetPath, TaskId};
use lace_wire::api::Accepted;

/// A move that its host was not told of within this time is not begun later.
const WITHIN: Span = Span::secs(60);

/// A node of the family as the controller knows it.
struct Voter<'a> {
    node: &'a PlannedNode,
    status: Option<NodeStatus>,
    /// Its host is there.
    connected: bool,
}

impl Voter<'_> {
    fn is_up(&self) -> bool {
        self.connected && self.status.as_ref().is_some_and(NodeStatus::is_up)
    }

    fn is_well(&self) -> bool {
        self.is_up() && self.status.as_ref().is_some_and(|status| status.ready)
    }

    fn holds(&self) -> bool {
        self.connected && self.status.as_ref().is_some_and(|status| status.holds)
    }
}

/// Moves the application of a family.
pub(crate) async fn order(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    to: Option<u32>,
) -> Answer<Accepted> {
    let scene = Scene::load(state, target).await?;
    let (live, family) = scene.one_family(target)?;
    let path = &family.path;
    let beam = live.wanted().and_then(|revision| revision.spec.beam.as_ref());
    let beam = votes(beam, path)?;
    let planned = scene.targets.get(path).ok_or_else(|| away(format!("{path} does not run"), target))?;
    let voters = voters(state, planned)?;
    has_majority(planned, &voters, target)?;
    let last = beam.backups + 1;
    let wanted = match to.or(target.index) {
        Some(index) => chosen(&voters, index, last, target)?,
        None => {
            let backup = |voter: &&Voter| voter.node.index <= last && voter.is_well() && !voter.holds();
            voters.iter().find(backup).ok_or_else(|| away(format!("no backup of {path} is ready"), target))?
        }
    };
    let name = path.node(wanted.node.index);
    if wanted.holds() {
        return Ok(Accepted { operation: None, message: format!("{} runs it already", name.short()) });
    }
    let now = state.now();
    let task = NewTask {
        id: TaskId(state.ids.id()),
        path: name.clone(),
        node: wanted.node.id,
        host: wanted.node.host,
        // Later than all wishes before.
        verb: Verb::TakeCopy { preference: now },
        within: WITHIN,
        restarts: wanted.status.as_ref().map_or(0, |status| status.restarts),
        actor: caller.name.clone(),
    };
    let deed = Deed::light("failover", name.short());
    let batch = deed.held(caller, &scene.reads);
    Ok(deed.order(state, caller, vec![task.queued(now)], batch).await?)
}

fn votes<'a>(beam: Option<&'a Beam>, path: &lace_model::FamilyPath) -> Answer<&'a Beam> {
    let conflict = |text: String, hint: &str| Refusal::new(Code::Conflict, text).hint(hint);
    match beam {
        Some(beam) if beam.is_voted() => Ok(beam),
        Some(beam) if beam.failover.is_some() => Err(conflict(
            format!("the nodes of {path} do not vote on who runs its application"),
            "leave votes = false out of beam = { ... } and deploy",
        )),
        _ => Err(conflict(
            format!("{path} has no distributed application"),
            "name one in its service: beam = { failover = \"APPLICATION\" }",
        )),
    }
}

fn away(text: String, target: &TargetPath) -> Refusal {
    Refusal::new(Code::Conflict, text).hint(format!("lace why {target}"))
}

fn voters<'a>(state: &ApiState, planned: &'a Target) -> Answer<Vec<Voter<'a>>> {
    let running = planned.nodes.iter().filter(|node| node.want == Want::Run);
    let voter = |node: &'a PlannedNode| {
        let status = state.store.get::<NodeStatus>(&node.id.to_string())?.map(|row| row.value);
        Ok(Voter { node, status, connected: state.liveness.liveness(node.host).connected })
    };
    running.map(voter).collect()
}

/// The application moves with the votes of a majority only.
fn has_majority(planned: &Target, voters: &[Voter], target: &TargetPath) -> Answer<()> {
    let order = planned.votes.as_ref().map(|votes| &votes.order);
    let order = order.ok_or_else(|| away(format!("{} has no votes yet", planned.family), target))?;
    let witness = usize::from(order.witness.is_some());
    let has_seat = |voter: &&Voter| order.seats.iter().any(|seat| seat.index == voter.node.index);
    let there = voters.iter().filter(has_seat).filter(|voter| voter.is_up()).count() + witness;
    let all = order.seats.len() + witness;
    if there > all / 2 {
        return Ok(());
    }
    Err(away(format!("{there} of {all} votes of {} are there: no majority", planned.family), target))
}

fn chosen<'a, 'b>(
    voters: &'a [Voter<'b>],
    index: u32,
    last: u32,
    target: &TargetPath,
) -> Answer<&'a Voter<'b>> {
    let found = voters.iter().find(|voter| voter.node.index == index);
    let voter = found.ok_or_else(|| {
        Refusal::not_found(format_args!("node {index} of {target}")).hint(format!("lace status {target}"))
    })?;
    if index > last {
        return Err(Refusal::new(Code::Conflict, format!("node {index} of {target} is no backup"))
            .hint(format!("one of the first {last} may run it; beam = {{ backups = N }} says how many")));
    }
    if !voter.is_well() {
        return Err(away(format!("node {index} of {target} is not ready"), target));
    }
    Ok(voter)
}
