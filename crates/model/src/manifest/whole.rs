//! Rules that no single value shows: services that need one another, things that are there twice.

use super::mistake::{Mistakes, nearest};
use super::tree::Node;
use crate::ByteSize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Checks services against one another.
pub(super) fn check(tree: &Node, mistakes: &mut Mistakes) {
    let services: BTreeMap<&str, &Node> = tree.each("service").map(|(k, n)| (k.name.as_str(), n)).collect();
    for (name, node) in &services {
        volumes(name, node, mistakes);
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

fn needs(service: &Node) -> &[Node] {
    service.get("needs").and_then(Node::list).unwrap_or_default()
}

/// Where a volume would take away what makes a node one: the kernel's own file systems, and what Lace put there.
const NOT_FOR_VOLUMES: [&str; 4] = ["/proc", "/sys", "/dev", "/run/lace"];

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
    if let Some(size) = volume.get("size")
        && (size.whole() == Some(0) || size.text().and_then(|text| text.parse().ok()) == Some(ByteSize(0)))
    {
        mistakes.hint(
            size.place,
            &key("size"),
            "a volume of size 0 holds nothing",
            "write a size such as 10GiB",
        );
    }
    let Some((said, at)) = volume.get("at").and_then(|said| Some((said, Path::new(said.text()?)))) else {
        return;
    };
    if let Some(taken) = NOT_FOR_VOLUMES.iter().find(|taken| at.starts_with(taken)) {
        let message = format!("{taken} belongs to the node itself");
        mistakes.hint(said.place, &key("at"), message, "write a path of its own, such as /var/lib/game");
    }
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
