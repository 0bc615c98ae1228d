//! Sample parameters: what a template is rendered with before anything runs, and compared with golden files.

use super::setting::resolve;
use super::{Consumed, Package, Provided, Value};
use crate::Name;
use crate::manifest::Mistake;
use crate::manifest::format::Format;
use crate::manifest::mistake::{Mistakes, nearest};
use crate::manifest::shape::{self, Shape, form, key};
use crate::manifest::tree::Node;
use crate::name::ZONE;
use serde_json::{Map, json};
use std::collections::BTreeMap;

/// Largest file of sample parameters, in bytes.
const SAMPLE_BYTES_MAX: usize = 64 * 1024;
/// Most nodes of a role in a sample: golden files are read by people.
const MEMBERS_MAX: i64 = 20;

static SAMPLE: Shape = Shape::Table(&form(
    "sample",
    &[
        key("role", Shape::Text(Format::Name), r#""primary""#, "whose node it is").or("the first role"),
        key("index", Shape::Whole(1, MEMBERS_MAX), "1", "which of its nodes").or("1"),
        key(
            "members",
            Shape::Map(Format::Name, &Shape::Whole(0, MEMBERS_MAX)),
            "{ replica = 2 }",
            "nodes of each role",
        )
        .or("as the package says"),
        key(
            "settings",
            Shape::Map(Format::Variable, &Shape::Scalar),
            r#"{ maxmemory = "1MiB" }"#,
            "values of settings",
        ),
    ],
));

/// One set of sample parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Whose node; the first role where none is said.
    pub role: Option<Name>,
    /// Which of its nodes, from 1.
    pub index: u32,
    /// Nodes of each role.
    pub members: BTreeMap<Name, u32>,
    /// Settings, as people write them.
    pub settings: BTreeMap<String, String>,
}

/// Reads sample parameters of a package.
///
/// # Errors
/// All mistakes of the file: shapes, names that the package does not know, values that do not fit.
pub fn parse_sample(text: &str, package: &Package) -> Result<Sample, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let sample = super::text_within(text, SAMPLE_BYTES_MAX, &mut mistakes).map(|tree| {
        shape::check(&tree, &SAMPLE, "", &mut mistakes);
        against(&tree, package, &mut mistakes);
        read(&tree)
    });
    match (sample, mistakes.into_sorted()) {
        (Some(sample), none) if none.is_empty() => Ok(sample),
        (_, mistakes) => Err(mistakes),
    }
}

fn read(tree: &Node) -> Sample {
    let members = tree.each("members");
    let members =
        members.filter_map(|(key, node)| Some((Name::new(key.name.clone()).ok()?, node.whole()? as u32)));
    let settings = tree.each("settings").filter_map(|(key, node)| Some((key.name.clone(), node.scalar()?)));
    Sample {
        role: tree.parsed_of("role"),
        index: tree.u32_of("index").unwrap_or(1),
        members: members.collect(),
        settings: settings.collect(),
    }
}

fn against(tree: &Node, package: &Package, mistakes: &mut Mistakes) {
    let roles = || package.roles.keys().map(Name::as_str);
    let said = tree.get("role").and_then(|node| Some((node.place, node.text()?, "role")));
    let members = tree.each("members").map(|(key, _)| (key.place, key.name.as_str(), "members"));
    for (place, word, path) in said.into_iter().chain(members) {
        if Name::new(word).is_ok() && !roles().any(|role| role == word) {
            mistakes.hint(place, path, format!("there is no role {word:?}"), nearest(word, roles()));
        }
    }
    for (key, node) in tree.each("settings") {
        let path = format!("settings.{}", key.name);
        match (package.settings.get(&key.name), node.scalar()) {
            (None, _) => {
                let hint = nearest(&key.name, package.settings.keys().map(String::as_str));
                mistakes.hint(key.place, &path, format!("there is no setting {:?}", key.name), hint);
            }
            (Some(setting), Some(text)) => {
                if let Err(message) = setting.value(&text) {
                    mistakes.add(node.place, &path, message);
                }
            }
            (Some(_), None) => {}
        }
    }
}

impl Sample {
    /// The role whose node it is.
    pub fn role<'a>(&'a self, package: &'a Package) -> Option<&'a Name> {
        self.role.as_ref().or_else(|| package.roles.keys().next())
    }

    /// The document that the node would have.
    ///
    /// # Errors
    /// Settings that have no value, a line each.
    pub fn document(&self, package: &Package) -> Result<Value, Vec<String>> {
        let settings = resolve(&package.settings, &self.settings)?;
        let mut roles = Map::new();
        for (number, (name, role)) in package.roles.iter().enumerate() {
            let count = self.members.get(name).copied().unwrap_or(role.count);
            let mine = self.role(package) == Some(name);
            let count = if mine { count.max(self.index) } else { count };
            let members: Vec<Value> = (1..=count).map(|n| member(package, name, number, n)).collect();
            roles.insert(name.to_string(), members.into());
        }
        let own = self.role(package).and_then(|role| roles.get(role.as_str())).cloned().unwrap_or_default();
        let me = own.get(self.index as usize - 1).cloned().unwrap_or_default();
        let count = own.as_array().map_or(0, Vec::len);
        let ports: BTreeMap<&Name, Option<u16>> =
            package.ports.keys().map(|name| (name, package.port(name, &settings))).collect();
        let provides: BTreeMap<&Name, Value> = package.provides.iter().map(provided).collect();
        let links: BTreeMap<&String, Value> = package.consumes.iter().map(linked).collect();
        Ok(json!({
            "app": "sample", "service": package.name, "role": self.role(package),
            "package": { "name": package.name, "version": package.version },
            "self": me, "index": self.index, "first": own.get(0), "all": own, "members": own, "count": count,
            "roles": roles, "settings": settings, "ports": ports, "provides": provides, "links": links, "env": {}, "secrets": {},
        }))
    }
}

fn member(package: &Package, role: &Name, number: usize, index: u32) -> Value {
    let name = format!("{role}-{index}.{}.sample.{ZONE}", package.name);
    let address = format!("10.192.{number}.{}", index + 1);
    json!({ "index": index, "name": name, "fqdn": name, "address": address, "state": "ready", "node": null })
}

fn provided<'a>((name, provided): (&'a Name, &'a Provided)) -> (&'a Name, Value) {
    (name, if provided.password { json!({ "password": "sample" }) } else { json!({}) })
}

fn linked<'a>((name, consumed): (&'a String, &Consumed)) -> (&'a String, Value) {
    let host = format!("{name}-1.{name}.sample.{ZONE}");
    let link = json!({
        "service": name, "interface": consumed.interface, "port": 1, "name": host, "address": "10.192.99.2",
        "addresses": ["10.192.99.2"], "password": "sample",
        "url": format!("{}://:sample@{host}:1", consumed.interface),
    });
    (name, link)
}
