//! Failures on order.

use crate::provider::Error;
use std::collections::VecDeque;

/// A kind of call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "named as the calls of the trait; Describe is regions, zones, kinds and limits"
)]
pub enum Call {
    Check,
    Describe,
    EnsureNetwork,
    DeleteNetwork,
    CreateHost,
    Hosts,
    DeleteHost,
    CreateAddress,
    Addresses,
    LeadAddress,
    DeleteAddress,
    CreateVolume,
    Volumes,
    AttachVolume,
    DeleteVolume,
}

/// Failures that were ordered, in their order.
#[derive(Default)]
pub(super) struct Faults(VecDeque<(Call, Error, bool)>);

impl Faults {
    pub fn order(&mut self, call: Call, error: Error, after: bool) {
        self.0.push_back((call, error, after));
    }

    /// The failure of this call, and whether its work is done all the same.
    pub fn next(&mut self, call: Call) -> Option<(Error, bool)> {
        let at = self.0.iter().position(|(ordered, ..)| *ordered == call)?;
        self.0.remove(at).map(|(_, error, after)| (error, after))
    }
}
