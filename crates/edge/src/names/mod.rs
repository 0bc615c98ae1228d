//! The table of names: what the topics say, arranged so that each question costs one look-up.
//!
//! A change makes a new [`Table`] beside the old one and switches in one step; a question that is being
//! answered keeps the table that it began with.

mod app;
mod shelf;
mod topics;

pub(crate) use app::{AppNames, Entry, Host, ZONE_WIRE};
pub use topics::{TopicError, Topics};

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError, RwLock};

/// Names of one address that a reverse answer holds at most (nodes with isolation `host` share one).
const REVERSE_MAX: usize = 16;

/// One consistent state of all names.
#[derive(Default)]
pub struct Table {
    apps: HashMap<String, Arc<AppNames>>,
    reverse: HashMap<Ipv4Addr, Vec<(Arc<AppNames>, u32)>>,
    serial: u32,
}

impl Table {
    pub(crate) fn new(apps: HashMap<String, Arc<AppNames>>, serial: u32) -> Self {
        let mut reverse: HashMap<Ipv4Addr, Vec<(Arc<AppNames>, u32)>> = HashMap::new();
        for app in apps.values() {
            for (index, host) in (0..).zip(app.hosts()) {
                let names = reverse.entry(host.address).or_default();
                if names.len() < REVERSE_MAX {
                    names.push((Arc::clone(app), index));
                }
            }
        }
        Self { apps, reverse, serial }
    }

    pub(crate) fn apps(&self) -> &HashMap<String, Arc<AppNames>> {
        &self.apps
    }

    /// Goes up with every change; the serial of the zone's SOA.
    pub(crate) fn serial(&self) -> u32 {
        self.serial
    }

    pub(crate) fn app(&self, name: &str) -> Option<&AppNames> {
        self.apps.get(name).map(Arc::as_ref)
    }

    /// The hosts that are up at an address.
    pub(crate) fn hosts_at(&self, address: Ipv4Addr) -> impl Iterator<Item = &Host> {
        self.reverse
            .get(&address)
            .into_iter()
            .flatten()
            .filter_map(|(app, index)| app.hosts().get(*index as usize))
    }
}

/// The table that holds now.
#[derive(Default)]
pub struct Names(RwLock<Arc<Table>>);

impl Names {
    /// The table as it is at this moment.
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn switch(&self, table: Table) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }
}
