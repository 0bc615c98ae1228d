//! What the verbs of daily work write: `scale`, `start`, `stop`, `restart`, `rollback`, `delete`, ...

use crate::apply::{COUNT_MAX, LiveService, package, tls};
use crate::edit::{Doer, Edit, goal_gone, goal_of};
use lace_model::event::NewEvent;
use lace_model::family::{Application, Family, Service};
use lace_model::host::Capacity;
use lace_model::operation::Goal;
use lace_model::release::{Release, ReleaseKind, ReleaseRef};
use lace_model::revision::{Limits, Revision, RevisionSpec};
use lace_model::rollout::{Phase, Rollout};
use lace_model::target::Target;
use lace_model::{Code, Digest, FamilyPath, NodeId, Problem};

/// One family as it shall be from now on, the goal that follows, and the event.
fn put(family: Family, kind: &str, message: impl Into<String>, doer: &Doer) -> Edit {
    Edit {
        goals: vec![goal_of(&family)],
        events: vec![NewEvent::new(kind, &family.path, message).by(&doer.actor)],
        families: vec![family],
        ..Edit::default()
    }
}

fn alive(family: &Family) -> Result<(), Problem> {
    if family.deleting {
        return Err(Problem::new(Code::Conflict, format!("family {} is being deleted", family.path)));
    }
    Ok(())
}

/// Another count. With `save`, what was applied follows, so that it is no drift.
///
/// # Errors
/// `Usage` for more nodes than a family may have, `Conflict` for a family that is being deleted.
pub fn scale(
    live: &LiveService,
    family: &Family,
    count: u32,
    save: bool,
    doer: &Doer,
) -> Result<Edit, Problem> {
    alive(family)?;
    if count > COUNT_MAX {
        let text = format!("{count} nodes are more than the {COUNT_MAX} that a family may have");
        return Err(Problem::new(Code::Usage, text));
    }
    if let Some(wanted) = live.wanted() {
        package::check_count(&wanted.spec, &family.path.family, count)?;
    }
    let message = format!("{} to {count} nodes", family.count);
    let mut edit = put(Family { count, ..family.clone() }, "family.scaled", message, doer);
    if save {
        let mut service = live.service.clone();
        service.spec.families.entry(family.path.family.clone()).or_default().count = Some(count);
        edit.services.push(service);
    }
    Ok(edit)
}

/// Refuses a number of nodes that the hosts could not carry even if they were empty. Where there is no host yet,
/// nothing is refused.
///
/// # Errors
/// `CannotPlace`, with the most that there is room for.
pub fn check_room(
    live: &LiveService,
    family: &FamilyPath,
    count: u32,
    hosts: &[Capacity],
) -> Result<(), Problem> {
    let Some(limits) = live.wanted().map(|r| r.spec.limits_of(&family.family)).filter(|_| !hosts.is_empty())
    else {
        return Ok(());
    };
    let most: u64 = hosts.iter().map(|host| most_on(host, limits)).sum();
    if u64::from(count) <= most {
        return Ok(());
    }
    let text = format!(
        "{count} nodes of {family} with {} of memory and {} cpu each are more than the hosts can carry: {most}",
        limits.memory.human(),
        limits.cpu
    );
    Err(Problem::new(Code::CannotPlace, text).hint("ask for fewer or smaller nodes, or add a host"))
}

/// A job that no host could carry, were it empty, would wait for ever.
///
/// # Errors
/// `CannotPlace`; none where no host is known yet.
pub fn check_job_room(limits: &Limits, hosts: &[Capacity]) -> Result<(), Problem> {
    if hosts.is_empty() || hosts.iter().any(|host| most_on(host, limits) > 0) {
        return Ok(());
    }
    let text = format!(
        "a job with {} of memory and {} cpu is more than any host can carry",
        limits.memory.human(),
        limits.cpu
    );
    Err(Problem::new(Code::CannotPlace, text).hint("ask for less: --memory SIZE, --cpu N; or add a host"))
}

fn most_on(host: &Capacity, limits: &Limits) -> u64 {
    let by = |room: u64, each: u64| room.checked_div(each).unwrap_or(u64::MAX);
    by(u64::from(host.cpu.0), u64::from(limits.cpu.0))
        .min(by(host.memory.0, limits.memory.0))
        .min(u64::from(host.slots))
}

