//! Rules that no single value shows: services that need one another, things that are there twice.

use super::mistake::{Mistakes, nearest};
use super::template;
use super::tree::Node;
use crate::group::GlobalGroup;
use crate::{ByteSize, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Checks services against one another.
pub(super) fn check(tree: &Node, mistakes: &mut Mistakes) {
    let services: BTreeMap<&str, &Node> = tree.each("service").map(|(k, n)| (k.name.as_str(), n)).collect();
    for (name, node) in &services {
        volumes(name, node, mistakes);
        files(name, node, mistakes);
        super::package::check(name, node, mistakes);
        quantities(name, node, mistakes);
        template::check(name, node, mistakes);
        clusters(name, node, mistakes);
        names_of_nodes(name, node, mistakes);
        groups(name, node, mistakes);
        certificates(name, node, mistakes);
        joins(name, node, &services, mistakes);
        links(name, node, &services, mistakes);
        for need in needs(node) {
            let Some(needed) = need.text().filter(|needed| !services.contains_key(needed)) else {
                continue;
            };
            let hint = nearest(needed, services.keys().copied());
            mistakes.hint(
                need.place,
                &format!("service.{name}.needs"),
                format!("there is no service {needed:?}"),
                hint,
            );
        }
    }
    cycles(&services, mistakes);
}

/// A family cannot be called as a node of another one is: both would be one name in DNS.
fn names_of_nodes(service: &str, node: &Node, mistakes: &mut Mistakes) {
    let families: Vec<_> = node.each("family").collect();
    // A service that names none has one of its own name.
    for (family, _) in &families {
        let Some((other, index)) = family.name.rsplit_once('-') else { continue };
        let is_index = index.parse::<u32>().is_ok_and(|n| n > 0 && n.to_string() == index);
        if is_index && families.iter().any(|(known, _)| known.name == other) {
            let key = format!("service.{service}.family.{}", family.name);
            let text = format!("{} is the name of node {index} of {other}", family.name);
            mistakes.hint(family.place, &key, text, "give the family another name");
        }
    }
}

/// OTP's failover is for one cluster.
fn clusters(service: &str, node: &Node, mistakes: &mut Mistakes) {
    let Some(beam) = node.get("beam") else { return };
    let several = beam.get("cluster_size").filter(|_| beam.u32_of("cluster_size").is_some_and(|n| n > 0));
    if let Some(size) = several.filter(|_| beam.get("failover").is_some()) {
        let key = format!("service.{service}.beam.cluster_size");
        mistakes.hint(size.place, &key, "failover is for one cluster", "leave out failover, or cluster_size");
    }
    let joins_itself = beam.flag_of("join") == Some(false)
        || node.get("bootstrap").is_some_and(|said| said.text().is_some_and(|text| text == "none"));
    if let Some(size) = several.filter(|_| joins_itself) {
        let key = format!("service.{service}.beam.cluster_size");
        let text =
            "a family that makes its mesh itself (join = false, bootstrap = \"none\") keeps to no clusters";
        mistakes.hint(size.place, &key, text, "leave that out, or cluster_size");
    }
}

/// Global groups are ranges of nodes whose names are known beforehand, and `global` works in each of them.
fn groups(service: &str, node: &Node, mistakes: &mut Mistakes) {
    let Some(beam) = node.get("beam") else { return };
    let ranges: Vec<(&str, GlobalGroup)> = beam
        .each("global_groups")
        .filter_map(|(name, range)| Some((name.name.as_str(), range.text()?.parse().ok()?)))
        .collect();
    let (Some(said), false) = (beam.get("global_groups"), ranges.is_empty()) else { return };
    let key = format!("service.{service}.beam.global_groups");
    for (n, (name, range)) in ranges.iter().enumerate() {
        if let Some((other, _)) = ranges[..n].iter().find(|(_, other)| other.meets(range)) {
            mistakes.add(
                said.place,
                &key,
                format!("a node is in {other} and in {name}: it can be in one group only"),
            );
        }
    }
    let words = |key: &str, word: &str| beam.text_of(key).as_deref() == Some(word);
    let against = [
        (
            beam.get("failover").is_some(),
            "failover is for all nodes of one cluster",
            "leave out failover, or global_groups",
        ),
        (
            beam.flag_of("connect_all") == Some(false),
            "without connect_all there are no global names",
            "leave out connect_all",
        ),
        (
            words("names", "address"),
            "a name with an address is known only when its node is there",
            "leave out names",
        ),
        (
            beam.u32_of("cluster_size").is_some_and(|size| size > 0),
            "cluster_size makes the clusters already",
            "say global_groups = true to make each a group",
        ),
    ];
    for (_, message, hint) in against.into_iter().filter(|(is_so, ..)| *is_so) {
        mistakes.hint(said.place, &key, message, hint);
    }
}

/// Shorter than the least they would end while runtimes still hold them in memory; longer they are no protection.
fn certificates(service: &str, node: &Node, mistakes: &mut Mistakes) {
    let Some(said) = node.get("beam").and_then(|beam| beam.get("tls_lifetime")) else { return };
    let Some(lifetime) = said.text().and_then(|text| text.parse::<Span>().ok()) else { return };
    if !(TLS_LIFETIME.0..=TLS_LIFETIME.1).contains(&lifetime) {
        let key = format!("service.{service}.beam.tls_lifetime");
        let text = format!("{lifetime} is not between {} and {}", TLS_LIFETIME.0, TLS_LIFETIME.1);
        mistakes.hint(said.place, &key, text, "two weeks (14d) is usual");
    }
}

/// Whom a node joins has to be there, and must not wait for it in turn.
fn joins(service: &str, node: &Node, services: &BTreeMap<&str, &Node>, mistakes: &mut Mistakes) {
    let Some((with, said)) = joined(node) else { return };
    let key = format!("service.{service}.bootstrap.with");
    let (named, family) = said.split_once('/').map_or((said, None), |(named, family)| (named, Some(family)));
    let Some(other) = services.get(named) else {
        let hint = nearest(named, services.keys().copied());
        return mistakes.hint(with.place, &key, format!("there is no service {named:?}"), hint);
    };
    let mut families: Vec<&str> = other.each("family").map(|(family, _)| family.name.as_str()).collect();
    if families.is_empty() {
        families.push(named);
    }
    if let Some(family) = family.filter(|family| !families.contains(family)) {
        let hint = nearest(family, families);
        return mistakes.hint(with.place, &key, format!("{named} has no family {family:?}"), hint);
    }
    let back = joined(other).and_then(|(_, said)| said.split('/').next());
    if named == service && family.is_none() {
        let hint =
            "name a family of it, or leave `with` out: the first ready node of its own family is joined";
        mistakes.hint(with.place, &key, "the service would wait for itself", hint);
    } else if named != service && back == Some(service) {
        let text = format!("{named} joins {service} in turn: both would wait for ever");
        mistakes.hint(with.place, &key, text, "leave out one of the two");
    }
}

/// Whom a service's nodes join: the service, or SERVICE/FAMILY.
fn joined(node: &Node) -> Option<(&Node, &str)> {
    let with = node.get("bootstrap")?.get("with")?;
    Some((with, with.text()?))
}

/// What is linked has to be there.
fn links(service: &str, node: &Node, services: &BTreeMap<&str, &Node>, mistakes: &mut Mistakes) {
    for (key, said) in node.each("links") {
        let Some(linked) = said.text().filter(|linked| !services.contains_key(linked)) else { continue };
        let hint = nearest(linked, services.keys().copied());
        let path = format!("service.{service}.links.{}", key.name);
        mistakes.hint(said.place, &path, format!("there is no service {linked:?}"), hint);
    }
}

fn needs(service: &Node) -> &[Node] {
    service.get("needs").and_then(Node::list).unwrap_or_default()
}

/// Where nothing may be put, because it would take away what makes a node one: the kernel's own file systems, and what
/// Lace put there.
const TAKEN: [&str; 4] = ["/proc", "/sys", "/dev", "/run/lace"];
/// What a volume would hide as a whole, and what no node starts without.
const SYSTEM: [&str; 13] = [
    "/etc",
    "/usr",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/boot",
];
/// Least memory of a node, and least size of a volume: less is a slip of the unit, and holds no program and no file system.
pub(crate) const LEAST: ByteSize = ByteSize(1 << 20);

/// The directory of the node's own that a path lies in.
pub(crate) fn taken(at: &str) -> Option<&'static str> {
    TAKEN.into_iter().find(|taken| Path::new(at).starts_with(taken))
}

