//! Who does what: one actor per entry, told the newest statement.

use crate::hands::Hands;
use crate::held::{Record, Verdict, judge};
use crate::node::{self, Wish};
use lace_model::document::{Entry, EntryBody, EntryId};
use lace_model::{Generation, NodeId};
use lace_wire::link::frame::ToController;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// All actors.
pub struct Roster {
    hands: Arc<Hands>,
    nodes: Mutex<HashMap<NodeId, node::Handle>>,
    ended: mpsc::UnboundedSender<NodeId>,
}

impl Roster {
    /// Nobody yet.
    pub fn new(hands: Arc<Hands>) -> Self {
        let (ended, _) = mpsc::unbounded_channel();
        Self { hands, nodes: Mutex::default(), ended }
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<NodeId, node::Handle>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a start: an actor for each entry that is held. Strays, which no entry names, are left alone.
    pub fn recall(&self) {
        let entries: Vec<_> = self.hands.held.read(|state| state.entries.values().cloned().collect());
        entries.into_iter().for_each(|entry| self.tell(entry));
    }

    /// Changes of the document. What is older than what is held is refused.
    pub fn update(&self, upserts: Vec<Entry>, removes: Vec<(EntryId, Generation)>) -> Vec<ToController> {
        let mut refused = Vec::new();
        let mut taken = Vec::new();
        for entry in upserts {
            match self.judge(entry.id, entry.generation) {
                Verdict::Take => taken.push(entry),
                Verdict::Known => {}
                Verdict::Older(held) => refused.push(ToController::Refused { id: entry.id, held }),
            }
        }
        let mut gone = Vec::new();
        for (id, generation) in removes {
            match self.judge(id, generation) {
                Verdict::Older(held) => refused.push(ToController::Refused { id, held }),
                _ => gone.push(id),
            }
        }
        let records = taken.iter().cloned().map(|entry| Record::Entry(Box::new(entry)));
        self.hands.held.commit(records.chain(gone.iter().copied().map(Record::Gone)).collect());
        taken.into_iter().for_each(|entry| self.tell(entry));
        gone.into_iter().for_each(|id| self.drop_entry(id));
        self.hands.wall.nudge();
        refused
    }

    fn judge(&self, id: EntryId, offered: Generation) -> Verdict {
        judge(self.hands.held.read(|state| state.entries.get(&id).map(|entry| entry.generation)), offered)
    }

    fn tell(&self, entry: Entry) {
        if let EntryBody::Node(node) = entry.body {
            self.tell_node(Wish { entry: Arc::from(node), generation: entry.generation, dropped: false });
        }
    }

    fn tell_node(&self, wish: Wish) {
        let mut nodes = self.nodes();
        let id = wish.entry.id;
        match nodes.get(&id) {
            Some(handle) if !handle.wish.is_closed() => drop(handle.wish.send_replace(wish)),
            _ => drop(nodes.insert(id, node::spawn(self.hands.clone(), wish, self.ended.clone()))),
        }
    }

    fn drop_entry(&self, id: EntryId) {
        if let EntryId::Node(id) = id
            && let Some(handle) = self.nodes().get(&id)
        {
            handle.wish.send_modify(|wish| wish.dropped = true);
        }
    }
}
