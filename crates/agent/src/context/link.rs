//! Services that a node uses: where they answer, and with what password.

use super::peer::Peer;
use lace_model::document::Topic;
use lace_model::package::LinkUse;
use lace_model::revision::RevisionSpec;
use minijinja::Value;
use serde::Serialize;
use std::collections::BTreeMap;

/// A link as templates and scripts see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    service: String,
    interface: String,
    port: u16,
    /// The stable name of the first node that answers.
    name: Option<String>,
    /// Its address.
    address: Option<String>,
    /// Addresses of all of them.
    addresses: Vec<String>,
    /// Addresses of all its nodes, by role: also of those that answer something else, such as who is the primary now.
    roles: BTreeMap<String, Vec<String>>,
    /// Its ports by name, where it has others than that one.
    ports: BTreeMap<String, u16>,
    password: Option<String>,
    /// `INTERFACE://:PASSWORD@NAME:PORT`.
    url: Option<String>,
}

impl Link {
    fn of(used: &LinkUse, topic: Option<&Topic>, secrets: &BTreeMap<String, String>) -> Self {
        let nodes = nodes(used, topic);
        let first = nodes.first();
        let password = used.password.as_ref().and_then(|name| secrets.get(name)).cloned();
        let user = password.as_ref().map(|password| format!(":{}@", encoded(password))).unwrap_or_default();
        let url = |peer: &Peer| format!("{}://{user}{}:{}", used.interface, peer.name, used.port);
        Self {
            service: used.service.to_string(),
            interface: used.interface.to_string(),
            port: used.port,
            name: first.map(|peer| peer.name.clone()),
            address: first.map(|peer| peer.address.to_string()),
            addresses: nodes.iter().map(|peer| peer.address.to_string()).collect(),
            roles: roles(used, topic),
            ports: used.ports.iter().map(|(name, port)| (name.to_string(), *port)).collect(),
            url: first.map(url),
            password,
        }
    }
}

impl Link {
    /// As templates see it.
    pub fn value(&self) -> Value {
        let said = |text: &Option<String>| text.clone().map_or_else(|| Value::from(()), Value::from);
        Value::from_pairs([
            ("service", Value::from(self.service.clone())),
            ("interface", Value::from(self.interface.clone())),
            ("port", Value::from(self.port)),
            ("name", said(&self.name)),
            ("address", said(&self.address)),
            ("addresses", listed(&self.addresses)),
            ("roles", self.roles.iter().map(|(role, all)| (role.clone(), listed(all))).collect()),
            ("ports", self.ports.iter().map(|(name, port)| (name.clone(), Value::from(*port))).collect()),
            ("password", said(&self.password)),
            ("url", said(&self.url)),
        ])
    }
}

fn listed(texts: &[String]) -> Value {
    texts.iter().cloned().map(Value::from).collect()
}

/// A password within an address (RFC 3986, 2.1): all but unreserved characters as their bytes.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// The nodes that answer, in a fixed order: whether they are ready is theirs, and no reason to write a file again.
fn nodes(used: &LinkUse, topic: Option<&Topic>) -> Vec<Peer> {
    let members = topic.into_iter().flat_map(|topic| &topic.members);
    let answers = |family: &lace_model::FamilyPath| {
        family.service == used.service && used.families.contains(&family.family)
    };
    let mut found: Vec<_> = members.filter(|m| m.path.index > 0 && answers(&m.path.family)).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.into_iter().map(Peer::from).collect()
}

/// The addresses of all nodes of the service, in a fixed order.
fn roles(used: &LinkUse, topic: Option<&Topic>) -> BTreeMap<String, Vec<String>> {
    let members = topic.into_iter().flat_map(|topic| &topic.members);
    let of = |m: &&lace_model::document::Member| m.path.index > 0 && m.path.family.service == used.service;
    let mut found: Vec<_> = members.filter(of).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for member in found {
        let role = member.path.family.family.to_string();
        roles.entry(role).or_default().push(member.address.to_string());
    }
    roles
}

/// All links of a revision.
pub fn links(
    spec: &RevisionSpec,
    topic: Option<&Topic>,
    secrets: &BTreeMap<String, String>,
) -> BTreeMap<String, Link> {
    spec.links.iter().map(|(name, used)| (name.clone(), Link::of(used, topic, secrets))).collect()
}

/// Where links lead, passwords aside: when it changes, files do.
pub fn links_of(spec: &RevisionSpec, topic: Option<&Topic>) -> BTreeMap<String, Link> {
    links(spec, topic, &BTreeMap::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::{spec, topic};
    use serde_json::json;

    #[test]
    fn a_link_says_where_and_with_what_password() {
        let link = json!({ "service": "game", "interface": "redis", "port": 6379, "families": ["game"],
            "password": "LACE_PASSWORD_game" });
        let spec = RevisionSpec {
            links: BTreeMap::from([("store".to_owned(), serde_json::from_value(link).unwrap())]),
            ..spec()
        };
        let secrets = BTreeMap::from([("LACE_PASSWORD_game".to_owned(), "p@ss/word".to_owned())]);
        let found = links(&spec, Some(&topic(2)), &secrets);
        let link = &found["store"];
        assert_eq!(link.url.as_deref(), Some("redis://:p%40ss%2Fword@game-1.game.shop.lace.internal:6379"));
        assert_eq!((link.addresses.len(), link.password.as_deref()), (2, Some("p@ss/word")));
        assert_eq!(link.roles["game"], link.addresses);
        // Before anybody is there it leads nowhere, and says so.
        let nowhere = links(&spec, None, &secrets);
        assert_eq!((&nowhere["store"].url, &nowhere["store"].address), (&None, &None));
        assert_eq!(links_of(&spec, Some(&topic(2)))["store"].password, None);
    }
}