/// Start a stopped family.
///
/// # Errors
/// `Conflict` for a family that is being deleted.
pub fn start(family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    alive(family)?;
    let message = format!("{} nodes", family.count);
    Ok(put(Family { running: true, ..family.clone() }, "family.started", message, doer))
}

/// Stop a family; its count stays.
///
/// # Errors
/// `Conflict` for a family that is being deleted.
pub fn stop(family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    alive(family)?;
    Ok(put(Family { running: false, ..family.clone() }, "family.stopped", "stopped by wish", doer))
}

/// Restart the process of every node in place, rolling. A stopped family is started.
///
/// # Errors
/// `Conflict` for a family that is being deleted.
pub fn restart(family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    alive(family)?;
    let restart = family.restart + 1;
    let family = Family { running: true, restart, ..family.clone() };
    let mut edit = put(family, "family.restarted", "every process is restarted", doer);
    edit.goals.iter_mut().for_each(|goal| goal.restart = restart);
    Ok(edit)
}

/// Back to an older revision (`None`: the newest before the wanted one that is not known to be bad).
///
/// The old number itself is wanted again: nodes that still have it are not touched.
///
/// # Errors
/// `NotFound` where there is no such revision; `Conflict` where its nodes and those that run cannot be one cluster.
pub fn rollback(live: &LiveService, to: Option<u64>, hot: bool, doer: &Doer) -> Result<Edit, Problem> {
    let path = &live.service.path;
    let now = live.service.revision;
    let found = match to {
        Some(number) => live.revisions.get(&number),
        None => live.revisions.values().rev().find(|r| r.number < now && r.bad.is_none()),
    };
    let Some(revision) = found else {
        let what = to.map_or_else(|| "earlier good revision".into(), |n| format!("revision {n}"));
        return Err(Problem::not_found(format!("{what} of {path}"))
            .hint(format!("see what there is: `lace history {path}`")));
    };
    tls::refuse_switch(live, &revision.spec, &live.families.values().collect::<Vec<_>>())?;
    if hot {
        may_be_hot(live, &revision.spec)?;
    }
    let mut edit = roll(live, revision.number, format!("revision {now} back to {}", revision.number), doer);
    edit.families.iter_mut().for_each(|family| family.hot = hot.then_some(family.revision));
    if revision.bad.is_some() {
        edit.revisions.push(Revision { bad: None, ..revision.clone() });
    }
    Ok(edit)
}

/// All families of a service want this revision.
fn roll(live: &LiveService, number: u64, message: String, doer: &Doer) -> Edit {
    let families: Vec<Family> = live
        .families
        .values()
        .filter(|f| !f.deleting)
        .map(|f| Family { revision: number, aborted: None, paused: false, ..f.clone() })
        .collect();
    let revision_last = live.service.revision_last.max(number);
    Edit {
        services: vec![Service { revision: number, revision_last, ..live.service.clone() }],
        goals: families.iter().map(goal_of).collect(),
        events: vec![NewEvent::new("service.revised", &live.service.path, message).by(&doer.actor)],
        families,
        ..Edit::default()
    }
}

/// A service gets a new revision with this content; nothing where it is the wanted one's.
fn revise(live: &LiveService, spec: RevisionSpec, note: String, doer: &Doer) -> Edit {
    let digest = Digest::of_value(&spec);
    if live.wanted().is_some_and(|r| r.digest == digest) {
        return Edit { goals: live.families.values().map(goal_of).collect(), ..Edit::default() };
    }
    let number = live.service.revision_last + 1;
    let mut edit = roll(live, number, format!("revision {number}: {note}"), doer);
    edit.revisions.push(Revision {
        service: live.service.path.clone(),
        number,
        digest,
        spec,
        created_at: doer.now,
        created_by: doer.actor.clone(),
        note,
        bad: None,
    });
    edit
}

/// Delete a whole application.
pub fn delete_application(app: &Application, services: &[LiveService], doer: &Doer) -> Edit {
    let edit = Edit {
        application: Some(Application { deleting: true, ..app.clone() }),
        events: vec![NewEvent::new("app.deleting", &app.name, "is being deleted").by(&doer.actor)],
        ..Edit::default()
    };
    services.iter().fold(edit, |edit, live| edit.and(delete_service(live, doer)))
}

