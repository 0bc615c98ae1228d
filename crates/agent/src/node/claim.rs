//! One address, one node, and one place's volumes likewise: a successor waits until its predecessor has left.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Which node has what.
pub struct Claims<K> {
    taken: Mutex<HashMap<K, String>>,
    freed: Notify,
}

impl<K> Default for Claims<K> {
    fn default() -> Self {
        Self { taken: Mutex::default(), freed: Notify::new() }
    }
}

impl<K: Eq + Hash + Clone> FromIterator<(K, String)> for Claims<K> {
    /// What the nodes have that are there.
    fn from_iter<I: IntoIterator<Item = (K, String)>>(taken: I) -> Self {
        Self { taken: Mutex::new(taken.into_iter().collect()), freed: Notify::new() }
    }
}

impl<K: Eq + Hash + Clone> Claims<K> {
    /// Takes it where it is free; who has it, where it is not.
    pub fn try_claim(&self, what: &K, id: &str) -> Result<(), String> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get(what) {
            Some(holder) if holder != id => Err(holder.clone()),
            _ => {
                taken.insert(what.clone(), id.to_owned());
                Ok(())
            }
        }
    }

    /// Waits until it is free, and takes it. `waiting` is told who has it.
    pub async fn claim(&self, what: &K, id: &str, mut waiting: impl FnMut(&str)) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            match self.try_claim(what, id) {
                Ok(()) => return,
                Err(holder) => waiting(&holder),
            }
            freed.await;
        }
    }

    /// The node has left; what it had is not known any more.
    pub fn free_all_of(&self, id: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, holder| holder != id);
        drop(taken);
        self.freed.notify_waiters();
    }

    /// Who has it.
    pub fn holder(&self, what: &K) -> Option<String> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).get(what).cloned()
    }

    /// The node has left.
    pub fn free(&self, what: &K, id: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(what).is_some_and(|holder| holder == id) {
            taken.remove(what);
        }
        drop(taken);
        self.freed.notify_waiters();
    }
}
