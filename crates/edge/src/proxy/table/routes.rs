//! The routes of one application.
//!
//! Without a word in the manifest each service that has a port is found, from this machine alone, at
//! `<service>.<app>.localhost`, and each of its families at `<family>.<service>.<app>.localhost` (RFC 6761 section
//! 6.3: such names lead to the machine itself, without any DNS).

use super::Members;
use lace_model::document::{Member, Topic};
use lace_model::route::{RouteSpec, usual_host};
use lace_model::{FamilyPath, ServicePath};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

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
    /// Requests that wait for a node.
    pub waiting: AtomicUsize,
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

/// Like nodes that can answer.
pub(crate) struct Group {
    /// For people: the target that would be scaled.
    pub target: String,
    /// Nodes that get traffic.
    pub ready: Vec<Arc<super::Member>>,
    /// Nodes that are there, ready or not.
    pub known: usize,
}

/// All ways into one application.
pub(crate) struct AppRoutes {
    routes: Vec<Arc<Route>>,
    /// TCP routes by the port that hosts listen on.
    tcp: Vec<(u16, Arc<Route>)>,
}

impl AppRoutes {
    pub fn of(topic: &Topic, members: &Members) -> Self {
        let (mut routes, mut tcp) = (Vec::new(), Vec::new());
        for (service, doors) in topic.doors.iter().filter(|(service, _)| service.app == topic.app) {
            for spec in &doors.routes {
                let route = Arc::new(said(topic, members, service, spec));
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
                let group = group(topic, members, service.to_string(), port, |f| f.service_path() == service);
                routes.push(usual(host, group, maintenance(topic, &service)));
            }
        }
        for (family, port) in topic.ports.iter().filter_map(|(f, ports)| Some((f, usual_port(ports)?))) {
            let host = format!("{}.{}.{}.localhost", family.family, family.service, family.app);
            let group = group(topic, members, family.to_string(), port, |f| f == family);
            routes.push(usual(host, group, maintenance(topic, &family.service_path())));
        }
        Self { routes, tcp }
    }

    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    pub fn tcp(&self) -> &[(u16, Arc<Route>)] {
        &self.tcp
    }
}

fn said(topic: &Topic, members: &Members, service: &ServicePath, spec: &RouteSpec) -> Route {
    let group = group(topic, members, service.to_string(), spec.port, |f| f.service_path() == *service);
    Route {
        host: spec.host.clone().unwrap_or_else(|| usual_host(service)),
        path: spec.path.clone(),
        listen: spec.listen,
        local: spec.host.is_none() && spec.listen.is_none(),
        group,
        sticky: spec.sticky,
        maintenance: maintenance(topic, service),
        waiting: AtomicUsize::new(0),
    }
}

fn usual(host: String, group: Group, maintenance: Option<Arc<str>>) -> Arc<Route> {
    let (path, waiting) = ("/".to_owned(), AtomicUsize::new(0));
    Arc::new(Route { host, path, listen: None, local: true, group, sticky: false, maintenance, waiting })
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

fn group(
    topic: &Topic,
    members: &Members,
    target: String,
    port: u16,
    belongs: impl Fn(&FamilyPath) -> bool,
) -> Group {
    // A running job is a member without a name (index 0): it serves nobody.
    let all = || topic.members.iter().filter(|m| m.path.index > 0 && belongs(&m.path.family));
    let at = |m: &Member| SocketAddr::from((m.address, port));
    // It gets nothing now; should it be ready again, it is wanted again.
    all().filter(|m| !is_ready(m)).for_each(|m| members.stays(m.node, at(m)));
    let ready = all().filter(|m| is_ready(m)).map(|m| members.get(m.node, at(m))).collect();
    Group { target, ready, known: all().count() }
}

fn is_ready(member: &Member) -> bool {
    member.up && member.ready
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
            group: Group { target: String::new(), ready: Vec::new(), known: 0 },
            sticky: false,
            maintenance: None,
            waiting: AtomicUsize::new(0),
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
