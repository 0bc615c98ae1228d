//! Fewer acts that still break it: what is told to people is as short as it can be.

use crate::plan::Plan;
use crate::run::run;

/// Runs at most, to shrink one plan.
const RUNS_MAX: usize = 300;

/// The places of the acts that the failure needs (delta debugging, Zeller and Hildebrandt, 2002, by halves of what is left).
pub fn shrink(plan: &Plan) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..plan.acts.len()).collect();
    let mut size = kept.len().div_ceil(2);
    let mut runs = 0;
    while size > 0 && runs < RUNS_MAX {
        let mut begin = 0;
        while begin < kept.len() && runs < RUNS_MAX {
            let end = (begin + size).min(kept.len());
            let fewer: Vec<_> = kept[..begin].iter().chain(&kept[end..]).copied().collect();
            runs += 1;
            if run(&plan.only(&fewer)).broken.is_some() {
                kept = fewer;
            } else {
                begin = end;
            }
        }
        size /= 2;
    }
    kept
}
