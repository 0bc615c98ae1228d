//! One address, one node: a successor waits until its predecessor has left.

use lace_machine::NodeState;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Who has which address.
#[derive(Default)]
pub struct Addresses {
    taken: Mutex<HashMap<Ipv4Addr, String>>,
    freed: Notify,
}

impl Addresses {
    /// The addresses of the nodes that are there.
    pub fn of(nodes: &[NodeState]) -> Self {
        let alive = nodes.iter().filter(|node| node.alive);
        let taken = alive.filter_map(|node| Some((node.address?, node.id.clone()))).collect();
        Self { taken: Mutex::new(taken), freed: Notify::new() }
    }

    fn try_claim(&self, address: Ipv4Addr, id: &str) -> Result<(), String> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get(&address) {
            Some(holder) if holder != id => Err(holder.clone()),
            _ => {
                taken.insert(address, id.to_owned());
                Ok(())
            }
        }
    }

    /// Waits until the address is free, and takes it. `waiting` is told who has it.
    pub async fn claim(&self, address: Ipv4Addr, id: &str, mut waiting: impl FnMut(&str)) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            match self.try_claim(address, id) {
                Ok(()) => return,
                Err(holder) => waiting(&holder),
            }
            freed.await;
        }
    }

    /// The node has left.
    pub fn free(&self, address: Ipv4Addr, id: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(&address).is_some_and(|holder| holder == id) {
            taken.remove(&address);
        }
        drop(taken);
        self.freed.notify_waiters();
    }
}
