//! One-off jobs: asked for, looked at, waited for, cancelled. Hosts for them are found by the engine.

use crate::ask::{AppAsk, Ask, At, Doc, WaitAsk};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::reads::{self, Depth, Reads};
use crate::refusal::{Answer, Refusal};
use crate::release::release_ref;
use crate::state::ApiState;
use crate::wait;
use axum::Json;
use axum::extract::State;
use lace_model::event::NewEvent;
use lace_model::host::Host;
use lace_model::job::{Job, JobOrigin, JobState, NewJob};
use lace_model::release::{Release, ReleaseKind};
use lace_model::revision::{Backoff, Limits, RevisionSpec, StopSpec};
use lace_model::{Code, JobId, ServicePath, TargetPath};
use lace_planner::{LiveApplication, verb};
use lace_store::{Expect, Row};
use lace_wire::api::JobRequest;
use std::collections::{BTreeMap, BTreeSet};

/// Jobs of one answer, the newest.
const LISTED_MAX: usize = 500;

/// `POST /v1/jobs`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(request): Doc<JobRequest>,
) -> Answer<Json<Job>> {
    caller.touches(&request.target.app)?;
    if request.command.is_empty() {
        return Err(Refusal::usage("the job has no command").hint("lace run TARGET -- CMD"));
    }
    let app = request.target.app.clone();
    let read =
        move |view: &lace_store::View<'_>| reads::live(view, &app, Depth::Wanted, &mut Reads::default());
    let live = state.store.snapshot_async(read).await?;
    let (service, mut spec) = runs(&live, &request)?;
    if let Some(text) = &request.release {
        let release = release(&state, text)?;
        spec.release = format!("{}@{}", release.name, release.version);
        (spec.tree, spec.templates) = (Some(release.tree), Vec::new());
    }
    let hosts: Vec<_> = state.store.list::<Host>("")?.into_iter().map(|row| row.value.capacity).collect();
    verb::check_job_room(&spec.limits, &hosts)?;
    let (id, app, actor) = (JobId(state.ids.id()), request.target.app, caller.name.clone());
    let job = NewJob { id, app, service, spec, origin: JobOrigin::Person, actor }.queued(state.now());
    let subject = format!("{}/job/{}", job.app, job.id);
    let deed = Deed::new("run", &subject);
    let mut batch = deed.batch(&caller);
    batch.put(&job, Expect::Absent);
    batch.event(NewEvent::new("job.queued", &subject, format!("`{}`", job.spec.start.join(" "))));
    deed.only(&state, batch).await?;
    Ok(Json(job))
}

/// The release that a job names itself.
fn release(state: &ApiState, text: &str) -> Answer<Release> {
    let wanted = release_ref(text)?;
    let names = BTreeSet::from([wanted.name.clone()]);
    let releases = state.store.snapshot(|view| reads::releases(view, &names))?;
    let live = LiveApplication { releases, ..LiveApplication::default() };
    let found = live.release(&wanted).cloned();
    found.ok_or_else(|| Refusal::not_found(format_args!("release {text}")).hint("lace release list"))
}

/// The service whose release, environment and secrets the job has, and what it runs.
fn runs(live: &LiveApplication, request: &JobRequest) -> Answer<(Option<ServicePath>, RevisionSpec)> {
    let target = &request.target;
    match &live.app {
        None => {
            return Err(Refusal::not_found(format_args!("application {}", target.app)).hint("lace app list"));
        }
        Some(app) if app.deleting => {
            return Err(Refusal::new(Code::Conflict, format!("application {} is being deleted", target.app)));
        }
        Some(_) => {}
    }
    let Some(path) = target.service_path() else {
        return Ok((None, job_spec(bare_spec(), request)));
    };
    if live.services.get(&path.service).is_some_and(|s| s.service.deleting) {
        return Err(Refusal::new(Code::Conflict, format!("service {path} is being deleted")));
    }
    let wanted = live.services.get(&path.service).and_then(|s| s.wanted());
    let wanted = wanted.ok_or_else(|| missing(target))?;
    Ok((Some(path), job_spec(wanted.spec.clone(), request)))
}

