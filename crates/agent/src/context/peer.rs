//! A node of the same family, as commands and templates see it.

use crate::spec::Subject;
use lace_model::NodePath;
use lace_model::document::{Member, Topic};
use serde::Serialize;
use std::net::Ipv4Addr;

/// One of the family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Index.
    pub index: u32,
    /// Stable DNS name.
    pub name: String,
    /// Address.
    pub address: Ipv4Addr,
    /// How it is.
    pub state: State,
    /// Its mesh of Erlang nodes.
    pub mesh: u64,
}

/// What a peer may expect of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its process does not run, or nothing is known of it yet.
    #[default]
    Down,
    /// Its process runs.
    Up,
    /// It does its work.
    Ready,
}

impl State {
    /// As templates say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::Ready => "ready",
        }
    }
}

impl Peer {
    /// A node at its place.
    pub fn at(path: &NodePath, address: Ipv4Addr) -> Self {
        Self { index: path.index, name: path.fqdn(), address, state: State::Down, mesh: 0 }
    }
}

impl From<&Member> for Peer {
    fn from(member: &Member) -> Self {
        let state = match (member.up, member.ready) {
            (_, true) => State::Ready,
            (true, false) => State::Up,
            (false, false) => State::Down,
        };
        Self { state, mesh: member.mesh, ..Self::at(&member.path, member.address) }
    }
}

/// How the subject itself is, as the topic says.
pub fn state_of(subject: &Subject, topic: Option<&Topic>) -> State {
    let mut members = topic.into_iter().flat_map(|topic| &topic.members);
    let me = members.find(|m| {
        m.address == subject.address && m.path.index == subject.index && subject.kin.holds(&m.path)
    });
    me.map(|member| Peer::from(member).state).unwrap_or_default()
}
