//! A request's place at a node: counted while it is there.

use super::Proxy;
use super::fault::Fault;
use super::table::{Member, Route, Table};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::{Instant, timeout_at};

/// Gives the place back when dropped.
pub(crate) struct Seat(Arc<Member>);

/// A seat whose request became a tunnel.
pub(crate) struct TunnelSeat(Seat);

impl Seat {
    /// The request became a tunnel.
    pub fn into_tunnel(self) -> TunnelSeat {
        self.0.enter_tunnel();
        TunnelSeat(self)
    }
}

impl Drop for TunnelSeat {
    fn drop(&mut self) {
        self.0.0.leave_tunnel();
    }
}

impl Seat {
    fn take(member: &Arc<Member>) -> Self {
        member.enter();
        Self(Arc::clone(member))
    }

    pub fn member(&self) -> &Arc<Member> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Counts one that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, max: usize) -> Option<Self> {
        let entered = Self(count);
        (count.fetch_add(1, Ordering::AcqRel) < max).then_some(entered)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
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
    let stays = |member: &&Arc<Member>| !member.is_draining() && !member.is_alone();
    let marked = mark.filter(|_| tried.is_empty()).and_then(|mark| route.group.marked(mark));
    if let Some(member) = marked.filter(stays) {
        return Ok(Seat::take(member));
    }
    match route.group.pick(tried) {
        Some(member) => Ok(Seat::take(member)),
        None if !tried.is_empty() => Err(Fault::Unreachable),
        None => find_now(proxy, route, path).await,
    }
}

/// The same by what is known now, which may be another table than the one in which the request found its route.
pub(crate) async fn find_now(proxy: &Proxy, route: &Arc<Route>, path: &str) -> Result<Seat, Fault> {
    let target = || route.group.target.clone();
    let _waiting = Waiting::enter(&route.waiting, proxy.limits.waiting_max)
        .ok_or_else(|| Fault::NoHealthyNode { target: target() })?;
    let until = Instant::now() + proxy.limits.node_within;
    let mut tables = proxy.tables.watch();
    loop {
        let table: Arc<Table> = Arc::clone(&tables.borrow_and_update());
        let Some(now) = table.again(route, path).filter(|route| route.group.known > 0) else {
            return Err(Fault::NoNode { target: target() });
        };
        if let Some(member) = now.group.pick(&[]) {
            return Ok(Seat::take(member));
        }
        match timeout_at(until, tables.changed()).await {
            Ok(Ok(())) => {}
            _ => return Err(Fault::NoHealthyNode { target: target() }),
        }
    }
}
