//! What doors carried lately: the difference of what they said now and a while ago.

use lace_model::Millis;
use lace_model::traffic::{Flows, Series, Traffic};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Doors are asked every 5 s: the numbers are of the last 10 to 15.
const KEPT: usize = 4;

/// What a door said, and when.
type Told = (Millis, Arc<Traffic>);

/// What the door of one host said the last few times, the newest last.
#[derive(Default)]
pub(crate) struct Said(VecDeque<Told>);

impl Said {
    pub fn note(&mut self, now: Millis, traffic: Traffic) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((now, Arc::new(traffic)));
    }

    pub fn last(&self) -> Option<Arc<Traffic>> {
        self.0.back().map(|(_, traffic)| Arc::clone(traffic))
    }

    fn ends(&self) -> Option<(&Told, &Told)> {
        Some((self.0.front()?, self.0.back()?))
    }
}

/// The flows of all hosts together.
pub(crate) fn together<'a>(hosts: impl Iterator<Item = &'a Said>) -> Flows {
    let mut flows = Flows::default();
    let mut sums: [BTreeMap<String, Series>; 3] = Default::default();
    for ((then, before), (now, after)) in hosts.filter_map(Said::ends) {
        flows.span_ms = flows.span_ms.max(now.saturating_sub(*then));
        let sorts: [fn(&Traffic) -> &[Series]; 3] = [|t| &t.routes, |t| &t.families, |t| &t.nodes];
        for (sum, sort) in sums.iter_mut().zip(sorts) {
            let known: BTreeMap<&str, &Series> = sort(before).iter().map(|s| (s.name.as_str(), s)).collect();
            for series in sort(after) {
                let before = known.get(series.name.as_str()).filter(|before| before.of == series.of);
                let carried = match before {
                    Some(before) => series.carried.since(&before.carried),
                    None => series.carried.clone(),
                };
                let entry = sum.entry(series.name.clone());
                let all =
                    entry.or_insert_with(|| Series { of: series.of.clone(), ..Series::named(&series.name) });
                all.carried.add(&carried);
            }
        }
    }
    [flows.routes, flows.families, flows.nodes] = sums.map(|sum| sum.into_values().collect());
    flows
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::traffic::Carried;

    fn traffic(answers: u64, open: u64) -> Traffic {
        let carried = Carried { classes: [0, answers, 0, 0, 0], open, ..Carried::default() };
        let of = "shop/web".to_owned();
        Traffic {
            families: vec![Series { of, carried, ..Series::named("shop/web/web") }],
            ..Traffic::default()
        }
    }

    #[test]
    fn hosts_are_added_up_and_only_what_is_new_counts() {
        let (mut one, mut other) = (Said::default(), Said::default());
        for n in 0..6 {
            one.note(n * 5_000, traffic(100 * n, 2));
            other.note(n * 5_000, traffic(7, 1));
        }
        let flows = together([&one, &other].into_iter());
        assert_eq!(flows.span_ms, 15_000);
        let series = &flows.families[0];
        assert_eq!((series.carried.classes[1], series.carried.open), (300, 3));
        assert_eq!(one.last().expect("said").families[0].carried.classes[1], 500);
    }

    #[test]
    fn a_door_that_began_anew_counts_from_nothing() {
        let mut one = Said::default();
        one.note(0, traffic(1_000, 0));
        one.note(5_000, traffic(20, 0));
        assert_eq!(together([&one].into_iter()).families[0].carried.classes[1], 20);
    }
}
