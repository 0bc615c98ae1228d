//! Connections before anybody is known on them: bounded in number and in time. What is known stays as long as it likes,
//! within the bound of all.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How many, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections in all. More wait in the kernel's queue.
    pub all: usize,
    /// Connections on which nobody is known; beyond it the oldest has to leave.
    pub unknown: usize,
    /// One on which nobody became known for so long is ended.
    pub unknown_for: Duration,
}

/// The connections of one listener.
pub struct Guests {
    bounds: Bounds,
    room: Arc<Semaphore>,
    unknown: Mutex<VecDeque<Arc<Guest>>>,
}

#[derive(Default)]
struct Guest {
    known: AtomicBool,
    leave: Notify,
}

/// The place of one connection; given back when dropped.
pub struct Seat {
    guests: Arc<Guests>,
    guest: Arc<Guest>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Guests {
    /// No connection yet.
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, room: Arc::new(Semaphore::new(bounds.all)), unknown: Mutex::default() })
    }

    /// Waits for a place for the next connection.
    pub async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().acquire_owned().await.ok()
    }

    /// Takes in a connection that has a place.
    pub fn admit(self: &Arc<Self>, place: Option<OwnedSemaphorePermit>) -> Seat {
        let guest = Arc::new(Guest::default());
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() >= self.bounds.unknown
            && let Some(oldest) = unknown.pop_front()
        {
            oldest.leave.notify_one();
        }
        unknown.push_back(guest.clone());
        Seat { guests: self.clone(), guest, _place: place }
    }

    fn forget(&self, guest: &Arc<Guest>) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.retain(|other| !Arc::ptr_eq(other, guest));
    }
}

impl Seat {
    /// Somebody showed who they are.
    pub fn know(&self) {
        if !self.guest.known.swap(true, Ordering::Relaxed) {
            self.guests.forget(&self.guest);
        }
    }

    /// Resolves when the connection has to end.
    pub async fn overstays(&self) {
        tokio::select! {
            () = self.guest.leave.notified() => {}
            () = tokio::time::sleep(self.guests.bounds.unknown_for) => {
                if self.guest.known.load(Ordering::Relaxed) {
                    self.guest.leave.notified().await;
                }
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.guests.forget(&self.guest);
    }
}
