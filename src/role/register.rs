//! What hosts have that no other may: names, and blocks of addresses. Read once, and from then on as the store's feed of
//! changes tells, so that the ten thousandth join costs what the first one did.

use lace_model::host::{Block, Host};
use lace_model::{Name, Object};
use lace_store::{Rev, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Blocks that a host gets when it joins, at most: room for 2,024 nodes.
const BLOCKS_PER_HOST: usize = 8;
/// Nodes that a block has addresses for.
const NODES_PER_BLOCK: usize = 253;
/// Changes that are read at a time.
const CHANGES_AT_ONCE: usize = 1_000;
/// Names that are tried: `web`, `web-2`, and so on.
const NAMES_MAX: u32 = 100_000;

/// What a host has.
type Claim = (Name, Vec<Block>);

/// Names and blocks, by host.
#[derive(Default)]
pub struct Register {
    seen: Option<Rev>,
    hosts: BTreeMap<String, Vec<Claim>>,
    names: BTreeSet<Name>,
    blocks: BTreeSet<Block>,
}

impl Register {
    /// Hears what changed since the last time.
    ///
    /// # Errors
    /// What the store says.
    pub fn refresh(&mut self, store: &Store) -> Result<(), StoreError> {
        let Some(mut seen) = self.seen else { return self.reload(store) };
        loop {
            let changes = match store.changes(seen, CHANGES_AT_ONCE) {
                Err(StoreError::Compacted) => return self.reload(store),
                other => other?,
            };
            let Some(last) = changes.last().map(|change| change.rev) else { return Ok(()) };
            for change in changes.iter().filter(|change| change.kind == Host::KIND) {
                let host = if change.deleted { None } else { store.get::<Host>(&change.key)? };
                self.leave(&change.key);
                host.into_iter().for_each(|row| self.enter(&row.value));
            }
            seen = last;
            self.seen = Some(seen);
        }
    }

    fn reload(&mut self, store: &Store) -> Result<(), StoreError> {
        // Before the list: what comes between them is heard of again.
        let seen = *store.watch().borrow();
        *self = Self { seen: Some(seen), ..Self::default() };
        store.list::<Host>("")?.iter().for_each(|row| self.enter(&row.value));
        Ok(())
    }

    /// A name like this that no host has.
    pub fn free_name(&self, like: &Name) -> Option<Name> {
        let tries = std::iter::once(like.to_string()).chain((2..NAMES_MAX).map(|n| format!("{like}-{n}")));
        tries.map_while(|name| Name::new(name).ok()).find(|name| !self.names.contains(name))
    }

    /// The lowest free /24 blocks of a space: as many as so many nodes need, within what a host may have and what there is.
    pub fn free_blocks(&self, space: &str, nodes: u32) -> Option<Vec<Block>> {
        let (base, length) = space.split_once('/')?;
        let (base, length): (Ipv4Addr, u32) = (base.parse().ok()?, length.parse().ok()?);
        let count = 1u32.checked_shl(24u32.checked_sub(length)?)?;
        let block = |n: u32| Block { base: Ipv4Addr::from((u32::from(base) & !0xff) + (n << 8)) };
        let wanted = (nodes as usize).div_ceil(NODES_PER_BLOCK).clamp(1, BLOCKS_PER_HOST);
        let free: Vec<_> = (0..count).map(block).filter(|b| !self.blocks.contains(b)).take(wanted).collect();
        (!free.is_empty()).then_some(free)
    }

    /// These are its own from now on, written or not yet.
    pub fn enter(&mut self, host: &Host) {
        self.names.insert(host.name.clone());
        self.blocks.extend(&host.blocks);
        let claims = self.hosts.entry(host.key()).or_default();
        let claim = (host.name.clone(), host.blocks.clone());
        if !claims.contains(&claim) {
            claims.push(claim);
        }
    }

    /// It came to nothing. What another join of the same host claims stays.
    pub fn withdraw(&mut self, host: &Host) {
        let Some(claims) = self.hosts.get_mut(&host.key()) else { return };
        let Some(at) = claims.iter().position(|(name, _)| *name == host.name) else { return };
        let claim = claims.remove(at);
        self.free(claim);
    }

    fn leave(&mut self, key: &str) {
        let claims = self.hosts.remove(key).unwrap_or_default();
        claims.into_iter().for_each(|claim| self.free(claim));
    }

    fn free(&mut self, (name, blocks): Claim) {
        self.names.remove(&name);
        for block in blocks {
            self.blocks.remove(&block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::host::Capacity;
    use lace_model::{ByteSize, CpuMillis, HostId};
    use lace_store::{Batch, Expect, ManualClock, MasterKey};
    use std::sync::Arc;

    fn host(name: &str, blocks: Vec<Block>) -> Host {
        Host {
            id: HostId::derive(&[1; 32], name),
            name: Name::new(name).expect(name),
            capacity: Capacity { cpu: CpuMillis(1_000), memory: ByteSize::mib(1_024), slots: 10 },
            attributes: Default::default(),
            blocks,
            draining: false,
            agent_version: String::new(),
            joined_at: 1,
            removing: false,
            pool: None,
            underlay: None,
        }
    }

    #[test]
    fn hosts_get_blocks_that_nobody_has() {
        let mut register = Register::default();
        let few = register.free_blocks("10.192.0.0/10", 100).expect("room");
        assert_eq!(few.len(), 1, "a small host takes little of the space");
        let first = register.free_blocks("10.192.0.0/10", 2_000).expect("room");
        assert_eq!((first.len(), first[0].base), (8, Ipv4Addr::new(10, 192, 0, 0)));
        register.enter(&host("one", first));
        let second = register.free_blocks("10.192.0.0/10", 2_000).expect("room");
        assert_eq!(second[0].base, Ipv4Addr::new(10, 192, 8, 0));
        let all = register.free_blocks("10.9.9.0/24", 2_000).expect("room");
        register.enter(&host("two", all.clone()));
        assert_eq!((all.len(), register.free_blocks("10.9.9.0/24", 1)), (1, None));
    }

    #[test]
    fn names_and_blocks_are_free_again_when_their_host_is_gone() {
        let clock = Arc::new(ManualClock::at(1_000));
        let store = Store::open_in_memory(MasterKey::from_bytes([3; 32]), clock).expect("a store");
        let write = |host: &Host, there: bool| {
            let mut batch = Batch::new(None);
            match there {
                true => batch.put(host, Expect::Any),
                false => batch.delete::<Host>(&host.key(), Expect::Any),
            }
            store.commit(batch).expect("written");
        };
        let like = Name::new("web").expect("a name");
        let free = |register: &Register| {
            let name = register.free_name(&like).expect("a name").to_string();
            (name, register.free_blocks("10.0.0.0/16", 1).expect("room")[0].base.octets()[2])
        };
        let blocks = |n: u8| vec![Block { base: [10, 0, n, 0].into() }];
        let (one, two) = (host("web", blocks(0)), host("web-2", blocks(1)));
        write(&one, true);
        let mut register = Register::default();
        register.refresh(&store).expect("read");
        assert_eq!(free(&register), ("web-2".to_owned(), 1));
        // Two join at once: what is not written yet is taken already.
        register.enter(&two);
        assert_eq!(free(&register), ("web-3".to_owned(), 2));
        register.withdraw(&two);
        assert_eq!(free(&register), ("web-2".to_owned(), 1));
        write(&two, true);
        register.refresh(&store).expect("read");
        assert_eq!(free(&register), ("web-3".to_owned(), 2));
        write(&one, false);
        register.refresh(&store).expect("read");
        assert_eq!(free(&register), ("web".to_owned(), 0));
    }
}
