//! Which of the ready nodes gets a request: of two that are drawn, the one with less to do.
//!
//! Two random choices come close to the least loaded of all, cost the same for three nodes and for three thousand,
//! and do not send everybody to the same newcomer (Mitzenmacher, "The Power of Two Choices in Randomized Load
//! Balancing", IEEE TPDS 12(10), 2001). A newcomer is drawn less often for its first seconds.

use super::table::Member;
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// A newcomer gets its whole share after this time (caches fill, code is compiled).
const SLOW_START: Duration = Duration::from_secs(5);
/// What it gets at least, in thousandths.
const SHARE_MIN: u64 = 100;
const SHARE: u64 = 1_000;
/// Draws that may meet a newcomer that gives way.
const DRAWS_MAX: usize = 8;

/// A member for the next request; none where all are draining or do not fit.
pub(crate) fn pick(members: &[Arc<Member>], fits: impl Fn(&Arc<Member>) -> bool) -> Option<&Arc<Member>> {
    let stays = |m: &Arc<Member>| !m.is_draining() && fits(m);
    if let [only] = members {
        return Some(only).filter(|m| stays(m));
    }
    // None is well: one that is not is better than none.
    well(members, &fits).or_else(|| members.iter().find(|m| stays(m)))
}

/// The same among those that have not failed lately.
pub(crate) fn well(members: &[Arc<Member>], fits: impl Fn(&Arc<Member>) -> bool) -> Option<&Arc<Member>> {
    let good = |m: &Arc<Member>| !m.is_draining() && !m.is_alone() && fits(m);
    match (draw(members, good), draw(members, good)) {
        (Some(a), Some(b)) => Some(if b.outstanding() < a.outstanding() { b } else { a }),
        _ => members.iter().find(|m| good(m)),
    }
}

fn draw(members: &[Arc<Member>], fits: impl Fn(&Arc<Member>) -> bool) -> Option<&Arc<Member>> {
    let mut last = None;
    for _ in 0..DRAWS_MAX {
        let at = usize::try_from(random() % members.len().max(1) as u64).ok()?;
        let Some(member) = members.get(at).filter(|m| fits(m)) else { continue };
        if share(member.age()) > random() % SHARE {
            return Some(member);
        }
        last = Some(member);
    }
    last
}

fn share(age: Duration) -> u64 {
    if age >= SLOW_START {
        return SHARE;
    }
    let grown = SHARE * u64::try_from(age.as_millis()).unwrap_or(SHARE) / SLOW_START.as_millis() as u64;
    grown.max(SHARE_MIN)
}

/// Marsaglia's xorshift64* ("Xorshift RNGs", Journal of Statistical Software 8(14), 2003): good enough to spread load.
pub(crate) fn random() -> u64 {
    thread_local!(static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0) | 1));
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        state.set(x);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: u8) -> Vec<Arc<Member>> {
        let member = |n: u8| Member::new(([127, 0, 0, n], 80).into(), n.to_string(), Default::default());
        (1..=count).map(|n| Arc::new(member(n))).collect()
    }

    fn not_of(tried: &[Arc<Member>]) -> impl Fn(&Arc<Member>) -> bool + '_ {
        |member| !tried.iter().any(|t| Arc::ptr_eq(t, member))
    }

    #[test]
    fn load_goes_where_less_is_to_do() {
        let all = members(4);
        for _ in 0..400 {
            pick(&all, |_| true).expect("one").enter();
        }
        let loads: Vec<_> = all.iter().map(|m| m.outstanding()).collect();
        assert!(loads.iter().all(|load| (80..=120).contains(load)), "{loads:?}");
    }

    #[test]
    fn who_was_tried_or_leaves_is_not_picked() {
        let all = members(3);
        for _ in 0..50 {
            let picked = pick(&all, not_of(&all[..2])).expect("the third");
            assert!(Arc::ptr_eq(picked, &all[2]));
        }
        assert!(pick(&all, not_of(&all)).is_none());
        assert!(pick(&[], |_| true).is_none());
        let one = members(1);
        assert!(pick(&one, |_| true).is_some());
        assert!(pick(&one, not_of(&one)).is_none());
    }

    #[test]
    fn a_failing_node_is_avoided_while_there_are_others() {
        let all = members(2);
        (0..3).for_each(|_| all[0].failed());
        for _ in 0..50 {
            assert!(Arc::ptr_eq(pick(&all, |_| true).expect("one"), &all[1]));
        }
        assert!(Arc::ptr_eq(pick(&all, not_of(&all[1..])).expect("better than none"), &all[0]));
    }

    #[test]
    fn a_newcomer_gets_a_little_and_then_all() {
        assert_eq!(share(Duration::ZERO), 100);
        assert_eq!(share(Duration::from_millis(2_500)), 500);
        assert_eq!(share(Duration::from_secs(60)), 1_000);
    }

    /// How many of 10,000 requests a fifth node gets beside four that are known for long.
    fn newcomers_part(age: Duration) -> usize {
        let member = |n: u8, age| {
            let address = ([127, 0, 0, n], 80).into();
            Arc::new(Member::new(address, n.to_string(), Default::default()).known_for(age))
        };
        let mut all: Vec<_> = (1..=4).map(|n| member(n, SLOW_START)).collect();
        all.push(member(5, age));
        let is_newcomer = |picked: &&Arc<Member>| Arc::ptr_eq(picked, &all[4]);
        (0..10_000).filter_map(|_| pick(&all, |_| true)).filter(is_newcomer).count()
    }

    #[test]
    fn a_newcomers_part_of_the_requests_grows() {
        // With all others equal a draw that it gives way is repeated: s / (4 + s) of them for a share of s.
        let (first, half, whole) =
            (newcomers_part(Duration::ZERO), newcomers_part(SLOW_START / 2), newcomers_part(SLOW_START));
        assert!((150..=350).contains(&first), "a tenth of a share, 244: {first}");
        assert!((950..=1_300).contains(&half), "half a share, 1111: {half}");
        assert!((1_800..=2_200).contains(&whole), "a fifth: {whole}");
    }
}
