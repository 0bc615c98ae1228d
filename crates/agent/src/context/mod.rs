//! What commands, environment and templates may say about the node and its family.

mod link;
mod package;
mod peer;
mod place;

pub use link::{Link, links_of};
pub use package::{OfPackage, kin_of};
pub use peer::{Peer, State, state_of};

use crate::spec::{Kin, Subject, speaks_of_peers};
use lace_model::beam::BeamNames;
use lace_model::document::{Member, Topic};
use lace_model::rendering::rendered;
use minijinja::Value;
use place::{Place, Places};
use serde_json::json;
use std::collections::BTreeMap;

/// Members that `context.json` lists at most where no text of the revision speaks of peers: the first ones. A family of
/// a thousand would otherwise put a thousand lists of a thousand into memory.
const MEMBERS_LISTED_MAX: usize = 100;

/// The document that templates see.
pub struct Context {
    me: Peer,
    peers: Vec<Peer>,
    /// Of all kin, listed or not.
    count: usize,
    /// Alive part of a BEAM node's name; `name@` stands before each host.
    beam: Option<(String, BeamNames)>,
    env: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    /// Another one than the lowest index.
    first: Option<(Peer, Option<(String, BeamNames)>)>,
    /// Services that it uses.
    links: BTreeMap<String, Link>,
    /// The package that it is made of, and who else is.
    package: Option<OfPackage>,
}

impl Context {
    /// The context of a node or job: its kin are what the topic says, a node itself included whatever the topic says.
    pub fn of(subject: &Subject, topic: Option<&Topic>, secrets: BTreeMap<String, String>) -> Self {
        let Kindred { listed: mut by_index, count } = kin(subject, topic);
        let me = Peer {
            index: subject.index,
            name: subject.fqdn.clone(),
            address: subject.address,
            state: state_of(subject, topic),
            mesh: subject.mesh.unwrap_or_default(),
        };
        if matches!(subject.kin, Kin::Family(_)) {
            by_index.insert(me.index, me.clone());
        }
        let beam = subject.spec.beam.as_ref().zip(subject.kin.service());
        let beam = beam.map(|(beam, service)| (crate::beam::base_name(beam, &service), beam.names));
        let peers: Vec<_> = by_index.into_values().collect();
        let count = count.max(peers.len());
        let links = link::links(subject.spec, topic, &secrets);
        Self {
            me,
            peers,
            count,
            beam,
            env: BTreeMap::new(),
            secrets,
            first: None,
            links,
            package: OfPackage::of(subject, topic),
        }
    }

    /// The family, by index, the node itself included.
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// Services that it uses.
    pub fn links(&self) -> &BTreeMap<String, Link> {
        &self.links
    }

    /// What it is as a node of a package.
    pub fn package(&self) -> Option<&OfPackage> {
        self.package.as_ref()
    }

    /// The node itself.
    pub fn me(&self) -> &Peer {
        &self.me
    }

    /// Rendered environment, which later templates may use.
    pub fn set_env(&mut self, env: BTreeMap<String, String>) {
        self.env = env;
    }

    /// Calls this one the first; one of another family has its own family's name before the `@`.
    pub fn set_first(&mut self, member: &Member, topic: Option<&Topic>) {
        let runtime = topic.and_then(|topic| topic.runtimes.get(&member.path.family)).cloned();
        self.first = Some((member.into(), runtime));
    }

    fn place(&self, peer: &Peer) -> Place {
        self.place_of(peer, self.beam.as_ref())
    }

    fn place_of(&self, peer: &Peer, runtime: Option<&(String, BeamNames)>) -> Place {
        let node = runtime.map(|(name, names)| crate::beam::node_name(name, *names, peer));
        let (index, name, address) = (peer.index, peer.name.clone(), peer.address.to_string());
        Place { index, name, address, state: peer.state.as_str(), node }
    }

