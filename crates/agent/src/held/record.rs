//! The records of the journal, and the state that they add up to.

use crate::images;
use bytes::Bytes;
use lace_model::document::{Entry, EntryBody, EntryId, SecretRef, TaskOutcome, Topic};
use lace_model::host::{Block, Neighbour};
use lace_model::{AppName, Digest, Generation, Millis, NodeId, NodePath, TaskId};
use lace_wire::link::frame::JobReport;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// One line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Record {
    /// An entry, new or newer.
    Entry(Box<Entry>),
    /// An entry that is gone; what it named is to be removed.
    Gone(EntryId),
    /// Nothing is left of what such an entry named.
    Left(EntryId),
    /// A topic, new or newer.
    Topic(Topic),
    /// A topic that is gone.
    TopicGone(AppName),
    /// A sealed secret.
    Secret(String, Bytes),
    /// A secret that is gone.
    SecretGone(String),
    /// The highest epoch seen.
    Epoch(u64),
    /// The host's blocks.
    Blocks(Vec<Block>),
    /// A job or task began, a node has joined its cluster: not to be begun again.
    Begun(EntryId, Millis),
    /// A job ended.
    JobEnded(JobReport),
    /// A task ended.
    TaskEnded(TaskId, TaskOutcome),
    /// A node was found ready, or not any more.
    Ready(NodeId, Option<Readiness>),
    /// What the processes of a node of a package know: they were started with it, or notified of it.
    Told(NodeId, Digest),
    /// The volumes of a place go with the node that has them.
    Doomed(NodePath),
    /// The volumes of a place are gone.
    Erased(NodePath),
    /// The hosts of the network, this one included.
    Neighbours(Vec<Neighbour>),
    /// This host has another address in the network. Looked at anew at each start, so not kept.
    Moved,
}

/// Which process of a node was found ready, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// When the process started.
    pub started_at: Millis,
    /// Ready since.
    pub since: Millis,
}

/// The agent and PID 1 each note the start of a process; their moments lie this near to each other.
const SAME_START_MS: Millis = 1_000;

impl Readiness {
    /// Is it about the process that started at that moment? None starts anew within a second with the same moment:
    /// after a reboot of the host more time has gone by.
    pub fn is_of(&self, started_at: Millis) -> bool {
        self.started_at.abs_diff(started_at) < SAME_START_MS
    }
}

/// What is held.
#[derive(Default)]
pub struct State {
    /// Entries.
    pub entries: HashMap<EntryId, Entry>,
    /// Topics.
    pub topics: BTreeMap<AppName, Topic>,
    /// Sealed secrets.
    pub secrets: BTreeMap<String, Bytes>,
    /// Highest epoch seen.
    pub epoch: u64,
    /// Blocks, once a session said them.
    pub blocks: Vec<Block>,
    /// Jobs and tasks that began, nodes that joined.
    pub begun: HashMap<EntryId, Millis>,
    /// Jobs that ended, until their entries go.
    pub jobs: HashMap<lace_model::JobId, JobReport>,
    /// Tasks that ended, until their entries go.
    pub tasks: BTreeMap<TaskId, TaskOutcome>,
    /// Nodes and jobs that no entry names any more and that are not removed yet.
    pub leaving: BTreeSet<EntryId>,
    /// Nodes that were found ready.
    pub ready: HashMap<NodeId, Readiness>,
    /// What nodes of packages know.
    pub told: HashMap<NodeId, Digest>,
    /// Places whose volumes go with the node that has them.
    pub doomed: HashSet<NodePath>,
    /// The hosts of the network.
    pub neighbours: Vec<Neighbour>,
    /// Grows whenever entries, topics or neighbours change.
    pub statements: u64,
}

impl Record {
    /// Does it change entries, topics or neighbours?
    pub fn is_statement(&self) -> bool {
        matches!(
            self,
            Self::Entry(_)
                | Self::Gone(_)
                | Self::Topic(_)
                | Self::TopicGone(_)
                | Self::Neighbours(_)
                | Self::Moved
        )
    }
}

