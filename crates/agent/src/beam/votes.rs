//! From votes to OTP: who holds is permitted to run the distributed application.
//!
//! PID 1 counts votes and ends the process when they are lost, whether an agent is there or not. What is done here is
//! the other half: to say that a runtime is up and wants the application, to permit it when PID 1 says so, and to stop it in
//! order when another node is preferred. The runtime that is permitted is always the one that PID 1 would kill: it
//! answered within the very life of the process that the lease is begun for.

use super::line::Line;
use super::ready::own_name;
use super::{base_name, node_name};
use crate::context::Peer;
use crate::node::{NodeEvents, Patient, ask};
use lace_beam::{Call, Link, Term};
use lace_machine::{Event, Life, NodeHandle, VoteSeats, VoteStatus};
use lace_model::document::NodeEntry;
use lace_model::target::VoteOrder;
use std::time::Duration;

/// Between two looks, where no event says anything.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// While its runtime boots.
const BOOT_EVERY: Duration = Duration::from_millis(50);
/// OTP waits for peers of the mesh that it believes in.
const PERMIT_WITHIN: Duration = Duration::from_secs(20);
/// For small questions.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A vote set as the machine takes it.
pub fn seats(order: &VoteOrder) -> VoteSeats {
    let members = order.seats.iter().map(|seat| (seat.index, seat.address)).collect();
    VoteSeats { generation: order.generation, members }
}

/// Has the node's process take part, as long as it is polled; answers `question` with whether it votes.
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
    let Some(life) = events.status().life() else { return Ok(()) };
    let mut vote = events.status().vote.clone().ok_or("its PID 1 has no part in votes")?;
    let mut turn = Turn { patient, life, permitted: false };
    loop {
        if *votes != Some(vote.votes) {
            *votes = Some(vote.votes);
            let answer = if vote.votes { Ok(()) } else { Err("waits until its vote counts".to_owned()) };
            patient.answer(question, answer).await;
        }
        if let Err(why) = turn.take(&vote).await {
            tracing::debug!(node = %patient.entry.id, why, "votes");
        }
        let wait = if vote.stands { LOOK_EVERY } else { BOOT_EVERY };
        match tokio::time::timeout(wait, events.next()).await {
            Ok(None) => return Err("its PID 1 does not answer".to_owned()),
            Ok(Some(Event::Exited { .. } | Event::Shutdown)) => return Ok(()),
            Ok(Some(Event::Vote { vote: news })) => vote = news,
            Ok(Some(_)) => {}
            Err(_) => {
                let status = ask(node, NodeHandle::status).await?;
                vote = status.vote.unwrap_or_default();
            }
        }
    }
}

/// What is done for one life of the process.
struct Turn<'a> {
    patient: &'a Patient,
    life: Life,
    /// By this agent, in this life: a former agent may have stopped in between.
    permitted: bool,
}

impl Turn<'_> {
    async fn take(&mut self, vote: &VoteStatus) -> Result<(), String> {
        let entry = &self.patient.entry;
        if !vote.stands {
            self.permitted = false;
            return self.stand(entry).await;
        }
        if vote.in_use && vote.yields {
            return self.make_room().await;
        }
        if vote.holds && !vote.yields && !self.permitted {
            return self.begin(&vote.unheard).await;
        }
        Ok(())
    }

    /// The runtime is up: it may have the application.
    async fn stand(&self, entry: &NodeEntry) -> Result<(), String> {
        let Some(preference) = preference(entry) else { return Ok(()) };
        self.runtime().await?;
        let life = self.life;
        ask(&self.patient.node, move |node| node.stand(life, preference)).await
    }

    /// The line to a runtime that has booted, and that answers now.
    async fn runtime(&self) -> Result<Link, String> {
        let Line::Open(link) = self.patient.hands.lines.line(self.patient.entry.id) else {
            return Err("no line to its runtime".to_owned());
        };
        let status = link.call(Call::new("init", "get_status", vec![]).within(ANSWER_WITHIN)).await;
        let status = status.map_err(|e| e.to_string())?;
        let state = status.as_tuple().and_then(|parts| parts.first()?.as_atom());
        match state {
            Some("started") => Ok(link),
            _ => Err("its runtime has not booted".to_owned()),
        }
    }

    /// The order of these steps is the safety of it: the runtime answers, PID 1 says that its process is still the same
    /// and that it will kill it, and only then the runtime is permitted over the same line.
    async fn begin(&mut self, unheard: &[u32]) -> Result<(), String> {
        let link = self.runtime().await?;
        let life = self.life;
        ask(&self.patient.node, move |node| node.begin_use(life)).await?;
        for peer in self.names(unheard) {
            // OTP would wait for it, for as long as it takes to miss it.
            let call = Call::new("erlang", "disconnect_node", vec![Term::atom(&peer)]);
            let _ = link.call(call.within(ANSWER_WITHIN)).await;
        }
        self.permit(&link, true).await?;
        self.permitted = true;
        Ok(())
    }

    async fn make_room(&mut self) -> Result<(), String> {
        let link = self.runtime().await?;
        self.permit(&link, false).await?;
        self.permitted = false;
        let life = self.life;
        ask(&self.patient.node, move |node| node.end_use(life)).await
    }

    async fn permit(&self, link: &Link, is: bool) -> Result<(), String> {
        let beam = self.patient.entry.spec.beam.as_ref();
        let application = beam.and_then(|beam| beam.failover.as_deref()).unwrap_or_default();
        let word = Term::atom(if is { "true" } else { "false" });
        let call = Call::new("application", "permit", vec![Term::atom(application), word]);
        match link.call(call.within(PERMIT_WITHIN)).await {
            Ok(answer) if answer.as_atom() == Some("ok") => {
                tracing::info!(node = %self.patient.entry.path, application, is, "permitted");
                Ok(())
            }
            Ok(other) => Err(format!("permit: {}", lace_beam::term::print::print(&other, None))),
            Err(error) => Err(format!("permit: {error}")),
        }
    }

    /// Node names of the members at these indexes.
    fn names(&self, indexes: &[u32]) -> Vec<String> {
        let entry = &self.patient.entry;
        let Some(beam) = &entry.spec.beam else { return Vec::new() };
        let base = base_name(beam, &entry.path.family.service_path());
        let topic = self.patient.hands.topic(&entry.path.family.app);
        let members = topic.iter().flat_map(|topic| &topic.members);
        let meant = members.filter(|m| m.path.family == entry.path.family && indexes.contains(&m.path.index));
        let own = own_name(entry);
        let names = meant.map(|m| node_name(&base, beam.names, &Peer::at(&m.path, m.address)));
        names.filter(|name| Some(name) != own.as_ref()).collect()
    }
}

/// How much a node wants the application; none where it is no backup.
fn preference(entry: &NodeEntry) -> Option<u64> {
    let beam = entry.spec.beam.as_ref()?;
    let index = entry.path.index;
    (index <= beam.backups + 1).then(|| u64::from(beam.takeover && index == 1))
}
