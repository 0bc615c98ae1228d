//! Networks: a subnet for each zone, deleted only when nothing is in them.

use super::Caller;
use super::world::World;
use crate::provider::{Error, InstanceState, Key, Network, NetworkWanted, Result, Subnet};

impl World {
    pub fn ensure_network(&mut self, who: &Caller<'_>, wanted: &NetworkWanted) -> Result<Network> {
        for zone in &wanted.zones {
            if !self.shape.zones.contains(zone) {
                return Err(Error::invalid(format_args!("there is no zone {zone}")));
            }
        }
        if self.network(who, &wanted.key).is_none() {
            self.one_more("networks")?;
            let id = self.number();
            let network = Network {
                key: wanted.key.clone(),
                id: wanted.adopt.clone().unwrap_or_else(|| format!("sim-net-{id}")),
                range: wanted.range.clone(),
                subnets: Vec::new(),
                group: format!("sim-group-{id}"),
                login: wanted.login.as_ref().map(|_| format!("sim-login-{id}")),
                adopted: wanted.adopt.is_some(),
            };
            self.networks.push((who.installation.to_owned(), network));
        }
        self.widen(who, wanted)
    }

    /// A subnet in each zone that has none.
    fn widen(&mut self, who: &Caller<'_>, wanted: &NetworkWanted) -> Result<Network> {
        let mine = |entry: &&mut (String, Network)| entry.0 == who.installation && entry.1.key == wanted.key;
        let (_, network) = self
            .networks
            .iter_mut()
            .find(mine)
            .ok_or_else(|| Error::not_found(format_args!("network {}", wanted.key)))?;
        for zone in &wanted.zones {
            if network.subnets.iter().all(|subnet| subnet.zone != *zone) {
                let id = format!("{}-{zone}", network.id);
                network.subnets.push(Subnet { id, zone: zone.clone(), range: network.range.clone() });
            }
        }
        Ok(network.clone())
    }

    pub fn network(&self, who: &Caller<'_>, key: &Key) -> Option<&Network> {
        let mut ours = self.networks.iter().filter(|(of, _)| of == who.installation);
        ours.find(|(_, network)| network.key == *key).map(|(_, network)| network)
    }

    pub fn delete_network(&mut self, who: &Caller<'_>, key: &Key) -> Result<()> {
        let Some(network) = self.network(who, key).cloned() else { return Ok(()) };
        let (boot, leave) = (self.shape.boot_ms, self.shape.leave_ms);
        let inside = self.machines.iter().filter(|machine| machine.network == network.id);
        let inside =
            inside.filter(|machine| machine.state(who.now, boot, leave) != InstanceState::Gone).count();
        if inside > 0 {
            return Err(Error::in_use(format_args!("network {key} has {inside} machines still")));
        }
        self.networks.retain(|(of, network)| of != who.installation || network.key != *key);
        Ok(())
    }
}
