//! A provider without machines: it keeps the promises of the trait in memory, on a clock that is given, and fails on order.
//!
//! Nothing boots here: a machine counts as running after its boot time. Whoever keeps such an account in a process of its own
//! (`lace sim`) answers questions for others ([`Cloud::answer`], asked by [`Remote`]) and gives machines that run a life.

mod call;
mod fault;
mod hosts;
mod networks;
mod remote;
mod rest;
mod world;

pub use call::{Asked, Question};
pub use fault::Call;
pub use remote::Remote;
pub use world::Shape;

use crate::provider::{
    Account, Address, Error, HostKind, HostWanted, Instance, Key, Limit, Network, NetworkWanted, Provider,
    Result, Stranger, Volume, VolumeWanted,
};
use async_trait::async_trait;
use fault::Faults;
use lace_model::Millis;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::World;

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// What several installations share: one simulated account in one region.
#[derive(Clone)]
pub struct Cloud {
    world: Arc<Mutex<World>>,
    faults: Arc<Mutex<Faults>>,
    clock: Clock,
}

impl Cloud {
    /// An empty one.
    pub fn new(shape: Shape, clock: Clock) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(shape))), faults: Arc::default(), clock }
    }

    /// A provider for this installation; the secret is whether it is let in.
    pub fn open(&self, installation: &str, secret: &str) -> Sim {
        Sim { cloud: self.clone(), installation: installation.to_owned(), secret: secret.to_owned() }
    }

    /// The next call of this kind fails so, and has done nothing.
    pub fn fail_before(&self, call: Call, error: Error) {
        held(&self.faults).order(call, error, false);
    }

    /// The next call of this kind does its work, and fails so all the same: its answer is lost.
    pub fn fail_after(&self, call: Call, error: Error) {
        held(&self.faults).order(call, error, true);
    }

    /// How many machines of a zone may be had from now on; more find no room.
    pub fn room(&self, zone: &str, machines: usize) {
        held(&self.world).room.insert(zone.to_owned(), machines);
    }

    /// The provider takes a machine away: it is gone at once.
    pub fn lose(&self, host: &Key) {
        held(&self.world).lose(host);
    }

    /// Calls `see` with the id, and what it booted with, of each machine that runs, whoever has it.
    pub fn running(&self, mut see: impl FnMut(&str, &str)) {
        let now = (self.clock)();
        held(&self.world).running(now).for_each(|(id, user_data)| see(id, user_data));
    }

    /// How many things anybody has there: networks, machines that are not gone, addresses, volumes.
    pub fn things(&self) -> usize {
        held(&self.world).things()
    }
}

/// A lock whose holder panicked holds a test that failed: what it holds is whole all the same.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One installation's account there.
pub struct Sim {
    cloud: Cloud,
    installation: String,
    secret: String,
}

impl Sim {
    /// Runs one call: let in, failing on order before or after its work.
    fn call<T>(&self, call: Call, work: impl FnOnce(&mut World, &Caller<'_>) -> Result<T>) -> Result<T> {
        let mut world = held(&self.cloud.world);
        if self.secret != world.shape.secret {
            let hint = "give the secret that the simulated account was made with";
            return Err(Error::refused("the simulated account does not know this secret", hint));
        }
        let fault = held(&self.cloud.faults).next(call);
        match fault {
            Some((error, false)) => Err(error),
            Some((error, true)) => work(&mut world, &self.caller()).and(Err(error)),
            None => work(&mut world, &self.caller()),
        }
    }

    fn caller(&self) -> Caller<'_> {
        Caller { installation: &self.installation, now: (self.cloud.clock)() }
    }
}

/// Who asks, and when.
struct Caller<'a> {
    installation: &'a str,
    now: Millis,
}

#[async_trait]
impl Provider for Sim {
    async fn check(&self) -> Result<Account> {
        self.call(Call::Check, |world, _| Ok(world.account()))
    }

    async fn regions(&self) -> Result<Vec<String>> {
        self.call(Call::Describe, |world, _| Ok(vec![world.shape.region.clone()]))
    }

    async fn zones(&self) -> Result<Vec<String>> {
        self.call(Call::Describe, |world, _| Ok(world.shape.zones.clone()))
    }

    async fn kinds(&self, names: &[String]) -> Result<Vec<HostKind>> {
        self.call(Call::Describe, |world, _| names.iter().map(|name| world.kind(name).cloned()).collect())
    }

    async fn limits(&self) -> Result<Vec<Limit>> {
        self.call(Call::Describe, |world, _| Ok(world.limits()))
    }

    async fn ensure_network(&self, wanted: &NetworkWanted) -> Result<Network> {
        self.call(Call::EnsureNetwork, |world, who| world.ensure_network(who, wanted))
    }

    async fn delete_network(&self, key: &Key) -> Result<()> {
        self.call(Call::DeleteNetwork, |world, who| world.delete_network(who, key))
    }

    async fn create_host(&self, wanted: &HostWanted) -> Result<Instance> {
        self.call(Call::CreateHost, |world, who| world.create_host(who, wanted))
    }

    async fn hosts(&self) -> Result<Vec<Instance>> {
        self.call(Call::Hosts, |world, who| Ok(world.hosts_of(who)))
    }

    async fn strangers(&self) -> Result<Vec<Stranger>> {
        self.call(Call::Hosts, |world, who| Ok(world.strangers_of(who)))
    }

    async fn delete_host(&self, key: &Key) -> Result<()> {
        self.call(Call::DeleteHost, |world, who| world.delete_host(who, key))
    }

    async fn create_address(&self, key: &Key) -> Result<Address> {
        self.call(Call::CreateAddress, |world, who| world.create_address(who, key))
    }

    async fn addresses(&self) -> Result<Vec<Address>> {
        self.call(Call::Addresses, |world, who| Ok(world.addresses_of(who)))
    }

    async fn lead_address(&self, key: &Key, host: &Key) -> Result<()> {
        self.call(Call::LeadAddress, |world, who| world.lead_address(who, key, host))
    }

    async fn delete_address(&self, key: &Key) -> Result<()> {
        self.call(Call::DeleteAddress, |world, who| world.delete_address(who, key))
    }

    async fn create_volume(&self, wanted: &VolumeWanted) -> Result<Volume> {
        self.call(Call::CreateVolume, |world, who| world.create_volume(who, wanted))
    }

    async fn volumes(&self) -> Result<Vec<Volume>> {
        self.call(Call::Volumes, |world, who| Ok(world.volumes_of(who)))
    }

    async fn attach_volume(&self, key: &Key, host: &Key) -> Result<()> {
        self.call(Call::AttachVolume, |world, who| world.attach_volume(who, key, host))
    }

    async fn delete_volume(&self, key: &Key) -> Result<()> {
        self.call(Call::DeleteVolume, |world, who| world.delete_volume(who, key))
    }
}
