//! Planning the families that became dirty, one after the other, each seeing what the former ones took.

use crate::world::World;
use lace_model::host::Host;
use lace_model::job::{JobOrigin, JobState};
use lace_model::node::NodePhase;
use lace_model::revision::{Limits, Protocol, Revision};
use lace_model::target::Target;
use lace_model::{ByteSize, CpuMillis, FamilyPath, HostId, JobId, ServicePath};
use lace_planner::{FamilyInput, FamilyOutcome, Gates, HostView, JobGate, Used};
use lace_store::{Batch, Expect};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

/// What is taken on a host.
#[derive(Clone, Default)]
pub(crate) struct Taken {
    pub used: Used,
    pub addresses: BTreeSet<Ipv4Addr>,
    /// Ports of the host's network, and by how many nodes.
    ports: BTreeMap<(Protocol, u16), u32>,
}

/// What one node takes of its host.
#[derive(Clone, Default)]
struct Takes {
    limits: Limits,
    ports: BTreeSet<(Protocol, u16)>,
}

impl Taken {
    fn enter(&mut self, takes: &Takes, address: Ipv4Addr) {
        self.add(&takes.limits, Some(address));
        takes.ports.iter().for_each(|port| *self.ports.entry(*port).or_default() += 1);
    }

    fn leave(&mut self, takes: &Takes, address: Ipv4Addr) {
        self.remove(&takes.limits, address);
        for port in &takes.ports {
            self.ports.entry(*port).and_modify(|nodes| *nodes = nodes.saturating_sub(1));
        }
        self.ports.retain(|_, nodes| *nodes > 0);
    }

    fn add(&mut self, limits: &Limits, address: Option<Ipv4Addr>) {
        self.used.cpu = CpuMillis(self.used.cpu.0.saturating_add(limits.cpu.0));
        self.used.memory = ByteSize(self.used.memory.0.saturating_add(limits.memory.0));
        self.used.nodes += 1;
        self.addresses.extend(address);
    }

    fn remove(&mut self, limits: &Limits, address: Ipv4Addr) {
        self.used.cpu = CpuMillis(self.used.cpu.0.saturating_sub(limits.cpu.0));
        self.used.memory = ByteSize(self.used.memory.0.saturating_sub(limits.memory.0));
        self.used.nodes = self.used.nodes.saturating_sub(1);
        self.addresses.remove(&address);
    }
}

impl World {
    fn takes(&self, path: &FamilyPath, revision: u64) -> Takes {
        let known = self.revisions.get(&path.service_path()).and_then(|r| r.get(&revision));
        let Some(spec) = known.map(|r| &r.spec) else { return Takes::default() };
        let family = self.families.get(path);
        let ports = family.map(|family| lace_planner::ports_taken(family, spec.host_ports()));
        Takes { limits: spec.limits_of(&path.family).clone(), ports: ports.unwrap_or_default() }
    }

    /// What all targets and running jobs take.
    pub(crate) fn taken(&self) -> HashMap<HostId, Taken> {
        let mut taken: HashMap<HostId, Taken> = HashMap::new();
        for target in self.targets.values() {
            for node in &target.nodes {
                let takes = self.takes(&target.family, node.revision);
                taken.entry(node.host).or_default().enter(&takes, node.address);
            }
        }
        for job in self.jobs_running() {
            if let Some(host) = job.host {
                taken.entry(host).or_default().add(&job.spec.limits, job.address);
            }
        }
        taken
    }

