//! Streams to nodes and jobs over a WebSocket: one binary message is one frame, in both directions.
//!
//! Frames are passed on one at a time, so a slow side holds the other back. Where one side closes, the other is closed.

use crate::ask::Ask;
use crate::caller::Caller;
use crate::door::Held;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use crate::{job, refusal};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use lace_model::family::Family;
use lace_model::host::Host;
use lace_model::target::Target;
use lace_model::token::Role;
use lace_model::{Code, FamilyPath, HostId, Name, NodeId, NodePath, Problem, TargetPath};
use lace_store::Batch;
use lace_wire::api::{StreamAction, StreamOpen};
use lace_wire::client::{decode_frame, encode_frame};
use lace_wire::stream::{STREAM_FRAME_BYTES_MAX, StreamFrame, StreamPair, StreamRequest};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a host may take to answer.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// Between two pings on a silent stream: below the silence that proxies close after.
const PING_EVERY: Duration = Duration::from_secs(20);

/// How long a closing message may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// `?request=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamAsk {
    /// JSON of [`StreamOpen`].
    request: String,
}

/// `GET /v1/stream`.
pub(crate) async fn open(
    State(state): State<ApiState>,
    caller: Caller,
    held: Option<Extension<Held>>,
    Ask(ask): Ask<StreamAsk>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let asked: StreamOpen = serde_json::from_str(&ask.request)
        .map_err(|e| Refusal::usage(format!("the stream's request is not what is expected: {e}")))?;
    let acts_as =
        if matches!(asked.action, StreamAction::Logs { .. }) { Role::Viewer } else { Role::Deployer };
    caller.needs(acts_as)?;
    let caller = caller.acting(acts_as);
    let (host, request) = request_of(&state, &caller, &asked)?;
    let upgrade = upgrade
        .map_err(|_| Refusal::usage("a stream needs a WebSocket").status(refusal::UPGRADE_REQUIRED))?;
    note(&state, &caller, &asked).await?;
    let opened = tokio::time::timeout(OPEN_WITHIN, state.streams.open(host, request)).await;
    let pair = opened.map_err(|_| {
        Refusal::new(Code::NodeUnreachable, format!("the host of {} did not answer in time", asked.target))
    })??;
    // The place is given back when the pump ends.
    let run = move |socket| async move {
        pump(socket, pair).await;
        drop(held);
    };
    Ok(upgrade.max_message_size(STREAM_FRAME_BYTES_MAX + 1).on_upgrade(run))
}

/// Where a stream goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub host: HostId,
    pub node: NodeId,
}

impl Place {
    fn find(state: &ApiState, caller: &Caller, text: &str) -> Answer<Self> {
        match text.strip_prefix("job:") {
            Some(id) => Self::of_job(state, caller, id),
            None => Self::of_node(state, caller, &text.parse()?),
        }
    }

    fn of_job(state: &ApiState, caller: &Caller, id: &str) -> Answer<Self> {
        let id = id.parse().map_err(|_| Refusal::usage(format!("{id:?} is not the id of a job")))?;
        let job = job::found(state, caller, id)?.value;
        let waits = || Refusal::new(Code::NodeUnreachable, format!("job {id} has no host yet"));
        Ok(Self { host: job.host.ok_or_else(waits)?, node: NodeId(id.0) })
    }

    pub(crate) fn of_node(state: &ApiState, caller: &Caller, target: &TargetPath) -> Answer<Self> {
        caller.touches(&target.app)?;
        let Some(index) = target.index else {
            return Err(Refusal::usage(format!("{target} is not a node")).hint("write APP/SERVICE/N"));
        };
        let path = one_family(state, target)?;
        let found = state.store.get::<Target>(&path.to_string())?;
        let node = found.as_ref().and_then(|row| row.value.running(index));
        let node = node.ok_or_else(|| {
            Refusal::not_found(format_args!("node {target}")).hint(format!("lace status {}", target.app))
        })?;
        Ok(Self { host: node.host, node: node.id })
    }
}

