//! The door of a host: requests come in, a node of ours answers, and nothing that happens inside is felt outside.
//!
//! What is here: HTTP/1.1, h2 and what is built on them, brought from a listening address to a ready member of a
//! family, out of the same topics that the names come from. A request that came early waits for a node for a while;
//! one that could not be delivered is delivered to another node where that is safe. What is not here: a decision
//! about nodes. A node that fails is avoided; only the planner replaces it.

mod accept;
mod account;
mod balance;
mod body;
mod challenge;
mod config;
mod connection;
mod crew;
mod ending;
mod exchange;
mod fault;
#[cfg(test)]
mod fuzz;
mod gate;
mod header;
mod log;
mod page;
mod pool;
mod redirect;
mod seat;
mod table;
mod tally;
mod tcp;
mod tls;
mod tunnel;

pub use config::{ProxyConfig, ProxyLimits};
pub(crate) use ending::{Ending, Ends};
pub(crate) use table::Tables;
pub use tls::{CertificateError, GivenCertificate};
pub(crate) use tls::{Chest, Tls};

use crate::sockets::Keeper;
use accept::Places;
use lace_model::traffic::{Series, Traffic};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// What all connections share.
pub(crate) struct Proxy {
    pub tables: Arc<Tables>,
    pub limits: ProxyLimits,
    pub tls: Tls,
    /// Where plain HTTP leads, if anywhere: the port of TLS.
    tls_port: Option<u16>,
    /// Has listening sockets kept over the end of this process.
    pub keeper: Keeper,
    /// Open connections.
    places: Arc<Places>,
    /// For routes that ask for it.
    log: Arc<log::Log>,
    /// Becomes true when no new connection is taken and the open ones are brought to their end.
    pub closing: watch::Sender<bool>,
    /// Somebody takes over what comes: there is time.
    has_successor: AtomicBool,
    /// How doors that end and those after them speak.
    pub ending: Ending,
}

/// Without a successor nobody is served meanwhile, so the end comes soon.
const CLOSING_ALONE: Duration = Duration::from_secs(1);
/// While closing, a quiet connection is kept for so long: its client may just be asking.
const LINGER: Duration = Duration::from_secs(5);

/// How soon a door that ends tells of requests that wait in it.
const WAITING_TOLD_EVERY: Duration = Duration::from_millis(100);

impl Proxy {
    pub fn new(
        tables: Arc<Tables>,
        config: &ProxyConfig,
        tls: Tls,
        keeper: Keeper,
        (log, ending): (PathBuf, Ending),
    ) -> Arc<Self> {
        let (limits, tls_port) = (config.limits, config.listen_tls.first().map(|at| at.port()));
        let (closing, has_successor) = (watch::Sender::new(false), AtomicBool::new(false));
        let (places, log) = (Places::new(), log::Log::new(log));
        Arc::new(Self { tables, limits, tls, tls_port, keeper, places, log, closing, has_successor, ending })
    }

    /// What was carried so far.
    pub fn traffic(&self) -> Traffic {
        let books = self.tables.books();
        let mut left_out = 0;
        let [routes, families, nodes] =
            [&books.routes, &books.families, &books.nodes].map(|ledger| -> Vec<Series> {
                let (series, more) = ledger.series();
                left_out += more;
                series
            });
        let mut routes = routes;
        let elsewhere = self.ending.waiting();
        for series in &mut routes {
            series.carried.waiting += elsewhere.get(&series.name).copied().unwrap_or(0);
        }
        Traffic {
            connections: self.places.open() as u64,
            stray: books.stray.carried(),
            routes,
            families,
            nodes,
            left_out,
            log_lines_dropped: self.log.dropped(),
            avoided: self.tables.avoided(),
        }
    }

    /// Requests that wait for a node, here and in doors that end.
    pub fn waiting(&self) -> u64 {
        self.tables.books().routes.waiting() + self.ending.waiting().values().sum::<u64>()
    }

    /// Serves the addresses until [`close`](Self::close), then until the last connection has ended.
    pub async fn run(self: Arc<Self>, config: ProxyConfig) {
        accept::run(self, config).await;
    }

    /// Takes no more connections; those that are open end with the answer that they wait for.
    pub fn close(&self) {
        self.has_successor.store(self.keeper.leave(), Ordering::Release);
        self.closing.send_replace(true);
    }

    /// How long open connections have after that.
    fn patience(&self) -> Duration {
        let alone = !self.has_successor.load(Ordering::Acquire);
        if alone { CLOSING_ALONE } else { self.limits.closing_within }
    }

    /// How long quiet ones have.
    fn linger(&self) -> Duration {
        self.patience().min(LINGER)
    }

    /// Gives a node no more requests, and waits until it has answered those that it has.
    pub async fn drain(&self, node: lace_model::NodeId, within: Duration) -> bool {
        // A former door, which is about to end, may still carry requests to it.
        let (here, there) = tokio::join!(self.tables.drain(node, within), self.ending.let_go(node, within));
        here && there
    }

    /// Lets go of nodes as the door after this one says, and tells it what waits here, until dropped.
    pub async fn follow(&self, ends: &Ends) {
        tokio::join!(self.ending.follow(ends, &self.tables, self.patience()), self.tell_waiting(ends));
    }

    async fn tell_waiting(&self, ends: &Ends) {
        let mut told = HashMap::new();
        loop {
            let series = self.tables.books().routes.series().0;
            let waits = series.into_iter().filter(|series| series.carried.waiting > 0);
            let counts: HashMap<_, _> = waits.map(|series| (series.name, series.carried.waiting)).collect();
            if counts != told {
                self.ending.tell_waiting(ends, &counts);
                told = counts;
            }
            tokio::time::sleep(WAITING_TOLD_EVERY).await;
        }
    }
}
