//! Streams that the controller asks for: each is a call of its own, attached by its id, with backpressure both ways.

mod beam;
pub mod command;
mod copy;
mod exec;
mod forward;
mod logs;
mod volumes;

use crate::hands::Hands;
use bytes::Bytes;
use lace_model::document::{EntryBody, EntryId};
use lace_model::{Code, JobId, NodeId, Problem, StreamId};
use lace_wire::link::dial::Link;
use lace_wire::link::frame::StreamPart;
use lace_wire::stream::{STREAM_FRAMES_WAITING, StreamFrame, StreamRequest};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// A reader has this long to take the last frames.
const FAREWELL: Duration = Duration::from_secs(600);

/// Towards the controller. A send waits while the reader is slow.
#[derive(Clone)]
struct Out(mpsc::Sender<StreamPart>);

impl Out {
    /// False when the stream is closed.
    async fn send(&self, frame: StreamFrame) -> bool {
        self.0.send(StreamPart::Frame(frame)).await.is_ok()
    }
}

/// From the controller.
struct In(Streaming<StreamPart>);

impl In {
    /// The next frame; nothing when the stream is closed.
    async fn next(&mut self) -> Option<StreamFrame> {
        loop {
            match self.0.next().await {
                Some(Ok(StreamPart::Frame(frame))) => return Some(frame),
                Some(Ok(StreamPart::Attach(_))) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Bytes of stdin until their end.
    async fn stdin(&mut self) -> Option<Bytes> {
        loop {
            match self.next().await? {
                StreamFrame::Stdin(bytes) => return Some(bytes),
                StreamFrame::StdinEnd => return None,
                _ => {}
            }
        }
    }

    /// Waits until the controller closes the stream.
    async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }
}

/// Serves one stream to its end.
pub async fn open(hands: Arc<Hands>, link: Link, stream: StreamId, request: StreamRequest) {
    let (to, frames) = mpsc::channel(STREAM_FRAMES_WAITING);
    if to.try_send(StreamPart::Attach(stream)).is_err() {
        return;
    }
    let mut from = match link.stream(ReceiverStream::new(frames)).await {
        Ok(from) => In(from),
        Err(status) => {
            tracing::info!(%stream, cause = status.message(), "stream not attached");
            return;
        }
    };
    let out = Out(to);
    if let Err(problem) = serve(&hands, request, &mut from, &out).await {
        out.send(StreamFrame::Failed(problem)).await;
    }
    // Letting go of the answer resets the call, and with it the last frames that are still on their way.
    drop(out);
    let _ = tokio::time::timeout(FAREWELL, from.closed()).await;
}

async fn serve(hands: &Arc<Hands>, request: StreamRequest, from: &mut In, out: &Out) -> Result<(), Problem> {
    match request {
        StreamRequest::Volumes { under, erase } => volumes::serve(hands, under, erase, out).await,
        StreamRequest::EraseVolumes { under, name } => volumes::erase(hands, under, name, out).await,
        StreamRequest::Snapshot { under, name, snapshot, step } => {
            volumes::snapshot(hands, under, name, (snapshot, step), out).await
        }
        StreamRequest::MoveVolumes { from, to } => volumes::relocate(hands, from, to, out).await,
        StreamRequest::VolumeOut { place, name } => volumes::out_of(hands, place, name, from, out).await,
        StreamRequest::VolumeIn { place, name, size } => {
            volumes::into(hands, place, name, size, from, out).await
        }
        request => serve_node(hands, request, from, out).await,
    }
}

/// Serves a stream to a node or job of this host.
async fn serve_node(
    hands: &Arc<Hands>,
    request: StreamRequest,
    from: &mut In,
    out: &Out,
) -> Result<(), Problem> {
    let node = request.node().ok_or_else(|| Problem::new(Code::Usage, "the stream names no node"))?;
    let place = place(hands, node)?;
    match request {
        StreamRequest::Exec { node: id, argv, mut env, terminal, stdin } => {
            if beam::is_runtime(hands, id) {
                let (name, value) = crate::beam::no_dump();
                env.entry(name).or_insert(value);
            }
            let node = connect(hands, &place).await?;
            exec::serve(node, command::Wish { argv, env, terminal, stdin }, from, out).await
        }
        StreamRequest::Logs { since, until, tail, follow, .. } => {
            let span = logs::Span { since, until, tail, follow };
            tokio::select! {
                done = logs::serve(hands.machine.log_dir(&place.name), span, out) => done,
                () = from.closed() => Ok(()),
            }
        }
        StreamRequest::CopyIn { path, .. } => {
            copy::into(connect(hands, &place).await?, path, from, out).await
        }
        StreamRequest::CopyOut { path, .. } => {
            copy::out_of(connect(hands, &place).await?, path, from, out).await
        }
        StreamRequest::Forward { port, .. } => forward::serve(place.address, port, from, out).await,
        // These are for the host itself.
        StreamRequest::Volumes { .. }
        | StreamRequest::EraseVolumes { .. }
        | StreamRequest::Snapshot { .. }
        | StreamRequest::MoveVolumes { .. }
        | StreamRequest::VolumeOut { .. }
        | StreamRequest::VolumeIn { .. } => Ok(()),
        StreamRequest::Beam { node, ask } => tokio::select! {
            done = beam::serve(hands, node, ask, out) => done,
            () = from.closed() => Ok(()),
        },
        StreamRequest::BeamShell { node: id, env, terminal } => {
            let argv = beam::shell(hands, id)?;
            let node = connect(hands, &place).await?;
            exec::serve(node, command::Wish { argv, env, terminal, stdin: true }, from, out).await
        }
    }
}

/// A node or job on this host.
struct Place {
    name: String,
    address: Ipv4Addr,
}

fn place(hands: &Hands, node: NodeId) -> Result<Place, Problem> {
    let address = hands.held.read(|state| {
        let entry =
            state.entries.get(&EntryId::Node(node)).or(state.entries.get(&EntryId::Job(JobId(node.0))))?;
        match &entry.body {
            EntryBody::Node(node) => Some(node.address),
            EntryBody::Job(job) => job.address,
            EntryBody::Task(_) => None,
        }
    });
    let unknown = || Problem::new(Code::NotFound, format!("{node} is not on this host (any more)"));
    Ok(Place { name: node.to_string(), address: address.ok_or_else(unknown)? })
}

async fn connect(hands: &Arc<Hands>, place: &Place) -> Result<lace_machine::NodeHandle, Problem> {
    let node = crate::node::connect(hands, &place.name).await;
    node.ok_or_else(|| {
        Problem::new(Code::NodeUnreachable, "the node does not run")
            .hint("lace status shows what it waits for")
    })
}

fn failed(cause: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Error, cause.to_string())
}