    fn views(&self, path: &FamilyPath, taken: &HashMap<HostId, Taken>) -> Vec<HostView> {
        let own = self.targets.get(path).map(|t| t.nodes.as_slice()).unwrap_or_default();
        let view = |host: &Host| {
            let mut taken = taken.get(&host.id).cloned().unwrap_or_default();
            for node in own.iter().filter(|n| n.host == host.id) {
                taken.leave(&self.takes(path, node.revision), node.address);
            }
            let mut liveness = self.liveness.get(&host.id).copied().unwrap_or_default();
            liveness.last_seen = liveness.last_seen.max(self.started_at);
            let missing = self.missing(path, host);
            let pool = host.pool.as_ref().and_then(|pool| self.pools.get(pool)).map(|pool| self.priced(pool));
            let ports = taken.ports.into_keys().collect();
            let (used, taken) = (taken.used, taken.addresses);
            HostView { host: host.clone(), liveness, used, taken, ports, missing, pool }
        };
        self.hosts.values().map(view).collect()
    }

    /// What the wanted revision's release needs and the host lacks. A host that said nothing of itself lacks nothing.
    fn missing(&self, path: &FamilyPath, host: &Host) -> Vec<String> {
        let wanted = self.families.get(path).map(|f| f.revision);
        let revision = self.revisions.get(&path.service_path()).and_then(|r| r.get(&wanted?));
        let release = revision.and_then(|r| self.releases.get(&r.spec.release));
        let facts = lace_release::HostFacts::from_attributes(&host.attributes);
        match (release, facts) {
            (Some(release), Some(facts)) => lace_release::preflight(&release.needs, &facts),
            _ => Vec::new(),
        }
    }

    fn gates(&mut self, path: &FamilyPath, batch: &mut Batch) -> Gates {
        let needs = self.families.get(path).map(|f| f.needs.clone()).unwrap_or_default();
        let needs_met = needs.into_iter().find(|need| !self.is_healthy(need)).map_or(Ok(()), Err);
        let service = path.service_path();
        let wanted = self.families.get(path).map(|f| f.revision);
        let revisions: Vec<Revision> = self
            .revisions
            .get(&service)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(|r| Some(r.number) == wanted && !r.spec.before.is_empty())
            .cloned()
            .collect();
        let mut before_done = BTreeMap::new();
        for revision in revisions {
            before_done.insert(revision.number, self.before(&revision, batch));
        }
        Gates { needs_met, before_done }
    }

    /// The `before` jobs of a revision: the next one is queued when the one before it ended well.
    fn before(&mut self, revision: &Revision, batch: &mut Batch) -> JobGate {
        for (step, command) in revision.spec.before.iter().enumerate() {
            let purpose = format!("before/{}/{}/{step}", revision.service, revision.number);
            let id = JobId::derive(&self.seed, &purpose);
            let words = command.join(" ");
            match self.jobs.get(&id) {
                None => {
                    let origin = JobOrigin::Before { revision: revision.number, step: step as u32 };
                    self.queue_job(id, revision, command.clone(), origin, batch);
                    return JobGate::Waiting(words);
                }
                Some(job) if job.state == JobState::Done => {}
                Some(job) if matches!(job.state, JobState::Failed | JobState::Cancelled) => {
                    let how = job
                        .detail
                        .clone()
                        .or(job.exit.map(|e| format!("exit status {e}")))
                        .unwrap_or_default();
                    let cause = format!("the job `{words}` before the rollout failed: {how}");
                    return JobGate::Failed { cause, last_lines: job.last_lines.clone() };
                }
                Some(job) => {
                    let since = job.no_room_since.filter(|_| job.state == JobState::Queued);
                    return match since {
                        Some(since) => JobGate::NoRoom { command: words, since },
                        None => JobGate::Waiting(words),
                    };
                }
            }
        }
        JobGate::Done
    }

