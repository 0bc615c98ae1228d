//! One node at one port, as the door knows it: what it has to do, and how it did.

use crate::proxy::account::Who;
use crate::proxy::pool::Pool;
use lace_model::traffic::Avoided;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// So many failures in a row, and the node is left alone for a while.
const FAILURES_MAX: u32 = 3;
/// The first while; doubled with each further failure.
const ALONE_MIN: Duration = Duration::from_millis(500);
const ALONE_MAX: Duration = Duration::from_secs(30);

/// A node that leaves lets go of its tunnels after this time.
const TUNNELS_END_WITHIN: Duration = Duration::from_secs(1);

/// Lives as long as the table or a request needs it; a new table takes over the old one's.
pub(crate) struct Member {
    pub address: SocketAddr,
    /// How a client's cookie names it.
    pub mark: String,
    /// Its numbers.
    pub who: Who,
    pub pool: Pool,
    /// Requests that it has and has not ended.
    outstanding: AtomicU32,
    /// Those of them that are tunnels: they end when somebody wishes, perhaps never.
    tunnels: AtomicU32,
    draining: AtomicBool,
    /// How many wait for the end of what it has.
    watchers: AtomicU32,
    failures: AtomicU32,
    born: Instant,
    /// Until when it is left alone, in milliseconds since it was born.
    alone_until: AtomicU64,
    /// It was left alone, and a request tries it again.
    on_trial: AtomicBool,
    less: Notify,
}

impl Member {
    pub fn new(address: SocketAddr, mark: String, who: Who) -> Self {
        Self {
            address,
            mark,
            who,
            pool: Pool::default(),
            outstanding: AtomicU32::new(0),
            tunnels: AtomicU32::new(0),
            draining: AtomicBool::new(false),
            watchers: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            born: Instant::now(),
            alone_until: AtomicU64::new(0),
            on_trial: AtomicBool::new(false),
            less: Notify::new(),
        }
    }

    /// The same, known for so long already.
    #[cfg(test)]
    pub fn known_for(self, age: Duration) -> Self {
        Self { born: Instant::now().checked_sub(age).expect("the machine runs for longer"), ..self }
    }

    pub fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::SeqCst)
    }

    pub fn enter(&self) {
        self.outstanding.fetch_add(1, Ordering::SeqCst);
    }

    pub fn leave(&self) {
        self.outstanding.fetch_sub(1, Ordering::SeqCst);
        self.tell_watchers();
    }

    /// Those of its requests that are tunnels.
    pub fn tunnels(&self) -> u32 {
        self.tunnels.load(Ordering::Acquire)
    }

    /// One of its requests became a tunnel.
    pub fn enter_tunnel(&self) {
        self.tunnels.fetch_add(1, Ordering::AcqRel);
        self.tell_watchers();
    }

    /// Whoever began to wait does so though the node may be wanted again meanwhile.
    fn tell_watchers(&self) {
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.less.notify_waiters();
        }
    }

    pub fn leave_tunnel(&self) {
        self.tunnels.fetch_sub(1, Ordering::AcqRel);
    }

    /// It is not to leave after all.
    pub fn stays(&self) {
        self.draining.store(false, Ordering::Release);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// How long we know it: a newcomer gets its share little by little.
    pub fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Failed too often lately? After the while one request after the other tries again.
    pub fn is_alone(&self) -> bool {
        self.has_failed()
            && (self.now() < self.alone_until.load(Ordering::Relaxed)
                || self.on_trial.load(Ordering::Acquire))
    }

    fn has_failed(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= FAILURES_MAX
    }

    /// Is the request that comes now the one that tries it again? Then it says when it [knows](Self::ends_trial).
    pub fn begins_trial(&self) -> bool {
        self.has_failed() && !self.on_trial.swap(true, Ordering::AcqRel)
    }

    /// The one that tried it knows, or gave up.
    pub fn ends_trial(&self) {
        self.on_trial.store(false, Ordering::Release);
    }

    /// What people are told of it while it is left alone.
    pub fn avoided(&self) -> Option<Avoided> {
        let failures = self.failures.load(Ordering::Relaxed);
        let left_ms = self.alone_until.load(Ordering::Relaxed).saturating_sub(self.now());
        let node = self.who.name.to_string();
        (failures >= FAILURES_MAX).then_some(Avoided { node, failures, left_ms })
    }

    /// It could not be reached, or broke off.
    pub fn failed(&self) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if let Some(alone) = alone_for(failures) {
            let until = self.now() + u64::try_from(alone.as_millis()).unwrap_or(u64::MAX);
            self.alone_until.store(until, Ordering::Relaxed);
        }
    }

    /// It answered.
    pub fn answered(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// No more requests; true when none is left within the time. Tunnels are not waited for as long as that: their
    /// clients come back at another node, and others wait for the successor meanwhile.
    pub async fn drain(&self, within: Duration) -> bool {
        self.draining.store(true, Ordering::SeqCst);
        let answered = self.until(|| self.outstanding() <= self.tunnels());
        if tokio::time::timeout(within, answered).await.is_err() {
            return false;
        }
        let ended = self.until(|| self.outstanding() == 0);
        tokio::time::timeout(within.min(TUNNELS_END_WITHIN), ended).await.is_ok()
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        let _watches = Watches(self);
        loop {
            let less = self.less.notified();
            tokio::pin!(less);
            less.as_mut().enable();
            if is_so() {
                return;
            }
            less.await;
        }
    }
}

