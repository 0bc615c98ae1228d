//! Volumes: hosts are asked for them, for they know best; nothing about them is stored.

pub(crate) mod snapshot;

use crate::ask::Ask;
use crate::caller::Caller;
use crate::deed::Deed;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use futures::future::join_all;
use lace_model::event::NewEvent;
use lace_model::host::Host;
use lace_model::{Code, Name, TargetPath};
use lace_planner::Edit;
use lace_wire::api::Accepted;
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

/// `?target=&name=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumeAsk {
    /// Of what.
    target: TargetPath,
    /// Which.
    name: Name,
}

/// `DELETE /v1/volumes`: all of them, or none where a node has one.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(VolumeAsk { target, name }): Ask<VolumeAsk>,
) -> Answer<Json<Accepted>> {
    caller.touches(&target.app)?;
    let (mut there, _) = look(&state, Some(&target), false).await?;
    there.retain(|volume| volume.name == name);
    if there.is_empty() {
        let what = format!("volume {name} of {target} on the hosts that answer");
        return Err(Refusal::not_found(what).hint(format!("lace volume list {target}")));
    }
    if let Some(used) = there.iter().find(|volume| volume.node.is_some()) {
        return Err(in_use(used));
    }
    let subject = format!("{target}/{name}");
    let deed = Deed::light("volume delete", &subject);
    let mut batch = deed.batch(&caller);
    let message = format!("{} deleted", counted(there.len()));
    batch.event(NewEvent::new("volume.deleted", &subject, &message).by(&caller.name));
    deed.only(&state, batch).await?;
    let request = StreamRequest::EraseVolumes { under: target, name };
    let (left, _) = ask_all(&state, &request).await?;
    match left.iter().find(|volume| volume.node.is_some()) {
        Some(used) => Err(in_use(used)),
        None => Ok(Json(Accepted { operation: None, message: format!("{message}: {subject}") })),
    }
}

fn in_use(volume: &Volume) -> Refusal {
    let place = volume.path.short();
    let text = format!("volume {} of {place} is in use: its node is there", volume.name);
    let target = volume.path.family.service_path();
    Refusal::new(Code::Conflict, text).hint(format!("lace stop {target}, then try again"))
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
    ask_all(state, &StreamRequest::Volumes { under: under.cloned(), erase }).await
}

/// What all hosts say that answer, and who does not.
async fn ask_all(state: &ApiState, request: &StreamRequest) -> Answer<(Vec<Volume>, Vec<Name>)> {
    let hosts: Vec<Host> = state.store.list::<Host>("")?.into_iter().map(|row| row.value).collect();
    let asked = hosts.iter().map(|host| ask(state, host, request));
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

async fn ask(state: &ApiState, host: &Host, request: &StreamRequest) -> Option<Vec<Volume>> {
    let asked = async {
        let mut pair = state.streams.open(host.id, request.clone()).await.ok()?;
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

/// Has a host do something with volumes; its refusal is the answer.
pub(crate) async fn order(state: &ApiState, host: &Host, request: StreamRequest) -> Answer<()> {
    let away = || {
        let text = format!("host {} does not answer, and may have volumes", host.name);
        Refusal::new(Code::NodeUnreachable, text).hint("lace host list; try again when it is back")
    };
    let done = async {
        let mut pair = state.streams.open(host.id, request).await.map_err(|_| away())?;
        while let Some(frame) = pair.from.recv().await {
            match frame {
                StreamFrame::Exit(0) => return Ok(()),
                StreamFrame::Failed(problem) => return Err(Refusal::from(problem)),
                _ => {}
            }
        }
        Err(away())
    };
    tokio::time::timeout(WITHIN, done).await.unwrap_or_else(|_| Err(away()))
}
