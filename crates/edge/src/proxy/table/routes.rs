//! The routes of one application.
//!
//! Without a word in the manifest each service that has a port is found, from this machine alone, at
//! `<service>.<app>.localhost`, and each of its families at `<family>.<service>.<app>.localhost` (RFC 6761 section
//! 6.3: such names lead to the machine itself, without any DNS).

use super::Members;
use super::group::{Group, Side, is_ready};
use crate::proxy::account::Who;
use crate::proxy::tally::{Books, Tally};
use lace_model::authority::Challenge;
use lace_model::document::{Member, Topic};
use lace_model::route::{RouteSpec, RouteTls, usual_host};
use lace_model::{FamilyPath, ServicePath};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// What routes are made from.
#[derive(Clone, Copy)]
struct Ground<'a> {
    topic: &'a Topic,
    members: &'a Members,
    books: &'a Books,
}

/// One way in.
pub(crate) struct Route {
    /// Small letters, without a port.
    pub host: String,
    /// `/` or a path without a slash at its end.
    pub path: String,
    /// A TCP route instead: the port that hosts listen on.
    pub listen: Option<u16>,
    /// Only for clients on this machine.
    pub local: bool,
    pub group: Group,
    /// A client stays with its node.
    pub sticky: bool,
    /// Under repair: the page to show, empty for the usual one.
    pub maintenance: Option<Arc<str>>,
    /// For people: `shop.example.com/api`.
    pub name: Arc<str>,
    /// What it carried.
    pub tally: Arc<Tally>,
    /// Its requests are written to the access log.
    pub log: bool,
    /// Plain HTTP leads to TLS where there is a certificate.
    pub tls: bool,
    /// Requests that wait for a node.
    pub waiting: AtomicUsize,
    /// Where no node is wanted, the first request starts one.
    pub wakes: bool,
}