    fn value(&self) -> Value {
        let all: Vec<_> = self.peers.iter().map(|peer| self.place(peer)).collect();
        let first = match &self.first {
            Some((peer, runtime)) => Some(self.place_of(peer, runtime.as_ref())),
            None => self.peers.first().map(|peer| self.place(peer)),
        };
        let first = first.map(Value::from_object);
        minijinja::context! {
            self => Value::from_object(self.place(&self.me)),
            index => self.me.index,
            first => first,
            all => Value::from_object(Places(all)),
            members => self.peers.iter().map(|peer| Value::from_object(self.place(peer))).collect::<Vec<_>>(),
            env => &self.env,
            secrets => &self.secrets,
            links => Value::from_pairs(self.links.iter().map(|(name, link)| (name, link.value()))),
        }
    }

    /// Renders one text. Words that are not known are errors, and the message names `what`.
    pub fn render(&self, what: &str, template: &str) -> Result<String, String> {
        if !template.contains("{{") && !template.contains("{%") && !template.contains("{#") {
            return Ok(template.to_owned());
        }
        rendered(template, self.value()).map_err(|e| format!("{what}: {}", deepest(&e)))
    }

    /// The same as JSON: what a package's templates are rendered over.
    pub fn document(&self) -> serde_json::Value {
        let place = |peer: &Peer| {
            let place = self.place(peer);
            json!({ "index": place.index, "name": place.name, "fqdn": place.name, "address": place.address,
                "state": place.state, "node": place.node })
        };
        let members: Vec<_> = self.peers.iter().map(place).collect();
        let mut document = json!({ "self": place(&self.me), "index": self.me.index, "first": members.first(),
            "all": members, "members": members, "count": self.count, "env": self.env, "secrets": self.secrets, "links": self.links });
        if let (Some(package), Some(fields)) = (&self.package, document.as_object_mut()) {
            fields.extend(package.fields(place, &self.secrets));
        }
        document
    }

    /// The same for the node's own programs (`/run/lace/context.json`).
    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.document()).unwrap_or_default()
    }
}

/// Those of a topic that count as a subject's peers.
pub struct Kindred {
    /// By index; of a large family the first ones, unless the subject's texts speak of peers.
    pub listed: BTreeMap<u32, Peer>,
    /// How many there are, listed or not.
    pub count: usize,
}

/// The subject's peers.
pub fn kin(subject: &Subject, topic: Option<&Topic>) -> Kindred {
    let members = topic.into_iter().flat_map(|topic| &topic.members);
    // Whoever is of another mesh is nobody that it could speak to.
    let is_near = |m: &&Member| subject.mesh.is_none_or(|mesh| mesh == m.mesh);
    let holds = |m: &&Member| m.path.index > 0 && subject.kin.holds(&m.path);
    let mut kin: Vec<_> = members.filter(holds).filter(is_near).collect();
    let count = kin.len();
    if count > MEMBERS_LISTED_MAX && subject.spec.beam.is_none() && !speaks_of_peers(subject.spec) {
        kin.sort_unstable_by_key(|m| m.path.index);
        kin.truncate(MEMBERS_LISTED_MAX);
    }
    let listed = kin.into_iter().map(|member| (member.path.index, Peer::from(member))).collect();
    Kindred { listed, count }
}

