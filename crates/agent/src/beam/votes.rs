//! What an agent does about votes: it carries words between a node's PID 1 and the controller that is a witness, tells
//! whether the node's vote counts, and makes PID 1 want the copy when a person says so.
//!
//! Who holds, and that the copy runs there and nowhere else, is PID 1's own business, agent or no agent (see `copy`).

use super::copy;
use crate::hands::Hands;
use crate::node::{NodeEvents, Patient, ask, connect};
use lace_machine::{Event, Life, NodeHandle, VoteSeats, VoteSpec};
use lace_model::NodeId;
use lace_model::target::VoteOrder;
use lace_vote::Message;
use lace_wire::link::frame::ToController;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks, where no event says anything.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A family that is whole moves its copy within this time: the runtime stops the application, another one starts it.
const MOVE_WITHIN: Duration = Duration::from_secs(45);

/// A vote set as the machine takes it.
pub fn seats(order: &VoteOrder) -> VoteSeats {
    let members = order.seats.iter().map(|seat| (seat.index, seat.address)).collect();
    VoteSeats { generation: order.generation, members, witness: order.witness }
}

/// A node's part in the votes.
pub fn part(subject: &crate::spec::Subject, order: &VoteOrder, key: Vec<u8>) -> VoteSpec {
    VoteSpec {
        seat: subject.index,
        key,
        set: seats(order),
        is_first: order.is_first,
        copy: copy::spec(subject),
    }
}

/// The witness has said something to a node.
pub async fn from_witness(hands: Arc<Hands>, node: NodeId, message: Message) {
    let Some(handle) = connect(&hands, &node.to_string()).await else { return };
    if let Err(why) = ask(&handle, move |handle| handle.witness(message)).await {
        tracing::debug!(%node, why, "the witness is not heard");
    }
}

/// Attends to the votes of a node's process, as long as it is polled; answers `question` with whether it votes.
pub async fn keep(patient: Patient, question: usize) {
    let mut votes = None;
    loop {
        let why = match attend(&patient, question, &mut votes).await {
            Ok(()) => return,
            Err(why) => why,
        };
        tracing::debug!(node = %patient.entry.id, why, "its votes are looked at again");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// One subscription long. Ends well when the process has ended.
async fn attend(patient: &Patient, question: usize, votes: &mut Option<bool>) -> Result<(), String> {
    let node = &patient.node;
    let events = ask(node, NodeHandle::subscribe).await?;
    let mut events = NodeEvents::new(node.clone(), events).map_err(|e| e.to_string())?;
    let mut now = events.status().vote.as_ref().ok_or("its PID 1 has no part in votes")?.votes;
    loop {
        if *votes != Some(now) {
            *votes = Some(now);
            let answer = if now { Ok(()) } else { Err("waits until its vote counts".to_owned()) };
            patient.answer(question, answer).await;
        }
        match tokio::time::timeout(LOOK_EVERY, events.next()).await {
            Ok(None) => return Err("its PID 1 does not answer".to_owned()),
            Ok(Some(Event::Exited { .. } | Event::Shutdown)) => return Ok(()),
            Ok(Some(Event::Vote { vote })) => now = vote.votes,
            Ok(Some(Event::Witness { message })) => to_witness(patient, message),
            Ok(Some(_)) => {}
            // That a vote counts now is no event: time alone has passed.
            Err(_) if !now => now = ask(node, NodeHandle::status).await?.vote.is_some_and(|vote| vote.votes),
            Err(_) => {}
        }
    }
}

fn to_witness(patient: &Patient, message: Message) {
    let entry = &patient.entry;
    let family = entry.path.family.clone();
    patient.hands.say(ToController::Vote { node: entry.id, family, message });
}

/// Has a node take the copy: whoever holds it with a lower preference makes room. Ends when the copy runs there.
pub async fn take_copy(node: NodeHandle, preference: u64) -> Result<Vec<String>, String> {
    let until = Instant::now() + MOVE_WITHIN;
    let mut told: Option<Life> = None;
    let mut waits = "its runtime has not booted";
    while Instant::now() < until {
        let status = ask(&node, NodeHandle::status).await?;
        let vote = status.vote.clone().ok_or("its family does not vote")?;
        match (status.life(), vote.stands) {
            (Some(life), true) if told != Some(life) => {
                ask(&node, move |node| node.stand(life, preference)).await?;
                told = Some(life);
                waits = "the votes of a majority have not come";
            }
            (Some(_), true) if vote.runs => return Ok(Vec::new()),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("it did not get the application within {} s: {waits}", MOVE_WITHIN.as_secs()))
}
