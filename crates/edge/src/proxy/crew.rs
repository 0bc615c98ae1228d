//! The threads that serve connections: one a core, each with a runtime of its own.
//!
//! A connection stays with its thread, and with it the connections to nodes that it uses: a request wakes no other
//! thread on its way. Whoever accepts one gives it to a thread that has clearly fewer.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// More threads than that are of no use to a door.
const THREADS_MAX: usize = 16;
/// A thread with so many connections more than another one gives new ones away; of many, an eighth more.
const MORE: usize = 2;

thread_local!(static SEAT: Cell<usize> = const { Cell::new(0) });

/// Which of them this thread is; what is none of them counts as the first.
pub(crate) fn seat() -> usize {
    SEAT.get()
}

/// One thread's runtime, and what it has to do.
struct Hand {
    runtime: Handle,
    load: AtomicUsize,
}

/// Those who work, as they know each other.
pub(crate) struct Hands(Vec<Hand>);

/// Counts a connection of a thread.
pub(crate) struct Carried {
    hands: Arc<Hands>,
    seat: usize,
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(hand) = self.hands.0.get(self.seat) {
            hand.load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Hands {
    pub fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.0.iter().map(|hand| &hand.runtime)
    }

    fn load(&self, seat: usize) -> usize {
        self.0.get(seat).map_or(0, |hand| hand.load.load(Ordering::Relaxed))
    }

    /// Who is to serve a connection that this thread accepted; nobody else where that is this thread.
    pub fn other(&self) -> Option<usize> {
        let own = seat();
        let least = (0..self.0.len()).min_by_key(|seat| self.load(*seat))?;
        let load = self.load(least);
        (least != own && self.load(own) >= load + MORE + load / 8).then_some(least)
    }

    /// Counts a connection, which is this thread's or another one's.
    pub fn carries(self: &Arc<Self>, seat: usize) -> Carried {
        if let Some(hand) = self.0.get(seat) {
            hand.load.fetch_add(1, Ordering::Relaxed);
        }
        Carried { hands: Arc::clone(self), seat }
    }

    /// Where that thread's tasks go.
    pub fn runtime(&self, seat: usize) -> Option<&Handle> {
        self.0.get(seat).map(|hand| &hand.runtime)
    }
}

/// Ends its threads when dropped, and with them what they still serve.
pub(crate) struct Crew {
    pub hands: Arc<Hands>,
    ends: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Crew {
    /// One thread a core.
    pub fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let (mut hands, mut ends) = (Vec::new(), Vec::new());
        for seat in 0..cores {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            hands.push(Hand { runtime: runtime.handle().clone(), load: AtomicUsize::new(0) });
            let (end, ended) = oneshot::channel();
            let thread = std::thread::Builder::new().name(format!("door-{seat}")).spawn(move || {
                SEAT.set(seat);
                let _ = runtime.block_on(ended);
                runtime.shutdown_background();
            })?;
            ends.push((end, thread));
        }
        Ok(Self { hands: Arc::new(Hands(hands)), ends })
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (end, _thread) in self.ends.drain(..) {
            let _ = end.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_clearly_more_gives_away() {
        let crew = Crew::start().expect("threads");
        if crew.hands.0.len() < 2 {
            return;
        }
        assert_eq!(crew.hands.other(), None, "nobody has any");
        let one = crew.hands.carries(0);
        assert_eq!(crew.hands.other(), None, "one more is not much");
        let two = crew.hands.carries(0);
        assert!(crew.hands.other().is_some_and(|seat| seat != 0));
        drop((one, two));
        assert_eq!(crew.hands.other(), None, "given back");
    }
}
