//! The verbs of daily work on a target. What each writes is the planner's decision.

use crate::abandon::Silent;
use crate::ask::Doc;
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::reads::Depth;
use crate::refusal::{Answer, Refusal};
use crate::scene::Scene;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::family::Family;
use lace_model::{Millis, NodeId, Problem, TargetPath};
use lace_planner::{Edit, verb};
use lace_wire::api::{Accepted, RolloutStep, VerbRequest};

/// `--force` ends this long after processes had their time to stop. A host that obeys removes a node within a second.
const FORCE_AFTER_MS: Millis = 5_000;
/// The time to stop that `--force` grants.
const STOP_WAITED_MAX_MS: Millis = 10_000;

/// How something is deleted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delete {
    /// End even if hosts do not answer.
    pub force: bool,
    /// Volumes too.
    pub delete_data: bool,
}

/// `POST /v1/verbs`.
pub(crate) async fn act(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(request): Doc<VerbRequest>,
) -> Answer<Json<Accepted>> {
    caller.touches(&target_of(&request).app)?;
    Ok(Json(again(|| once(&state, &caller, &request)).await?))
}

fn target_of(request: &VerbRequest) -> &TargetPath {
    match request {
        VerbRequest::Scale { target, .. }
        | VerbRequest::Start { target }
        | VerbRequest::Stop { target }
        | VerbRequest::Restart { target }
        | VerbRequest::Signal { target, .. }
        | VerbRequest::Action { target, .. }
        | VerbRequest::Failover { target, .. }
        | VerbRequest::Delete { target, .. }
        | VerbRequest::Replace { target }
        | VerbRequest::Rollback { target, .. }
        | VerbRequest::Rollout { target, .. }
        | VerbRequest::Activate { target, .. } => target,
    }
}

async fn once(state: &ApiState, caller: &Caller, request: &VerbRequest) -> Answer<Accepted> {
    match request {
        VerbRequest::Scale { target, count, save } => scale(state, caller, target, count, *save).await,
        VerbRequest::Start { target } => {
            each(state, caller, target, Deed::new("start", target), verb::start).await
        }
        VerbRequest::Stop { target } => {
            each(state, caller, target, Deed::light("stop", target), verb::stop).await
        }
        VerbRequest::Restart { target } if target.index.is_some() => {
            crate::task::restart(state, caller, target).await
        }
        VerbRequest::Restart { target } => {
            each(state, caller, target, Deed::new("restart", target), verb::restart).await
        }
        VerbRequest::Signal { target, signal } => crate::task::signal(state, caller, target, signal).await,
        VerbRequest::Action { target, action, parameters } => {
            crate::action::order(state, caller, target, action, parameters).await
        }
        VerbRequest::Failover { target, to } => crate::failover::order(state, caller, target, *to).await,
        VerbRequest::Replace { target } => replace(state, caller, target).await,
        VerbRequest::Delete { target, force, delete_data } => {
            delete(state, caller, target, Delete { force: *force, delete_data: *delete_data }).await
        }
        VerbRequest::Rollback { target, to, hot } => rollback(state, caller, target, (*to, *hot)).await,
        VerbRequest::Rollout { target, step } => steer(state, caller, target, *step).await,
        VerbRequest::Activate { target, release, hot } => {
            crate::release::activate(state, caller, target, release, *hot).await
        }
    }
}

/// The same verb for every family under the target.
async fn each(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    deed: Deed,
    verb: impl Fn(&Family, &lace_planner::Doer) -> Result<Edit, Problem>,
) -> Answer<Accepted> {
    refuse_index(target, &deed.verb)?;
    let scene = Scene::load(state, target).await?;
    let doer = caller.doer(state.now());
    let mut edit = Edit::default();
    for (_, family) in scene.families(target) {
        edit = edit.and(verb(family, &doer)?);
    }
    let batch = deed.batch(caller);
    Ok(deed.done(state, caller, edit, &scene.reads, batch).await?)
}

fn refuse_index(target: &TargetPath, verb: &str) -> Answer<()> {
    if target.index.is_none() {
        return Ok(());
    }
    Err(Refusal::usage(format!("{verb} is not for a single node: {target}"))
        .hint(format!("replace it: lace replace {target}; or change the number: lace scale")))
}

async fn scale(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    count: &str,
    save: bool,
) -> Answer<Accepted> {
    refuse_index(target, "scale")?;
    let scene = Scene::load(state, target).await?;
    let (live, family) = scene.one_family(target)?;
    let wanted = count_of(count, family.count)?;
    let edit = verb::scale(live, family, wanted, save, &caller.doer(state.now()))?;
    if wanted > family.count {
        verb::check_room(live, &family.path, wanted, &scene.capacities())?;
    }
    let deed = if wanted > family.count { Deed::new("scale", target) } else { Deed::light("scale", target) };
    let batch = deed.batch(caller);
    Ok(deed.done(state, caller, edit, &scene.reads, batch).await?)
}

/// `5`, `+2` or `-1`, from what there is.
fn count_of(text: &str, now: u32) -> Answer<u32> {
    let bad = || Refusal::usage(format!("{text:?} is not a count")).hint("write 5, +2 or -1");
    // `parse` alone would take `+-1` and `++1`.
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let number = |t: &str| if digits(t) { t.parse::<u32>().map_err(|_| bad()) } else { Err(bad()) };
    Ok(match text.split_at_checked(1) {
        Some(("+", more)) => now.saturating_add(number(more)?),
        Some(("-", fewer)) => now.checked_sub(number(fewer)?).ok_or_else(|| {
            let text = format!("{} fewer than {now} is less than none", &text[1..]);
            Refusal::usage(text).hint("write 0 for none: the family stays")
        })?,
        _ => number(text)?,
    })
}