    /// Plans what is dirty; new targets go into the batch.
    pub(crate) fn plan_dirty(&mut self, batch: &mut Batch) {
        let due: Vec<_> =
            self.wakes.iter().filter(|(_, at)| **at <= self.now).map(|(p, _)| p.clone()).collect();
        self.dirty.extend(due);
        if self.dirty.is_empty() {
            return;
        }
        let mut taken = self.taken();
        for path in std::mem::take(&mut self.dirty) {
            let gates = self.gates(&path, batch);
            let views = self.views(&path, &taken);
            let restarts = self.restarts(&path);
            let upgrades = self.upgrades(&path);
            let answered = self.answered(&path);
            let offers = self.offers();
            let none = BTreeMap::new();
            let no_revisions = BTreeMap::new();
            let Some(family) = self.families.get(&path) else {
                self.wakes.remove(&path);
                continue;
            };
            let outcome = lace_planner::plan(&FamilyInput {
                family,
                current: self.targets.get(&path),
                observed: self.observed.get(&path).unwrap_or(&none),
                revisions: self.revisions.get(&path.service_path()).unwrap_or(&no_revisions),
                hosts: &views,
                offers: &offers,
                gates: &gates,
                restarts: &restarts,
                upgrades: &upgrades,
                answered: &answered,
                epoch: self.epoch,
                now: self.now,
                seed: self.seed,
            });
            self.take_outcome(&path, outcome, &mut taken, batch);
        }
    }

    fn take_outcome(
        &mut self,
        path: &FamilyPath,
        outcome: FamilyOutcome,
        taken: &mut HashMap<HostId, Taken>,
        batch: &mut Batch,
    ) {
        match outcome.wake_at {
            Some(at) => self.wakes.insert(path.clone(), at.max(self.now + 1)),
            None => self.wakes.remove(path),
        };
        outcome.events.into_iter().for_each(|event| batch.event(event));
        if !outcome.clear_replace.is_empty()
            && let Some(family) = self.families.get_mut(path)
        {
            family.replace.retain(|index, _| !outcome.clear_replace.contains(index));
            let family = family.clone();
            self.put(&family, batch);
        }
        self.new_tasks(outcome.tasks, batch);
        self.name_abandoned(path, outcome.abandoned, batch);
        self.order_hosts(path, outcome.orders, batch);
        if let Some((number, cause)) = outcome.bad {
            self.mark_bad(&path.service_path(), number, cause, batch);
        }
        if let Some(target) = outcome.target {
            self.take_target(path, target, taken, batch);
        }
        if outcome.family_done && !self.jobs_hold(path) {
            self.family_done(path, batch);
        }
    }

    fn mark_bad(&mut self, service: &ServicePath, number: u64, cause: String, batch: &mut Batch) {
        if let Some(revision) = self.revisions.get_mut(service).and_then(|r| r.get_mut(&number)) {
            revision.bad = Some(cause);
            batch.put(&*revision, Expect::Any);
        }
    }

    fn take_target(
        &mut self,
        path: &FamilyPath,
        target: Target,
        taken: &mut HashMap<HostId, Taken>,
        batch: &mut Batch,
    ) {
        if let Some(former) = self.targets.get(path) {
            for node in &former.nodes {
                let takes = self.takes(path, node.revision);
                taken.entry(node.host).or_default().leave(&takes, node.address);
            }
            self.forget_gone(former, &target, batch);
        }
        for node in &target.nodes {
            let takes = self.takes(path, node.revision);
            taken.entry(node.host).or_default().enter(&takes, node.address);
        }
        self.put(&target, batch);
        self.money_dirty = true;
        self.topics_dirty.insert(path.app.clone());
        self.targets.insert(path.clone(), target);
    }

    /// Statuses of nodes that left the target go with them.
    fn forget_gone(&self, former: &Target, target: &Target, batch: &mut Batch) {
        let kept: BTreeSet<_> = target.nodes.iter().map(|n| n.id).collect();
        let observed = self.observed.get(&former.family);
        for node in former.nodes.iter().filter(|n| !kept.contains(&n.id)) {
            let gone = observed.and_then(|o| o.get(&node.id)).is_some_and(|s| s.phase == NodePhase::Gone);
            if gone {
                batch.delete::<lace_model::node::NodeStatus>(&node.id.to_string(), Expect::Any);
            }
        }
    }
}