fn missing(target: &TargetPath) -> Refusal {
    Refusal::not_found(format_args!("service {target}")).hint(format!("lace status {}", target.app))
}

fn bare_spec() -> RevisionSpec {
    RevisionSpec {
        release: String::new(),
        tree: None,
        package: None,
        links: BTreeMap::new(),
        kind: ReleaseKind::Generic,
        start: Vec::new(),
        stop_command: None,
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        files: BTreeMap::new(),
        templates: Vec::new(),
        limits: Limits::default(),
        family_limits: BTreeMap::new(),
        isolation: Default::default(),
        beam: None,
        check: None,
        live: None,
        stop: StopSpec::default(),
        restart: Backoff::default(),
        volumes: Vec::new(),
        firewall: Vec::new(),
        bootstrap: None,
        bootstrap_with: None,
        bootstrap_each_start: false,
        before: Vec::new(),
    }
}

/// The service's spec with the job's own words; what only a serving node wants is taken out.
fn job_spec(base: RevisionSpec, request: &JobRequest) -> RevisionSpec {
    let mut env = base.env;
    env.extend(request.env.clone());
    RevisionSpec {
        start: request.command.clone(),
        env,
        limits: request.limits.clone().unwrap_or(base.limits),
        stop_command: None,
        check: None,
        live: None,
        family_limits: BTreeMap::new(),
        volumes: Vec::new(),
        firewall: Vec::new(),
        bootstrap: None,
        bootstrap_with: None,
        bootstrap_each_start: false,
        before: Vec::new(),
        ..base
    }
}

/// `GET /v1/jobs`: the newest first.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<AppAsk>,
) -> Answer<Json<Vec<Job>>> {
    if let Some(app) = &ask.app {
        caller.touches(app)?;
    }
    let rows = state.store.snapshot_async(|view| view.list::<Job>("")).await?;
    let asked = |job: &Job| caller.sees(&job.app) && ask.app.as_ref().is_none_or(|app| *app == job.app);
    let mut found: Vec<_> = rows.into_iter().map(|row| row.value).filter(|job| asked(job)).collect();
    found.sort_by_key(|job| std::cmp::Reverse((job.created_at, job.id)));
    found.truncate(LISTED_MAX);
    Ok(Json(found))
}

/// `GET /v1/jobs/{id}`: answers when it has ended, after `wait_ms` at the latest.
pub(crate) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<JobId>,
    Ask(ask): Ask<WaitAsk>,
) -> Answer<Json<Job>> {
    let over = |row: &Row<Job>| is_over(&row.value);
    Ok(Json(wait::until(&state, ask, || found(&state, &caller, id), over).await?.value))
}

fn is_over(job: &Job) -> bool {
    !matches!(job.state, JobState::Queued | JobState::Running)
}

/// `POST /v1/jobs/{id}/cancel`.
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<JobId>,
) -> Answer<Json<Job>> {
    again(|| cancel_once(&state, &caller, id)).await
}

async fn cancel_once(state: &ApiState, caller: &Caller, id: JobId) -> Answer<Json<Job>> {
    let Row { value: mut job, rev } = found(state, caller, id)?;
    if is_over(&job) {
        return Err(Refusal::new(Code::Conflict, format!("job {id} has ended already"))
            .hint(format!("lace job show {id}")));
    }
    job.cancel = true;
    let subject = format!("{}/job/{id}", job.app);
    let deed = Deed::light("cancel", &subject);
    let mut batch = deed.batch(caller);
    batch.put(&job, Expect::Rev(rev));
    batch.event(NewEvent::new("job.cancelling", &subject, "a person wants it to end"));
    deed.only(state, batch).await?;
    Ok(Json(job))
}

pub(crate) fn found(state: &ApiState, caller: &Caller, id: JobId) -> Answer<Row<Job>> {
    let row = state.store.get::<Job>(&id.to_string())?;
    let row = row.ok_or_else(|| Refusal::not_found(format_args!("job {id}")).hint("lace job list"))?;
    caller.touches(&row.value.app)?;
    Ok(row)
}
