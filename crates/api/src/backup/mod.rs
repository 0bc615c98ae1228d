//! Backups: what the script `backup` of a service's package writes, kept in chunks under a digest; and the way back.
//!
//! The controller works at it itself, in an operation that it holds: it ends by the controller's word or by its deadline,
//! and nothing is stored unless the whole copy is here. Chunks of one that failed are garbage.

mod copy;
mod run;

use crate::ask::{Ask, At, TargetAsk};
use crate::caller::Caller;
use crate::deed::Deed;
use crate::reads::Depth;
use crate::refusal::{Answer, Refusal};
use crate::scene::Scene;
use crate::state::ApiState;
use crate::stream::Place;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lace_model::backup::{BACKUPS_MAX, Backup};
use lace_model::event::NewEvent;
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::operation::{Operation, OperationState};
use lace_model::package::{Package, PackageUse, Script, Verb};
use lace_model::target::Want;
use lace_model::{BackupId, ByteSize, Code, NodePath, ServicePath, Span, TargetPath};
use lace_planner::LiveService;
use lace_store::{Expect, Row};
use lace_wire::api::Accepted;
use serde::Deserialize;

/// The verbs of operations that copy.
const VERBS: [&str; 2] = ["backup", "restore"];
/// Nodes that are asked one after the other, where scripts say that another one shall be.
const ASKED_MAX: usize = 8;
/// Beside the script's own time, for what its host and the disk take.
const AROUND: Span = Span::secs(60);
/// For a copy on its way into a node, beside the script's own time.
const CARRIED_WITHIN: Span = Span::secs(1800);

/// `GET /v1/backups`: the newest first.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Vec<Backup>>> {
    let mut all = all(&state)?;
    all.retain(|backup| caller.sees(&backup.service.app));
    if let Some(target) = ask.target {
        caller.touches(&target.app)?;
        all.retain(|backup| target.covers_node(&backup.node));
    }
    all.sort_by_key(|backup| std::cmp::Reverse((backup.made_at, backup.id)));
    Ok(Json(all))
}

fn all(state: &ApiState) -> Answer<Vec<Backup>> {
    Ok(state.store.list::<Backup>("")?.into_iter().map(|row| row.value).collect())
}

/// `GET /v1/backups/{id}`.
pub(crate) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<BackupId>,
) -> Answer<Json<Backup>> {
    Ok(Json(found(&state, &caller, id)?.value))
}

fn found(state: &ApiState, caller: &Caller, id: BackupId) -> Answer<Row<Backup>> {
    let row = state.store.get::<Backup>(&id.to_string())?;
    let row = row.ok_or_else(|| Refusal::not_found(format_args!("backup {id}")).hint("lace backup list"))?;
    caller.touches(&row.value.service.app)?;
    Ok(row)
}