fn files(service: &str, node: &Node, mistakes: &mut Mistakes) {
    for (key, _) in node.each("files") {
        if let Some(taken) = taken(&key.name) {
            let path = format!("service.{service}.files.{:?}", key.name);
            mistakes.add(key.place, &path, format!("{taken} belongs to the node itself"));
        }
    }
}

/// Amounts that are well formed, and with which nothing would ever run.
/// Certificates of distribution are good for so long, at least and at most.
const TLS_LIFETIME: (Span, Span) = (Span::secs(60), Span::secs(365 * 24 * 3600));

fn quantities(service: &str, node: &Node, mistakes: &mut Mistakes) {
    let families =
        node.each("family").map(|(key, family)| (format!("{service}.family.{}", key.name), family));
    for (path, sized) in families.chain([(service.to_owned(), node)]) {
        let key = format!("service.{path}.memory");
        refuse_less(sized.get("memory"), &key, "no program runs in", "write a size such as 128MiB", mistakes);
    }
    for probe in ["check", "live"] {
        for key in ["interval", "timeout"] {
            let said = node.get(probe).and_then(|probe| probe.get(key));
            let Some(said) = said.filter(|said| said.text().and_then(|t| t.parse().ok()) == Some(Span(0)))
            else {
                continue;
            };
            let path = format!("service.{service}.{probe}.{key}");
            mistakes.hint(said.place, &path, "no probe is answered in no time", "write a length such as 1s");
        }
    }
}

