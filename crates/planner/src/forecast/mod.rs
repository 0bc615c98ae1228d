//! What a change will cost: where the nodes of an application will be once it has settled, and who pays what of those hosts.
//!
//! The placement is that of [`crate::family::plan`], asked again with the hosts that it orders until it orders none; the
//! shares are those of the ledger ([`crate::money::shares`]). So what is told here is what will be charged, but for the time
//! that the change takes, and for what others do meanwhile.

mod place;
mod sum;

use crate::edit::Edit;
use crate::family::Offer;
use lace_model::family::Family;
use lace_model::host::Host;
use lace_model::job::Job;
use lace_model::machine::Machine;
use lace_model::money::Cost;
use lace_model::pool::Pool;
use lace_model::provider::Provider;
use lace_model::revision::{Limits, Revision};
use lace_model::target::Target;
use lace_model::{AppName, FamilyPath, HostId, Millis, Name, ServicePath};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What there is, of everybody.
#[derive(Clone, Debug, Default)]
pub struct Estate {
    /// Hosts.
    pub hosts: Vec<Host>,
    /// Those that cannot take a node now.
    pub away: BTreeSet<HostId>,
    /// Machines.
    pub machines: Vec<Machine>,
    /// Pools, their prices as they were said.
    pub pools: Vec<Pool>,
    /// Providers.
    pub providers: Vec<Provider>,
    /// Targets of all applications.
    pub targets: Vec<Target>,
    /// Jobs that run.
    pub jobs: Vec<Job>,
    /// Families of the application.
    pub families: BTreeMap<FamilyPath, Family>,
    /// Revisions that nodes in targets have, and the wanted ones of the application.
    pub revisions: BTreeMap<ServicePath, BTreeMap<u64, Revision>>,
    /// The installation's planning seed.
    pub seed: [u8; 32],
    /// Now.
    pub now: Millis,
}

/// What an application costs now, and what it will cost when an edit is made and everything has settled.
pub fn forecast(app: &AppName, estate: &Estate, edit: &Edit) -> Cost {
    let mut families = estate.families.clone();
    families.extend(edit.families.iter().map(|family| (family.path.clone(), family.clone())));
    let mut revisions = estate.revisions.clone();
    for revision in &edit.revisions {
        let of_service = revisions.entry(revision.service.clone()).or_default();
        of_service.insert(revision.number, revision.clone());
    }
    families.retain(|path, _| path.app == *app);
    let ground = place::Ground::of(estate);
    let placed = place::settled(app, estate, ground, &families, &revisions);
    sum::cost(app, estate, placed)
}

impl Estate {
    /// Pools with their prices as they are paid, the discount taken off.
    fn priced(&self) -> BTreeMap<Name, Arc<Pool>> {
        let price = |pool: &Pool| pool.price_net(self.provider(pool).and_then(|provider| provider.discount));
        let priced = |pool: &Pool| Arc::new(Pool { price: price(pool), ..pool.clone() });
        self.pools.iter().map(|pool| (pool.name.clone(), priced(pool))).collect()
    }

    fn provider(&self, pool: &Pool) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == pool.provider)
    }

    /// Machines that are paid for and no hosts yet.
    fn coming(&self) -> impl Iterator<Item = &Machine> {
        let is_host = |machine: &Machine| self.hosts.iter().any(|host| host.id == machine.id);
        self.machines.iter().filter(move |machine| machine.is_coming() && !is_host(machine))
    }

    fn offers(&self, priced: &BTreeMap<Name, Arc<Pool>>) -> Vec<Offer> {
        let offer = |pool: &Arc<Pool>| {
            let provider = self.provider(pool).filter(|provider| provider.makes_hosts())?;
            let region = pool.region.clone().or_else(|| provider.region.clone());
            let of_it = |machine: &&Machine| machine.pool == pool.name;
            let hosts = self.hosts.iter().filter(|host| host.pool.as_ref() == Some(&pool.name)).count();
            let coming = self.coming().filter(of_it).count();
            let made = self.machines.iter().filter(of_it).filter(|machine| machine.is_host());
            let lacks = pool.image.is_none() || pool.profile.is_none();
            Some(Offer {
                pool: Arc::clone(pool),
                there: u32::try_from(hosts + coming).unwrap_or(u32::MAX),
                coming: Vec::new(),
                made: made.map(|machine| machine.id).collect(),
                network: Some(pool.network(region.as_deref())),
                closed: lacks.then(|| ("says no image or no profile".to_owned(), Millis::MAX)),
            })
        };
        priced.values().filter_map(offer).collect()
    }

    fn limits(&self, family: &FamilyPath, revision: u64) -> Limits {
        limits(&self.revisions, family, revision)
    }
}

fn limits(
    revisions: &BTreeMap<ServicePath, BTreeMap<u64, Revision>>,
    family: &FamilyPath,
    revision: u64,
) -> Limits {
    let known = revisions.get(&family.service_path()).and_then(|of| of.get(&revision));
    known.map(|revision| revision.spec.limits_of(&family.family).clone()).unwrap_or_default()
}