/// The word for an error that a person can act on.
fn deepest(error: &minijinja::Error) -> String {
    let line = error.line().map_or(String::new(), |line| format!(" (line {line})"));
    match error.detail() {
        Some(detail) => format!("{}: {detail}{line}", error.kind()),
        None => format!("{}{line}", error.kind()),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use lace_model::document::NodeEntry;
    use lace_model::target::Want;
    use lace_model::{Generation, NodeId};
    use std::net::Ipv4Addr;

    /// A node entry of a family, for tests.
    pub fn entry(index: u32, spec: lace_model::revision::RevisionSpec) -> NodeEntry {
        NodeEntry {
            id: NodeId::derive(&[0; 32], &index.to_string()),
            path: format!("shop/game/game/{index}").parse().unwrap(),
            address: Ipv4Addr::new(10, 228, 0, 1 + index as u8),
            revision: 1,
            spec,
            want: Want::Run,
            votes: None,
            mesh: 0,
        }
    }

    /// A topic with so many members.
    pub fn topic(count: u32) -> Topic {
        let member = |index: u32| Member {
            node: NodeId::derive(&[0; 32], &index.to_string()),
            path: format!("shop/game/game/{index}").parse().unwrap(),
            address: Ipv4Addr::new(10, 228, 0, 1 + index as u8),
            up: true,
            ready: true,
            openings: Vec::new(),
            revision: 0,
            mesh: 0,
            joined: false,
        };
        Topic {
            app: "shop".parse().unwrap(),
            generation: Generation::default(),
            members: (1..=count).map(member).collect(),
            ports: BTreeMap::new(),
            doors: BTreeMap::new(),
            shares: Default::default(),
            certificates: Vec::new(),
            challenges: Vec::new(),
            runtimes: Default::default(),
        }
    }

    /// A spec that says nothing.
    pub fn spec() -> lace_model::revision::RevisionSpec {
        serde_json::from_value(json!({ "release": "", "tree": null, "kind": "generic", "start": ["true"] }))
            .unwrap()
    }

    #[test]
    fn a_node_of_a_package_knows_all_roles_and_its_settings() {
        let bounds = json!({ "min": 0, "max": 9 });
        let package = json!({ "name": "cache", "version": "1", "tree": lace_model::Digest::of(b""),
            "roles": { "game": bounds, "other": bounds }, "settings": { "size": 7 }, "ports": { "main": 80 } });
        let spec = lace_model::revision::RevisionSpec {
            package: Some(serde_json::from_value(package).unwrap()),
            ..spec()
        };
        let mut topic = topic(1);
        topic.members[0].path = "shop/game/other/4".parse().unwrap();
        let entry = entry(2, spec);
        let document = Context::of(&Subject::node(&entry), Some(&topic), BTreeMap::new()).document();
        let said = (&document["role"], &document["settings"]["size"], &document["ports"]["main"]);
        assert_eq!(said, (&json!("game"), &json!(7), &json!(80)));
        assert_eq!(document["roles"]["other"][0]["name"], "other-4.game.shop.lace.internal");
        assert_eq!(document["roles"]["game"][0]["address"], "10.228.0.3");
    }

    #[test]
    fn texts_know_the_node_its_family_and_its_secrets() {
        let secrets = BTreeMap::from([("KEY".to_owned(), "hidden".to_owned())]);
        let context = Context::of(&Subject::node(&entry(2, spec())), Some(&topic(3)), secrets);
        let table = [
            ("plain", "plain"),
            ("{{self}}", "game-2.game.shop.lace.internal"),
            ("{{self.address}}", "10.228.0.3"),
            ("{{ self.name }}:{{ index }}", "game-2.game.shop.lace.internal:2"),
            ("{{first}}", "game-1.game.shop.lace.internal"),
            ("{{first.state}} {{self.state}}", "ready ready"),
            (
                "{{all}}",
                "game-1.game.shop.lace.internal,game-2.game.shop.lace.internal,game-3.game.shop.lace.internal",
            ),
            ("{% for m in all %}{{ m.index }},{% endfor %}", "1,2,3,"),
            ("{{ all | length }} {{ members[2].address }}", "3 10.228.0.4"),
            ("{{ secrets.KEY }}\n", "hidden\n"),
        ];
        for (template, expected) in table {
            assert_eq!(context.render("test", template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn a_large_family_is_listed_as_a_whole_only_where_the_texts_speak_of_it() {
        let listed = |spec| {
            let node = entry(200, spec);
            let context = Context::of(&Subject::node(&node), Some(&topic(200)), BTreeMap::new());
            let document: serde_json::Value = serde_json::from_slice(&context.json()).unwrap();
            (document["members"].as_array().unwrap().len(), document["count"].as_u64().unwrap())
        };
        // Itself is always there.
        assert_eq!(listed(spec()), (MEMBERS_LISTED_MAX + 1, 200));
        let mut speaks = spec();
        speaks.env.insert("PEERS".into(), "{{all}}".into());
        assert_eq!(listed(speaks), (200, 200));
    }

    #[test]
    fn an_unknown_word_is_an_error_that_names_the_place() {
        let context = Context::of(&Subject::node(&entry(1, spec())), None, BTreeMap::new());
        let error = context.render("env URL", "{{ links.db.url }}").unwrap_err();
        assert!(error.starts_with("env URL: undefined value"), "{error}");
        assert_eq!(context.render("x", "{{all}}").unwrap(), "game-1.game.shop.lace.internal");
    }
}
