//! The audit log, read and checked.

use crate::ask::Ask;
use crate::limit::PAGE_ROWS_MAX;
use crate::refusal::Answer;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::{Code, Digest};
use lace_store::AuditRow;
use lace_wire::api::{AuditLine, AuditVerdict};
use serde::Deserialize;

/// Rows of one answer where no limit is said.
const LIST_USUAL: usize = 100;

/// `?after&limit`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditAsk {
    /// After this number.
    #[serde(default)]
    after: u64,
    /// At most so many.
    limit: Option<usize>,
}

/// `GET /v1/audit`.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Ask(ask): Ask<AuditAsk>,
) -> Answer<Json<Vec<AuditLine>>> {
    let limit = ask.limit.unwrap_or(LIST_USUAL).min(PAGE_ROWS_MAX);
    let rows = state.store.snapshot_async(move |view| view.audit(ask.after, limit)).await?;
    Ok(Json(rows.into_iter().map(line).collect()))
}

fn line(row: AuditRow) -> AuditLine {
    AuditLine {
        seq: row.seq,
        at: row.at,
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        outcome: row.outcome,
        // Another function made these hashes; the text form is the same.
        prev_hash: Digest(row.prev_hash).to_string(),
        hash: Digest(row.hash).to_string(),
    }
}

/// `GET /v1/audit/verify`.
pub(crate) async fn verify(State(state): State<ApiState>) -> Answer<Json<AuditVerdict>> {
    let report = tokio::task::spawn_blocking(move || state.store.audit_verify()).await;
    let report = report.map_err(|e| crate::Refusal::new(Code::Error, format!("the audit log: {e}")))??;
    let whole = report.is_whole();
    let broken = report.broken.map(|(seq, how)| format!("row {seq}: {how}"));
    Ok(Json(AuditVerdict { rows: report.rows, whole, broken }))
}