/// The family of a node's target. Reads as little as it can: `exec` on hundreds of nodes comes through here.
fn one_family(state: &ApiState, target: &TargetPath) -> Answer<FamilyPath> {
    let service = target.service.clone().ok_or_else(|| Refusal::not_found(format_args!("node {target}")))?;
    if let Some(family) = target.family.clone() {
        return Ok(FamilyPath::new(target.app.clone(), service, family));
    }
    let below = format!("{}/{service}/", target.app);
    let mut found: Vec<_> = state.store.list::<Family>(&below)?.into_iter().map(|r| r.value.path).collect();
    // APP/SERVICE/N means the family that is named like its service, where there are others too.
    if found.len() > 1 && found.iter().any(|f| f.family == f.service) {
        found.retain(|f| f.family == f.service);
    }
    match <[FamilyPath; 1]>::try_from(found) {
        Ok([path]) => Ok(path),
        Err(found) if found.is_empty() => {
            Err(Refusal::not_found(format_args!("node {target}")).hint("lace app list"))
        }
        Err(found) => {
            let names: Vec<_> = found.iter().map(ToString::to_string).collect();
            Err(Refusal::usage(format!("{target} has several families"))
                .hint(format!("name one: {}", names.join(", "))))
        }
    }
}

/// Commands, shells, copies and forwards are deeds; who did them is kept (the words of commands are not).
async fn note(state: &ApiState, caller: &Caller, asked: &StreamOpen) -> Answer<()> {
    let action = match &asked.action {
        StreamAction::Logs { .. } => return Ok(()),
        StreamAction::Exec { argv, .. } if argv.is_empty() => "shell",
        StreamAction::Exec { .. } => "exec",
        StreamAction::BeamShell { .. } => "beam shell",
        StreamAction::VolumeIn { .. } => "volume in",
        StreamAction::VolumeOut { .. } => "volume out",
        StreamAction::CopyIn { .. } => "copy in",
        StreamAction::CopyOut { .. } => "copy out",
        StreamAction::Forward { .. } => "forward",
    };
    let mut batch = Batch::new(Some(caller.name.clone()));
    batch.audit(action, &asked.target, "done");
    state.store.commit_async(batch).await?;
    Ok(())
}

/// Where a volume is, or shall be.
fn volume_place(state: &ApiState, caller: &Caller, place: &str, host: &Name) -> Answer<(HostId, NodePath)> {
    let place: NodePath = place.parse()?;
    caller.touches(&place.family.app)?;
    let hosts = state.store.list::<Host>("")?;
    let found = hosts.into_iter().find(|row| row.value.name == *host);
    let found =
        found.ok_or_else(|| Refusal::not_found(format_args!("host {host}")).hint("lace host list"))?;
    Ok((found.value.id, place))
}

/// Which host is asked for what.
fn request_of(state: &ApiState, caller: &Caller, asked: &StreamOpen) -> Answer<(HostId, StreamRequest)> {
    let volume = |host: &Name| volume_place(state, caller, &asked.target, host);
    let node = || Place::find(state, caller, &asked.target).map(|place| (place.host, place.node));
    Ok(match asked.action.clone() {
        StreamAction::VolumeOut { volume: name, host } => {
            let (host, place) = volume(&host)?;
            (host, StreamRequest::VolumeOut { place, name })
        }
        StreamAction::VolumeIn { volume: name, host, size } => {
            let (host, place) = volume(&host)?;
            (host, StreamRequest::VolumeIn { place, name, size })
        }
        StreamAction::Exec { argv, env, terminal, stdin } => {
            let (host, node) = node()?;
            (host, StreamRequest::Exec { node, argv, env, terminal, stdin })
        }
        StreamAction::BeamShell { env, terminal } => {
            let (host, node) = node()?;
            (host, StreamRequest::BeamShell { node, env, terminal })
        }
        StreamAction::Logs { since, until, tail, follow } => {
            let (host, node) = node()?;
            (host, StreamRequest::Logs { node, since, until, tail, follow })
        }
        StreamAction::CopyIn { path } => node().map(|(h, node)| (h, StreamRequest::CopyIn { node, path }))?,
        StreamAction::CopyOut { path } => {
            node().map(|(h, node)| (h, StreamRequest::CopyOut { node, path }))?
        }
        StreamAction::Forward { port } => {
            node().map(|(h, node)| (h, StreamRequest::Forward { node, port }))?
        }
    })
}

