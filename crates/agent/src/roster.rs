//! Who does what: one actor per entry, told the newest statement.

use crate::clock::Backoff;
use crate::hands::Hands;
use crate::held::{Record, State, Verdict, judge};
use crate::job::{self, JobWish};
use crate::node::{self, Wish};
use crate::task;
use crate::volume;
use lace_model::document::{Entry, EntryBody, EntryId, Task};
use lace_model::{Generation, JobId, NodeId};
use lace_wire::link::frame::ToController;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Between tries to remove a stray.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// All actors.
pub struct Roster {
    hands: Arc<Hands>,
    actors: Mutex<Actors>,
}

#[derive(Default)]
struct Actors {
    nodes: HashMap<NodeId, node::Handle>,
    jobs: HashMap<JobId, watch::Sender<JobWish>>,
}

impl Roster {
    /// Nobody yet.
    pub fn new(hands: Arc<Hands>) -> Self {
        Self { hands, actors: Mutex::default() }
    }

    fn actors(&self) -> MutexGuard<'_, Actors> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a start: an actor for each entry that is held, and removals that were begun go on. Strays, which no entry
    /// names, are left alone until a controller, who hears of them, removes them by name.
    pub fn recall(&self) {
        let leaving = self.hands.held.read(|state| state.leaving.clone());
        leaving.into_iter().for_each(|id| self.remove_stray(id));
        let mut entries: Vec<_> = self.hands.held.read(|state| state.entries.values().cloned().collect());
        // Tasks last: they speak to the actors of nodes.
        entries.sort_by_key(|entry| matches!(entry.body, EntryBody::Task(_)));
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
        taken.sort_by_key(|entry| matches!(entry.body, EntryBody::Task(_)));
        taken.into_iter().for_each(|entry| self.tell(entry));
        let some_gone = !gone.is_empty();
        gone.into_iter().for_each(|id| self.drop_entry(id));
        self.hands.wall.nudge();
        if some_gone {
            self.sweep_trees();
        }
        refused
    }

    /// Forgets releases and skeletons that are not needed. Releases not while a node is there that no entry names: it may stand on one.
    fn sweep_trees(&self) {
        let hands = self.hands.clone();
        tokio::task::spawn_blocking(move || {
            let named = || hands.held.read(State::trees);
            let stores = [&hands.trees, &hands.packages];
            for store in stores.into_iter().filter(|store| store.is_crowded(named().len())) {
                if !has_strays(&hands) {
                    store.sweep(named);
                }
            }
            let wanted = || hands.held.read(State::images);
            if hands.images.has_surplus(&wanted()) && !has_strays(&hands) {
                hands.images.sweep(wanted);
            }
            hands.machine.forget_skeletons();
        });
    }

    fn judge(&self, id: EntryId, offered: Generation) -> Verdict {
        judge(self.hands.held.read(|state| state.entries.get(&id).map(|entry| entry.generation)), offered)
    }

    fn tell(&self, entry: Entry) {
        match entry.body {
            EntryBody::Node(node) => {
                self.tell_node(Wish { entry: Arc::from(node), generation: entry.generation, dropped: false });
            }
            EntryBody::Job(job) => self.tell_job(JobWish { job: Arc::from(job), dropped: false }),
            EntryBody::Task(task) => self.tell_task(task),
        }
    }

    fn tell_node(&self, wish: Wish) {
        let mut actors = self.actors();
        let id = wish.entry.id;
        let untold = match actors.nodes.get(&id) {
            Some(handle) => handle.tell(wish).err(),
            None => Some(wish),
        };
        if let Some(wish) = untold {
            actors.nodes.insert(id, node::spawn(self.hands.clone(), wish));
        }
    }

    fn tell_job(&self, wish: JobWish) {
        let mut actors = self.actors();
        let id = wish.job.id;
        match actors.jobs.get(&id) {
            Some(job) if !job.is_closed() => drop(job.send_replace(wish)),
            _ => drop(actors.jobs.insert(id, job::spawn(self.hands.clone(), wish))),
        }
    }

    fn tell_task(&self, task: Task) {
        let orders = self.actors().nodes.get(&task.node).map(|handle| handle.orders.clone());
        task::take(self.hands.clone(), task, orders);
    }

    fn drop_entry(&self, id: EntryId) {
        let mut actors = self.actors();
        match id {
            EntryId::Node(id) => match actors.nodes.remove(&id) {
                Some(handle) => {
                    handle.wish.send_modify(|wish| wish.dropped = true);
                    // The actor ends by itself; a statement that comes before it has ended finds it.
                    actors.nodes.retain(|_, other| !other.wish.is_closed());
                    actors.nodes.insert(id, handle);
                }
                None => self.remove_stray(EntryId::Node(id)),
            },
            EntryId::Job(id) => match actors.jobs.remove(&id) {
                Some(job) => {
                    job.send_modify(|wish| wish.dropped = true);
                    actors.jobs.retain(|_, other| !other.is_closed());
                    actors.jobs.insert(id, job);
                }
                None => self.remove_stray(EntryId::Job(id)),
            },
            EntryId::Task(id) => self.hands.outbox.forget_task(id),
        }
    }

    /// Removes what nobody here looks after: a controller named it, or an earlier agent did not come to the end.
    fn remove_stray(&self, id: EntryId) {
        let name = match id {
            EntryId::Node(node) => node.to_string(),
            EntryId::Job(job) => job.to_string(),
            EntryId::Task(_) => return,
        };
        let hands = self.hands.clone();
        tokio::spawn(async move {
            let mut backoff = Backoff::new(TRY_AGAIN.0, TRY_AGAIN.1);
            while let Err(cause) = node::remove(&hands, &name).await {
                tracing::warn!(name, cause, "stray not removed yet");
                tokio::time::sleep(backoff.wait()).await;
            }
            hands.addresses.free_all_of(&name);
            hands.volumes.held.free_all_of(&name);
            volume::erase_doomed(&hands).await;
            hands.held.commit(vec![Record::Left(id)]);
            hands.wall.nudge();
        });
    }
}

fn has_strays(hands: &Hands) -> bool {
    !strays(hands).is_empty()
}

/// Nodes of ours on this machine that no entry names and nobody removes: their entries were lost.
pub fn strays(hands: &Hands) -> Vec<NodeId> {
    let nodes = hands.machine.list();
    hands.held.read(|state| {
        let is_known = |id: &EntryId| state.entries.contains_key(id) || state.leaving.contains(id);
        let ids = nodes.iter().filter_map(|node| node.id.parse().ok());
        ids.filter(|id| ![EntryId::Node(NodeId(*id)), EntryId::Job(JobId(*id))].iter().any(is_known))
            .map(NodeId)
            .collect()
    })
}