/// Delete a service.
pub fn delete_service(live: &LiveService, doer: &Doer) -> Edit {
    let path = &live.service.path;
    Edit {
        services: vec![Service { deleting: true, ..live.service.clone() }],
        families: live.families.values().map(|f| Family { deleting: true, ..f.clone() }).collect(),
        goals: live.families.values().map(|f| goal_gone(&f.path)).collect(),
        events: vec![NewEvent::new("service.deleting", path, "is being deleted").by(&doer.actor)],
        ..Edit::default()
    }
}

/// Delete a family; its service forgets it.
pub fn delete_family(live: &LiveService, family: &Family, doer: &Doer) -> Edit {
    let mut service = live.service.clone();
    service.spec.families.remove(&family.path.family);
    Edit {
        services: vec![service],
        families: vec![Family { deleting: true, ..family.clone() }],
        goals: vec![goal_gone(&family.path)],
        events: vec![NewEvent::new("family.deleting", &family.path, "is being deleted").by(&doer.actor)],
        ..Edit::default()
    }
}

/// Replace one node.
///
/// # Errors
/// `NotFound` where the family has no such node, `Conflict` for a family that is being deleted.
pub fn replace(family: &Family, target: Option<&Target>, node: NodeId, doer: &Doer) -> Result<Edit, Problem> {
    alive(family)?;
    let planned = target.and_then(|t| t.nodes.iter().find(|n| n.id == node));
    let Some(planned) = planned else {
        return Err(Problem::not_found(format!("node {node} in {}", family.path))
            .hint(format!("see what there is: `lace status {}`", family.path)));
    };
    let mut family = family.clone();
    family.replace.insert(planned.index, node);
    let message = format!("node {} is replaced", planned.index);
    Ok(put(family, "node.replacing", message, doer))
}

/// Hold the rollout that is under way. A newer revision does not inherit the pause.
///
/// # Errors
/// `Conflict` where no rollout is under way, or for a family that is being deleted.
pub fn pause(family: &Family, target: Option<&Target>, doer: &Doer) -> Result<Edit, Problem> {
    alive(family)?;
    let is_to_come = |t: &Target| t.rollout.as_ref().is_some_and(|r| r.to != family.revision);
    if !target.is_none_or(is_to_come) {
        under_way(family, target)?;
    }
    let mut edit = put(Family { paused: true, ..family.clone() }, "rollout.paused", "paused", doer);
    edit.goals.clear();
    Ok(edit)
}

/// Go on with a paused or aborted rollout; a revision that failed is tried again.
///
/// # Errors
/// `Conflict` for a family that is being deleted.
pub fn resume(live: &LiveService, family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    alive(family)?;
    let family = Family { paused: false, aborted: None, ..family.clone() };
    let mut edit = put(family, "rollout.resumed", "goes on", doer);
    if let Some(bad) = live.wanted().filter(|r| r.bad.is_some()) {
        edit.revisions.push(Revision { bad: None, ..bad.clone() });
    }
    Ok(edit)
}

/// Stop the rollout and go back.
///
/// # Errors
/// `Conflict` where no rollout is under way.
pub fn abort(family: &Family, target: Option<&Target>, doer: &Doer) -> Result<Edit, Problem> {
    alive(family)?;
    let rollout = under_way(family, target)?;
    let aborted = Some(family.revision);
    let message = format!("revision {} is aborted", family.revision);
    let family = Family { aborted, paused: false, ..family.clone() };
    let mut edit = put(family, "rollout.aborting", message, doer);
    edit.goals =
        edit.goals.into_iter().map(|g| Goal { revision: rollout.from.or(g.revision), ..g }).collect();
    Ok(edit)
}

fn under_way<'t>(family: &Family, target: Option<&'t Target>) -> Result<&'t Rollout, Problem> {
    let rollout = target.and_then(|t| t.rollout.as_ref()).filter(|r| r.to == family.revision);
    rollout.filter(|r| matches!(r.phase, Phase::Rolling | Phase::Watching { .. })).ok_or_else(|| {
        Problem::new(Code::Conflict, format!("no rollout of {} is under way", family.path))
            .hint(format!("see how it stands: `lace rollout show {}`", family.path))
    })
}

