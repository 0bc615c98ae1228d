//! What the family says of its hosts, beside their room: pools, its condition, and what reaches what.

use super::input::{FamilyInput, HostView};
use crate::condition::Condition;
use lace_model::host::Network;
use lace_model::reason::HostRejection;
use lace_model::{HostId, Name};
use std::collections::BTreeMap;

/// Hosts that the family does not want, whatever room they have. The same for all revisions.
pub(super) fn unwanted(input: &FamilyInput) -> BTreeMap<HostId, HostRejection> {
    let family = input.family;
    let condition = family.condition.as_deref().map(|text| (text, Condition::parse(text)));
    if family.pools.is_empty() && condition.is_none() {
        return BTreeMap::new();
    }
    let why = |view: &HostView| {
        if place_in_order(view, &family.pools).is_none() {
            return Some(HostRejection::Pool { pools: family.pools.clone() });
        }
        let (text, condition) = condition.as_ref()?;
        let held = condition.as_ref().map_err(Clone::clone);
        match held.and_then(|condition| condition.holds(&view.host, view.pool.as_deref())) {
            Ok(true) => None,
            Ok(false) => Some(HostRejection::Condition { text: (*text).to_owned(), cause: None }),
            Err(cause) => Some(HostRejection::Condition { text: (*text).to_owned(), cause: Some(cause) }),
        }
    };
    input.hosts.iter().filter_map(|view| Some((view.host.id, why(view)?))).collect()
}

/// The place of a host's pool in the order of the family's; the first where it says none.
pub(super) fn place_in_order(view: &HostView, pools: &[Name]) -> Option<usize> {
    if pools.is_empty() {
        return Some(0);
    }
    let pool = view.host.pool.as_ref()?;
    pools.iter().position(|named| named == pool)
}

/// The network that a family's nodes are in: names lead to all of them from each, so they must reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home(pub Option<Network>);

impl Home {
    /// Where its nodes are that can still be reached.
    pub fn of_nodes<'a>(mut hosts: impl Iterator<Item = &'a HostView>) -> Option<Self> {
        hosts.find(|view| view.liveness.connected).map(|view| Self(view.host.network()))
    }

    /// The network whose hosts together take the most nodes, of those that take any.
    pub fn roomiest(fits: impl Iterator<Item = (Option<Network>, u64)>) -> Option<Self> {
        let mut networks: BTreeMap<Option<Network>, u64> = BTreeMap::new();
        for (network, nodes) in fits {
            *networks.entry(network).or_default() += nodes;
        }
        let best = networks.into_iter().rev().max_by_key(|(_, nodes)| *nodes)?;
        Some(Self(best.0))
    }

    /// Why a host is not in it, if so.
    pub fn lacks(&self, view: &HostView) -> Option<HostRejection> {
        let network = view.host.network();
        let word =
            |network: &Option<Network>| network.as_ref().map_or("no network".to_owned(), Network::to_string);
        (network != self.0).then(|| HostRejection::Network { network: word(&network), nodes: word(&self.0) })
    }
}
