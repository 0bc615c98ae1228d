//! What there is at the simulated provider, whoever has it.

use crate::provider::{Account, Address, Error, HostKind, Instance, Key, Limit, Network, Result, Volume};
use lace_model::Millis;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

const RAISE: &str = "give the simulated provider a larger shape";

/// What the simulated provider has and allows.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The credential that it lets in.
    pub secret: String,
    /// Its region.
    pub region: String,
    /// Its zones.
    pub zones: Vec<String>,
    /// Kinds of its machines.
    pub kinds: Vec<HostKind>,
    /// What its machines boot from.
    pub images: Vec<String>,
    /// How long a machine is pending, in milliseconds.
    pub boot_ms: Millis,
    /// How long a machine is leaving, in milliseconds.
    pub leave_ms: Millis,
    /// Networks at most.
    pub networks_max: usize,
    /// Machines at most.
    pub hosts_max: usize,
    /// Addresses at most.
    pub addresses_max: usize,
    /// Volumes at most.
    pub volumes_max: usize,
}

/// A machine with its times.
pub(super) struct Machine {
    pub of: String,
    pub network: String,
    pub instance: Instance,
    pub user_data: String,
    pub made_at: Millis,
    pub left_at: Option<Millis>,
    pub lost: bool,
}

pub(super) struct World {
    pub shape: Shape,
    pub room: BTreeMap<String, usize>,
    pub networks: Vec<(String, Network)>,
    pub machines: Vec<Machine>,
    pub addresses: Vec<(String, Address)>,
    pub volumes: Vec<(String, Volume)>,
    made: u32,
}

impl World {
    pub fn new(shape: Shape) -> Self {
        let (networks, machines, addresses, volumes) = Default::default();
        Self { shape, room: BTreeMap::new(), networks, machines, addresses, volumes, made: 0 }
    }

    pub fn account(&self) -> Account {
        Account { id: "sim".to_owned(), user: "simulated".to_owned(), source: "given" }
    }

    /// A number that nothing here had.
    pub fn number(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// An address of a range of its own.
    pub fn ip(&mut self, first: [u8; 2]) -> Ipv4Addr {
        let [.., c, d] = self.number().to_be_bytes();
        Ipv4Addr::new(first[0], first[1], c, d)
    }

    pub fn kind(&self, name: &str) -> Result<&HostKind> {
        let found = self.shape.kinds.iter().find(|kind| kind.name == name);
        found.ok_or_else(|| Error::invalid(format_args!("there is no kind of machine {name}")))
    }

    pub fn limits(&self) -> Vec<Limit> {
        let living = self.machines.iter().filter(|machine| machine.lives()).count();
        let figure = |allowed: usize, used: usize| (allowed as u64, Some(used as u64));
        limits([
            figure(self.shape.networks_max, self.networks.len()),
            figure(self.shape.hosts_max, living),
            figure(self.shape.addresses_max, self.addresses.len()),
            figure(self.shape.volumes_max, self.volumes.len()),
        ])
    }

    /// Refuses what would be one more than may be had.
    pub fn one_more(&self, name: &str) -> Result<()> {
        let full = |limit: &Limit| limit.name == name && limit.used >= Some(limit.allowed);
        match self.limits().into_iter().find(full) {
            None => Ok(()),
            Some(Limit { which, allowed, used, .. }) => Err(Error::LimitReached {
                which: which.to_owned(),
                allowed: Some(allowed),
                used,
                raise: RAISE.to_owned(),
            }),
        }
    }

    pub fn lose(&mut self, key: &Key) {
        for machine in self.machines.iter_mut().filter(|machine| machine.instance.key == *key) {
            machine.lost = true;
        }
    }

    pub fn things(&self) -> usize {
        let living = self.machines.iter().filter(|machine| machine.lives()).count();
        self.networks.len() + living + self.addresses.len() + self.volumes.len()
    }
}

/// How much may be had of networks, machines, addresses and volumes, and is.
pub(super) fn limits(figures: [(u64, Option<u64>); 4]) -> Vec<Limit> {
    let names = [
        ("networks", "networks per account"),
        ("hosts", "machines per account"),
        ("addresses", "addresses per account"),
        ("volumes", "volumes per account"),
    ];
    let named = names.into_iter().zip(figures);
    named.map(|((name, which), (allowed, used))| Limit { name, which, allowed, used, raise: RAISE }).collect()
}