/// The canary is good: roll the rest. In a blue-green rollout: the old nodes may go.
///
/// # Errors
/// `Conflict` where the family is being deleted, or where the revision was aborted: it is going, or gone.
pub fn promote(family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    alive(family)?;
    if family.aborted == Some(family.revision) {
        let text = format!(
            "revision {} of {} was aborted: there is nothing to promote",
            family.revision, family.path
        );
        return Err(Problem::new(Code::Conflict, text).hint("apply it once more to try it again"));
    }
    let promoted = Some(family.revision);
    let message = format!("revision {} is promoted", family.revision);
    Ok(put(Family { promoted, ..family.clone() }, "rollout.promoted", message, doer))
}

/// This step of the canary is good: the next one.
///
/// # Errors
/// `Conflict` where no canary is under way.
pub fn promote_step(family: &Family, target: Option<&Target>, doer: &Doer) -> Result<Edit, Problem> {
    alive(family)?;
    let rollout = under_way(family, target)?;
    let split = rollout.split.as_ref().filter(|split| split.base.is_none());
    let Some(split) = split.filter(|split| family.rollout.step(split.step).is_some()) else {
        let text = format!("the rollout of {} has no further step", family.path);
        return Err(Problem::new(Code::Conflict, text)
            .hint(format!("see how it stands: `lace rollout show {}`", family.path)));
    };
    let message = format!("revision {}: step {} is called good", rollout.to, split.step + 1);
    let promoted_step = Some((rollout.to, split.step + 1));
    let mut edit = put(Family { promoted_step, ..family.clone() }, "rollout.promoted", message, doer);
    // The step after it may wait for ever: the word is taken when it is stored.
    edit.goals.clear();
    Ok(edit)
}

/// A secret has a new version: services that use it get a new revision, which rolls.
pub fn secret_changed(services: &[LiveService], name: &str, version: u64, doer: &Doer) -> Edit {
    let mut edit = Edit::default();
    for live in services.iter().filter(|l| !l.service.deleting) {
        let Some(wanted) = live.wanted().filter(|r| r.spec.secrets.contains_key(name)) else { continue };
        let mut spec = wanted.spec.clone();
        spec.secrets.insert(name.to_owned(), version);
        edit = edit.and(revise(live, spec, format!("secret {name} has version {version}"), doer));
    }
    edit
}

/// A service runs another release from now on. What its manifest says of commands and templates stays.
///
/// # Errors
/// `Conflict` for a service without a revision, or one that is being deleted; `Preflight` for a release that lacks what
/// the cluster's distribution takes.
pub fn release_activate(
    live: &LiveService,
    release: &Release,
    hot: bool,
    doer: &Doer,
) -> Result<Edit, Problem> {
    let path = &live.service.path;
    let Some(wanted) = live.wanted().filter(|_| !live.service.deleting) else {
        return Err(Problem::new(Code::Conflict, format!("service {path} cannot take a release now")));
    };
    if let Some(problem) = wanted.spec.beam.as_ref().and_then(|beam| tls::missing(release, beam)) {
        return Err(problem);
    }
    let said = &live.service.spec;
    let name = format!("{}@{}", release.name, release.version);
    let mut spec = RevisionSpec {
        release: name.clone(),
        tree: Some(release.tree),
        kind: release.kind,
        start: said.start.clone().unwrap_or_else(|| release.start.clone()),
        stop_command: said.stop_command.clone().or_else(|| release.stop.clone()),
        templates: said.templates.clone().unwrap_or_else(|| release.templates.clone()),
        ..wanted.spec.clone()
    };
    if spec.start.is_empty() || spec.package.is_some() {
        spec.start = wanted.spec.start.clone();
    }
    if spec.package.is_some() {
        spec.stop_command = wanted.spec.stop_command.clone();
    }
    if hot {
        may_be_hot(live, &spec)?;
    }
    let mut edit = revise(live, spec, format!("release {name}"), doer);
    edit.families.iter_mut().for_each(|family| family.hot = hot.then_some(family.revision));
    Ok(edit)
}

fn may_be_hot(live: &LiveService, spec: &RevisionSpec) -> Result<(), Problem> {
    if spec.kind != ReleaseKind::Generic && spec.beam.is_some() {
        return Ok(());
    }
    let text =
        format!("{} is no Erlang release of kind relx or mix: it cannot be upgraded hot", live.service.path);
    Err(Problem::new(Code::Conflict, text).hint("leave --hot out: its nodes are replaced"))
}

/// The reference to exactly this release.
pub fn reference(release: &Release) -> ReleaseRef {
    ReleaseRef { name: release.name.clone(), version: Some(release.version.clone()) }
}
