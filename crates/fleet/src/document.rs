//! The documents and topics that hosts shall hold, and what a host lacks of them.

use lace_model::document::{Entry, EntryId, Topic};
use lace_model::{AppName, Digest, Generation, Millis};
use lace_wire::link::frame::ToAgent;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A host may go on fetching a release for so long after its document has ceased to name it.
const TREE_NAMED_LATELY_MS: Millis = 600_000;

/// What one host shall hold.
#[derive(Default)]
pub struct Documents {
    /// False until the engine has said everything once: before that nothing may be removed from the host.
    pub complete: bool,
    /// Entries by id.
    pub entries: BTreeMap<EntryId, Entry>,
    /// Topics by application.
    pub topics: BTreeMap<AppName, Topic>,
    /// Trees that entries named, and when the last of those went.
    lately: HashMap<Digest, Millis>,
}

impl Documents {
    /// Takes changes in.
    pub fn update(&mut self, upserts: &[Entry], removes: &[(EntryId, Generation)], now: Millis) {
        let former = upserts.iter().filter_map(|entry| self.entries.insert(entry.id, entry.clone()));
        let mut former: Vec<_> = former.collect();
        former.extend(removes.iter().filter_map(|(id, _)| self.entries.remove(id)));
        self.lately.retain(|_, at| now.saturating_sub(*at) < TREE_NAMED_LATELY_MS);
        self.lately.extend(former.iter().flat_map(Entry::trees).map(|tree| (tree, now)));
    }

    /// Trees that the document names, or named a short while ago.
    pub fn trees(&self, now: Millis) -> HashSet<Digest> {
        let lately = self.lately.iter().filter(|(_, at)| now.saturating_sub(**at) < TREE_NAMED_LATELY_MS);
        let lately = lately.map(|(tree, _)| *tree);
        self.entries.values().flat_map(Entry::trees).chain(lately).collect()
    }

    /// The frames that bring a host, which says what it holds, up to date. `keep_unknown`: adopt mode.
    pub fn catch_up(
        &self,
        held: &[(EntryId, Generation)],
        topics_held: &[(AppName, Generation)],
        keep_unknown: bool,
    ) -> Vec<ToAgent> {
        if !self.complete {
            return Vec::new();
        }
        let held: BTreeMap<_, _> = held.iter().copied().collect();
        let newer = |e: &&Entry| held.get(&e.id).is_none_or(|g| *g < e.generation);
        let upserts: Vec<_> = self.entries.values().filter(newer).cloned().collect();
        let removes: Vec<_> = held
            .iter()
            .filter(|(id, _)| !keep_unknown && !self.entries.contains_key(id))
            .map(|(id, generation)| (*id, *generation))
            .collect();
        let mut frames = vec![ToAgent::Document { upserts, removes }];
        frames.extend(self.topics_missing(topics_held));
        frames
    }

    fn topics_missing(&self, held: &[(AppName, Generation)]) -> Vec<ToAgent> {
        let held: BTreeMap<_, _> = held.iter().cloned().collect();
        let newer = |t: &&Topic| held.get(&t.app).is_none_or(|g| *g < t.generation);
        let gone = held.keys().filter(|app| !self.topics.contains_key(*app)).cloned().map(ToAgent::TopicGone);
        self.topics.values().filter(newer).cloned().map(ToAgent::Topic).chain(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::document::{EntryBody, Task, Verb};
    use lace_model::{NodeId, TaskId};

    fn entry(n: &str, number: u64) -> Entry {
        let task = Task {
            id: TaskId::derive(&[0; 32], n),
            node: NodeId::derive(&[0; 32], n),
            verb: Verb::Restart,
            deadline: 0,
        };
        Entry {
            id: EntryId::Task(task.id),
            generation: Generation { epoch: 1, number },
            body: EntryBody::Task(task),
        }
    }

    fn document(frames: &[ToAgent]) -> (usize, usize) {
        match frames.first() {
            Some(ToAgent::Document { upserts, removes }) => (upserts.len(), removes.len()),
            _ => (0, 0),
        }
    }

    #[test]
    fn nothing_is_said_before_the_engine_has_said_everything() {
        let documents = Documents::default();
        let held = [(entry("a", 1).id, Generation { epoch: 1, number: 1 })];
        assert!(documents.catch_up(&held, &[], false).is_empty());
    }

    #[test]
    fn a_host_gets_what_is_newer_and_loses_what_is_gone() {
        let mut documents = Documents { complete: true, ..Default::default() };
        documents.update(&[entry("a", 2), entry("b", 1)], &[], 0);
        let old = Generation { epoch: 1, number: 1 };
        let held = [(entry("a", 1).id, old), (entry("b", 1).id, old), (entry("c", 1).id, old)];
        assert_eq!(document(&documents.catch_up(&held, &[], false)), (1, 1));
        assert_eq!(document(&documents.catch_up(&held, &[], true)), (1, 0));
    }
}
