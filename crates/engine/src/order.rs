//! Hosts that families lack: what pools offer, and rows for what is ordered from them.

use crate::world::World;
use lace_model::event::NewEvent;
use lace_model::machine::{ASK_AGAIN_AFTER, Machine, MachineState};
use lace_model::name::NAME_CHARS_MAX;
use lace_model::pool::Pool;
use lace_model::{FamilyPath, HostId, Millis, Name};
use lace_planner::{Offer, Order};
use lace_store::Batch;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A machine that joined is a host with room once its agent is here; until then it is still waited for, at most so long.
pub(crate) const SEEN_WITHIN_MS: Millis = 60_000;

impl World {
    /// What pools offer whose providers make hosts.
    pub(crate) fn offers(&self) -> Vec<Offer> {
        let makes = |pool: &&Arc<Pool>| {
            self.providers.get(&pool.provider).is_some_and(|provider| provider.makes_hosts())
        };
        self.pools.values().filter(makes).map(|pool| self.offer(pool)).collect()
    }

    fn offer(&self, pool: &Arc<Pool>) -> Offer {
        let ordered = || self.machines.values().filter(|machine| machine.pool == pool.name);
        let hosts = self.hosts.values().filter(|host| host.pool.as_ref() == Some(&pool.name)).count();
        let others = ordered().filter(|m| m.counts() && !self.hosts.contains_key(&m.id)).count();
        let made = ordered().filter(|machine| machine.is_host()).map(|machine| machine.id);
        let coming = ordered().filter(|machine| self.is_coming(machine)).map(|machine| machine.name.clone());
        Offer {
            pool: self.priced(pool),
            there: u32::try_from(hosts + others).unwrap_or(u32::MAX),
            coming: coming.collect(),
            made: made.collect(),
            network: Some(pool.network(self.region(pool).as_deref())),
            closed: self.closed(pool),
        }
    }

    /// Where its machines are made.
    fn region(&self, pool: &Pool) -> Option<String> {
        pool.region.clone().or_else(|| self.providers.get(&pool.provider)?.region.clone())
    }

    fn is_coming(&self, machine: &Machine) -> bool {
        let seen = self.liveness.get(&machine.id).is_some_and(|liveness| liveness.connected);
        let joined = machine.state == MachineState::Joined && !seen;
        machine.is_coming() || (joined && self.now < machine.since + SEEN_WITHIN_MS)
    }

    /// A pool that gave nothing lately is left alone for a while.
    fn closed(&self, pool: &Pool) -> Option<(String, Millis)> {
        if pool.image.is_none() || pool.profile.is_none() {
            let why =
                format!("says no image or no profile: lace pool set {} --image I --profile T", pool.name);
            return Some((why, Millis::MAX));
        }
        let given_up =
            |machine: &&Machine| machine.pool == pool.name && machine.state == MachineState::GivenUp;
        let last = self.machines.values().filter(given_up).max_by_key(|machine| machine.since)?;
        let until = last.since + ASK_AGAIN_AFTER.ms();
        let why = last.why.clone().unwrap_or_else(|| "it gave no host".to_owned());
        (self.now < until).then_some((why, until))
    }

    /// Writes what was ordered; whoever is planned next sees it.
    pub(crate) fn order_hosts(&mut self, path: &FamilyPath, orders: Vec<Order>, batch: &mut Batch) {
        for order in orders {
            for _ in 0..order.hosts {
                self.order_host(path, &order.pool, batch);
            }
        }
    }

    fn order_host(&mut self, path: &FamilyPath, pool: &Name, batch: &mut Batch) {
        let Some(pool) = self.pools.get(pool).cloned() else { return };
        let Some(name) = self.free_name(&pool.name) else { return };
        let id = HostId::derive(&self.seed, &format!("machine/{name}/{}", self.now));
        let region = self.region(&pool);
        let network = pool.network(region.as_deref());
        let machine = Machine {
            id,
            name,
            pool: pool.name.clone(),
            provider: pool.provider.clone(),
            region,
            state: MachineState::Ordered,
            instance: None,
            network: Some(network),
            zone: None,
            kind: None,
            address: None,
            epoch: Some(self.epoch),
            price: self.priced(&pool).price.clone(),
            taken_at: None,
            ordered_at: self.now,
            since: self.now,
            why: None,
        };
        let text = format!("ordered from pool {}: no host has room for {path}", pool.name);
        batch.event(NewEvent::new("host.ordered", format!("host/{}", machine.name), text));
        self.put(&machine, batch);
        self.machines.insert(id, machine);
    }

    /// `pool-1`, `pool-2`, …: the first that no host and no machine has. A long name of a pool is cut to make room for the number.
    fn free_name(&self, pool: &Name) -> Option<Name> {
        let hosts = self.hosts.values().map(|host| &host.name);
        let taken: BTreeSet<&Name> =
            hosts.chain(self.machines.values().map(|machine| &machine.name)).collect();
        names_of(pool).find(|name| !taken.contains(name))
    }

    /// The host of a machine is removed: the machine goes back.
    pub(crate) fn give_back(&mut self, host: HostId, batch: &mut Batch) {
        let Some(machine) = self.machines.get(&host).cloned() else { return };
        let machine = machine.now(MachineState::Leaving, self.now);
        self.put(&machine, batch);
        self.machines.insert(host, machine);
    }
}

fn names_of(pool: &Name) -> impl Iterator<Item = Name> {
    let room = NAME_CHARS_MAX - "-100000".len();
    let pool = pool.as_str().get(..room).unwrap_or(pool.as_str()).trim_end_matches('-').to_owned();
    (1..=100_000).filter_map(move |n| Name::new(format!("{pool}-{n}")).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pool_has_names_for_its_hosts() {
        for length in 1..=NAME_CHARS_MAX {
            let pool = Name::new("p".repeat(length)).unwrap();
            assert_eq!(names_of(&pool).count(), 100_000, "{length}");
        }
        assert_eq!(names_of(&Name::new("eu").unwrap()).next().unwrap().as_str(), "eu-1");
    }
}
