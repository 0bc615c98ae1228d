//! Machines: pending for their boot time, leaving for a while, then gone.

use super::Caller;
use super::world::{Machine, World};
use crate::provider::{
    EPOCH, Error, HostWanted, Instance, InstanceState, Key, Result, Stranger, USER_DATA_BYTES_MAX,
};
use lace_model::Millis;

impl Machine {
    pub fn state(&self, now: Millis, boot_ms: Millis, leave_ms: Millis) -> InstanceState {
        match self.left_at {
            _ if self.lost => InstanceState::Gone,
            Some(left) if now >= left.saturating_add(leave_ms) => InstanceState::Gone,
            Some(_) => InstanceState::Leaving,
            None if now < self.made_at.saturating_add(boot_ms) => InstanceState::Pending,
            None => InstanceState::Running,
        }
    }

    /// Does it count? What is on its way out counts no longer.
    pub fn lives(&self) -> bool {
        self.left_at.is_none() && !self.lost
    }
}

impl World {
    pub fn create_host(&mut self, who: &Caller<'_>, wanted: &HostWanted) -> Result<Instance> {
        if wanted.user_data.len() > USER_DATA_BYTES_MAX {
            let bytes = wanted.user_data.len();
            let what = format!("user data of {bytes} bytes: there may be {USER_DATA_BYTES_MAX}");
            return Err(Error::invalid(what));
        }
        if let Some(machine) = self.machines.iter().find(|m| m.is(who, &wanted.key)) {
            return match machine.lives() {
                true => Ok(self.seen(machine, who.now)),
                false => Err(Error::invalid(format_args!(
                    "the machine {} was deleted: choose another key",
                    wanted.key
                ))),
            };
        }
        let zone = self.fits(who, wanted)?;
        let private = self.ip([10, 80]);
        let instance = Instance {
            id: format!("sim-{}", self.number()),
            key: wanted.key.clone(),
            state: InstanceState::Pending,
            reason: None,
            zone,
            kind: wanted.kind.clone(),
            private: Some(private),
            public: None,
            epoch: wanted.tags.get(EPOCH).and_then(|epoch| epoch.parse().ok()),
        };
        let (of, network) = (who.installation.to_owned(), wanted.network.id.clone());
        let user_data = wanted.user_data.clone();
        let machine =
            Machine { of, network, instance, user_data, made_at: who.now, left_at: None, lost: false };
        let seen = self.seen(&machine, who.now);
        self.machines.push(machine);
        Ok(seen)
    }

    /// The zone where it is made, where everything that it needs is there.
    fn fits(&self, who: &Caller<'_>, wanted: &HostWanted) -> Result<String> {
        self.kind(&wanted.kind)?;
        if !self.shape.images.contains(&wanted.image) {
            return Err(Error::invalid(format_args!("there is no image {}", wanted.image)));
        }
        let network = self.network(who, &wanted.network.key);
        let network =
            network.ok_or_else(|| Error::not_found(format_args!("network {}", wanted.network.key)))?;
        let mut subnets = network.subnets.iter();
        let subnet = subnets.find(|subnet| wanted.zone.as_ref().is_none_or(|zone| subnet.zone == *zone));
        let zone = subnet.map(|subnet| subnet.zone.clone()).ok_or_else(|| {
            let zone = wanted.zone.as_deref().unwrap_or("any zone");
            Error::invalid(format_args!("network {} has no subnet in {zone}", network.key))
        })?;
        self.one_more("hosts")?;
        let there = self.machines.iter().filter(|m| m.lives() && m.instance.zone == zone).count();
        match self.room.get(&zone) {
            Some(room) if there >= *room => Err(Error::NoCapacity {
                what: format!("zone {zone} has no room for another {}", wanted.kind),
            }),
            _ => Ok(zone),
        }
    }

    /// A machine as it is now.
    fn seen(&self, machine: &Machine, now: Millis) -> Instance {
        let mut instance = machine.instance.clone();
        instance.state = machine.state(now, self.shape.boot_ms, self.shape.leave_ms);
        let mut addresses = self.addresses.iter().map(|(_, address)| address);
        instance.public = addresses.find(|a| a.leads_to.as_ref() == Some(&instance.id)).map(|a| a.ip);
        instance
    }

    /// The machines that run, whoever has them, with what they booted with.
    pub fn running(&self, now: Millis) -> impl Iterator<Item = (&str, &str)> {
        let (boot, leave) = (self.shape.boot_ms, self.shape.leave_ms);
        let runs = move |m: &&Machine| m.state(now, boot, leave) == InstanceState::Running;
        self.machines.iter().filter(runs).map(|m| (m.instance.id.as_str(), m.user_data.as_str()))
    }

    pub fn hosts_of(&self, who: &Caller<'_>) -> Vec<Instance> {
        let ours = self.machines.iter().filter(|machine| machine.of == who.installation);
        let seen = ours.map(|machine| self.seen(machine, who.now));
        seen.filter(|instance| instance.state != InstanceState::Gone).collect()
    }

    pub fn strangers_of(&self, who: &Caller<'_>) -> Vec<Stranger> {
        let others = self.machines.iter().filter(|machine| machine.of != who.installation);
        let there = others.filter(|machine| self.seen(machine, who.now).state != InstanceState::Gone);
        let of = |machine: &Machine| Stranger {
            id: machine.instance.id.clone(),
            installation: machine.of.clone(),
        };
        there.map(of).collect()
    }

    pub fn delete_host(&mut self, who: &Caller<'_>, key: &Key) -> Result<()> {
        let Some(machine) = self.machines.iter_mut().find(|m| m.is(who, key) && m.left_at.is_none()) else {
            return Ok(());
        };
        machine.left_at = Some(who.now);
        let id = Some(machine.instance.id.clone());
        // What it had stays, and is free.
        for (_, address) in self.addresses.iter_mut().filter(|(_, address)| address.leads_to == id) {
            address.leads_to = None;
        }
        for (_, volume) in self.volumes.iter_mut().filter(|(_, volume)| volume.attached == id) {
            volume.attached = None;
        }
        Ok(())
    }

    /// The id there of a machine that lives.
    pub fn host(&self, who: &Caller<'_>, key: &Key) -> Result<&Instance> {
        let found = self.machines.iter().find(|m| m.is(who, key) && m.lives());
        found.map(|m| &m.instance).ok_or_else(|| Error::not_found(format_args!("machine {key}")))
    }
}

impl Machine {
    fn is(&self, who: &Caller<'_>, key: &Key) -> bool {
        self.of == who.installation && self.instance.key == *key
    }
}
