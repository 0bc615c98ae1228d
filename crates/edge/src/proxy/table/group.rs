//! The nodes that may answer a route, in bands: each band gets its part of the requests, and divides it by load.
//!
//! A family has one band; two where a rollout divides its requests between revisions. A band of which nobody is ready
//! leaves its part to the others: an answer from the other side is better than none.

use super::Member;
use crate::proxy::balance::{self, random};
use lace_model::document::{self, RevisionShare};
use std::sync::Arc;

/// All requests of a family without a weight of its own count so much for each ready node.
const NODE_WEIGHT: u64 = 1;
/// A share is in thousandths of its family's weight.
const WHOLE: u64 = 1_000;

/// Like nodes that can answer.
pub(crate) struct Group {
    /// For people: the target that would be scaled.
    pub target: String,
    /// Nodes that are there, ready or not.
    pub known: usize,
    /// Each has somebody; the heaviest first, those without a part last.
    bands: Vec<Band>,
    weight: u64,
    /// Requests that one node gets at a time; more wait.
    pub most: Option<u32>,
}

#[derive(Default)]
struct Band {
    weight: u64,
    ready: Vec<Arc<Member>>,
}

/// What a group is made from: the nodes of one family.
pub(super) struct Side {
    /// Said by the route; none where each node counts the same.
    pub weight: Option<u16>,
    pub share: Option<RevisionShare>,
    /// The ready ones, each with its revision.
    pub ready: Vec<(u64, Arc<Member>)>,
}

impl Group {
    pub(super) fn of(target: String, known: usize, sides: Vec<Side>) -> Self {
        let mut bands: Vec<Band> = Vec::new();
        let mut common = Band::default();
        for side in sides.into_iter().filter(|side| !side.ready.is_empty()) {
            match (side.weight, side.share) {
                (None, None) => common.ready.extend(side.ready.into_iter().map(|(_, member)| member)),
                _ => bands.extend(side.bands()),
            }
        }
        common.weight = common.ready.len() as u64 * NODE_WEIGHT * WHOLE;
        bands.push(common);
        bands.retain(|band| !band.ready.is_empty());
        bands.sort_by_key(|band| std::cmp::Reverse(band.weight));
        let weight = bands.iter().map(|band| band.weight).sum();
        Self { target, known, bands, weight, most: None }
    }

    /// With a bound on what one node gets at a time.
    pub fn with_most(self, most: Option<u32>) -> Self {
        Self { most, ..self }
    }

    /// Is anybody ready?
    pub fn has_ready(&self) -> bool {
        !self.bands.is_empty()
    }

    /// May the member get one more?
    pub fn has_place(&self, member: &Member) -> bool {
        self.most.is_none_or(|most| member.outstanding() < most)
    }

    /// A member for the next request; none where all are tried, draining or gone.
    pub fn pick(&self, tried: &[Arc<Member>]) -> Option<&Arc<Member>> {
        let fits =
            |member: &Arc<Member>| self.has_place(member) && !tried.iter().any(|t| Arc::ptr_eq(t, member));
        if let [only] = self.bands.as_slice() {
            return balance::pick(&only.ready, fits);
        }
        let drawn = self.draw();
        let first = drawn.and_then(|at| self.bands.get(at));
        let parts = || first.into_iter().chain(self.bands.iter().filter(|band| band.weight > 0));
        let idle = || self.bands.iter().filter(|band| band.weight == 0);
        parts()
            .find_map(|band| balance::well(&band.ready, fits))
            .or_else(|| parts().find_map(|band| balance::pick(&band.ready, fits)))
            .or_else(|| idle().find_map(|band| balance::pick(&band.ready, fits)))
    }

    /// By the weights.
    fn draw(&self) -> Option<usize> {
        let mut left = random().checked_rem(self.weight)?;
        self.bands.iter().position(|band| {
            let here = left < band.weight;
            left = left.saturating_sub(band.weight);
            here
        })
    }

    /// The member that a client's cookie names, where that has a part of the requests.
    pub fn marked(&self, mark: &str) -> Option<&Arc<Member>> {
        let parts = self.bands.iter().filter(|band| band.weight > 0);
        parts.flat_map(|band| &band.ready).find(|member| member.mark == mark)
    }
}

