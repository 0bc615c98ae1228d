//! A host without a machine: it joins and holds sessions over the real link as any other, and its nodes are words. For
//! simulated providers, so that a controller can be tried with thousands of hosts.
//!
//! Nothing of it is kept: when its process ends, it is gone.

mod nodes;

use crate::clock::{Backoff, jitter, now};
use crate::config::AgentError;
use crate::identity::{Asking, Identity, join};
use crate::session::{send, words};
use lace_model::host::JoinTicket;
use lace_model::{Code, Name, Problem, StreamId};
use lace_wire::WIRE_VERSION;
use lace_wire::link::dial::Link;
use lace_wire::link::frame::{HostFacts, StreamPart, ToAgent, ToController};
use lace_wire::stream::{STREAM_FRAMES_WAITING, StreamFrame, StreamRequest};
use nodes::Nodes;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Between tries at most; the first comes at once.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The controller answers a hello within this time.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// Frames that may wait for the network.
const FRAMES_WAITING: usize = 16;
/// What its disk looks like, thousandths.
const DISK_USED_PERMILLE: u32 = 100;

/// Joins with a ticket, and is a host until it is told to leave. Nodes run, and are ready, as soon as they are told of.
///
/// # Errors
/// The controller refuses the join; [`AgentError::Dismissed`] when it is a host no more.
pub async fn simulate(ticket: &JoinTicket, name: Name, facts: HostFacts) -> Result<(), AgentError> {
    lace_wire::install_crypto();
    let asking =
        Asking { controllers: &ticket.controllers, ca: &ticket.ca, token: &ticket.token, name: &name };
    let identity = join(&asking, &facts).await?;
    let mut host = Host { nodes: Nodes::new(identity.host), facts, identity };
    let mut backoff = Backoff::new(TRY_AGAIN.0, TRY_AGAIN.1);
    loop {
        for address in &ticket.controllers {
            match host.session(address).await {
                Ok(Ended::Dismissed) => return Err(AgentError::Dismissed),
                Ok(Ended::Broke) => backoff.reset(),
                Err(cause) => tracing::debug!(%name, cause, "no session"),
            }
        }
        tokio::time::sleep(jitter(backoff.wait())).await;
    }
}

/// How a session that was open ended.
enum Ended {
    Broke,
    Dismissed,
}

struct Host {
    identity: Identity,
    facts: HostFacts,
    nodes: Nodes,
}

impl Host {
    async fn session(&mut self, address: &str) -> Result<Ended, String> {
        let dialled = Link::dial(address, &self.identity.ca, Some(&self.identity.shown())).await;
        let link = dialled.map_err(|error| words(&error))?;
        let (to, frames) = mpsc::channel(FRAMES_WAITING);
        to.try_send(self.hello()).map_err(|error| error.to_string())?;
        let opened = tokio::time::timeout(WELCOME_WITHIN, link.session(ReceiverStream::new(frames))).await;
        let mut said = opened.map_err(|_| "no welcome in time")?.map_err(|s| s.message().to_owned())?;
        let first =
            tokio::time::timeout(WELCOME_WITHIN, said.next()).await.map_err(|_| "no welcome in time")?;
        let Some(Ok(ToAgent::Welcome { beat_ms, .. })) = first else {
            return Err("the first frame was no welcome".to_owned());
        };
        let mut beats = tokio::time::interval(Duration::from_millis(beat_ms.clamp(10, 60_000)));
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                frame = said.next() => match frame {
                    Some(Ok(ToAgent::Leave)) => return Ok(Ended::Dismissed),
                    Some(Ok(frame)) => self.heard(frame, &link, &to).await?,
                    Some(Err(_)) | None => return Ok(Ended::Broke),
                },
                _ = beats.tick() => {
                    let usage = self.nodes.usage();
                    let beat = ToController::Beat {
                        disk_used_permille: DISK_USED_PERMILLE,
                        usage,
                        figures: Vec::new(),
                        vms: Vec::new(),
                        traffic: None,
                    };
                    send(&to, beat).await?;
                }
            }
        }
    }

    fn hello(&self) -> ToController {
        ToController::Hello {
            version: WIRE_VERSION,
            facts: self.facts.clone(),
            entries: self.nodes.entries(),
            topics: Vec::new(),
            nodes: self.nodes.statuses(),
        }
    }

    async fn heard(
        &mut self,
        frame: ToAgent,
        link: &Link,
        to: &mpsc::Sender<ToController>,
    ) -> Result<(), String> {
        match frame {
            ToAgent::Document { upserts, removes } => {
                for frame in self.nodes.update(upserts, removes, now()) {
                    send(to, frame).await?;
                }
            }
            ToAgent::Open { stream, request } => drop(tokio::spawn(open(link.clone(), stream, request))),
            // Doors, votes and names are of no use where nothing runs.
            ToAgent::Drain { node, .. } => send(to, ToController::Drained { node }).await?,
            _ => {}
        }
        Ok(())
    }
}

/// A command ends well, and says on which node it was.
async fn open(link: Link, stream: StreamId, request: StreamRequest) {
    let (to, frames) = mpsc::channel(STREAM_FRAMES_WAITING);
    let parts = match request {
        StreamRequest::Exec { node, .. } => {
            vec![StreamFrame::Stdout(format!("simulated {node}\n").into()), StreamFrame::Exit(0)]
        }
        _ => {
            let problem = Problem::new(Code::Usage, "a simulated node has nothing to show");
            vec![StreamFrame::Failed(problem.hint("lace exec answers there, and nothing else"))]
        }
    };
    let attach = std::iter::once(StreamPart::Attach(stream));
    for part in attach.chain(parts.into_iter().map(StreamPart::Frame)) {
        if to.try_send(part).is_err() {
            return;
        }
    }
    if let Ok(mut said) = link.stream(ReceiverStream::new(frames)).await {
        while let Some(Ok(_)) = said.next().await {}
    }
}