/// Asks a host for something that ends, and gathers what is said on stdout; with it the status that it ended with.
pub(crate) async fn gather(
    state: &ApiState,
    host: HostId,
    request: StreamRequest,
    bytes_max: usize,
) -> Result<(Vec<u8>, i32), Problem> {
    let late = |_| Problem::new(Code::NodeUnreachable, "its host did not answer in time");
    let opening = tokio::time::timeout(OPEN_WITHIN, state.streams.open(host, request));
    let StreamPair { to: _kept, mut from } = opening.await.map_err(late)??;
    let mut answer = Vec::new();
    while let Some(frame) = from.recv().await {
        match frame {
            StreamFrame::Stdout(bytes) if answer.len() + bytes.len() <= bytes_max => {
                answer.extend_from_slice(&bytes);
            }
            StreamFrame::Stdout(_) => {
                return Err(Problem::new(Code::TooLarge, "the answer is too large").hint("ask for a part"));
            }
            StreamFrame::Exit(status) => return Ok((answer, status)),
            StreamFrame::Failed(problem) => return Err(problem),
            _ => {}
        }
    }
    Err(Problem::new(Code::NodeUnreachable, "the host's answer broke off"))
}

/// Carries frames both ways until either side has enough.
async fn pump(socket: WebSocket, pair: StreamPair) {
    let (mut out, input) = socket.split();
    let StreamPair { to, mut from } = pair;
    let end = tokio::select! {
        // First what the node says: its last frame must not be lost to a client that closes at once.
        biased;
        end = outward(&mut out, &mut from) => end,
        end = inward(input, to) => end,
    };
    // Best effort: the other side may have gone.
    let frame = CloseFrame { code: end.code, reason: end.reason.into() };
    let _ = tokio::time::timeout(CLOSE_WITHIN, out.send(Message::Close(Some(frame)))).await;
}

struct End {
    code: u16,
    reason: &'static str,
}

/// From the node to the client.
async fn outward(out: &mut SplitSink<WebSocket, Message>, from: &mut mpsc::Receiver<StreamFrame>) -> End {
    loop {
        let message = match tokio::time::timeout(PING_EVERY, from.recv()).await {
            Err(_) => Message::Ping(Bytes::new()),
            Ok(None) => return End { code: close_code::NORMAL, reason: "the node closed the stream" },
            Ok(Some(frame)) => {
                let last = matches!(frame, StreamFrame::Exit(_) | StreamFrame::Failed(_));
                if out.send(Message::Binary(encode_frame(&frame))).await.is_err() || last {
                    return End { code: close_code::NORMAL, reason: "" };
                }
                continue;
            }
        };
        if out.send(message).await.is_err() {
            return End { code: close_code::NORMAL, reason: "" };
        }
    }
}

/// From the client to the node. Waits while the node takes nothing.
async fn inward(mut input: SplitStream<WebSocket>, to: mpsc::Sender<StreamFrame>) -> End {
    while let Some(message) = input.next().await {
        let bytes = match message {
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Text(_)) => {
                return End { code: close_code::UNSUPPORTED, reason: "frames are binary" };
            }
            Ok(Message::Close(_)) | Err(_) => break,
        };
        let frame = decode_frame(&bytes).filter(is_inward);
        let Some(frame) = frame else {
            return End { code: close_code::PROTOCOL, reason: "not a frame towards a node" };
        };
        if to.send(frame).await.is_err() {
            // The node has what it wanted; its last frames come the other way.
            return std::future::pending().await;
        }
    }
    End { code: close_code::NORMAL, reason: "" }
}

fn is_inward(frame: &StreamFrame) -> bool {
    matches!(frame, StreamFrame::Stdin(_) | StreamFrame::StdinEnd | StreamFrame::Resize(_))
}