impl Side {
    fn bands(self) -> [Band; 2] {
        let weight = self.weight.map_or(self.ready.len() as u64 * NODE_WEIGHT, u64::from);
        let (mut new, mut old) = (Band::default(), Band::default());
        for (revision, member) in self.ready {
            let is_new = self.share.is_some_and(|share| share.revision == revision);
            if is_new { &mut new } else { &mut old }.ready.push(member);
        }
        let permille = match self.share {
            _ if new.ready.is_empty() => 0,
            _ if old.ready.is_empty() => WHOLE,
            share => share.map_or(0, |share| u64::from(share.permille).min(WHOLE)),
        };
        (new.weight, old.weight) = (weight * permille, weight * (WHOLE - permille));
        [new, old]
    }
}

/// Does the member get traffic?
pub(super) fn is_ready(member: &document::Member) -> bool {
    member.up && member.ready
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn member(name: u8) -> Arc<Member> {
        Arc::new(Member::new(([127, 0, 0, name], 80).into(), name.to_string(), Default::default()))
    }

    fn side(weight: Option<u16>, share: Option<(u64, u16)>, ready: &[(u64, u8)]) -> Side {
        let share = share.map(|(revision, permille)| RevisionShare { revision, permille });
        Side {
            weight,
            share,
            ready: ready.iter().map(|(revision, name)| (*revision, member(*name))).collect(),
        }
    }

    /// Who gets how many of 10,000 requests, to the next hundred.
    fn parts(sides: Vec<Side>) -> BTreeMap<String, u32> {
        let group = Group::of("shop/web".into(), 9, sides);
        let mut got = BTreeMap::<String, u32>::new();
        for _ in 0..10_000 {
            *got.entry(group.pick(&[]).expect("somebody").mark.clone()).or_default() += 1;
        }
        got
    }

    #[track_caller]
    fn near(got: &BTreeMap<String, u32>, name: &str, expected: u32) {
        let got = got.get(name).copied().unwrap_or(0);
        assert!(got.abs_diff(expected) <= 300, "{name} got {got} of {expected}");
    }

    #[test]
    fn families_get_what_their_weights_say() {
        let got = parts(vec![side(Some(90), None, &[(1, 1)]), side(Some(10), None, &[(1, 2)])]);
        near(&got, "1", 9_000);
        near(&got, "2", 1_000);
        let got = parts(vec![side(Some(90), None, &[]), side(Some(10), None, &[(1, 2)])]);
        near(&got, "2", 10_000);
    }

    #[test]
    fn a_new_revision_gets_its_share_and_nobody_is_left_without_an_answer() {
        for (permille, ready, new, old) in [
            (50, &[(1, 1), (2, 2)][..], 500, 9_500),
            (0, &[(1, 1), (2, 2)], 0, 10_000),
            (1_000, &[(1, 1), (2, 2)], 10_000, 0),
            (0, &[(2, 2)], 10_000, 0),
            (1_000, &[(1, 1)], 0, 10_000),
        ] {
            let got = parts(vec![side(None, Some((2, permille)), ready)]);
            near(&got, "2", new);
            near(&got, "1", old);
            assert!(new > 0 || !got.contains_key("2"), "{permille}: {got:?}");
        }
    }

    #[test]
    fn a_family_without_a_word_has_a_part_for_each_node() {
        let got = parts(vec![
            side(None, None, &[(1, 1), (1, 2), (1, 3)]),
            side(None, Some((2, 500)), &[(2, 4), (1, 5)]),
        ]);
        near(&got, "4", 2_000);
        near(&got, "5", 2_000);
    }

    #[test]
    fn who_was_tried_is_followed_by_the_other_band() {
        let group = Group::of(String::new(), 2, vec![side(None, Some((2, 0)), &[(1, 1), (2, 2)])]);
        let first = group.pick(&[]).expect("the old one").clone();
        assert_eq!(first.mark, "1");
        assert_eq!(group.pick(&[first]).expect("the new one").mark, "2");
        assert!(group.marked("1").is_some() && group.marked("2").is_none());
    }
}
