//! One session: hello, then frames in both directions until it breaks.

use super::beat::Pulse;
use crate::beam::votes;
use crate::config::AgentConfig;
use crate::doors;
use crate::hands::{Hands, Topics};
use crate::held::{Record, Verdict, judge};
use crate::roster::{self, Roster};
use crate::stream;
use lace_model::document::{EntryId, Topic};
use lace_model::{AppName, Generation};
use lace_wire::link::dial::Link;
use lace_wire::link::frame::{HostFacts, ToAgent, ToController};
use lace_wire::{DRAINS_SINCE, WIRE_VERSION};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Frames that may wait for the network.
const FRAMES_WAITING: usize = 64;
/// A controller that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// The controller answers a hello within this time.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// News that come within this time after a report go together.
const GATHER: Duration = Duration::from_millis(2);
/// Above so many nodes a hello leaves out the last lines: one frame has a bound.
const NODES_WITH_LINES_MAX: usize = 500;

struct Session<'a> {
    hands: &'a Arc<Hands>,
    roster: &'a Arc<Roster>,
    link: Link,
    to: mpsc::Sender<ToController>,
}

/// How a session that was open ended.
pub enum Ended {
    /// Another one follows.
    Broke,
    /// This is no host any more.
    Dismissed,
}

/// Holds a session until it ends; an error when it never began or was refused.
pub async fn hold(
    config: &AgentConfig,
    link: Link,
    facts: HostFacts,
    hands: &Arc<Hands>,
    roster: &Arc<Roster>,
) -> Result<Ended, String> {
    let (to, frames) = mpsc::channel(FRAMES_WAITING);
    hands.held.drop_unused_secrets();
    to.try_send(hello(facts, hands)).map_err(|e| e.to_string())?;
    let opened = tokio::time::timeout(WELCOME_WITHIN, link.session(ReceiverStream::new(frames))).await;
    let mut said = opened.map_err(|_| "no welcome in time")?.map_err(|s| s.message().to_owned())?;
    let first = tokio::time::timeout(WELCOME_WITHIN, said.next()).await.map_err(|_| "no welcome in time")?;
    let Some(Ok(ToAgent::Welcome { version, epoch, blocks, beat_ms, .. })) = first else {
        return Err("the first frame was no welcome".to_owned());
    };
    accept_epoch(hands, epoch)?;
    hands.held.commit(vec![Record::Epoch(epoch), Record::Blocks(blocks)]);
    hands.link.send_replace(Some(link.clone()));
    hands.elsewhere.session(version >= DRAINS_SINCE);
    hands.session.send_replace(Some(to.clone()));
    tracing::info!(epoch, "session open");
    let session = Session { hands, roster, link, to: to.clone() };
    let _pulse = Pulse::begin(hands.clone(), to, config.state_dir.clone(), beat_ms);
    let reports = tokio::spawn(report(hands.clone(), session.to.clone()));
    let _reports = crate::hands::Kept(reports);
    while let Some(frame) = said.next().await {
        match frame {
            Ok(ToAgent::Leave) => return Ok(Ended::Dismissed),
            Ok(frame) => session.heard(frame).await?,
            Err(status) => {
                tracing::info!(cause = status.message(), "session ended");
                return Ok(Ended::Broke);
            }
        }
    }
    tracing::info!("session ended");
    Ok(Ended::Broke)
}

fn hello(facts: HostFacts, hands: &Hands) -> ToController {
    let mut nodes = hands.outbox.hello();
    if nodes.len() > NODES_WITH_LINES_MAX {
        nodes.iter_mut().filter_map(|n| n.exit.as_mut()).for_each(|exit| exit.last_lines.clear());
    }
    let (mut entries, topics) = hands.held.read(|state| {
        let topics = state.topics.values().map(|topic| (topic.app.clone(), topic.generation));
        (state.generations(), topics.collect())
    });
    // Of what no entry names any statement is newer.
    let strays = roster::strays(hands).into_iter().map(EntryId::Node);
    entries.extend(strays.map(|id| (id, Generation::default())));
    ToController::Hello { version: WIRE_VERSION, facts, entries, topics, nodes }
}

/// A controller of an older epoch was replaced by a restored one: it must not be obeyed.
fn accept_epoch(hands: &Hands, epoch: u64) -> Result<(), String> {
    let seen = hands.held.read(|state| state.epoch);
    if epoch < seen {
        return Err(format!(
            "this controller speaks for epoch {epoch}, but epoch {seen} was seen: not obeyed"
        ));
    }
    Ok(())
}

impl Session<'_> {
    async fn heard(&self, frame: ToAgent) -> Result<(), String> {
        match frame {
            ToAgent::Welcome { .. } | ToAgent::Leave => {}
            ToAgent::Document { upserts, removes } => {
                for refused in self.roster.update(upserts, removes) {
                    send(&self.to, refused).await?;
                }
            }
            ToAgent::Topic(topic) => take_topic(self.hands, topic),
            ToAgent::TopicGone(app) => drop_topic(self.hands, &app),
            ToAgent::Open { stream, request } => {
                tokio::spawn(stream::open(self.hands.clone(), self.link.clone(), stream, request));
            }
            ToAgent::Vote { node, message } => {
                tokio::spawn(votes::from_witness(self.hands.clone(), node, message));
            }
            ToAgent::Drain { node, within_ms } => {
                let within = Duration::from_millis(within_ms);
                tokio::spawn(doors::let_go(self.hands.clone(), node, within));
            }
            ToAgent::Drained { node } => self.hands.elsewhere.drained(node),
            ToAgent::Secrets { values } => self.hands.held.keep_secrets(values),
            ToAgent::Neighbours(neighbours) => {
                self.hands.held.commit(vec![Record::Neighbours(neighbours)]);
                self.hands.wall.nudge();
            }
            ToAgent::AckTasks(tasks) => tasks.iter().for_each(|id| self.hands.outbox.forget_task(*id)),
        }
        Ok(())
    }
}

fn take_topic(hands: &Hands, topic: Topic) {
    let held = hands.held.read(|state| state.topics.get(&topic.app).map(|t| t.generation));
    if judge(held, topic.generation) != Verdict::Take {
        return;
    }
    hands.held.commit(vec![Record::Topic(topic.clone())]);
    hands.topics.send_modify(|topics| {
        Arc::make_mut(topics).insert(topic.app.clone(), Arc::new(topic));
    });
    hands.wall.nudge();
}

fn drop_topic(hands: &Hands, app: &AppName) {
    hands.held.commit(vec![Record::TopicGone(app.clone())]);
    hands.topics.send_modify(|topics: &mut Topics| {
        Arc::make_mut(topics).remove(app);
    });
    hands.wall.nudge();
}

/// Sends news as they come; what comes while one report leaves goes with the next.
async fn report(hands: Arc<Hands>, to: mpsc::Sender<ToController>) {
    loop {
        while let Some(report) = hands.outbox.report() {
            if send(&to, report).await.is_err() {
                return;
            }
            tokio::time::sleep(GATHER).await;
        }
        hands.outbox.news().await;
    }
}

/// Hands a frame to the network.
pub async fn send(to: &mpsc::Sender<ToController>, frame: ToController) -> Result<(), String> {
    to.send_timeout(frame, PATIENCE).await.map_err(|_| "the controller takes no frames".to_owned())
}
