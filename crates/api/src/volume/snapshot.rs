//! Snapshots of volumes: of all volumes of a name below a target, or of none.

use super::{in_use, look};
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
use lace_wire::api::Accepted;
use lace_wire::stream::{SnapshotStep, StreamFrame, StreamRequest, Volume};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// A host has this long to copy: within it stands how long it holds nodes up at most.
const WITHIN: Duration = Duration::from_secs(80);

/// `?target=&name=&snapshot=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotAsk {
    /// Of what.
    target: TargetPath,
    /// Which volumes.
    name: Name,
    /// Which snapshot.
    snapshot: Name,
}

impl SnapshotAsk {
    fn subject(&self) -> String {
        format!("{}/{}", self.target, self.name)
    }

    fn request(&self, step: SnapshotStep) -> StreamRequest {
        let Self { target, name, snapshot } = self;
        StreamRequest::Snapshot {
            under: target.clone(),
            name: name.clone(),
            snapshot: snapshot.clone(),
            step,
        }
    }

    fn is_there(&self, volume: &Volume) -> bool {
        volume.snapshots.iter().any(|known| known.name == self.snapshot.as_str())
    }

    fn conflict(&self, text: String) -> Refusal {
        Refusal::new(Code::Conflict, text).hint(format!("lace volume list {}", self.target))
    }

    /// The volumes that are meant, on hosts that answer.
    async fn there(&self, state: &ApiState, caller: &Caller) -> Answer<Vec<Volume>> {
        caller.touches(&self.target.app)?;
        let (mut there, _) = look(state, Some(&self.target), false).await?;
        there.retain(|volume| volume.name == self.name);
        if there.is_empty() {
            let what = format!("volume {} of {} on the hosts that answer", self.name, self.target);
            return Err(Refusal::not_found(what).hint(format!("lace volume list {}", self.target)));
        }
        Ok(there)
    }
}

/// `POST /v1/volumes/snapshot`.
pub(crate) async fn take(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<SnapshotAsk>,
) -> Answer<Json<Accepted>> {
    let there = ask.there(&state, &caller).await?;
    if let Some(other) = there.iter().find(|volume| ask.is_there(volume)) {
        let text =
            format!("volume {} of {} has a snapshot {} already", ask.name, other.path.short(), ask.snapshot);
        return Err(ask.conflict(text));
    }
    state.store.admit_new_work()?;
    note(&state, &caller, &ask, "volume snapshot", "volume.snapshot").await?;
    if let Err(refusal) = on_all(&state, &there, &ask.request(SnapshotStep::Take)).await {
        // All or none: what others have taken goes again.
        let _ = on_all(&state, &there, &ask.request(SnapshotStep::Forget)).await;
        return Err(refusal);
    }
    let message = format!("snapshot {} of {} volumes of {}", ask.snapshot, there.len(), ask.subject());
    Ok(Json(Accepted { operation: None, message }))
}

/// `POST /v1/volumes/restore`: no node has any of them, and all have the snapshot.
pub(crate) async fn restore(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<SnapshotAsk>,
) -> Answer<Json<Accepted>> {
    let there = ask.there(&state, &caller).await?;
    if let Some(used) = there.iter().find(|volume| volume.node.is_some()) {
        return Err(in_use(used));
    }
    if let Some(lacks) = there.iter().find(|volume| !ask.is_there(volume)) {
        let text = format!("volume {} of {} has no snapshot {}", ask.name, lacks.path.short(), ask.snapshot);
        return Err(ask.conflict(text));
    }
    note(&state, &caller, &ask, "volume restore", "volume.restored").await?;
    on_all(&state, &there, &ask.request(SnapshotStep::Restore)).await?;
    let message = format!("{} volumes of {} are as in snapshot {}", there.len(), ask.subject(), ask.snapshot);
    Ok(Json(Accepted { operation: None, message }))
}

/// `DELETE /v1/volumes/snapshot`.
pub(crate) async fn forget(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<SnapshotAsk>,
) -> Answer<Json<Accepted>> {
    let mut there = ask.there(&state, &caller).await?;
    there.retain(|volume| ask.is_there(volume));
    if there.is_empty() {
        let what = format!("snapshot {} of {}", ask.snapshot, ask.subject());
        return Err(Refusal::not_found(what).hint(format!("lace volume list {}", ask.target)));
    }
    note(&state, &caller, &ask, "volume snapshot delete", "volume.snapshot-deleted").await?;
    on_all(&state, &there, &ask.request(SnapshotStep::Forget)).await?;
    let message =
        format!("snapshot {} of {} volumes of {} deleted", ask.snapshot, there.len(), ask.subject());
    Ok(Json(Accepted { operation: None, message }))
}

/// Written before it is done: what was cut short was asked for all the same.
async fn note(state: &ApiState, caller: &Caller, ask: &SnapshotAsk, verb: &str, event: &str) -> Answer<()> {
    let deed = Deed::light(verb, ask.subject());
    let mut batch = deed.batch(caller);
    let message = format!("snapshot {}", ask.snapshot);
    batch.event(NewEvent::new(event, ask.subject(), message).by(&caller.name));
    deed.only(state, batch).await.map(drop)
}

/// Has the hosts of these volumes do it, all at once; the first refusal is the answer.
async fn on_all(state: &ApiState, there: &[Volume], request: &StreamRequest) -> Answer<()> {
    let named: BTreeSet<&str> = there.iter().map(|volume| volume.host.as_str()).collect();
    let hosts = state.store.list::<Host>("")?.into_iter().map(|row| row.value);
    let hosts: Vec<Host> = hosts.filter(|host| named.contains(host.name.as_str())).collect();
    let done = join_all(hosts.iter().map(|host| on_one(state, host, request))).await;
    done.into_iter().collect()
}

async fn on_one(state: &ApiState, host: &Host, request: &StreamRequest) -> Answer<()> {
    let away = |what: &str| {
        Refusal::new(Code::NodeUnreachable, format!("host {} {what}", host.name)).hint("lace host list")
    };
    let done = async {
        let opened = state.streams.open(host.id, request.clone()).await;
        let mut pair = opened.map_err(|_| away("does not answer"))?;
        while let Some(frame) = pair.from.recv().await {
            match frame {
                StreamFrame::Exit(_) => return Ok(()),
                StreamFrame::Failed(problem) => return Err(problem.into()),
                _ => {}
            }
        }
        Err(away("broke off"))
    };
    let late = || away(&format!("was not done within {} s", WITHIN.as_secs()));
    tokio::time::timeout(WITHIN, done).await.unwrap_or_else(|_| Err(late()))
}
