//! What the engine knows: a copy of the stored objects, kept fresh from the change feed, and what became dirty.

use crate::documents::ToldTopic;
use lace_model::document::{Entry, EntryId};
use lace_model::family::{Application, Family, Service};
use lace_model::host::{DOOR, Host, Liveness, Neighbour, Network};
use lace_model::job::{Job, JobState};
use lace_model::machine::Machine;
use lace_model::money::{Account, AccountName, Meter};
use lace_model::node::NodeStatus;
use lace_model::operation::{Operation, OperationState};
use lace_model::pool::Pool;
use lace_model::provider::Provider;
use lace_model::release::Release;
use lace_model::revision::Revision;
use lace_model::target::Target;
use lace_model::task::NodeTask;
use lace_model::traffic::Flows;
use lace_model::{
    AppName, Digest, FamilyPath, Generation, HostId, JobId, Millis, Name, NodeId, Object, OperationId,
    ServicePath, TaskId,
};
use lace_planner::ScaleMemory;
use lace_store::{Batch, ChangeRow, Expect, Rev, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Changes read from the feed at once.
const CHANGES_AT_ONCE: usize = 5_000;

/// The copy.
#[derive(Default)]
pub(crate) struct World {
    pub now: Millis,
    pub epoch: u64,
    pub seed: [u8; 32],
    pub started_at: Millis,
    pub apps: BTreeMap<AppName, Application>,
    pub services: BTreeMap<ServicePath, Service>,
    pub families: BTreeMap<FamilyPath, Family>,
    pub revisions: BTreeMap<ServicePath, BTreeMap<u64, Revision>>,
    pub targets: BTreeMap<FamilyPath, Target>,
    pub observed: BTreeMap<FamilyPath, BTreeMap<NodeId, NodeStatus>>,
    /// Since when nodes are as they are: by their host's clock, and by ours.
    pub since: HashMap<NodeId, (Millis, Millis)>,
    pub hosts: BTreeMap<HostId, Host>,
    pub pools: BTreeMap<Name, Arc<Pool>>,
    pub providers: BTreeMap<Name, Provider>,
    /// Machines that were ordered from pools.
    pub machines: BTreeMap<HostId, Machine>,
    /// Up to when hosts are charged, and the sums of whoever pays.
    pub meters: BTreeMap<HostId, Meter>,
    pub accounts: BTreeMap<AccountName, Account>,
    /// Whoever pays, or how much, may have changed; else hosts are charged at this time.
    pub money_dirty: bool,
    pub money_due: Millis,
    /// Releases by `NAME@VERSION`: what they need of a host.
    pub releases: BTreeMap<String, Release>,
    pub jobs: BTreeMap<JobId, Job>,
    pub operations: BTreeMap<OperationId, Operation>,
    /// Tasks by the family of their node.
    pub tasks: BTreeMap<FamilyPath, BTreeMap<TaskId, NodeTask>>,
    /// Sessions as fleet sees them, read at each step.
    pub liveness: HashMap<HostId, Liveness>,
    /// What doors carried lately, and what scaling by it remembers.
    pub flows: Flows,
    pub scalers: BTreeMap<FamilyPath, ScaleMemory>,
    pub dirty: BTreeSet<FamilyPath>,
    pub topics_dirty: BTreeSet<AppName>,
    pub jobs_dirty: bool,
    pub wakes: BTreeMap<FamilyPath, Millis>,
    /// Entries as last told, by family.
    pub entries: BTreeMap<FamilyPath, BTreeMap<EntryId, Entry>>,
    /// The targets that they come from, by generation.
    pub targets_told: BTreeMap<FamilyPath, Generation>,
    /// Entries of jobs as last told.
    pub job_entries: HashMap<EntryId, Generation>,
    /// Entries of tasks as last told.
    pub task_entries: HashMap<EntryId, Generation>,
    /// Outcomes that are stored with this step: their hosts may forget them after the commit.
    pub acknowledged: HashMap<HostId, Vec<TaskId>>,
    /// Hosts that were removed for good, and whoever knows the moment has not been told.
    pub forgotten: Vec<HostId>,
    /// Hosts came, went or moved since their networks were told.
    pub hosts_dirty: bool,
    /// The hosts of each network, as last told.
    pub networks: BTreeMap<Network, Arc<Vec<Neighbour>>>,
    /// Where an entry was told.
    pub told_to: HashMap<EntryId, HostId>,
    pub topics: BTreeMap<AppName, ToldTopic>,
    revs: HashMap<(String, String), Rev>,
    /// Rows that the batch of this step holds already: a second put of one expects anything.
    written: HashSet<(&'static str, String)>,
    seen: Rev,
    /// The rows of our own last commit.
    pub wrote: Option<RangeInclusive<Rev>>,
}

impl World {
    /// Reads everything.
    pub fn load(store: &Store) -> Result<Self, StoreError> {
        let meta = store.meta()?;
        let mut world = World {
            epoch: meta.epoch,
            seed: Digest::of(meta.installation.0.as_bytes()).0,
            ..Default::default()
        };
        world.reload(store)?;
        Ok(world)
    }

    /// Reads everything again: at the start, and where the feed was compacted away under a slow reader.
    pub fn reload(&mut self, store: &Store) -> Result<(), StoreError> {
        self.seen = *store.watch().borrow();
        self.revs.clear();
        self.targets_told.clear();
        self.apps = self.all(store, |a: &Application| a.name.clone())?;
        self.services = self.all(store, |s: &Service| s.path.clone())?;
        self.families = self.all(store, |f: &Family| f.path.clone())?;
        self.targets = self.all(store, |t: &Target| t.family.clone())?;
        self.hosts = self.all(store, |h: &Host| h.id)?;
        let pools = self.all(store, |p: &Pool| p.name.clone())?;
        self.pools = pools.into_iter().map(|(name, pool)| (name, Arc::new(pool))).collect();
        self.providers = self.all(store, |p: &Provider| p.name.clone())?;
        self.machines = self.all(store, |m: &Machine| m.id)?;
        self.meters = self.all(store, |m: &Meter| m.host)?;
        self.accounts = self.all(store, |a: &Account| a.name.clone())?;
        self.money_dirty = true;
        self.releases = self.all(store, Release::key)?;
        self.jobs = self.all(store, |j: &Job| j.id)?;
        self.operations = self.all(store, |o: &Operation| o.id)?;
        self.operations.retain(|_, o| o.state == OperationState::Running);
        self.tasks.clear();
        for (id, task) in self.all(store, |t: &NodeTask| t.id)? {
            self.tasks.entry(task.path.family.clone()).or_default().insert(id, task);
        }
        self.acknowledged.clear();
        self.revisions.clear();
        for (_, revision) in self.all(store, |r: &Revision| (r.service.clone(), r.number))? {
            self.revisions.entry(revision.service.clone()).or_default().insert(revision.number, revision);
        }
        self.observed.clear();
        for (id, status) in self.all(store, |n: &NodeStatus| n.id)? {
            self.observed.entry(status.path.family.clone()).or_default().insert(id, status);
        }
        self.dirty = self.families.keys().cloned().collect();
        self.topics_dirty = self.apps.keys().cloned().collect();
        self.jobs_dirty = true;
        self.hosts_dirty = true;
        Ok(())
    }

    fn all<T: Object, K: Ord>(
        &mut self,
        store: &Store,
        key: impl Fn(&T) -> K,
    ) -> Result<BTreeMap<K, T>, StoreError> {
        let rows = store.list::<T>("")?;
        Ok(rows
            .into_iter()
            .map(|row| {
                self.revs.insert((T::KIND.into(), row.value.key()), row.rev);
                (key(&row.value), row.value)
            })
            .collect())
    }

    /// Reads what changed since the last time.
    pub fn refresh(&mut self, store: &Store) -> Result<(), StoreError> {
        loop {
            let changes = match store.changes(self.seen, CHANGES_AT_ONCE) {
                Err(StoreError::Compacted) => return self.reload(store),
                other => other?,
            };
            let Some(last) = changes.last().map(|c| c.rev) else { return Ok(()) };
            let mut read = HashSet::new();
            // Statuses of nodes are written by this engine alone, which knows what it wrote.
            let wrote = |rev: &Rev| self.wrote.as_ref().is_some_and(|own| own.contains(rev));
            let own = |c: &&ChangeRow| c.kind == NodeStatus::KIND && !c.deleted && wrote(&c.rev);
            let foreign: Vec<_> = changes.iter().rev().filter(|c| !own(c)).collect();
            for change in foreign {
                if read.insert((change.kind.clone(), change.key.clone())) {
                    self.take(store, change)?;
                }
            }
            self.seen = last;
        }
    }

    /// A new step begins with a new batch.
    pub fn begin(&mut self) {
        self.written.clear();
    }

    /// Puts an object, expecting the row that was read.
    pub fn put<T: Object>(&mut self, value: &T, batch: &mut Batch) {
        let key = value.key();
        let expect = self.expect::<T>(&key);
        let first = self.written.insert((T::KIND, key));
        batch.put(value, if first { expect } else { Expect::Any });
    }

    /// The revision that an object was read at, as an expectation.
    pub fn expect<T: Object>(&self, key: &str) -> Expect {
        self.revs.get(&(T::KIND.to_owned(), key.to_owned())).map_or(Expect::Absent, |rev| Expect::Rev(*rev))
    }

    pub fn fetch<T: Object>(&mut self, store: &Store, key: &str) -> Result<Option<T>, StoreError> {
        let row = store.get::<T>(key)?;
        let id = (T::KIND.to_owned(), key.to_owned());
        match &row {
            Some(row) => self.revs.insert(id, row.rev),
            None => self.revs.remove(&id),
        };
        Ok(row.map(|r| r.value))
    }

    fn take(&mut self, store: &Store, change: &ChangeRow) -> Result<(), StoreError> {
        let key = change.key.as_str();
        match change.kind.as_str() {
            "app" => {
                let value = self.fetch::<Application>(store, key)?;
                replace(&mut self.apps, key.parse().ok(), value);
                self.dirty_where(|f| f.app.as_str() == key);
                self.topics_dirty.extend(key.parse().ok());
            }
            "service" => {
                let value = self.fetch::<Service>(store, key)?;
                replace(&mut self.services, key.parse().ok(), value);
                self.dirty_where(|f| f.service_path().to_string() == key);
                self.topics_dirty.extend(key.parse::<ServicePath>().ok().map(|path| path.app));
            }
            "family" => {
                let value = self.fetch::<Family>(store, key)?;
                replace(&mut self.families, key.parse().ok(), value);
                self.family_touched(key);
            }
            "target" => {
                let value = self.fetch::<Target>(store, key)?;
                replace(&mut self.targets, key.parse().ok(), value);
                self.money_dirty = true;
                self.targets_told.retain(|family, _| family.to_string() != key);
                self.family_touched(key);
            }
            "release" => {
                let value = self.fetch::<Release>(store, key)?;
                replace(&mut self.releases, Some(key.to_owned()), value);
            }
            "meter" | "account" => self.take_money(store, change.kind.as_str(), key)?,
            "pool" | "provider" | "machine" => self.take_estate(store, change.kind.as_str(), key)?,
            "revision" => self.take_revision(store, key)?,
            "node" => self.take_node(store, key)?,
            "host" => {
                let value = self.fetch::<Host>(store, key)?;
                self.forgotten.extend(key.parse::<HostId>().ok().filter(|_| value.is_none()));
                replace(&mut self.hosts, key.parse().ok(), value);
                self.hosts_dirty = true;
                self.money_dirty = true;
                self.dirty_where(|_| true);
                self.jobs_dirty = true;
                // What has no nodes is known to every host, also to a new one.
                let has_door = |id| self.hosts.get(&id).is_some_and(|h| h.attributes.contains_key(DOOR));
                let door = key.parse().is_ok_and(has_door);
                let nowhere = self.topics.iter().filter(|(_, topic)| door || topic.members == 0);
                self.topics_dirty.extend(nowhere.map(|(app, _)| app.clone()));
            }
            "job" => {
                let value = self.fetch::<Job>(store, key)?;
                if let Some(service) = value.as_ref().and_then(|j| j.service.clone()) {
                    self.dirty_where(|f| f.service_path() == service);
                }
                replace(&mut self.jobs, key.parse().ok(), value);
                self.jobs_dirty = true;
                self.money_dirty = true;
            }
            "task" => self.take_task(store, key)?,
            "operation" => {
                let value = self.fetch::<Operation>(store, key)?;
                let value = value.filter(|o| o.state == OperationState::Running);
                replace(&mut self.operations, key.parse().ok(), value);
            }
            _ => {}
        }
        Ok(())
    }

    /// Where hosts come from: any family may find room there, or none any more.
    fn take_estate(&mut self, store: &Store, kind: &str, key: &str) -> Result<(), StoreError> {
        match kind {
            "pool" => {
                let value = self.fetch::<Pool>(store, key)?.map(Arc::new);
                replace(&mut self.pools, key.parse().ok(), value);
            }
            "provider" => {
                let value = self.fetch::<Provider>(store, key)?;
                replace(&mut self.providers, key.parse().ok(), value);
            }
            _ => {
                let value = self.fetch::<Machine>(store, key)?;
                replace(&mut self.machines, key.parse().ok(), value);
            }
        }
        self.money_dirty = true;
        self.dirty_where(|_| true);
        Ok(())
    }

    /// What this engine wrote itself: only the revisions are news.
    fn take_money(&mut self, store: &Store, kind: &str, key: &str) -> Result<(), StoreError> {
        if kind == "meter" {
            let value = self.fetch::<Meter>(store, key)?;
            replace(&mut self.meters, key.parse().ok(), value);
        } else {
            let value = self.fetch::<Account>(store, key)?;
            replace(&mut self.accounts, key.parse().ok(), value);
        }
        Ok(())
    }

    fn take_revision(&mut self, store: &Store, key: &str) -> Result<(), StoreError> {
        let value = self.fetch::<Revision>(store, key)?;
        let Some((service, number)) = key.split_once('#') else { return Ok(()) };
        let (Ok(service), Ok(number)) = (service.parse::<ServicePath>(), number.parse::<u64>()) else {
            return Ok(());
        };
        replace(self.revisions.entry(service.clone()).or_default(), Some(number), value);
        self.targets_told.retain(|family, _| family.service_path() != service);
        self.dirty_where(|f| f.service_path() == service);
        Ok(())
    }

    fn take_node(&mut self, store: &Store, key: &str) -> Result<(), StoreError> {
        let value = self.fetch::<NodeStatus>(store, key)?;
        let Ok(id) = key.parse::<NodeId>() else { return Ok(()) };
        if let Some(status) = value {
            let family = status.path.family.clone();
            let held = self.observed.entry(family.clone()).or_default();
            // Our own statement may be newer than the row: the host's last word is in memory first.
            if held.get(&id).is_none_or(|h| h.since <= status.since) {
                held.insert(id, status);
            }
            self.dirty.insert(family);
        } else {
            for held in self.observed.values_mut() {
                held.remove(&id);
            }
        }
        Ok(())
    }

    fn family_touched(&mut self, key: &str) {
        if let Ok(path) = key.parse::<FamilyPath>() {
            self.topics_dirty.insert(path.app.clone());
            self.dirty.insert(path);
        }
    }

    fn dirty_where(&mut self, pick: impl Fn(&FamilyPath) -> bool) {
        let picked: Vec<_> = self.families.keys().filter(|f| pick(f)).cloned().collect();
        self.dirty.extend(picked);
    }

    /// A host is known no longer; whatever is on it is lost.
    pub fn forget_host(&mut self, host: HostId) {
        self.hosts.remove(&host);
        self.forgotten.push(host);
        self.hosts_dirty = true;
        self.dirty_where(|_| true);
        self.jobs_dirty = true;
    }

    /// A host came, went or changed: its families, and those that wait for room.
    pub fn host_changed(&mut self, host: HostId) {
        let touched: Vec<_> = self
            .families
            .keys()
            .filter(|path| {
                self.targets
                    .get(path)
                    .is_none_or(|t| !t.reasons.is_empty() || t.nodes.iter().any(|n| n.host == host))
            })
            .cloned()
            .collect();
        self.dirty.extend(touched);
        self.jobs_dirty = true;
    }

    /// Where a disk has more room than before, those that wait for something look again: hosts tell their disks with
    /// their beats, which wake nobody.
    pub fn room_came(&mut self, liveness: &HashMap<HostId, Liveness>) {
        let used = |of: &HashMap<HostId, Liveness>, host| of.get(host).map(|l| l.disk_used_permille);
        if liveness.keys().any(|host| used(liveness, host) < used(&self.liveness, host)) {
            let waits = |path: &&FamilyPath| self.targets.get(*path).is_some_and(|t| !t.reasons.is_empty());
            let waiting: Vec<_> = self.families.keys().filter(waits).cloned().collect();
            self.dirty.extend(waiting);
        }
    }

    /// Are all wanted nodes of a family ready?
    pub fn is_healthy(&self, path: &FamilyPath) -> bool {
        let (Some(family), Some(target)) = (self.families.get(path), self.targets.get(path)) else {
            return false;
        };
        let observed = self.observed.get(path);
        let ready = |id| observed.and_then(|o| o.get(&id)).is_some_and(|s| s.ready);
        let count =
            target.indexes(family.count).filter(|n| target.running(*n).is_some_and(|p| ready(p.id))).count();
        family.running && count as u32 == family.count
    }

    /// Jobs that are on a host now.
    pub fn jobs_running(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(|j| j.state == JobState::Running)
    }
}

fn replace<K: Ord, V>(map: &mut BTreeMap<K, V>, key: Option<K>, value: Option<V>) {
    let Some(key) = key else { return };
    match value {
        Some(value) => {
            map.insert(key, value);
        }
        None => {
            map.remove(&key);
        }
    }
}
