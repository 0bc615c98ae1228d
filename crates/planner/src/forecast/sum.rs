//! Who pays what of hosts, now and then.

use super::Estate;
use super::place::{Ground, Placed};
use crate::money::{Claim, divide, parts};
use lace_model::host::Host;
use lace_model::money::{Cost, PoolCost, Rate, ServiceCost};
use lace_model::pool::Price;
use lace_model::revision::Limits;
use lace_model::{AppName, HostId, Name, ServiceName};
use std::collections::BTreeMap;

/// Who claims something of a host. `None` of a service: the application's jobs without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Ours(Option<ServiceName>),
    Others,
    /// What nobody claims.
    Idle,
}

type Claims = BTreeMap<HostId, BTreeMap<Who, Claim>>;

pub(super) fn cost(app: &AppName, estate: &Estate, placed: Placed) -> Cost {
    let Placed { ground, nodes } = placed;
    let (mut now, mut after) = (Claims::new(), Claims::new());
    for target in &estate.targets {
        let ours = target.family.app == *app;
        let who = if ours { Who::Ours(Some(target.family.service.clone())) } else { Who::Others };
        for node in &target.nodes {
            let limits = estate.limits(&target.family, node.revision);
            claim(&mut now, node.host, &who, &limits);
            if !ours {
                claim(&mut after, node.host, &who, &limits);
            }
        }
    }
    for job in &estate.jobs {
        let Some(host) = job.host else { continue };
        let service = || job.service.as_ref().map(|path| path.service.clone());
        let who = if job.app == *app { Who::Ours(service()) } else { Who::Others };
        [&mut now, &mut after].into_iter().for_each(|claims| claim(claims, host, &who, &job.spec.limits));
    }
    for (family, host, limits) in &nodes {
        claim(&mut after, *host, &Who::Ours(Some(family.service.clone())), limits);
    }
    let mut book = Book { ground: &ground, estate, services: BTreeMap::new(), pools: BTreeMap::new() };
    for host in ground.hosts.values() {
        book.enter(host, &now, &after);
    }
    book.close(ground.notes.iter().cloned().collect())
}

fn claim(claims: &mut Claims, host: HostId, who: &Who, limits: &Limits) {
    claims.entry(host).or_default().entry(who.clone()).or_default().add(limits.cpu, limits.memory);
}

struct Book<'a> {
    ground: &'a Ground,
    estate: &'a Estate,
    services: BTreeMap<Option<ServiceName>, (Rate, Rate)>,
    /// And whether the application has to do with it.
    pools: BTreeMap<Option<Name>, (PoolCost, bool)>,
}

impl Book<'_> {
    fn enter(&mut self, host: &Host, now: &Claims, after: &Claims) {
        let price = self.price(host);
        let is_ordered = self.ground.ordered.contains(&host.id);
        let nobody = BTreeMap::new();
        let (now, after) = (now.get(&host.id).unwrap_or(&nobody), after.get(&host.id).unwrap_or(&nobody));
        let has_ours = |claims: &BTreeMap<Who, Claim>| claims.keys().any(|who| matches!(who, Who::Ours(_)));
        let (pool, touched) = self.pool(host);
        *touched |= is_ordered || has_ours(now) || has_ours(after);
        pool.hosts_now += u32::from(!is_ordered);
        pool.ordered += u32::from(is_ordered);
        pool.idle += u32::from(!now.is_empty() && after.is_empty());
        charge(&mut pool.after, price.as_ref(), None);
        if !is_ordered {
            charge(&mut pool.now, price.as_ref(), None);
            self.share(host, price.as_ref(), now, |(now, _)| now);
        }
        self.share(host, price.as_ref(), after, |(_, after)| after);
    }

    /// The pool's now, or what was said when the machine was ordered, as the ledger has it.
    fn price(&self, host: &Host) -> Option<Price> {
        let of_pool = host.pool.as_ref().and_then(|pool| self.ground.pools.get(pool)?.price.clone());
        let machine = || self.estate.machines.iter().find(|machine| machine.id == host.id)?.price.clone();
        of_pool.or_else(machine)
    }

    fn pool(&mut self, host: &Host) -> &mut (PoolCost, bool) {
        let pool = host.pool.as_ref().and_then(|name| self.ground.pools.get(name));
        self.pools.entry(host.pool.clone()).or_insert_with(|| {
            let cost = PoolCost {
                pool: host.pool.clone(),
                profile: pool.and_then(|pool| pool.profile.clone()),
                price: pool.and_then(|pool| pool.price.clone()),
                hosts_now: 0,
                ordered: 0,
                idle: 0,
                now: Rate::default(),
                after: Rate::default(),
            };
            (cost, false)
        })
    }

    fn share(
        &mut self,
        host: &Host,
        price: Option<&Price>,
        claims: &BTreeMap<Who, Claim>,
        when: impl Fn(&mut (Rate, Rate)) -> &mut Rate,
    ) {
        let (mut shares, idle) = parts(&host.capacity, claims);
        if idle > 0 {
            shares.insert(Who::Idle, idle);
        }
        let micro = divide(price.map_or(0, |price| price.micro_per_hour), &shares);
        for who in shares.keys() {
            let Who::Ours(service) = who else { continue };
            let rate = when(self.services.entry(service.clone()).or_default());
            charge(rate, price, Some(micro.get(who).copied().unwrap_or_default()));
        }
    }

    fn close(self, notes: Vec<String>) -> Cost {
        let mut cost = Cost { at: self.estate.now, notes, ..Cost::default() };
        for (service, (now, after)) in self.services {
            [(&mut cost.now, &now), (&mut cost.after, &after)]
                .into_iter()
                .for_each(|(sum, rate)| add(sum, rate));
            cost.services.push(ServiceCost { service, now, after });
        }
        cost.pools = self.pools.into_values().filter(|(_, touched)| *touched).map(|(pool, _)| pool).collect();
        cost
    }
}

fn charge(rate: &mut Rate, price: Option<&Price>, part: Option<i64>) {
    match price {
        Some(price) => {
            let whole = i64::try_from(price.micro_per_hour).unwrap_or(i64::MAX);
            rate.add(part.unwrap_or(whole), &price.currency);
        }
        None => rate.unknown = rate.unknown.saturating_add(1),
    }
}

fn add(sum: &mut Rate, rate: &Rate) {
    rate.micro_per_hour.iter().for_each(|(currency, micro)| sum.add(*micro, currency));
    sum.unknown = sum.unknown.saturating_add(rate.unknown);
}
