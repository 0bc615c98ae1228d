//! The audit log: who did what, and whether it is as it was written.

use crate::page::Noun;
use crate::visit::Visit;
use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use lace_model::{Millis, Problem};
use lace_wire::api::{AuditLine, AuditVerdict};
use serde::Deserialize;

/// Rows of one page.
const SHOWN: u64 = 200;

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    now: Millis,
    verdict: AuditVerdict,
    first: u64,
    lines: Vec<AuditLine>,
}

/// `?to=`: the last row of the page.
#[derive(Deserialize)]
pub struct To {
    to: Option<u64>,
}

/// `GET /audit`.
pub async fn list(visit: Visit, Query(to): Query<To>) -> Response {
    visit.page("Audit", Noun::Audit, load(&visit, to.to).await).await
}

async fn load(visit: &Visit, to: Option<u64>) -> Result<Audit, Problem> {
    let verdict: AuditVerdict = visit.get("/v1/audit/verify").await?;
    let last = to.unwrap_or(verdict.rows).min(verdict.rows);
    let after = last.saturating_sub(SHOWN);
    // A row more than was verified may have come meanwhile.
    let limit = if to.is_some() { last - after } else { SHOWN + 1 };
    let mut lines: Vec<AuditLine> = visit.get(&format!("/v1/audit?after={after}&limit={limit}")).await?;
    lines.reverse();
    Ok(Audit { now: visit.now, verdict, first: after, lines })
}
