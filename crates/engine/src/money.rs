//! Hosts are charged: rows of the ledger, meters and sums are part of the step that changes who pays, and so of its transaction.

use crate::world::World;
use lace_model::host::{Capacity, Host};
use lace_model::machine::{Machine, MachineState};
use lace_model::money::{Account, AccountName};
use lace_model::pool::{Discount, Pool, Price};
use lace_model::revision::Limits;
use lace_model::{AppName, FamilyPath, HostId, Millis, Name};
use lace_planner::money::{self, Charged, Claim, Metered, Metering};
use lace_store::{Batch, Expect, limits};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Steps of a batch, the ledger's among them, beyond which no further host is charged in it, so that it stays below the store's
/// bound; the next step goes on.
const STEPS_MAX: usize = limits::BATCH_STEPS_MAX / 2;
/// Who pays how much, in all rows of one batch: some 60 bytes each.
const LINES_MAX: usize = 50_000;

impl World {
    /// A pool with its price as it is paid, the discount taken off.
    pub(crate) fn priced(&self, pool: &Arc<Pool>) -> Arc<Pool> {
        let net = pool.price_net(self.discount(pool));
        if net == pool.price { Arc::clone(pool) } else { Arc::new(Pool { price: net, ..Pool::clone(pool) }) }
    }

    fn discount(&self, pool: &Pool) -> Option<Discount> {
        self.providers.get(&pool.provider)?.discount
    }

    /// Charges the hosts whose payers, price or being changed, and those that were not charged for long.
    pub(crate) fn charge_hosts(&mut self, batch: &mut Batch) {
        if !self.money_dirty && self.now < self.money_due {
            return;
        }
        self.money_dirty = false;
        let mut hosts = self.metered();
        let ids: BTreeSet<HostId> = hosts.keys().chain(self.meters.keys()).copied().collect();
        let (mut changed, mut lines) = (BTreeSet::new(), 0);
        for id in ids {
            let event = hosts.remove(&id).map_or(Metering::Ended, Metering::Is);
            let Some(charged) = money::charge(self.meters.get(&id), &event, self.now) else { continue };
            if batch.steps() + changed.len() > STEPS_MAX || lines > LINES_MAX {
                self.money_dirty = true;
                break;
            }
            lines += charged.rows.iter().map(|row| row.lines.len()).sum::<usize>();
            self.enter(id, charged, &mut changed, batch);
        }
        for name in &changed {
            if let Some(account) = self.accounts.get(name).cloned() {
                self.put(&account, batch);
            }
        }
        self.money_due = self.meters.values().map(money::due_at).min().unwrap_or(Millis::MAX);
    }

    fn enter(
        &mut self,
        host: HostId,
        charged: Charged,
        changed: &mut BTreeSet<AccountName>,
        batch: &mut Batch,
    ) {
        for row in charged.rows {
            batch.put(&row, Expect::Absent);
            for name in row.lines.keys() {
                let account = self.accounts.entry(name.clone()).or_insert_with(|| Account::new(name.clone()));
                account.enter(&row);
                changed.insert(name.clone());
            }
        }
        match charged.meter {
            Some(meter) => {
                self.put(&meter, batch);
                self.meters.insert(host, meter);
            }
            None => {
                let key = host.to_string();
                batch.delete::<lace_model::money::Meter>(&key, self.expect::<lace_model::money::Meter>(&key));
                self.meters.remove(&host);
            }
        }
    }

    /// All hosts that are paid for.
    fn metered(&self) -> BTreeMap<HostId, Metered> {
        if self.pools.values().all(|pool| pool.price.is_none()) && self.machines.is_empty() {
            return BTreeMap::new();
        }
        let machines = self.machines.values().filter_map(|machine| self.metered_machine(machine));
        let others = self.hosts.values().filter(|host| !self.machines.contains_key(&host.id));
        let mut found: BTreeMap<HostId, Metered> =
            machines.chain(others.filter_map(|host| self.metered_host(host))).map(|m| (m.host, m)).collect();
        let claims = self.claims(&found);
        let (nobody, unknown) = Default::default();
        for (id, metered) in &mut found {
            let capacity = self.hosts.get(id).map_or(&unknown, |host: &Host| &host.capacity);
            let claims = claims.get(id).unwrap_or(&nobody);
            metered.shares = money::shares(&metered.pool, capacity as &Capacity, claims);
        }
        found
    }

    /// From when the provider made it until it is there no longer.
    fn metered_machine(&self, machine: &Machine) -> Option<Metered> {
        let since = match machine.state {
            // At a price that nobody had said when it was made it is paid for from now on.
            MachineState::Made if machine.price.is_some() => machine.since,
            MachineState::Made => self.now,
            MachineState::Joined | MachineState::Leaving => self.now,
            MachineState::Ordered | MachineState::GivenUp => return None,
        };
        let of_pool = self.pools.get(&machine.pool).and_then(|pool| self.priced(pool).price.clone());
        // Whose price somebody took away goes on at none: a meter that begins anew would charge the same time again.
        let free = || {
            let meter = self.meters.get(&machine.id)?;
            Some(Price { micro_per_hour: 0, ..meter.price.clone() })
        };
        let price = of_pool.or_else(|| machine.price.clone()).or_else(free)?;
        let joined = machine.state == MachineState::Joined;
        Some(self.unshared((machine.id, &machine.name), &machine.pool, price, (since, joined)))
    }

    /// A host that a person has put into a pool: from then on.
    fn metered_host(&self, host: &Host) -> Option<Metered> {
        let pool = self.pools.get(host.pool.as_ref()?)?;
        let price = self.priced(pool).price.clone()?;
        Some(self.unshared((host.id, &host.name), &pool.name, price, (self.now, true)))
    }

    fn unshared(
        &self,
        (host, name): (HostId, &Name),
        pool: &Name,
        price: Price,
        (since, joined): (Millis, bool),
    ) -> Metered {
        let unit_ms = self.pools.get(pool).map_or(1_000, |pool| pool.unit_ms());
        let (name, pool) = (name.clone(), pool.clone());
        Metered { host, name, pool, price, unit_ms, since, joined, shares: BTreeMap::new() }
    }

    /// What applications claim of these hosts, by the nodes of their targets and their jobs.
    fn claims(&self, of: &BTreeMap<HostId, Metered>) -> HashMap<HostId, BTreeMap<AppName, Claim>> {
        let mut claims: HashMap<HostId, BTreeMap<AppName, Claim>> = HashMap::new();
        let mut add = |host: HostId, app: &AppName, limits: &Limits| {
            if of.contains_key(&host) {
                let of_host = claims.entry(host).or_default();
                of_host.entry(app.clone()).or_default().add(limits.cpu, limits.memory);
            }
        };
        for target in self.targets.values() {
            for node in &target.nodes {
                let limits = self.limits_of(&target.family, node.revision);
                add(node.host, &target.family.app, &limits);
            }
        }
        for job in self.jobs_running() {
            if let Some(host) = job.host {
                add(host, &job.app, &job.spec.limits);
            }
        }
        claims
    }

    fn limits_of(&self, family: &FamilyPath, revision: u64) -> Limits {
        let known = self.revisions.get(&family.service_path()).and_then(|of| of.get(&revision));
        known.map(|revision| revision.spec.limits_of(&family.family).clone()).unwrap_or_default()
    }
}
