//! `lace app rename`: an application under another name.
//!
//! Names of nodes, their addresses in DNS and the volumes' places have the application in them, so nothing of it may run.
//! Hosts move its volumes first, which may be repeated; then one commit writes every row anew under the new name, and marks
//! the old ones as being deleted: the engine takes them away as it does for any application.

use crate::ask::{Ask, At};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::reads::Depth;
use crate::refusal::{Answer, Refusal};
use crate::scene::Scene;
use crate::state::ApiState;
use crate::volume;
use axum::Json;
use axum::extract::State;
use lace_model::backup::Backup;
use lace_model::event::NewEvent;
use lace_model::family::{Application, Family, Service};
use lace_model::host::Host;
use lace_model::job::{Job, JobState};
use lace_model::revision::{OpenTo, Revision};
use lace_model::token::Token;
use lace_model::{AppName, Code, TargetPath};
use lace_planner::LiveService;
use lace_store::{Batch, Expect};
use lace_wire::api::Accepted;
use lace_wire::stream::StreamRequest;
use serde::Deserialize;

/// `?to=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameAsk {
    /// The new name.
    to: AppName,
}

/// `POST /v1/apps/{app}/rename`.
pub(crate) async fn rename(
    State(state): State<ApiState>,
    caller: Caller,
    At(app): At<AppName>,
    Ask(RenameAsk { to }): Ask<RenameAsk>,
) -> Answer<Json<Accepted>> {
    caller.touches(&to)?;
    if app == to {
        return Err(Refusal::usage(format!("{app} has this name already")));
    }
    Ok(Json(again(|| once(&state, &caller, &app, &to)).await?))
}

async fn once(state: &ApiState, caller: &Caller, app: &AppName, to: &AppName) -> Answer<Accepted> {
    let whole = TargetPath { app: app.clone(), service: None, family: None, index: None };
    let scene = Scene::load_deep(state, &whole, Depth::All).await?;
    may_be(state, &scene, app, to)?;
    move_volumes(state, app, to).await?;
    let deed = Deed::new("rename", app);
    let mut batch = deed.batch(caller);
    write(&mut batch, &scene, app, to);
    batch.secret_copy_all(app, to);
    for mut row in state.store.list::<Backup>("")? {
        if row.value.service.app == *app {
            row.value.service.app = to.clone();
            row.value.node.family.app = to.clone();
            batch.put(&row.value, Expect::Rev(row.rev));
        }
    }
    for mut row in state.store.list::<Token>("")? {
        if let Some(name) = row.value.apps.iter_mut().find(|name| *name == app) {
            *name = to.clone();
            batch.put(&row.value, Expect::Rev(row.rev));
        }
    }
    crate::people::rename(state, &mut batch, app, to)?;
    batch.event(NewEvent::new("app.renamed", to, format!("it was {app}")).by(&caller.name));
    deed.only(state, batch).await?;
    Ok(Accepted { operation: None, message: message(state, app, to)? })
}

/// Nothing of it may be there, and the new name must be nobody's.
fn may_be(state: &ApiState, scene: &Scene, app: &AppName, to: &AppName) -> Answer<()> {
    let conflict = |text: String| Refusal::new(Code::Conflict, text);
    if state.store.get::<Application>(to.as_str())?.is_some() {
        return Err(conflict(format!("there is an application {to} already")).hint("choose another name"));
    }
    if scene.live.app.as_ref().is_some_and(|live| live.deleting) {
        return Err(conflict(format!("application {app} is being deleted")));
    }
    let nodes: usize = scene.targets.values().map(|target| target.nodes.len()).sum();
    let families = || scene.live.services.values().flat_map(|live| live.families.values());
    if nodes > 0 || families().any(|family| family.running && family.count > 0) {
        return Err(conflict(format!("{app} runs, and its nodes have its name"))
            .hint(format!("lace app rename {app} {to} --restart stops it and starts it again")));
    }
    let is_at_work = |job: &Job| job.app == *app && matches!(job.state, JobState::Queued | JobState::Running);
    match state.store.list::<Job>("")?.iter().find(|row| is_at_work(&row.value)) {
        Some(job) => Err(conflict(format!("job {} of {app} is at work", job.value.id))
            .hint(format!("wait for it, or: lace job cancel {}", job.value.id))),
        None => Ok(()),
    }
}

/// What a host that is away keeps would be lost to the application: then nothing is renamed.
async fn move_volumes(state: &ApiState, app: &AppName, to: &AppName) -> Answer<()> {
    for row in state.store.list::<Host>("")? {
        let request = StreamRequest::MoveVolumes { from: app.clone(), to: to.clone() };
        volume::order(state, &row.value, request).await?;
    }
    Ok(())
}

fn write(batch: &mut Batch, scene: &Scene, app: &AppName, to: &AppName) {
    let reads = &scene.reads;
    if let Some(live) = &scene.live.app {
        batch.put(&Application { name: to.clone(), ..live.clone() }, Expect::Absent);
        let old = Application { deleting: true, certificates: Vec::new(), ..live.clone() };
        batch.put(&old, reads.expect(&old));
    }
    for live in scene.live.services.values() {
        let LiveService { service, families, revisions } = live;
        let mut new = service.clone();
        new.path.app = to.clone();
        batch.put(&new, Expect::Absent);
        let old = Service { deleting: true, ..service.clone() };
        batch.put(&old, reads.expect(&old));
        for revision in revisions.values() {
            batch.put(&Revision { service: new.path.clone(), ..revision.clone() }, Expect::Absent);
        }
        for family in families.values() {
            batch.put(&moved(family, app, to), Expect::Absent);
            let old = Family { deleting: true, ..family.clone() };
            batch.put(&old, reads.expect(&old));
        }
    }
}

fn moved(family: &Family, app: &AppName, to: &AppName) -> Family {
    let mut new = family.clone();
    new.path.app = to.clone();
    new.replace.clear();
    new.needs = std::mem::take(&mut new.needs)
        .into_iter()
        .map(|mut needed| {
            if needed.app == *app {
                needed.app = to.clone();
            }
            needed
        })
        .collect();
    new
}

/// What others say about the old name is theirs to change.
fn message(state: &ApiState, app: &AppName, to: &AppName) -> Answer<String> {
    let opens = |service: &Service| {
        let openings = service.spec.firewall.iter().flatten();
        openings.into_iter().any(|opening| opening.from == OpenTo::App(app.clone()))
    };
    let services = state.store.list::<Service>("")?;
    let users: Vec<_> = services
        .iter()
        .map(|row| &row.value)
        .filter(|service| !service.deleting && service.path.app != *to && opens(service))
        .map(|service| service.path.to_string())
        .collect();
    let mut text = format!("application {app} is {to} now");
    if !users.is_empty() {
        text.push_str(&format!("; still opened to {app}: the firewall of {}", users.join(", ")));
    }
    Ok(text)
}
