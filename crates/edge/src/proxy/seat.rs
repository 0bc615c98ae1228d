//! A request's place at a node: counted while it is there.

use super::Proxy;
use super::fault::Fault;
use super::table::{Member, Route, Table};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Gives the place back when dropped.
pub(crate) struct Seat {
    member: Arc<Member>,
    /// Told at the end, where requests may wait for a place.
    freed: Option<Arc<Notify>>,
    /// The request tries a node that was left alone, and does not know yet.
    is_trial: bool,
}

/// A seat whose request became a tunnel.
pub(crate) struct TunnelSeat(Seat);

impl Seat {
    /// The request became a tunnel.
    pub fn into_tunnel(self) -> TunnelSeat {
        self.member.enter_tunnel();
        TunnelSeat(self)
    }
}

impl Drop for TunnelSeat {
    fn drop(&mut self) {
        self.0.member.leave_tunnel();
    }
}

impl Seat {
    /// None where the node began to leave meanwhile: whoever drains it counts its requests only once.
    fn take(member: &Arc<Member>, route: &Route, freed: &Arc<Notify>) -> Option<Self> {
        member.enter();
        let freed = route.group.most.map(|_| Arc::clone(freed));
        let seat = Self { member: Arc::clone(member), freed, is_trial: member.begins_trial() };
        // Either this look sees that it leaves, or who drains it sees that we entered.
        (!member.is_draining()).then_some(seat)
    }

    /// The node answered: how long the answer takes, or the tunnel that it became, says nothing more of it.
    pub fn answered(&mut self) {
        self.member.answered();
        self.tried();
    }

    /// The node could not be reached, broke off, or was silent for too long.
    pub fn failed(&mut self) {
        self.member.failed();
        self.tried();
    }

    fn tried(&mut self) {
        if std::mem::take(&mut self.is_trial) {
            self.member.ends_trial();
        }
    }

    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.tried();
        self.member.leave();
        self.freed.iter().for_each(|freed| freed.notify_waiters());
    }
}

/// Counts one that waits.
struct Waiting<'a>(&'a Route);

impl<'a> Waiting<'a> {
    fn enter(route: &'a Route, max: usize) -> Option<Self> {
        let entered = Self(route);
        route.tally.begins_to_wait();
        (route.waiting.fetch_add(1, Ordering::AcqRel) < max).then_some(entered)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
        self.0.tally.ends_to_wait();
    }
}

/// A place at a node of the route. Where none is ready, but some are there or come, it waits for a while. Where all are
/// tried, it says so.
pub(crate) async fn find(
    proxy: &Proxy,
    route: &Arc<Route>,
    path: &str,
    tried: &[Arc<Member>],
    mark: Option<&str>,
) -> Result<Seat, Fault> {
    let stays =
        |member: &&Arc<Member>| !member.is_draining() && !member.is_alone() && route.group.has_place(member);
    let marked = mark.filter(|_| tried.is_empty()).and_then(|mark| route.group.marked(mark));
    let freed = proxy.tables.freed();
    if let Some(seat) = marked.filter(stays).and_then(|member| Seat::take(member, route, freed)) {
        return Ok(seat);
    }
    while let Some(member) = route.group.pick(tried) {
        if let Some(seat) = Seat::take(member, route, freed) {
            return Ok(seat);
        }
    }
    if tried.is_empty() { find_now(proxy, route, path).await } else { Err(Fault::Unreachable) }
}

/// The same by what is known now, which may be another table than the one in which the request found its route.
pub(crate) async fn find_now(proxy: &Proxy, route: &Arc<Route>, path: &str) -> Result<Seat, Fault> {
    let target = || route.group.target.clone();
    let _waiting = Waiting::enter(route, proxy.limits.waiting_max)
        .ok_or_else(|| Fault::NoHealthyNode { target: target() })?;
    let begun = Instant::now();
    let (mut tables, freed) = (proxy.tables.watch(), proxy.tables.freed());
    loop {
        // Before the look: what is given back after it wakes us.
        let free = freed.notified();
        let table: Arc<Table> = Arc::clone(&tables.borrow_and_update());
        let Some(now) = table.again(route, path).filter(|now| now.group.known > 0 || now.wakes) else {
            return Err(Fault::NoNode { target: target() });
        };
        while let Some(member) = now.group.pick(&[]) {
            if let Some(seat) = Seat::take(member, now, freed) {
                return Ok(seat);
            }
        }
        let within = if now.wakes { proxy.limits.wake_within } else { proxy.limits.node_within };
        let changed = async {
            tokio::select! {
                changed = tables.changed() => changed.is_ok(),
                () = free => true,
            }
        };
        if !matches!(timeout_at(begun + within, changed).await, Ok(true)) {
            return Err(match now.group.has_ready() {
                true => Fault::Busy { target: target() },
                false => Fault::NoHealthyNode { target: target() },
            });
        }
    }
}
