//! The routing table: host name and path to the nodes that answer.
//!
//! As with names, a change makes a new table beside the old one and switches in one step. What is known of a node
//! (its connections, its load, its failures) is carried over.

mod group;
mod member;
mod routes;

pub(crate) use member::Member;
pub(crate) use routes::Route;

use crate::proxy::account::Who;
use crate::proxy::tally::Books;
use lace_model::authority::Challenge;
use lace_model::document::Topic;
use lace_model::traffic::Avoided;
use lace_model::{AppName, NodeId};
use routes::AppRoutes;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// One consistent state of all routes.
#[derive(Default)]
pub(crate) struct Table {
    apps: BTreeMap<AppName, Arc<AppRoutes>>,
    /// Routes by host name, the longest path first.
    hosts: HashMap<String, Vec<Arc<Route>>>,
    /// TCP routes by the port that hosts listen on; the first application in the order of names has it.
    tcp: BTreeMap<u16, Arc<Route>>,
}

impl Table {
    fn new(apps: BTreeMap<AppName, Arc<AppRoutes>>) -> Self {
        let mut hosts: HashMap<String, Vec<Arc<Route>>> = HashMap::new();
        for route in apps.values().flat_map(|app| app.routes()) {
            hosts.entry(route.host.clone()).or_default().push(Arc::clone(route));
        }
        for routes in hosts.values_mut() {
            routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
        }
        let tcp = apps.values().rev().flat_map(|app| app.tcp().iter().cloned()).collect();
        Self { apps, hosts, tcp }
    }

    /// What a route of an earlier table is now.
    pub fn again(&self, route: &Route, path: &str) -> Option<&Arc<Route>> {
        match route.listen {
            Some(port) => self.tcp(port),
            None => self.host(&route.host)?.iter().find(|r| r.covers(path)),
        }
    }

    /// The ports of TCP routes.
    pub fn tcp_ports(&self) -> impl Iterator<Item = u16> {
        self.tcp.keys().copied()
    }

    /// The TCP route of a port.
    pub fn tcp(&self, port: u16) -> Option<&Arc<Route>> {
        self.tcp.get(&port)
    }

    /// What authorities are shown that ask whether the host name (small letters, no port) is ours.
    pub fn challenges<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Challenge> {
        self.apps.values().flat_map(|app| app.challenges()).filter(move |challenge| challenge.host == host)
    }

    /// The routes of a host name (small letters, no port).
    pub fn host(&self, name: &str) -> Option<&[Arc<Route>]> {
        self.hosts.get(name).map(Vec::as_slice)
    }
}

/// Every node that a table or a request still knows.
#[derive(Default)]
pub(crate) struct Members(Mutex<HashMap<(NodeId, SocketAddr), Weak<Member>>>);

impl Members {
    fn avoided(&self) -> Vec<Avoided> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alone = known.values().filter_map(Weak::upgrade).filter_map(|member| member.avoided());
        let mut all: Vec<_> = alone.collect();
        all.sort();
        all
    }

    pub fn get(&self, node: NodeId, address: SocketAddr, who: impl FnOnce() -> Who) -> Arc<Member> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(member) = known.get(&(node, address)).and_then(Weak::upgrade) {
            return member;
        }
        let member = Arc::new(Member::new(address, mark(node), who()));
        known.insert((node, address), Arc::downgrade(&member));
        member
    }

    fn of(&self, node: NodeId) -> Vec<Arc<Member>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|((id, _), _)| *id == node).filter_map(|(_, weak)| weak.upgrade()).collect()
    }

    /// A node that leaves and is wanted again gets requests again.
    fn stays(&self, node: NodeId, address: SocketAddr) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(member) = known.get(&(node, address)).and_then(Weak::upgrade) {
            member.stays();
        }
    }

    fn forget_dead(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, weak| weak.strong_count() > 0);
    }
}

/// What a client's cookie says of its node: no id of ours, and always the same.
fn mark(node: NodeId) -> String {
    lace_model::Digest::of(node.0.as_bytes()).to_string()[..16].to_owned()
}

/// The table that holds now, and the way to the next.
pub(crate) struct Tables {
    now: watch::Sender<Arc<Table>>,
    members: Members,
    books: Books,
    /// A node that has as much as it may has ended something.
    freed: Arc<Notify>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            now: watch::Sender::new(Arc::default()),
            members: Members::default(),
            books: Books::default(),
            freed: Arc::default(),
        }
    }
}

impl Tables {
    /// The table as it is at this moment.
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.now.borrow())
    }

    /// The numbers of what was carried.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Tells when a node with a bound has ended something.
    pub fn freed(&self) -> &Arc<Notify> {
        &self.freed
    }

    /// Nodes that are left alone for a while because they failed too often, and why.
    pub fn avoided(&self) -> Vec<Avoided> {
        self.members.avoided()
    }

    /// Tells when another table holds.
    pub fn watch(&self) -> watch::Receiver<Arc<Table>> {
        self.now.subscribe()
    }

    /// Follows the topics. The caller sees to it that one comes after the other.
    pub fn take<'a>(&self, topics: impl IntoIterator<Item = &'a Topic>) {
        let mut apps = self.table().apps.clone();
        for topic in topics {
            apps.insert(topic.app.clone(), Arc::new(AppRoutes::of(topic, &self.members, &self.books)));
        }
        self.switch(apps);
    }

    /// Forgets an application.
    pub fn gone(&self, app: &AppName) {
        let mut apps = self.table().apps.clone();
        if apps.remove(app).is_some() {
            self.switch(apps);
        }
    }

    fn switch(&self, apps: BTreeMap<AppName, Arc<AppRoutes>>) {
        self.now.send_replace(Arc::new(Table::new(apps)));
        self.members.forget_dead();
        self.books.forget_dead();
    }

    /// A node that no topic named, for tests.
    #[cfg(test)]
    pub fn with_member(&self, node: NodeId) -> Arc<Member> {
        self.members.get(node, ([127, 0, 0, 1], 1).into(), Who::default)
    }

    /// See [`Member::drain`], for all ports of a node.
    pub async fn drain(&self, node: NodeId, within: Duration) -> bool {
        let until = tokio::time::Instant::now() + within;
        let mut all = true;
        let members = self.members.of(node);
        for member in &members {
            member.drain(Duration::ZERO).await;
        }
        for member in members {
            all &= member.drain(until.saturating_duration_since(tokio::time::Instant::now())).await;
        }
        all
    }
}
