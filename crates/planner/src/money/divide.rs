//! An amount in parts that are whole, and whose sum is the amount.

use std::collections::BTreeMap;

/// Divides by shares: everybody gets what is due, rounded down, and those who lose most by that get a millionth more until
/// nothing is left (largest remainders, Hamilton 1792). Among equals the first by name. Who has no share gets no line.
pub fn divide<K: Ord + Clone>(micro: u64, shares: &BTreeMap<K, u64>) -> BTreeMap<K, i64> {
    let whole: u128 = shares.values().map(|share| u128::from(*share)).sum();
    let some = || shares.iter().filter(|(_, share)| **share > 0);
    if whole == 0 {
        // Nobody has a share: the first pays, since somebody has to.
        let first = shares.keys().next().cloned();
        return first.map(|who| (who, amount(u128::from(micro)))).into_iter().collect();
    }
    let due = |share: u64| u128::from(micro) * u128::from(share);
    let mut parts: BTreeMap<K, i64> =
        some().map(|(who, share)| (who.clone(), amount(due(*share) / whole))).collect();
    let given: u128 = some().map(|(_, share)| due(*share) / whole).sum();
    let mut left: Vec<(u128, &K)> = some().map(|(who, share)| (due(*share) % whole, who)).collect();
    left.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let over = usize::try_from(u128::from(micro) - given).unwrap_or_default();
    for (_, who) in left.into_iter().take(over) {
        parts.entry(who.clone()).and_modify(|part| *part += 1);
    }
    parts.retain(|_, part| *part != 0);
    parts
}

/// Amounts above nine trillion are beyond every price for every time.
fn amount(micro: u128) -> i64 {
    i64::try_from(micro).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_remainder_gets_what_is_left() {
        let shares = [("a", 1), ("b", 1), ("c", 1), ("d", 0)].into();
        assert_eq!(divide(10, &shares), [("a", 4), ("b", 3), ("c", 3)].into());
        assert_eq!(divide(1, &shares), [("a", 1)].into());
        assert_eq!(divide(5, &[("a", 0)].into()), [("a", 5)].into());
    }

    proptest! {
        #[test]
        fn parts_make_the_whole_and_are_fair(
            micro in 0_u64..1 << 40,
            shares in proptest::collection::btree_map(0_u8..20, 0_u64..1 << 50, 1..20),
        ) {
            let parts = divide(micro, &shares);
            prop_assert_eq!(parts.values().sum::<i64>(), micro as i64);
            let whole: u128 = shares.values().map(|s| u128::from(*s)).sum();
            for (who, share) in &shares {
                let Some(due) = (u128::from(micro) * u128::from(*share)).checked_div(whole) else { break };
                let part = u128::try_from(parts.get(who).copied().unwrap_or_default()).unwrap();
                prop_assert!(part == due || part == due + 1);
            }
        }
    }
}
