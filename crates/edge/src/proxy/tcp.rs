//! TCP routes: what comes in at a port goes to a node, byte for byte.

use super::accept::{Place, Places, bound, prepare};
use super::pool::dial;
use super::table::Route;
use super::tally::Tally;
use super::{Proxy, seat, tunnel};
use http::StatusCode;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};

/// Opens and closes ports as the table says, until it is dropped.
pub(super) async fn run(proxy: Arc<Proxy>, ip: IpAddr, places: Arc<Places>) {
    let mut doors = JoinSet::new();
    let mut open: BTreeMap<u16, AbortHandle> = BTreeMap::new();
    let mut tables = proxy.tables.watch();
    loop {
        let table = Arc::clone(&tables.borrow_and_update());
        let closed: Vec<u16> = open.keys().copied().filter(|port| table.tcp(*port).is_none()).collect();
        for port in closed {
            if let Some(door) = open.remove(&port) {
                door.abort();
                proxy.keeper.forget(&crate::sockets::tcp_name((ip, port).into()));
            }
        }
        for port in table.tcp_ports() {
            open.entry(port).or_insert_with(|| {
                doors.spawn(keep(Arc::clone(&proxy), (ip, port).into(), Arc::clone(&places)))
            });
        }
        while doors.try_join_next().is_some() {}
        if tables.changed().await.is_err() {
            return;
        }
    }
}

async fn keep(proxy: Arc<Proxy>, address: SocketAddr, places: Arc<Places>) {
    let listener = bound(&proxy, address).await;
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(super::accept::PAUSE).await;
            continue;
        };
        let limits = &proxy.limits;
        let (all_max, client_max) = (limits.connections_max, limits.connections_per_client);
        let table = proxy.tables.table();
        let place = match places.enter(peer.ip(), all_max, client_max) {
            Ok(place) => place,
            Err(full) => {
                table.tcp(address.port()).iter().for_each(|route| route.tally.fault(full.code()));
                continue;
            }
        };
        if let (Some(route), Ok(_)) = (table.tcp(address.port()), prepare(&stream, limits.stalled_after)) {
            tokio::spawn(carry(Arc::clone(&proxy), Arc::clone(route), stream, place));
        }
    }
}

/// A connection that no node takes is closed: TCP has no page to show.
async fn carry(proxy: Arc<Proxy>, route: Arc<Route>, mut client: TcpStream, _place: Place) {
    if route.maintenance.is_some() {
        route.tally.fault("maintenance");
        return;
    }
    let began = Instant::now();
    let mut tried = Vec::new();
    for _ in 0..proxy.limits.tries_max {
        let mut seat = match seat::find(&proxy, &route, "/", &tried, None).await {
            Ok(seat) => seat,
            Err(fault) => return route.tally.fault(fault.code()),
        };
        match dial(seat.member().address, proxy.limits.connect_within).await {
            Ok(mut node) => {
                seat.answered();
                let who = seat.member().who.clone();
                let _seat = seat.into_tunnel();
                let each = |count: &dyn Fn(&Tally)| {
                    count(&route.tally);
                    who.each(count);
                };
                each(&|tally| {
                    tally.enter();
                    tally.answered(StatusCode::OK, began.elapsed());
                });
                tunnel::carried(copy_bidirectional(&mut client, &mut node).await, &route.tally, &who);
                each(&Tally::leave);
                return;
            }
            Err(_) => {
                seat.failed();
                seat.member().who.each(|tally| tally.fault("unreachable"));
            }
        }
        tried.push(Arc::clone(seat.member()));
    }
}
