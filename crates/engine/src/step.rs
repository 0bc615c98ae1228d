//! One step of the loop: what happened goes in; what shall be written, then told, comes out.

use crate::documents::Delta;
use crate::heard::Heard;
use crate::world::World;
use lace_model::document::Topic;
use lace_model::family::Family;
use lace_model::host::{Liveness, Neighbour};
use lace_model::traffic::Flows;
use lace_model::{FamilyPath, HostId, Millis, TaskId};
use lace_store::{Batch, Committed, Store, StoreError};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The loop's logic and what it knows.
pub struct Engine {
    world: World,
    /// Families whose entries may have changed since they were last told.
    touched: BTreeSet<FamilyPath>,
    schedules_from: Millis,
}

/// What hosts shall be told after the commit.
#[derive(Debug, Default)]
pub struct Told {
    /// Changes of documents by host.
    pub documents: HashMap<HostId, Delta>,
    /// Topics and the hosts that carry them.
    pub topics: Vec<(Topic, HashSet<HostId>)>,
    /// Networks whose hosts changed: all that are in one of them now.
    pub neighbours: Vec<Arc<Vec<Neighbour>>>,
    /// Tasks whose outcome is stored.
    pub acknowledged: HashMap<HostId, Vec<TaskId>>,
    /// Hosts that were removed for good.
    pub forgotten: Vec<HostId>,
}

impl Engine {
    /// Reads the store.
    ///
    /// # Errors
    /// What the store says.
    pub fn load(store: &Store, now: Millis) -> Result<Self, StoreError> {
        let mut world = World::load(store)?;
        world.now = now;
        world.started_at = now;
        let touched = world.targets.keys().cloned().collect();
        Ok(Self { world, touched, schedules_from: now })
    }

    /// Does any family scale, or roll, by what doors carry?
    pub fn scales(&self) -> bool {
        let listens = |family: &Family| family.scale.is_some() || self.world.is_judged(family);
        self.world.families.values().any(listens)
    }

    /// What doors carried lately.
    pub fn carried(&mut self, flows: Flows) {
        self.world.flows = flows;
    }

    /// All hosts that are known.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + '_ {
        self.world.hosts.keys().copied()
    }

    /// Reads what changed in the store.
    ///
    /// # Errors
    /// What the store says.
    pub fn refresh(&mut self, store: &Store) -> Result<(), StoreError> {
        self.world.refresh(store)?;
        self.touched.extend(self.world.dirty.iter().cloned());
        Ok(())
    }

    /// The batch of the last step was committed.
    pub fn wrote(&mut self, committed: &Committed) {
        let revs = committed.changes.first().zip(committed.changes.last());
        self.world.wrote = revs.map(|(first, last)| first.rev..=last.rev);
    }

    /// Reads everything again: after a commit was refused, or the feed was lost.
    ///
    /// # Errors
    /// What the store says.
    pub fn reload(&mut self, store: &Store) -> Result<(), StoreError> {
        self.world.reload(store)?;
        self.touched.extend(self.world.targets.keys().cloned());
        Ok(())
    }

    /// Decides. The batch must be committed before [`Engine::told`] is passed on.
    pub fn step(&mut self, heard: Vec<Heard>, liveness: HashMap<HostId, Liveness>, now: Millis) -> Batch {
        self.world.now = now;
        self.world.room_came(&liveness);
        self.world.liveness = liveness;
        let mut batch = Batch::new(None);
        self.world.begin();
        for heard in heard {
            self.world.hear(heard, &mut batch);
        }
        self.touched.extend(self.world.dirty.iter().cloned());
        let due = self.world.wakes.iter().filter(|(_, at)| **at <= now).map(|(path, _)| path.clone());
        self.touched.extend(due);
        self.wake_dependants();
        self.world.cancel_deleted(&mut batch);
        self.world.scale_by_load(&mut batch);
        self.world.watch_answers();
        self.world.plan_dirty(&mut batch);
        if now > self.schedules_from {
            self.world.queue_due(self.schedules_from, &mut batch);
            self.schedules_from = now;
        }
        self.world.dispatch_jobs(&mut batch);
        self.world.move_tasks(&mut batch);
        self.world.remove_emptied(&mut batch);
        self.world.charge_hosts(&mut batch);
        self.world.end_operations(&mut batch);
        batch
    }

    /// Families that wait for others look again when anything in their application moved.
    fn wake_dependants(&mut self) {
        let apps: BTreeSet<_> = self.world.dirty.iter().map(|f| f.app.clone()).collect();
        let waiting =
            self.world.families.values().filter(|f| !f.needs.is_empty() && apps.contains(&f.path.app));
        let waiting: Vec<_> = waiting.map(|f| f.path.clone()).collect();
        self.world.dirty.extend(waiting.iter().cloned());
        self.touched.extend(waiting);
    }

    /// What hosts shall be told, now that the batch is stored.
    pub fn told(&mut self) -> Told {
        let mut told = Told::default();
        let touched = std::mem::take(&mut self.touched);
        self.world.tell(&touched, &mut told);
        self.world.tell_neighbours(&mut told);
        told.acknowledged = std::mem::take(&mut self.world.acknowledged);
        told.forgotten = std::mem::take(&mut self.world.forgotten);
        told
    }

    /// The next moment at which time alone changes something, at most a second away where schedules or operations wait.
    pub fn wake_at(&self) -> Option<Millis> {
        let families = self.world.wakes.values().min().copied();
        let tick = self.world.services.values().any(|s| s.spec.tasks.as_ref().is_some_and(|t| !t.is_empty()))
            || self.scales()
            || !self.world.operations.is_empty()
            || self.world.open_tasks().next().is_some();
        let topics = self.world.topics_due();
        let tick = tick || self.world.money_dirty;
        families.into_iter().chain(topics).chain(tick.then_some(self.world.now + 1_000)).min()
    }
}