async fn replace(state: &ApiState, caller: &Caller, target: &TargetPath) -> Answer<Accepted> {
    let Some(index) = target.index else {
        return Err(Refusal::usage(format!("{target} is not a node")).hint("write APP/SERVICE/N"));
    };
    let scene = Scene::load(state, target).await?;
    let (_, family) = scene.one_family(target)?;
    let of_family = scene.targets.get(&family.path);
    let node: NodeId = of_family
        .and_then(|t| t.running(index))
        .map(|n| n.id)
        .ok_or_else(|| Refusal::not_found(format_args!("node {target}")).hint("lace node list"))?;
    let edit = verb::replace(family, of_family, node, &caller.doer(state.now()))?;
    let deed = Deed::new("replace", target);
    let batch = deed.batch(caller);
    Ok(deed.done(state, caller, edit, &scene.reads, batch).await?)
}

async fn rollback(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    (to, hot): (Option<u64>, bool),
) -> Answer<Accepted> {
    let scene = Scene::load_deep(state, target, Depth::All).await?;
    let live = scene.one_service(target)?;
    let edit = verb::rollback(live, to, hot, &caller.doer(state.now()))?;
    let isolation = |number: u64| live.revisions.get(&number).map(|r| r.spec.isolation).unwrap_or_default();
    let (now, then) = (live.service.revision, edit.services.first().map_or(0, |service| service.revision));
    if isolation(then).is_on_host() && isolation(then) != isolation(now) {
        caller.may_isolate()?;
    }
    let _turns = crate::change::refuse_to_cut(state, caller, &edit).await?;
    let deed = Deed::new("rollback", target);
    let batch = deed.batch(caller);
    Ok(deed.done(state, caller, edit, &scene.reads, batch).await?)
}

async fn steer(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    step: RolloutStep,
) -> Answer<Accepted> {
    refuse_index(target, "rollout")?;
    let scene = Scene::load(state, target).await?;
    let doer = caller.doer(state.now());
    let mut edit = Edit::default();
    for (live, family) in scene.families(target) {
        edit = edit.and(match step {
            RolloutStep::Pause => verb::pause(family, scene.targets.get(&family.path), &doer)?,
            RolloutStep::Resume => verb::resume(live, family, &doer)?,
            RolloutStep::Promote => verb::promote(family, &doer)?,
            RolloutStep::PromoteStep => verb::promote_step(family, scene.targets.get(&family.path), &doer)?,
            RolloutStep::Abort => verb::abort(family, scene.targets.get(&family.path), &doer)?,
        });
    }
    let word = match step {
        RolloutStep::Pause => "rollout pause",
        RolloutStep::Resume => "rollout resume",
        RolloutStep::Promote | RolloutStep::PromoteStep => "rollout promote",
        RolloutStep::Abort => "rollout abort",
    };
    let deed = Deed::light(word, target);
    let batch = deed.batch(caller);
    Ok(deed.done(state, caller, edit, &scene.reads, batch).await?)
}

/// Marks what the target names as being deleted; the engine does the work.
pub(crate) async fn delete(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    how: Delete,
) -> Answer<Accepted> {
    refuse_index(target, "delete")?;
    let scene = Scene::load(state, target).await?;
    let doer = caller.doer(state.now());
    let mut edit = match (&target.service, &target.family) {
        (None, _) => {
            let services: Vec<_> = scene.live.services.values().cloned().collect();
            verb::delete_application(scene.app(), &services, &doer)
        }
        (Some(_), None) => verb::delete_service(scene.one_service(target)?, &doer),
        (Some(_), Some(_)) => {
            let (live, family) = scene.one_family(target)?;
            verb::delete_family(live, family, &doer)
        }
    };
    let silent = Silent::under(state, &scene, target).and_jobs(state, target)?;
    let mut deed = Deed::light(if how.force { "delete --force" } else { "delete" }, target);
    deed.details = silent.lines(if how.force { "is abandoned" } else { "is waited for" });
    let mut going = scene
        .live
        .services
        .values()
        .filter(|s| target.service.as_ref().is_none_or(|name| *name == s.service.path.service));
    if !how.delete_data && going.any(|s| s.wanted().is_some_and(|r| !r.spec.volumes.is_empty())) {
        deed.details.push("volumes stay; delete them with --delete-data".into());
    }
    let mut batch = deed.batch(caller);
    if how.force {
        let grace = longest_stop(&scene).min(STOP_WAITED_MAX_MS);
        let force_at = Some(doer.now + FORCE_AFTER_MS + grace);
        edit.families.iter_mut().for_each(|family| family.force_at = force_at);
        silent.abandon(state, &mut batch);
    }
    let mut accepted = deed.done(state, caller, edit, &scene.reads, batch).await?;
    if how.delete_data
        && let Some(words) = crate::volume::erase(state, std::slice::from_ref(target)).await?
    {
        accepted.message = format!("{}; {words}", accepted.message);
    }
    Ok(accepted)
}

/// The longest time that a process of the application may take to stop.
fn longest_stop(scene: &Scene) -> Millis {
    let wanted = scene.live.services.values().filter_map(|live| live.wanted());
    wanted.map(|revision| revision.spec.stop.timeout.ms()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_absolute_or_from_what_there_is() {
        for (text, now, wanted) in [("5", 3, 5), ("+2", 3, 5), ("-1", 3, 2), ("-3", 3, 0), ("0", 3, 0)] {
            assert_eq!(count_of(text, now).ok(), Some(wanted), "{text}");
        }
        for text in ["", "+", "-", "five", "1.5", "+-1", "++1", "99999999999", "é", "-4"] {
            assert!(count_of(text, 3).is_err(), "{text}");
        }
    }
}