fn refuse_less(said: Option<&Node>, key: &str, what: &str, hint: &str, mistakes: &mut Mistakes) {
    let size = said.and_then(|said| Some((said, said.scalar()?.parse::<ByteSize>().ok()?)));
    if let Some((said, size)) = size.filter(|(_, size)| *size < LEAST) {
        mistakes.hint(said.place, key, format!("{what} {size}: it takes at least {LEAST}"), hint);
    }
}

fn volumes(service: &str, node: &Node, mistakes: &mut Mistakes) {
    let mut seen = BTreeSet::new();
    for volume in node.get("volumes").and_then(Node::list).unwrap_or_default() {
        volume_fits(service, volume, mistakes);
        for key in ["name", "at"] {
            let Some(said) = volume.get(key) else {
                continue;
            };
            if !seen.insert((key, said.text())) {
                let text = said.text().unwrap_or_default();
                let message = format!("two volumes have the {key} {text:?}");
                mistakes.add(said.place, &format!("service.{service}.volumes"), message);
            }
        }
    }
}

fn volume_fits(service: &str, volume: &Node, mistakes: &mut Mistakes) {
    let key = |name: &str| format!("service.{service}.volumes.{name}");
    refuse_less(
        volume.get("size"),
        &key("size"),
        "no volume holds anything in",
        "write a size such as 10GiB",
        mistakes,
    );
    // The root is no path of a volume at all, and refused as such.
    let said = volume.get("at").and_then(|said| Some((said, said.text()?)));
    let Some((said, at)) = said.filter(|(_, at)| *at != "/") else {
        return;
    };
    if let Some(taken) = taken(at).or(hides_system(at).then_some(at)) {
        let message = format!("{taken} belongs to the node itself");
        mistakes.hint(said.place, &key("at"), message, "write a path of its own, such as /var/lib/game");
    }
}

/// Would a volume at that path hide what no node starts without?
pub(crate) fn hides_system(at: &str) -> bool {
    TAKEN.into_iter().any(|taken| Path::new(taken).starts_with(at)) || SYSTEM.contains(&at)
}

/// Takes away what needs nothing more, again and again (Kahn 1962); what is left runs in circles.
fn cycles(services: &BTreeMap<&str, &Node>, mistakes: &mut Mistakes) {
    let mut left: BTreeMap<&str, BTreeSet<&str>> = services
        .iter()
        .map(|(name, node)| (*name, needs(node).iter().filter_map(Node::text).collect()))
        .collect();
    loop {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, n)| !n.iter().any(|n| left.contains_key(n)))
            .map(|(name, _)| *name)
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|name, _| !free.contains(name));
    }
    let Some(first) = left.keys().next() else {
        return;
    };
    let circle = circle(first, &left);
    let place = services[circle[0]].get("needs").map_or(services[circle[0]].place, |needs| needs.place);
    let message = format!("the services need one another in a circle: {}", circle.join(" -> "));
    mistakes.add(place, &format!("service.{}.needs", circle[0]), message);
}

/// Walks until a name comes again: `["a", "b", "a"]`. Every name in `left` needs another one in it.
fn circle<'a>(first: &'a str, left: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<&'a str> {
    let mut path = vec![first];
    loop {
        let last = path[path.len() - 1];
        let Some(next) = left[last].iter().find(|n| left.contains_key(*n)) else {
            return path;
        };
        let seen = path.iter().position(|name| name == next);
        path.push(next);
        if let Some(start) = seen {
            return path.split_off(start);
        }
    }
}
