//! Families whose count is the scaler's: what doors carried goes in, another wanted count comes out.

use crate::world::World;
use lace_model::FamilyPath;
use lace_model::event::NewEvent;
use lace_model::family::Family;
use lace_model::node::NodePhase;
use lace_model::target::Want;
use lace_planner::{Answered, ScaleInput};
use lace_store::Batch;
use std::collections::BTreeMap;

impl World {
    /// Decides for each family that scales by load.
    pub(crate) fn scale_by_load(&mut self, batch: &mut Batch) {
        self.scalers.retain(|path, _| self.families.get(path).is_some_and(|family| family.scale.is_some()));
        let scaled: Vec<FamilyPath> =
            self.families.values().filter(|family| family.scale.is_some()).map(|f| f.path.clone()).collect();
        for path in scaled {
            self.scale_one(&path, batch);
        }
    }

    /// Families whose new revision is judged by its answers look again.
    pub(crate) fn watch_answers(&mut self) {
        let judged = self.families.values().filter(|family| self.is_judged(family));
        let judged: Vec<FamilyPath> = judged.map(|family| family.path.clone()).collect();
        self.dirty.extend(judged);
    }

    /// Is a rollout under way that answers may end?
    pub(crate) fn is_judged(&self, family: &Family) -> bool {
        let rollout = self.targets.get(&family.path).and_then(|target| target.rollout.as_ref());
        family.rollout.max_errors.is_some() && rollout.is_some_and(|rollout| !rollout.is_over())
    }

    /// What doors brought back from nodes of each revision. A node counts once the numbers are of its own time only: its
    /// predecessor had the same name.
    pub(crate) fn answered(&self, path: &FamilyPath) -> BTreeMap<u64, Answered> {
        let mut answered = BTreeMap::<u64, Answered>::new();
        let (Some(family), Some(target)) = (self.families.get(path), self.targets.get(path)) else {
            return answered;
        };
        if !self.is_judged(family) {
            return answered;
        }
        for node in target.nodes.iter().filter(|n| n.planned_at + self.flows.span_ms <= self.now) {
            let name = path.node(node.index).to_string();
            let series = self.flows.nodes.iter().find(|series| series.name == name);
            if let Some(carried) = series.map(|series| &series.carried) {
                let entry = answered.entry(node.revision).or_default();
                entry.all += carried.answers();
                entry.errors += carried.errors();
            }
        }
        answered
    }

    fn scale_one(&mut self, path: &FamilyPath, batch: &mut Batch) {
        let (Some(family), target) = (self.families.get(path), self.targets.get(path)) else { return };
        let outcome = lace_planner::scale(&ScaleInput {
            family,
            ready: self.serving(path),
            is_quiet: target
                .and_then(|t| t.rollout.as_ref())
                .is_none_or(lace_model::rollout::Rollout::is_over),
            load: self.flows.load(path),
            memory: self.scalers.get(path).copied().unwrap_or_default(),
            now: self.now,
        });
        self.scalers.insert(path.clone(), outcome.memory);
        let Some((count, why)) = outcome.count else { return };
        let message = format!("{} to {count} nodes: {why}", family.count);
        batch.event(NewEvent::new("family.scaled", path, message).by("lace"));
        let family = Family { count, ..family.clone() };
        self.put(&family, batch);
        self.families.insert(path.clone(), family);
        self.dirty.insert(path.clone());
    }

    /// Nodes of a family that are ready, those aside that stand by.
    fn serving(&self, path: &FamilyPath) -> u32 {
        let (Some(target), Some(observed)) = (self.targets.get(path), self.observed.get(path)) else {
            return 0;
        };
        let wanted = target.nodes.iter().filter(|node| node.want == Want::Run && !target.stands_by(node));
        let is_ready = |id| observed.get(id).is_some_and(|s| s.ready && s.phase == NodePhase::Running);
        wanted.filter(|node| is_ready(&node.id)).count() as u32
    }
}