impl State {
    /// Takes one record in.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::Entry(entry) => {
                self.leaving.remove(&entry.id);
                self.entries.insert(entry.id, *entry);
            }
            Record::Gone(id) => self.forget(id),
            Record::Left(id) => drop(self.leaving.remove(&id)),
            Record::Topic(topic) => {
                self.topics.insert(topic.app.clone(), topic);
            }
            Record::TopicGone(app) => {
                self.topics.remove(&app);
            }
            Record::Secret(key, value) => {
                self.secrets.insert(key, value);
            }
            Record::SecretGone(key) => {
                self.secrets.remove(&key);
            }
            Record::Epoch(epoch) => self.epoch = self.epoch.max(epoch),
            Record::Blocks(blocks) => self.blocks = blocks,
            Record::Begun(id, at) => {
                self.begun.insert(id, at);
            }
            Record::JobEnded(report) => {
                self.jobs.insert(report.job, report);
            }
            Record::TaskEnded(id, outcome) => {
                self.tasks.insert(id, outcome);
            }
            Record::Ready(node, Some(readiness)) => {
                self.ready.insert(node, readiness);
            }
            Record::Ready(node, None) => drop(self.ready.remove(&node)),
            Record::Told(node, what) => {
                self.told.insert(node, what);
            }
            Record::Doomed(place) => {
                self.doomed.insert(place);
            }
            Record::Erased(place) => {
                self.doomed.remove(&place);
            }
            Record::Neighbours(neighbours) => self.neighbours = neighbours,
            Record::Moved => {}
        }
    }

    fn forget(&mut self, id: EntryId) {
        self.entries.remove(&id);
        self.begun.remove(&id);
        match id {
            EntryId::Job(job) => drop(self.jobs.remove(&job)),
            EntryId::Task(task) => {
                self.tasks.remove(&task);
                return;
            }
            EntryId::Node(node) => {
                self.ready.remove(&node);
                self.told.remove(&node);
            }
        }
        self.leaving.insert(id);
    }

    /// The records that make this state anew.
    pub fn records(&self) -> Vec<Record> {
        let mut records = vec![Record::Epoch(self.epoch), Record::Blocks(self.blocks.clone())];
        records.push(Record::Neighbours(self.neighbours.clone()));
        records.extend(self.secrets.iter().map(|(key, value)| Record::Secret(key.clone(), value.clone())));
        records.extend(self.leaving.iter().copied().map(Record::Gone));
        records.extend(self.entries.values().cloned().map(|entry| Record::Entry(Box::new(entry))));
        records.extend(self.topics.values().cloned().map(Record::Topic));
        records.extend(self.begun.iter().map(|(id, at)| Record::Begun(*id, *at)));
        records.extend(self.jobs.values().cloned().map(Record::JobEnded));
        records.extend(self.doomed.iter().cloned().map(Record::Doomed));
        records.extend(self.tasks.iter().map(|(id, outcome)| Record::TaskEnded(*id, outcome.clone())));
        records.extend(self.told.iter().map(|(node, what)| Record::Told(*node, *what)));
        records.extend(self.ready.iter().map(|(node, readiness)| Record::Ready(*node, Some(*readiness))));
        records
    }

    /// Entries with their generations, for the hello.
    pub fn generations(&self) -> Vec<(EntryId, Generation)> {
        self.entries.values().map(|entry| (entry.id, entry.generation)).collect()
    }

    /// Trees that entries name.
    pub fn trees(&self) -> HashSet<Digest> {
        self.entries.values().flat_map(Entry::trees).collect()
    }

    /// Sets of Debian packages that entries want.
    pub fn images(&self) -> HashSet<Digest> {
        let specs = self.entries.values().filter_map(|entry| match &entry.body {
            EntryBody::Node(node) => Some(&node.spec),
            EntryBody::Job(job) => Some(&job.spec),
            EntryBody::Task(_) => None,
        });
        specs.filter_map(|spec| Some(images::name_of(&spec.package.as_ref()?.image))).collect()
    }

    /// Secrets that neither an entry nor a topic names.
    pub fn unused_secrets(&self) -> Vec<String> {
        let certificates = self.topics.values().flat_map(certificate_keys).map(|(key, _)| key);
        let used: BTreeSet<String> =
            self.entries.values().flat_map(secret_keys).chain(certificates).collect();
        self.secrets.keys().filter(|key| !used.contains(*key)).cloned().collect()
    }
}

/// The certificates that a topic names: the secret, and the host names for which it is.
pub fn certificate_keys(topic: &Topic) -> impl Iterator<Item = (String, &Vec<String>)> {
    topic.certificates.iter().map(|c| (format!("{}/{}@{}", topic.app, c.secret, c.version), &c.hosts))
}

fn secret_keys(entry: &Entry) -> Vec<String> {
    let (app, secrets) = match &entry.body {
        EntryBody::Node(node) => (&node.path.family.app, &node.spec.secrets),
        EntryBody::Job(job) => (&job.app, &job.spec.secrets),
        EntryBody::Task(task) => return task.verb.secrets().map(SecretRef::key).collect(),
    };
    secrets.iter().map(|(name, version)| format!("{app}/{name}@{version}")).collect()
}

/// What to do with a statement, given the generation held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new.
    Take,
    /// It is held already.
    Known,
    /// Something newer is held.
    Older(Generation),
}

/// The newer generation wins; the same one says nothing new.
pub fn judge(held: Option<Generation>, offered: Generation) -> Verdict {
    match held {
        None => Verdict::Take,
        Some(held) if offered > held => Verdict::Take,
        Some(held) if offered == held => Verdict::Known,
        Some(held) => Verdict::Older(held),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn generation(epoch: u64, number: u64) -> Generation {
        Generation { epoch, number }
    }

    #[test]
    fn the_newer_generation_wins_and_the_epoch_counts_first() {
        let table = [
            (None, generation(1, 1), Verdict::Take),
            (Some(generation(1, 1)), generation(1, 2), Verdict::Take),
            (Some(generation(1, 9)), generation(2, 1), Verdict::Take),
            (Some(generation(1, 2)), generation(1, 2), Verdict::Known),
            (Some(generation(1, 2)), generation(1, 1), Verdict::Older(generation(1, 2))),
            (Some(generation(2, 1)), generation(1, 9), Verdict::Older(generation(2, 1))),
        ];
        for (held, offered, expected) in table {
            assert_eq!(judge(held, offered), expected, "held {held:?}, offered {offered}");
        }
    }
}
