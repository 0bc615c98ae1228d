//! What targets and running jobs take of each host.

use lace_model::job::{Job, JobState};
use lace_model::object::revision_key;
use lace_model::revision::{Limits, Revision};
use lace_model::target::Target;
use lace_model::{FamilyPath, HostId};
use lace_planner::Used;
use lace_store::{Result, View};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// What is taken, by host.
#[derive(Debug, Default)]
pub(crate) struct Room {
    hosts: BTreeMap<HostId, (Used, BTreeSet<Ipv4Addr>)>,
}

impl Room {
    /// Reads all targets and jobs; each revision in use is read once.
    pub fn read(view: &View<'_>) -> Result<Self> {
        let mut room = Self::default();
        let mut limits: BTreeMap<(FamilyPath, u64), Limits> = BTreeMap::new();
        for target in view.list::<Target>("")? {
            let family = &target.value.family;
            for node in &target.value.nodes {
                let key = (family.clone(), node.revision);
                if !limits.contains_key(&key) {
                    limits.insert(key.clone(), limits_of(view, family, node.revision)?);
                }
                room.take(node.host, Some(node.address), &limits[&key]);
            }
        }
        for job in view.list::<Job>("")?.into_iter().map(|row| row.value) {
            if let (JobState::Running, Some(host)) = (job.state, job.host) {
                room.take(host, job.address, &job.spec.limits);
            }
        }
        Ok(room)
    }

    fn take(&mut self, host: HostId, address: Option<Ipv4Addr>, limits: &Limits) {
        let (used, taken) = self.hosts.entry(host).or_default();
        used.cpu.0 = used.cpu.0.saturating_add(limits.cpu.0);
        used.memory.0 = used.memory.0.saturating_add(limits.memory.0);
        used.nodes += 1;
        taken.extend(address);
    }

    /// What is used of a host.
    pub fn used(&self, host: HostId) -> Used {
        self.hosts.get(&host).map(|(used, _)| *used).unwrap_or_default()
    }

    /// Its addresses that are taken.
    pub fn taken(&self, host: HostId) -> BTreeSet<Ipv4Addr> {
        self.hosts.get(&host).map(|(_, taken)| taken.clone()).unwrap_or_default()
    }
}

fn limits_of(view: &View<'_>, family: &FamilyPath, revision: u64) -> Result<Limits> {
    let row = view.get::<Revision>(&revision_key(&family.service_path(), revision))?;
    Ok(row.map(|r| r.value.spec.limits_of(&family.family).clone()).unwrap_or_default())
}
