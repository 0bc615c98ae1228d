//! Operations: what people asked for, and how far it is.

use crate::page::{self, Noun};
use crate::visit::Visit;
use crate::words;
use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::Response;
use lace_model::operation::{Goal, Operation, OperationState};
use lace_model::task::NodeTask;
use lace_model::{Millis, Problem};
use lace_wire::api::{FamilyStatus, Status};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Operations under way whose progress is counted; there are few.
const COUNTED_MAX: usize = 50;

/// An operation under way, with its share in percent.
pub struct Under {
    pub id: String,
    pub verb: String,
    pub subject: String,
    pub actor: String,
    pub message: String,
    pub percent: u64,
}

#[derive(Template)]
#[template(path = "operations.html")]
struct Operations {
    now: Millis,
    running: Vec<Under>,
    ended: Vec<Operation>,
}

#[derive(Template)]
#[template(path = "operation.html")]
struct Show {
    now: Millis,
    operation: Operation,
    percent: u64,
    /// What it had nodes do.
    tasks: Vec<NodeTask>,
}

/// `GET /operations`.
pub async fn list(visit: Visit) -> Response {
    visit.page("Operations", Noun::Operations, load(&visit).await).await
}

async fn load(visit: &Visit) -> Result<Operations, Problem> {
    let mut ended: Vec<Operation> = visit.get("/v1/operations").await?;
    ended.retain(|o| o.state != OperationState::Running);
    Ok(Operations { now: visit.now, running: under_way(visit).await?, ended })
}

/// Operations that run, the newest first.
pub async fn under_way(visit: &Visit) -> Result<Vec<Under>, Problem> {
    let all: Vec<Operation> = visit.get("/v1/operations").await?;
    let mut families = Families::default();
    let mut found = Vec::new();
    for operation in all.into_iter().filter(|o| o.state == OperationState::Running).take(COUNTED_MAX) {
        let percent = families.percent(visit, &operation).await;
        let Operation { id, verb, subject, actor, message, .. } = operation;
        found.push(Under { id: id.to_string(), verb, subject, actor, message, percent });
    }
    Ok(found)
}

/// Families that were looked at for this page, by application.
#[derive(Default)]
struct Families(BTreeMap<String, Vec<FamilyStatus>>);

impl Families {
    async fn percent(&mut self, visit: &Visit, operation: &Operation) -> u64 {
        let app = operation.subject.split('/').next().unwrap_or_default().to_owned();
        if !self.0.contains_key(&app) {
            let status: Option<Status> = visit.about("/v1/status", &app).await.ok();
            let families = status.into_iter().flat_map(|s| s.apps).flat_map(|a| a.families).collect();
            self.0.insert(app.clone(), families);
        }
        share(&operation.waits, self.0.get(&app).map_or(&[], Vec::as_slice))
    }
}

/// Nodes that are as the operation wants them, of those that shall be.
fn share(goals: &[Goal], families: &[FamilyStatus]) -> u64 {
    let (mut met, mut wanted) = (0, 0);
    for goal in goals {
        let family = families.iter().find(|f| f.path == goal.family);
        let there = family.map_or(0, |f| nodes_at(f, goal.revision));
        wanted += u64::from(goal.ready.max(1));
        met += match goal.revision {
            Some(_) => there.min(u64::from(goal.ready)),
            None => u64::from(family.is_none()),
        };
    }
    words::percent(met, wanted)
}

fn nodes_at(family: &FamilyStatus, revision: Option<u64>) -> u64 {
    family.nodes.iter().filter(|n| n.status.ready && Some(n.status.revision) == revision).count() as u64
}

/// `GET /operations/{id}`.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    visit.page("Operation", Noun::Operations, load_one(&visit, &id).await).await
}

async fn load_one(visit: &Visit, id: &str) -> Result<Show, Problem> {
    let operation: Operation = visit.get(&format!("/v1/operations/{}", crate::api::encoded(id))).await?;
    let percent = match operation.state {
        OperationState::Running => Families::default().percent(visit, &operation).await,
        _ => 100,
    };
    let tasks: Vec<NodeTask> = visit.get(&format!("/v1/tasks?operation={}", crate::api::encoded(id))).await?;
    let is_counted = operation.state == OperationState::Running && !tasks.is_empty();
    let percent = if is_counted { done(&tasks) } else { percent };
    Ok(Show { now: visit.now, operation, percent, tasks })
}

/// Tasks that have ended, in percent.
fn done(tasks: &[NodeTask]) -> u64 {
    let ended = tasks.iter().filter(|task| !task.state.is_open()).count();
    words::percent(ended as u64, tasks.len() as u64)
}

#[derive(Deserialize)]
pub struct Cancel {
    id: String,
}

/// `POST /act/operation/cancel`.
pub async fn cancel(visit: Visit, Form(form): Form<Cancel>) -> Response {
    let path = format!("/v1/operations/{}/cancel", crate::api::encoded(&form.id));
    let done: Result<Operation, Problem> = visit.post(&path, &()).await;
    page::did(done.map(|o| format!("{} of {} is no longer watched", o.verb, o.subject)))
}