impl Route {
    /// Is the path this route's, or below it? A route of `/shop` has `/shop/cart`, and not `/shops`.
    pub fn covers(&self, path: &str) -> bool {
        self.path == "/"
            || path
                .strip_prefix(self.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// All ways into one application.
pub(crate) struct AppRoutes {
    routes: Vec<Arc<Route>>,
    /// TCP routes by the port that hosts listen on.
    tcp: Vec<(u16, Arc<Route>)>,
    /// What authorities are shown.
    challenges: Vec<Challenge>,
    /// The numbers of all that is there, ready or not: they go on where a node comes back.
    _counted: Vec<Who>,
}

impl AppRoutes {
    pub fn of(topic: &Topic, members: &Members, books: &Books) -> Self {
        let ground = Ground { topic, members, books };
        let (mut routes, mut tcp) = (Vec::new(), Vec::new());
        for (service, doors) in topic.doors.iter().filter(|(service, _)| service.app == topic.app) {
            for spec in &doors.routes {
                let route = Arc::new(said(ground, service, spec));
                match spec.listen {
                    Some(listen) => tcp.push((listen, route)),
                    None => routes.push(route),
                }
            }
        }
        let declared: BTreeSet<String> =
            routes.iter().filter(|r| r.path == "/").map(|r| r.host.clone()).collect();
        for (service, port) in service_ports(topic) {
            let host = usual_host(&service);
            if !declared.contains(&host) {
                let group = group(ground, service.to_string(), port, |f| {
                    (f.service_path() == service).then_some(None)
                });
                routes.push(usual(ground, host, group, &service));
            }
        }
        for (family, port) in topic.ports.iter().filter_map(|(f, ports)| Some((f, usual_port(ports)?))) {
            let host = format!("{}.{}.{}.localhost", family.family, family.service, family.app);
            let group = group(ground, family.to_string(), port, |f| (f == family).then_some(None));
            routes.push(usual(ground, host, group, &family.service_path()));
        }
        let _counted = topic.members.iter().map(|member| who(books, member)).collect();
        Self { routes, tcp, challenges: topic.challenges.clone(), _counted }
    }

    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    pub fn challenges(&self) -> &[Challenge] {
        &self.challenges
    }

    pub fn tcp(&self) -> &[(u16, Arc<Route>)] {
        &self.tcp
    }
}

fn said(ground: Ground<'_>, service: &ServicePath, spec: &RouteSpec) -> Route {
    let part = |family: &FamilyPath| match spec.families.is_empty() {
        true => Some(None),
        false => spec.families.get(&family.family).map(|weight| Some(*weight)),
    };
    let belongs = |family: &FamilyPath| (family.service_path() == *service).then(|| part(family)).flatten();
    let group = group(ground, service.to_string(), spec.port, belongs).with_most(spec.concurrency);
    let usual = usual_host(service);
    let name: Arc<str> = spec.door(&usual).into();
    Route {
        tally: ground.books.routes.get(&name, &service.to_string()),
        name,
        log: spec.log,
        tls: spec.tls != RouteTls::Off && spec.host.is_some(),
        host: spec.host.clone().unwrap_or(usual),
        path: spec.path.clone(),
        listen: spec.listen,
        local: spec.host.is_none() && spec.listen.is_none(),
        group,
        sticky: spec.sticky,
        maintenance: maintenance(ground.topic, service),
        waiting: AtomicUsize::new(0),
        wakes: ground.topic.doors.get(service).is_some_and(|doors| doors.wakes),
    }
}

fn usual(ground: Ground<'_>, host: String, group: Group, service: &ServicePath) -> Arc<Route> {
    let name: Arc<str> = format!("{host}/").into();
    Arc::new(Route {
        tally: ground.books.routes.get(&name, &service.to_string()),
        name,
        log: false,
        tls: false,
        host,
        path: "/".to_owned(),
        listen: None,
        local: true,
        group,
        sticky: false,
        maintenance: maintenance(ground.topic, service),
        waiting: AtomicUsize::new(0),
        wakes: ground.topic.doors.get(service).is_some_and(|doors| doors.wakes),
    })
}

fn who(books: &Books, member: &Member) -> Who {
    let (name, family) = (member.path.to_string(), member.path.family.to_string());
    Who {
        node: books.nodes.get(&name, &family),
        family: books.families.get(&family, &member.path.family.service_path().to_string()),
        name: name.into(),
    }
}

fn maintenance(topic: &Topic, service: &ServicePath) -> Option<Arc<str>> {
    let said = topic.doors.get(service).map(|doors| &doors.maintenance).filter(|m| m.on)?;
    Some(said.page.as_deref().unwrap_or_default().into())
}

/// The port of each service that has one: that of its first family in the order of names.
fn service_ports(topic: &Topic) -> BTreeMap<ServicePath, u16> {
    let mut found = BTreeMap::new();
    for (family, ports) in topic.ports.iter().filter(|(f, _)| f.app == topic.app) {
        if let Some(port) = usual_port(ports) {
            found.entry(family.service_path()).or_insert(port);
        }
    }
    found
}

fn usual_port(ports: &BTreeMap<String, u16>) -> Option<u16> {
    ports.get("http").or_else(|| ports.get("tcp")).copied()
}

/// `part` says which families belong to it, with the weight of each.
fn group(
    ground: Ground<'_>,
    target: String,
    port: u16,
    part: impl Fn(&FamilyPath) -> Option<Option<u16>>,
) -> Group {
    let mut families: BTreeMap<&FamilyPath, Side> = BTreeMap::new();
    let mut known = 0;
    // A running job is a member without a name (index 0): it serves nobody.
    for m in ground.topic.members.iter().filter(|m| m.path.index > 0) {
        let Some(weight) = part(&m.path.family) else { continue };
        known += 1;
        let at = SocketAddr::from((m.address, port));
        if !is_ready(m) {
            // It gets nothing now; should it be ready again, it is wanted again.
            ground.members.stays(m.node, at);
            continue;
        }
        let share = ground.topic.shares.get(&m.path.family).copied();
        let side = families.entry(&m.path.family).or_insert(Side { weight, share, ready: Vec::new() });
        side.ready.push((m.revision, ground.members.get(m.node, at, || who(ground.books, m))));
    }
    Group::of(target, known, families.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_itself_and_what_is_below() {
        let route = |path: &str| Route {
            host: String::new(),
            path: path.to_owned(),
            listen: None,
            local: false,
            group: Group::of(String::new(), 0, Vec::new()),
            sticky: false,
            maintenance: None,
            name: path.into(),
            tally: Arc::default(),
            log: false,
            tls: false,
            waiting: AtomicUsize::new(0),
            wakes: false,
        };
        let table = [
            ("/", "/", true),
            ("/", "/a", true),
            ("/", "*", true),
            ("/shop", "/shop", true),
            ("/shop", "/shop/", true),
            ("/shop", "/shop/cart", true),
            ("/shop", "/shops", false),
            ("/shop", "/", false),
        ];
        for (of, path, expected) in table {
            assert_eq!(route(of).covers(path), expected, "{path} of {of}");
        }
    }
}
