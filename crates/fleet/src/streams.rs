//! Streams to nodes: asked for on the session, attached by the agent on a call of their own.

use crate::Fleet;
use futures::future::BoxFuture;
use lace_model::{Code, HostId, Problem, StreamId};
use lace_wire::link::frame::ToAgent;
use lace_wire::stream::{STREAM_FRAMES_WAITING, StreamFrame, StreamOpener, StreamPair, StreamRequest};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The agent has this long to attach.
const ATTACH_WITHIN: Duration = Duration::from_secs(5);
/// Most streams that may be open or wait at once.
const STREAMS_MAX: usize = 4_096;

/// The controller's ends of a stream: what the agent says, and what it is told.
pub(crate) struct Ends {
    pub said: mpsc::Sender<StreamFrame>,
    pub told: mpsc::Receiver<StreamFrame>,
    attached: oneshot::Sender<()>,
}

/// Streams that wait for their agent.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<HashMap<StreamId, (HostId, Ends)>>);

impl Waiting {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<StreamId, (HostId, Ends)>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The agent of `host` attaches.
    pub fn attach(
        &self,
        stream: StreamId,
        host: HostId,
    ) -> Option<(mpsc::Sender<StreamFrame>, mpsc::Receiver<StreamFrame>)> {
        let mut map = self.map();
        if map.get(&stream).is_none_or(|(of, _)| *of != host) {
            return None;
        }
        let (_, ends) = map.remove(&stream)?;
        let _ = ends.attached.send(());
        Some((ends.said, ends.told))
    }
}

impl Fleet {
    async fn open_stream(self, host: HostId, request: StreamRequest) -> Result<StreamPair, Problem> {
        let stream = StreamId(uuid::Uuid::new_v4());
        let (to, told) = mpsc::channel(STREAM_FRAMES_WAITING);
        let (said, from) = mpsc::channel(STREAM_FRAMES_WAITING);
        let (attached, done) = oneshot::channel();
        {
            let mut waiting = self.0.waiting.map();
            if waiting.len() >= STREAMS_MAX {
                return Err(Problem::new(Code::NodeUnreachable, "too many streams wait for their hosts"));
            }
            waiting.insert(stream, (host, Ends { said, told, attached }));
        }
        let away = || {
            Problem::new(Code::NodeUnreachable, "the node's host does not answer")
                .hint("lace host list shows which hosts are connected")
        };
        let sent = self.send(host, ToAgent::Open { stream, request });
        let answered = sent && matches!(tokio::time::timeout(ATTACH_WITHIN, done).await, Ok(Ok(())));
        if !answered {
            self.0.waiting.map().remove(&stream);
            return Err(away());
        }
        Ok(StreamPair { to, from })
    }
}

impl StreamOpener for Fleet {
    fn open(&self, host: HostId, request: StreamRequest) -> BoxFuture<'static, Result<StreamPair, Problem>> {
        Box::pin(self.clone().open_stream(host, request))
    }
}