/// `DELETE /v1/backups/{id}`.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<BackupId>,
) -> Answer<StatusCode> {
    let row = found(&state, &caller, id)?;
    let deed = Deed::light("backup delete", id);
    let mut batch = deed.batch(&caller);
    batch.delete::<Backup>(&id.to_string(), Expect::Rev(row.rev));
    let service = row.value.service.to_string();
    batch.event(NewEvent::new("backup.deleted", service, format!("backup {id}")).by(&caller.name));
    deed.only(&state, batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/backups`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Accepted>> {
    let target = ask.required()?;
    caller.touches(&target.app)?;
    let all_asked = Asked::of(&state, &target, Verb::Backup).await?;
    let asked = &all_asked[0];
    let kept = all(&state)?.iter().filter(|backup| backup.service == asked.service).count();
    if kept >= BACKUPS_MAX {
        let text = format!("{} has {kept} backups, and no more are kept", asked.service);
        let hint = format!("lace backup list {target}; lace backup delete ID");
        return Err(Refusal::new(Code::Conflict, text).hint(hint));
    }
    let within = Span(asked.script.timeout.0 + AROUND.0);
    let held = hold(&state, &caller, asked, Deed::new(VERBS[0], &asked.service), within).await?;
    let accepted = accepted(&held);
    run::begin(state, held, within, move |state, held| Box::pin(run::backup(state, held, all_asked)));
    Ok(Json(accepted))
}

/// `?target=&other_version=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreAsk {
    /// The service that takes it; the one that it is of where none is said.
    target: Option<TargetPath>,
    /// Also where another version of the package wrote it.
    #[serde(default)]
    other_version: bool,
}

/// `POST /v1/backups/{id}/restore`.
pub(crate) async fn restore(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<BackupId>,
    Ask(ask): Ask<RestoreAsk>,
) -> Answer<Json<Accepted>> {
    let backup = found(&state, &caller, id)?.value;
    let target = match ask.target {
        Some(target) => target,
        None => backup.service.to_string().parse()?,
    };
    caller.touches(&target.app)?;
    let all_asked = Asked::of(&state, &target, Verb::Restore).await?;
    let asked = &all_asked[0];
    all_asked.iter().try_for_each(|asked| fits(&backup, asked, ask.other_version))?;
    let within = Span(asked.script.timeout.0 + CARRIED_WITHIN.0);
    let mut deed = Deed::light(VERBS[1], &asked.service);
    deed.details.push(format!("backup {id}, {}", ByteSize(backup.bytes).human()));
    let held = hold(&state, &caller, asked, deed, within).await?;
    let accepted = accepted(&held);
    run::begin(state, held, within, move |state, _| Box::pin(run::restore(state, all_asked, backup)));
    Ok(Json(accepted))
}

fn accepted(held: &Operation) -> Accepted {
    let message = format!("{} of {} is under way", held.verb, held.subject);
    Accepted { operation: Some(held.id), message }
}

/// Refuses a copy that another package wrote, or another version where nobody says that this is meant.
fn fits(backup: &Backup, asked: &Asked, other_version: bool) -> Answer<()> {
    let Backup { id, package, version, .. } = backup;
    let used = &asked.used;
    if *package != used.name {
        let text = format!(
            "backup {id} was written by package {package}, and {} is of {}",
            asked.service, used.name
        );
        return Err(Refusal::new(Code::Conflict, text).hint("restore it to a service of the same package"));
    }
    if *version != used.version && !other_version {
        let text = format!(
            "backup {id} was written by version {version} of {package}, and {} has version {}",
            asked.service, used.version
        );
        return Err(Refusal::new(Code::Conflict, text)
            .hint("if this version understands it: lace service restore ... --other-version"));
    }
    Ok(())
}

/// A script of a service's package, and the node that runs it.
struct Asked {
    service: ServicePath,
    used: PackageUse,
    script: Script,
    path: NodePath,
    place: Place,
}

impl Asked {
    /// The nodes under the target that are up and whose package has the script for their role; ready ones come first. There is
    /// one at least.
    async fn of(state: &ApiState, target: &TargetPath, verb: Verb) -> Answer<Vec<Self>> {
        let scene = Scene::load_deep(state, target, Depth::All).await?;
        let live = scene.one_service(target)?;
        let service = live.service.path.clone();
        let mut able = Vec::new();
        for Up { path, place, revision, .. } in nodes(state, &scene, target)? {
            let revision = live.revisions.get(&revision);
            let Some(used) = revision.and_then(|revision| revision.spec.package.as_deref()) else { continue };
            let package = crate::package::pinned(state.store.blobs(), &used.tree)?;
            let script = package.scripts.get(&verb).cloned();
            if let Some(script) = script.filter(|of| Package::is_for(&of.roles, &path.family.family)) {
                able.push(Self { service: service.clone(), used: used.clone(), script, path, place });
            }
        }
        able.truncate(ASKED_MAX);
        if able.is_empty() { Err(nobody(state, live, target, verb)?) } else { Ok(able) }
    }
}

/// Why no node can be asked.
fn nobody(state: &ApiState, live: &LiveService, target: &TargetPath, verb: Verb) -> Answer<Refusal> {
    let conflict = |text: String| Refusal::new(Code::Conflict, text);
    let instead = "its volumes have snapshots: lace volume snapshot";
    let used = live.wanted().and_then(|revision| revision.spec.package.as_deref());
    let Some(used) = used else {
        let text = format!("{target} is not made of a package that could {verb} it");
        return Ok(conflict(text).hint(instead));
    };
    let package = crate::package::pinned(state.store.blobs(), &used.tree)?;
    let Some(script) = package.scripts.get(&verb) else {
        return Ok(conflict(format!("package {} has no script {verb}", used.key())).hint(instead));
    };
    let roles: Vec<&str> = script.roles.iter().map(|role| role.as_str()).collect();
    let of = if roles.is_empty() { String::new() } else { format!(" with the role {}", roles.join(" or ")) };
    Ok(conflict(format!("no node of {target}{of} runs now")).hint(format!("lace status {target}")))
}

/// A node that is up.
struct Up {
    ready: bool,
    path: NodePath,
    place: Place,
    revision: u64,
}

fn nodes(state: &ApiState, scene: &Scene, target: &TargetPath) -> Answer<Vec<Up>> {
    let mut up = Vec::new();
    for (_, family) in scene.families(target) {
        let planned = scene.targets.get(&family.path).into_iter().flat_map(|target| &target.nodes);
        for node in planned.filter(|node| node.want == Want::Run) {
            let path = family.path.node(node.index);
            let status = state.store.get::<NodeStatus>(&node.id.to_string())?.map(|row| row.value);
            let status = status.filter(|s| s.phase == NodePhase::Running && target.covers_node(&path));
            if let Some(NodeStatus { ready, revision, .. }) = status {
                up.push(Up { ready, path, place: Place { host: node.host, node: node.id }, revision });
            }
        }
    }
    up.sort_by(|a, b| (!a.ready, &a.path).cmp(&(!b.ready, &b.path)));
    Ok(up)
}

/// Writes the operation; one at a time for each service.
async fn hold(
    state: &ApiState,
    caller: &Caller,
    asked: &Asked,
    deed: Deed,
    within: Span,
) -> Answer<Operation> {
    let _turn = state.turns.take(&asked.service)?;
    let subject = asked.service.to_string();
    let busy =
        |o: &Operation| o.state == OperationState::Running && o.held_until.is_some() && o.subject == subject;
    if let Some(row) = state.store.list::<Operation>("")?.into_iter().find(|row| busy(&row.value)) {
        let text = format!("a {} of {subject} is under way", row.value.verb);
        return Err(
            Refusal::new(Code::Conflict, text).hint(format!("wait for it: lace op wait {}", row.value.id))
        );
    }
    let batch = deed.batch(caller);
    Ok(deed.hold(state, caller, within, batch).await?)
}