/// Somebody waits.
struct Watches<'a>(&'a Member);

impl Drop for Watches<'_> {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How long a node is left alone after so many failures in a row.
fn alone_for(failures: u32) -> Option<Duration> {
    let more = failures.checked_sub(FAILURES_MAX)?;
    Some((ALONE_MIN * 2_u32.saturating_pow(more.min(8))).min(ALONE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Member {
        Member::new(([127, 0, 0, 1], 1).into(), "a".into(), Who::default())
    }

    #[test]
    fn failures_in_a_row_leave_a_node_alone_until_it_answers() {
        let member = member();
        for _ in 0..2 {
            member.failed();
            assert!(!member.is_alone());
        }
        member.failed();
        assert!(member.is_alone());
        member.answered();
        assert!(!member.is_alone());
    }

    #[test]
    fn the_while_is_doubled_and_has_an_end() {
        let ms = |failures| alone_for(failures).map(|alone| alone.as_millis());
        let first: Vec<_> = (0..8).map(ms).collect();
        let expected = [None, None, None, Some(500), Some(1_000), Some(2_000), Some(4_000), Some(8_000)];
        assert_eq!(first, expected);
        assert_eq!(ms(u32::MAX), Some(30_000));
    }

    #[test]
    fn one_request_at_a_time_tries_it_again_whatever_else_it_has() {
        let member = member();
        assert!(!member.begins_trial(), "it is well");
        // A tunnel that was there before.
        member.enter();
        (0..3).for_each(|_| member.failed());
        member.alone_until.store(0, Ordering::Relaxed);
        assert!(!member.is_alone(), "the while is over");
        assert!(member.begins_trial() && !member.begins_trial(), "one");
        assert!(member.is_alone(), "while somebody tries it");
        member.ends_trial();
        assert!(!member.is_alone(), "the next one may try");
    }

    #[tokio::test]
    async fn a_drained_node_ends_what_it_has() {
        let member = std::sync::Arc::new(member());
        assert!(member.drain(Duration::ZERO).await, "nothing is there to end");
        member.enter();
        assert!(!member.drain(Duration::from_millis(1)).await, "still at work");
        let other = member.clone();
        let drained = tokio::spawn(async move { other.drain(Duration::from_secs(60)).await });
        tokio::task::yield_now().await;
        // What a topic says of it meanwhile changes nothing for who waits.
        member.stays();
        member.leave();
        assert!(drained.await.expect("ended"));
    }
}
