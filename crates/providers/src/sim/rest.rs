//! Addresses and volumes.

use super::Caller;
use super::world::World;
use crate::provider::{Address, Error, Key, Result, Volume, VolumeWanted};

impl World {
    pub fn create_address(&mut self, who: &Caller<'_>, key: &Key) -> Result<Address> {
        if let Some(found) = self.addresses_of(who).into_iter().find(|address| address.key == *key) {
            return Ok(found);
        }
        self.one_more("addresses")?;
        let ip = self.ip([198, 18]);
        let address = Address { id: format!("sim-ip-{ip}"), key: key.clone(), ip, leads_to: None };
        self.addresses.push((who.installation.to_owned(), address.clone()));
        Ok(address)
    }

    pub fn addresses_of(&self, who: &Caller<'_>) -> Vec<Address> {
        let ours = self.addresses.iter().filter(|(of, _)| of == who.installation);
        ours.map(|(_, address)| address.clone()).collect()
    }

    pub fn lead_address(&mut self, who: &Caller<'_>, key: &Key, host: &Key) -> Result<()> {
        let id = self.host(who, host)?.id.clone();
        let mut ours = self.addresses.iter_mut().filter(|(of, _)| of == who.installation);
        let found = ours.find(|(_, address)| address.key == *key);
        let (_, address) = found.ok_or_else(|| Error::not_found(format_args!("address {key}")))?;
        address.leads_to = Some(id);
        Ok(())
    }

    pub fn delete_address(&mut self, who: &Caller<'_>, key: &Key) -> Result<()> {
        self.addresses.retain(|(of, address)| of != who.installation || address.key != *key);
        Ok(())
    }

    pub fn create_volume(&mut self, who: &Caller<'_>, wanted: &VolumeWanted) -> Result<Volume> {
        if let Some(found) = self.volumes_of(who).into_iter().find(|volume| volume.key == wanted.key) {
            return Ok(found);
        }
        if !self.shape.zones.contains(&wanted.zone) {
            return Err(Error::invalid(format_args!("there is no zone {}", wanted.zone)));
        }
        if wanted.size_gib == 0 {
            return Err(Error::invalid(format_args!("volume {} of 0 GiB", wanted.key)));
        }
        self.one_more("volumes")?;
        let volume = Volume {
            id: format!("sim-vol-{}", self.number()),
            key: wanted.key.clone(),
            zone: wanted.zone.clone(),
            size_gib: wanted.size_gib,
            attached: None,
        };
        self.volumes.push((who.installation.to_owned(), volume.clone()));
        Ok(volume)
    }

    pub fn volumes_of(&self, who: &Caller<'_>) -> Vec<Volume> {
        let ours = self.volumes.iter().filter(|(of, _)| of == who.installation);
        ours.map(|(_, volume)| volume.clone()).collect()
    }

    pub fn attach_volume(&mut self, who: &Caller<'_>, key: &Key, host: &Key) -> Result<()> {
        let host = self.host(who, host)?.clone();
        let mut ours = self.volumes.iter_mut().filter(|(of, _)| of == who.installation);
        let found = ours.find(|(_, volume)| volume.key == *key);
        let (_, volume) = found.ok_or_else(|| Error::not_found(format_args!("volume {key}")))?;
        if volume.zone != host.zone {
            let what =
                format!("volume {key} is in zone {}, machine {} in {}", volume.zone, host.key, host.zone);
            return Err(Error::invalid(what));
        }
        match &volume.attached {
            Some(other) if *other != host.id => {
                Err(Error::in_use(format_args!("volume {key} is attached to {other}")))
            }
            _ => {
                volume.attached = Some(host.id);
                Ok(())
            }
        }
    }

    pub fn delete_volume(&mut self, who: &Caller<'_>, key: &Key) -> Result<()> {
        self.volumes.retain(|(of, volume)| of != who.installation || volume.key != *key);
        Ok(())
    }
}
