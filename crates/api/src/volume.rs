//! Volumes: hosts are asked for them, for they know best; nothing about them is stored.

use crate::ask::Ask;
use crate::refusal::Answer;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use futures::future::join_all;
use lace_model::host::Host;
use lace_model::{Name, TargetPath};
use lace_planner::Edit;
use lace_wire::stream::{StreamFrame, StreamRequest, Volume};
use serde::Deserialize;
use std::time::Duration;

/// How long a host may take to answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Bytes of one host's answer: a hundred thousand volumes.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// `?target=`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumesAsk {
    /// Of what.
    #[serde(default)]
    target: Option<TargetPath>,
}

/// `GET /v1/volumes`.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Ask(ask): Ask<VolumesAsk>,
) -> Answer<Json<Vec<Volume>>> {
    let (mut volumes, _) = look(&state, ask.target.as_ref(), false).await?;
    volumes.sort_by(|a, b| (&a.path, &a.name, &a.host).cmp(&(&b.path, &b.name, &b.host)));
    Ok(Json(volumes))
}

/// Deletes the volumes of what is being deleted; those of nodes that are still there go with them. In words.
pub(crate) async fn erase(state: &ApiState, targets: &[TargetPath]) -> Answer<Option<String>> {
    let mut words = Vec::new();
    for target in targets {
        let (volumes, away) = look(state, Some(target), true).await?;
        if !volumes.is_empty() {
            words.push(format!("deletes {} of {target}", counted(volumes.len())));
        }
        words
            .extend(away.iter().map(|host| format!("host {host} is away and keeps its volumes of {target}")));
    }
    Ok((!words.is_empty()).then(|| words.join("; ")))
}

fn counted(volumes: usize) -> String {
    if volumes == 1 { "1 volume".to_owned() } else { format!("{volumes} volumes") }
}

/// What an edit deletes.
pub(crate) fn deleted_by(edit: &Edit) -> Vec<TargetPath> {
    let families = edit.families.iter().filter(|family| family.deleting);
    let target = |path: &lace_model::FamilyPath| TargetPath {
        app: path.app.clone(),
        service: Some(path.service.clone()),
        family: Some(path.family.clone()),
        index: None,
    };
    families.map(|family| target(&family.path)).collect()
}

/// The volumes of all hosts that answer, and who does not.
async fn look(state: &ApiState, under: Option<&TargetPath>, erase: bool) -> Answer<(Vec<Volume>, Vec<Name>)> {
    let hosts: Vec<Host> = state.store.list::<Host>("")?.into_iter().map(|row| row.value).collect();
    let asked = hosts.iter().map(|host| ask(state, host, under, erase));
    let mut volumes = Vec::new();
    let mut away = Vec::new();
    for (host, answer) in hosts.iter().zip(join_all(asked).await) {
        match answer {
            Some(found) => {
                volumes
                    .extend(found.into_iter().map(|volume| Volume { host: host.name.to_string(), ..volume }));
            }
            None => away.push(host.name.clone()),
        }
    }
    Ok((volumes, away))
}

async fn ask(state: &ApiState, host: &Host, under: Option<&TargetPath>, erase: bool) -> Option<Vec<Volume>> {
    let request = StreamRequest::Volumes { under: under.cloned(), erase };
    let asked = async {
        let mut pair = state.streams.open(host.id, request).await.ok()?;
        let mut text = Vec::new();
        while let Some(frame) = pair.from.recv().await {
            match frame {
                StreamFrame::Stdout(bytes) if text.len() < ANSWER_BYTES_MAX => text.extend_from_slice(&bytes),
                StreamFrame::Exit(_) => return serde_json::from_slice(&text).ok(),
                _ => return None,
            }
        }
        None
    };
    tokio::time::timeout(WITHIN, asked).await.ok().flatten()
}
