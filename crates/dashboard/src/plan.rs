//! A change of an application: planned first, and done exactly as the plan said that was shown.

use crate::page;
use crate::visit::Visit;
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use lace_model::application::ApplyRequest;
use lace_model::change::{Action, Plan};
use lace_model::{Code, Problem};
use lace_wire::api::Accepted;

/// The field that holds the digest of the plan that was shown.
pub const DIGEST: &str = "plan";

/// What a form asks for, and what the plan's own form sends again to have it done.
pub struct Change {
    pub request: ApplyRequest,
    /// Where both forms go.
    pub to: &'static str,
    pub fields: Vec<(String, String)>,
    /// The digest of the plan that was shown; empty where none was yet.
    pub plan: String,
}

#[derive(Template)]
#[template(path = "plan.html")]
struct Planned {
    plan: Plan,
    to: &'static str,
    fields: Vec<(String, String)>,
}

/// Without the digest of a plan it shows the plan, with it it does it.
pub async fn answer(visit: &Visit, change: Result<Change, Problem>) -> Response {
    match change {
        Ok(change) if !change.plan.is_empty() => page::accepted(apply(visit, change).await),
        Ok(change) => match show(visit, change).await.map(|planned| planned.render()) {
            Ok(text) => page::html(StatusCode::OK, text.unwrap_or_default()),
            Err(problem) => page::did(Err(problem)),
        },
        Err(problem) => page::did(Err(problem)),
    }
}

async fn show(visit: &Visit, change: Change) -> Result<Planned, Problem> {
    let Change { request, to, fields, .. } = change;
    let plan = visit.post(&format!("/v1/apps/{}/plan", request.app), &request).await?;
    Ok(Planned { plan, to, fields })
}

async fn apply(visit: &Visit, change: Change) -> Result<Accepted, Problem> {
    let mut request = change.request;
    let digest = change.plan.parse();
    request.plan = Some(digest.map_err(|_| Problem::new(Code::Usage, "this is not the digest of a plan"))?);
    visit.post(&format!("/v1/apps/{}/apply", request.app), &request).await
}

/// What a change does, as a word.
fn action(action: &Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
        Action::Drift => "drift",
    }
}
