//! Who asks how much: a bound for each client address, and for all of them together.

use crate::config::NetLimits;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// With a full book, how often it is searched for clients that fell silent.
const SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// What a client may hold for longer than one answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Forward,
    Stream,
}

#[derive(Clone, Copy)]
struct Client {
    tokens: f64,
    seen: Instant,
    held: [usize; 2],
}

#[derive(Default)]
struct Book {
    clients: HashMap<IpAddr, Client>,
    held: [usize; 2],
    swept: Option<Instant>,
}

/// All clients. The memory is bounded by [`NetLimits::clients_max`].
pub(crate) struct Clients {
    limits: NetLimits,
    book: Mutex<Book>,
}

/// Something held; given back when dropped.
pub(crate) struct Held {
    clients: Arc<Clients>,
    ip: IpAddr,
    what: Hold,
}

impl Clients {
    pub fn new(limits: NetLimits) -> Self {
        Self { limits, book: Mutex::default() }
    }

    /// How long one question over a stream may take.
    pub fn stream_idle(&self) -> Duration {
        self.limits.stream_idle
    }

    /// May this client have one more answer now? (A token bucket.)
    pub fn admit(&self, ip: IpAddr, now: Instant) -> bool {
        let mut book = self.book();
        let Some(client) = self.client(&mut book, ip, now) else {
            return false;
        };
        client.tokens = self.tokens(client, now);
        client.seen = now;
        let rich = client.tokens >= 1.0;
        client.tokens -= if rich { 1.0 } else { 0.0 };
        rich
    }

    /// May this client hold one more of these? Nothing means no.
    pub fn hold(self: &Arc<Self>, ip: IpAddr, what: Hold, now: Instant) -> Option<Held> {
        let (all_max, client_max) = match what {
            Hold::Forward => (self.limits.forwards_max, self.limits.forwards_per_client),
            Hold::Stream => (self.limits.streams_max, self.limits.streams_per_client),
        };
        let mut book = self.book();
        if book.held[what as usize] >= all_max {
            return None;
        }
        let held = &mut self.client(&mut book, ip, now)?.held[what as usize];
        if *held >= client_max {
            return None;
        }
        *held += 1;
        book.held[what as usize] += 1;
        Some(Held { clients: Arc::clone(self), ip, what })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self, client: &Client, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(client.seen).as_secs_f64();
        let full = f64::from(self.limits.queries_burst);
        (client.tokens + gained * f64::from(self.limits.queries_per_second)).min(full)
    }

    fn client<'b>(&self, book: &'b mut Book, ip: IpAddr, now: Instant) -> Option<&'b mut Client> {
        let full = f64::from(self.limits.queries_burst);
        if book.clients.len() >= self.limits.clients_max && !book.clients.contains_key(&ip) {
            let pausing = book.swept.is_some_and(|at| now.duration_since(at) < SWEEP_PAUSE);
            if !pausing {
                book.swept = Some(now);
                book.clients.retain(|_, c| c.held != [0, 0] || self.tokens(c, now) < full);
            }
            if book.clients.len() >= self.limits.clients_max {
                return None;
            }
        }
        let fresh = Client { tokens: full, seen: now, held: [0, 0] };
        Some(book.clients.entry(ip).or_insert(fresh))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut book = self.clients.book();
        let what = self.what as usize;
        book.held[what] -= 1;
        if let Some(client) = book.clients.get_mut(&self.ip) {
            client.held[what] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn few() -> NetLimits {
        NetLimits {
            queries_per_second: 10,
            queries_burst: 3,
            clients_max: 2,
            streams_max: 3,
            streams_per_client: 2,
            ..NetLimits::default()
        }
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 192, 0, last])
    }

    #[test]
    fn a_client_spends_its_burst_and_earns_more() {
        let clients = Clients::new(few());
        let start = Instant::now();
        let taken = (0..5).filter(|_| clients.admit(ip(1), start)).count();
        assert_eq!(taken, 3);
        assert!(clients.admit(ip(1), start + Duration::from_millis(150)));
        assert!(!clients.admit(ip(1), start + Duration::from_millis(150)));
    }

    #[test]
    fn the_book_is_bounded_and_silent_clients_leave_it() {
        let clients = Clients::new(few());
        let start = Instant::now();
        assert!(clients.admit(ip(1), start) && clients.admit(ip(2), start));
        assert!(!clients.admit(ip(3), start));
        assert!(clients.admit(ip(3), start + Duration::from_secs(1)));
        assert!(clients.book().clients.len() <= 2);
    }

    #[test]
    fn what_is_held_is_bounded_and_comes_back() {
        let clients = Arc::new(Clients::new(few()));
        let now = Instant::now();
        let one = clients.hold(ip(1), Hold::Stream, now);
        let two = clients.hold(ip(1), Hold::Stream, now);
        assert!(one.is_some() && two.is_some());
        assert!(clients.hold(ip(1), Hold::Stream, now).is_none());
        let three = clients.hold(ip(2), Hold::Stream, now);
        assert!(three.is_some());
        assert!(clients.hold(ip(2), Hold::Stream, now).is_none(), "altogether three");
        drop(one);
        assert!(clients.hold(ip(2), Hold::Stream, now).is_some());
    }
}
