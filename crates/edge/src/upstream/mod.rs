//! What lies outside the zone: asked of the resolvers of the host, kept for a while.
//!
//! Answers pass through as bytes, so that record types which we do not know arrive whole. What is checked is
//! what protects the client: the sender, the random id, and the question (RFC 5452 section 9.1).

mod cache;
mod exchange;
mod outline;
mod resolv;

pub use resolv::nameservers;

use crate::config::NetLimits;
use crate::dns::{Ask, Packet, code};
use cache::{Cache, Kept};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How often each upstream is asked about one question.
const ROUNDS: usize = 2;
/// After so many failures in a row an upstream is left alone for a while ...
const FAILURES_MAX: u32 = 3;
/// ... this long, so that with a dead uplink clients hear SERVFAIL at once instead of waiting.
const REST: Duration = Duration::from_secs(1);

struct Server {
    address: SocketAddr,
    failures: AtomicU32,
    /// Milliseconds after `Upstream::born`.
    rests_until: AtomicU64,
}

/// The resolvers that we ask.
pub(crate) struct Upstream {
    servers: Vec<Server>,
    cache: Mutex<Cache>,
    born: Instant,
    limits: NetLimits,
}

impl Upstream {
    pub fn new(addresses: &[SocketAddr], limits: NetLimits) -> Self {
        let server = |address: &SocketAddr| Server {
            address: *address,
            failures: AtomicU32::new(0),
            rests_until: AtomicU64::new(0),
        };
        Self {
            servers: addresses.iter().map(server).collect(),
            cache: Mutex::new(Cache::new(limits.cache_entries, limits.cache_bytes)),
            born: Instant::now(),
            limits,
        }
    }

    /// A kept answer, if there is one.
    pub fn cached(&self, ask: &Ask) -> Option<Vec<u8>> {
        let kept = self.cache().get(&exchange::query(ask, 0)[2..], Instant::now())?;
        Some(kept.answer(ask, Instant::now()))
    }

    /// An answer in any case: what an upstream says, or SERVFAIL in good time.
    pub async fn resolve(&self, ask: &Ask) -> Vec<u8> {
        let failed = || Packet::reply(ask, code::FAILED, false).finish(true);
        let Ok(id) = getrandom::u32() else {
            return failed();
        };
        let query = exchange::query(ask, id as u16);
        let asked = timeout(self.limits.upstream_total, self.ask_around(&query)).await;
        let Some(kept) = asked.ok().flatten().and_then(|reply| Kept::new(reply, &query)) else {
            return failed();
        };
        let answer = kept.answer(ask, Instant::now());
        if kept.is_worth_keeping() {
            self.cache().put(query[2..].into(), kept);
        }
        answer
    }

    /// The first good answer; else the last bad one.
    async fn ask_around(&self, query: &[u8]) -> Option<Vec<u8>> {
        let mut last = None;
        for _ in 0..ROUNDS {
            for server in &self.servers {
                if self.is_resting(server) {
                    continue;
                }
                match exchange::ask(server.address, query, self.limits.upstream_try).await {
                    Ok(reply) => {
                        server.failures.store(0, Ordering::Relaxed);
                        if matches!(u16::from(reply[3] & 0x0F), code::NONE | code::NO_NAME) {
                            return Some(reply);
                        }
                        last = Some(reply);
                    }
                    Err(error) => self.note_failure(server, &error),
                }
            }
            if last.is_some() {
                break;
            }
        }
        last
    }

    fn is_resting(&self, server: &Server) -> bool {
        self.age_ms() < server.rests_until.load(Ordering::Relaxed)
    }

    fn note_failure(&self, server: &Server, error: &std::io::Error) {
        if server.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX {
            server.failures.store(0, Ordering::Relaxed);
            let until = self.age_ms() + REST.as_millis() as u64;
            server.rests_until.store(until, Ordering::Relaxed);
            tracing::warn!(upstream = %server.address, %error, "resolver does not answer");
        }
    }

    fn age_ms(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
