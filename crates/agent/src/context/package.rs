//! What a node of a package knows beside what every node does: its role, and the nodes of all roles.

use super::peer::{Peer, state_of};
use crate::spec::{Kin, Subject};
use lace_model::document::{Member, Topic};
use lace_model::package::PackageUse;
use lace_model::{AppName, Name, NodePath, ServiceName};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A node (or a job) of a service that is made of a package.
pub struct OfPackage {
    /// The application.
    pub app: AppName,
    /// The service.
    pub service: ServiceName,
    /// Its role; none for a job.
    pub role: Option<Name>,
    /// The package.
    pub used: PackageUse,
    /// The nodes of each role, by index; the node itself among them.
    roles: BTreeMap<Name, BTreeMap<u32, Peer>>,
}

impl OfPackage {
    /// What the subject is; nothing where it has no package.
    pub fn of(subject: &Subject, topic: Option<&Topic>) -> Option<Self> {
        let used = subject.spec.package.as_deref()?.clone();
        let service = subject.kin.service()?.service;
        let role = match subject.kin {
            Kin::Family(family) => Some(family.family.clone()),
            _ => None,
        };
        let mut roles: BTreeMap<Name, BTreeMap<u32, Peer>> =
            used.roles.keys().map(|role| (role.clone(), BTreeMap::new())).collect();
        for member in members(topic, &service) {
            if let Some(role) = roles.get_mut(&member.path.family.family) {
                role.insert(member.path.index, Peer::from(member));
            }
        }
        if let Kin::Family(family) = subject.kin {
            let path = NodePath { family: family.clone(), index: subject.index };
            let me = Peer { state: state_of(subject, topic), ..Peer::at(&path, subject.address) };
            roles.entry(family.family.clone()).or_default().insert(subject.index, me);
        }
        Some(Self { app: subject.app.clone(), service, role, used, roles })
    }

    /// Who the nodes of the service are, not how.
    pub fn members(&self) -> Vec<(&Name, u32, Ipv4Addr)> {
        let of_role =
            |(role, nodes)| BTreeMap::values(nodes).map(move |peer: &Peer| (role, peer.index, peer.address));
        self.roles.iter().flat_map(of_role).collect()
    }

    /// The fields of the document that other nodes do not have.
    pub fn fields(
        &self,
        place: impl Fn(&Peer) -> Value,
        secrets: &BTreeMap<String, String>,
    ) -> Map<String, Value> {
        let password = |(name, secret)| (name, json!({ "password": BTreeMap::get(secrets, secret) }));
        let provides: BTreeMap<&Name, Value> = self.used.passwords.iter().map(password).collect();
        let roles: BTreeMap<_, Vec<_>> =
            self.roles.iter().map(|(role, nodes)| (role, nodes.values().map(&place).collect())).collect();
        let fields = json!({
            "app": self.app, "service": self.service, "role": self.role,
            "package": { "name": self.used.name, "version": self.used.version },
            "roles": roles, "settings": self.used.settings, "ports": self.used.ports,
            "provides": provides,
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// The nodes of a service, whatever their family.
fn members<'t>(topic: Option<&'t Topic>, service: &ServiceName) -> impl Iterator<Item = &'t Member> {
    let members = topic.into_iter().flat_map(|topic| &topic.members);
    members.filter(move |member| member.path.index > 0 && member.path.family.service == *service)
}

/// What a node of a package was told of the nodes of its service.
pub fn kin_of(subject: &Subject, topic: Option<&Topic>) -> Vec<(Name, Peer)> {
    let Some(of) = OfPackage::of(subject, topic) else { return Vec::new() };
    let role = |(role, nodes): (Name, BTreeMap<u32, Peer>)| {
        nodes.into_values().map(move |peer| (role.clone(), peer)).collect::<Vec<_>>()
    };
    of.roles.into_iter().flat_map(role).collect()
}
