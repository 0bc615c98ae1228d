//! The controller as a voter: where a family has an even number of nodes, its vote decides which half goes on.
//!
//! It is asked only where the nodes alone make no majority (see `lace-vote`), so nothing waits for it in a family that is
//! whole. What it promised is in memory alone: a controller that was restarted gives no vote for as long as a promise lasts, and
//! a restored one has another seat, for the former one may be there still. The committed vote set is read before each
//! answer, so from its commit on nobody gets a vote by an older one.

use lace_model::target::{PlannedNode, Target, witness_seat};
use lace_model::{FamilyPath, HostId, NodeId};
use lace_store::{Store, StoreError};
use lace_vote::{Elector, Message, Output, Terms, VoteSet};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Families that are remembered before those without a promise are looked for.
const FAMILIES_MAX: usize = 1_024;

/// The witness of all families.
pub struct Witness {
    store: Store,
    seat: u32,
    incarnation: u64,
    began: Instant,
    electors: Mutex<HashMap<FamilyPath, Elector>>,
}

impl Witness {
    /// The witness of a controller that begins now, with the state for itself. `incarnation`: another one for each start.
    pub fn new(store: Store, incarnation: u64) -> Self {
        let seat = witness_seat(store.epoch());
        Self { store, seat, incarnation, began: Instant::now(), electors: Mutex::default() }
    }

    /// A node of a host says something. The answer, where there is one; none to who is no such node.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn heard(
        &self,
        host: HostId,
        (node, family): (NodeId, &FamilyPath),
        message: Message,
    ) -> Result<Option<Message>, StoreError> {
        let Some(target) = self.store.get::<Target>(&family.to_string())?.map(|row| row.value) else {
            return Ok(None);
        };
        let is_it = |n: &&PlannedNode| n.id == node && n.host == host && n.index == message.from;
        let Some(set) = target.nodes.iter().find(is_it).and(set_of(&target)) else { return Ok(None) };
        // A clock that stands still while the machine sleeps keeps promises for longer, never for less.
        let now = self.began.elapsed().as_millis() as u64;
        let mut electors = self.electors.lock().unwrap_or_else(PoisonError::into_inner);
        if electors.len() >= FAMILIES_MAX {
            electors.retain(|_, elector| !elector.is_idle(now));
        }
        let fresh = || Elector::new(self.seat, self.incarnation, Terms::USUAL, 0);
        let elector = electors.entry(family.clone()).or_insert_with(fresh);
        elector.order(now, set);
        let said = elector.heard(now, message);
        Ok(said.into_iter().find_map(|output| match output {
            Output::Send { to, message: answer } if to == message.from => Some(answer),
            _ => None,
        }))
    }
}

fn set_of(target: &Target) -> Option<VoteSet> {
    let order = &target.votes.as_ref()?.order;
    let nodes = VoteSet::first(order.seats.iter().map(|seat| seat.index));
    let set = match order.witness {
        Some(seat) => nodes.with_witness(seat),
        None => nodes,
    };
    Some(VoteSet { generation: order.generation, ..set })
}
