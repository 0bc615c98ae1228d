//! Which hosts share a network: each is told of the others, and keeps the ways to their nodes.

use crate::step::Told;
use crate::world::World;
use lace_model::host::{Neighbour, Network};
use std::collections::BTreeMap;
use std::sync::Arc;

impl World {
    /// Tells networks whose hosts changed. A host of its own hears of itself when its last neighbour leaves.
    pub(crate) fn tell_neighbours(&mut self, told: &mut Told) {
        if !std::mem::take(&mut self.hosts_dirty) {
            return;
        }
        let mut networks: BTreeMap<Network, Vec<Neighbour>> = BTreeMap::new();
        for host in self.hosts.values() {
            if let Some(underlay) = &host.underlay {
                let neighbour =
                    Neighbour { host: host.id, address: underlay.address, blocks: host.blocks.clone() };
                networks.entry(underlay.network()).or_default().push(neighbour);
            }
        }
        self.networks.retain(|network, _| networks.contains_key(network));
        for (network, hosts) in networks {
            if self.networks.get(&network).is_none_or(|former| **former != hosts) {
                let hosts = Arc::new(hosts);
                self.networks.insert(network, hosts.clone());
                told.neighbours.push(hosts);
            }
        }
    }
}
