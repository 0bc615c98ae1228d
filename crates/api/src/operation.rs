//! Operations: looked at, waited for, cancelled.

use crate::ask::{Ask, At, WaitAsk};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use crate::wait;
use axum::Json;
use axum::extract::State;
use lace_model::event::NewEvent;
use lace_model::operation::{Operation, OperationState};
use lace_model::{AppName, Code, OperationId};
use lace_store::{Expect, Row};
use serde::Deserialize;

/// Operations of one answer, the newest.
const LISTED_MAX: usize = 200;

/// `?subject=`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubjectAsk {
    /// `shop` covers `shop/game`.
    pub subject: Option<String>,
}

/// The application that a subject belongs to.
pub(crate) fn app_of(subject: &str) -> Option<AppName> {
    AppName::new(subject.split('/').next()?).ok()
}

/// Does `subject` lie at or under `top`?
pub(crate) fn lies_under(subject: &str, top: &str) -> bool {
    subject.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn may_see(caller: &Caller, operation: &Operation) -> bool {
    caller.sees_all() || app_of(&operation.subject).is_some_and(|app| caller.sees(&app))
}

/// `GET /v1/operations`: the newest first.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<SubjectAsk>,
) -> Answer<Json<Vec<Operation>>> {
    let rows = state.store.snapshot_async(|view| view.list::<Operation>("")).await?;
    let asked = |o: &Operation| ask.subject.as_ref().is_none_or(|s| lies_under(&o.subject, s));
    let all = rows.into_iter().map(|row| row.value);
    let mut found: Vec<_> = all.filter(|o| may_see(&caller, o) && asked(o)).collect();
    found.sort_by_key(|o| std::cmp::Reverse((o.started_at, o.id)));
    found.truncate(LISTED_MAX);
    Ok(Json(found))
}

/// `GET /v1/operations/{id}`: answers when it changes or has ended, after `wait_ms` at the latest.
pub(crate) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<OperationId>,
    Ask(ask): Ask<WaitAsk>,
) -> Answer<Json<Operation>> {
    let first = found(&state, &caller, id)?;
    let settled = |row: &Row<Operation>| row.value.state != OperationState::Running || row.rev != first.rev;
    let row = wait::until(&state, ask, || found(&state, &caller, id), settled).await?;
    Ok(Json(row.value))
}

/// `POST /v1/operations/{id}/cancel`.
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<OperationId>,
) -> Answer<Json<Operation>> {
    again(|| cancel_once(&state, &caller, id)).await
}

async fn cancel_once(state: &ApiState, caller: &Caller, id: OperationId) -> Answer<Json<Operation>> {
    let Row { value: mut operation, rev } = found(state, caller, id)?;
    if operation.state != OperationState::Running {
        return Err(Refusal::new(Code::Conflict, format!("operation {id} has ended already"))
            .hint(format!("lace op show {id}")));
    }
    operation.state = OperationState::Cancelled;
    operation.message = match operation.held_until {
        Some(_) => format!("cancelled by {}; it stops", caller.name),
        None => format!("cancelled by {}; what it began goes on", caller.name),
    };
    operation.ended_at = Some(state.now());
    let deed = Deed::light("cancel", format!("operation/{id}"));
    let mut batch = deed.batch(caller);
    batch.put(&operation, Expect::Rev(rev));
    let told = format!("{} is no longer watched", operation.verb);
    batch.event(NewEvent::new("operation.cancelled", &operation.subject, told));
    deed.only(state, batch).await?;
    Ok(Json(operation))
}

fn found(state: &ApiState, caller: &Caller, id: OperationId) -> Answer<Row<Operation>> {
    let row = state.store.get::<Operation>(&id.to_string())?;
    let row = row.ok_or_else(|| Refusal::not_found(format_args!("operation {id}")).hint("lace op list"))?;
    match app_of(&row.value.subject) {
        Some(app) => caller.touches(&app)?,
        None => caller.is_whole()?,
    }
    Ok(row)
}
