//! `history`: the revisions of a service.

use crate::ask::{Ask, TargetAsk};
use crate::caller::Caller;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::family::Service;
use lace_model::object::revision_key;
use lace_model::revision::Revision;
use lace_model::target::Target;
use lace_model::{ServicePath, TargetPath};
use lace_store::View;
use lace_wire::api::HistoryLine;
use serde::Deserialize;
use std::collections::BTreeSet;

/// `GET /v1/history`: the newest first.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Vec<HistoryLine>>> {
    let target = ask.required()?;
    caller.touches(&target.app)?;
    let path = one_service(&state, &target)?;
    let lines = state.store.snapshot_async(move |view| lines(view, &path)).await?;
    Ok(Json(lines))
}

/// The service that a target means: the one it names, or the only one of its application.
pub(crate) fn one_service(state: &ApiState, target: &TargetPath) -> Answer<ServicePath> {
    let below = format!("{}/", target.app);
    let mut found: Vec<_> = state.store.list::<Service>(&below)?.into_iter().map(|r| r.value.path).collect();
    if let Some(path) = target.service_path() {
        found.retain(|p| *p == path);
    }
    match <[ServicePath; 1]>::try_from(found) {
        Ok([path]) => Ok(path),
        Err(found) if found.is_empty() => {
            Err(Refusal::not_found(format_args!("service {target}")).hint("lace app list"))
        }
        Err(found) => {
            let names: Vec<_> = found.iter().map(ToString::to_string).collect();
            Err(Refusal::usage(format!("{target} has several services"))
                .hint(format!("name one: {}", names.join(", "))))
        }
    }
}

/// `?target=&number=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevisionAsk {
    target: TargetPath,
    number: Option<u64>,
}

/// `GET /v1/revision`. Secrets are in it by name and version.
pub(crate) async fn revision(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<RevisionAsk>,
) -> Answer<Json<Revision>> {
    caller.touches(&ask.target.app)?;
    let path = one_service(&state, &ask.target)?;
    let wanted = state.store.get::<Service>(&path.to_string())?.map(|row| row.value.revision);
    let number = ask.number.or(wanted).unwrap_or_default();
    let row = state.store.get::<Revision>(&revision_key(&path, number))?;
    let row = row.ok_or_else(|| {
        Refusal::not_found(format_args!("revision {number} of {path}")).hint(format!("lace history {path}"))
    })?;
    Ok(Json(row.value))
}

fn lines(view: &View<'_>, path: &ServicePath) -> lace_store::Result<Vec<HistoryLine>> {
    let wanted = view.get::<Service>(&path.to_string())?.map(|row| row.value.revision);
    let targets = view.list::<Target>(&format!("{path}/"))?;
    let good: BTreeSet<u64> = targets.iter().filter_map(|row| row.value.good).collect();
    let revisions = view.list::<Revision>(&format!("{path}#"))?;
    let line = |revision: Revision| HistoryLine {
        number: revision.number,
        release: revision.spec.title(),
        created_at: revision.created_at,
        created_by: revision.created_by,
        note: revision.note,
        active: wanted == Some(revision.number),
        good: good.contains(&revision.number),
        bad: revision.bad,
    };
    Ok(revisions.into_iter().rev().map(|row| line(row.value)).collect())
}
