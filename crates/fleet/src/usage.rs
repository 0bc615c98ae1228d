//! What nodes used, in rings of fixed steps: fine ones for the last quarter of an hour, coarse ones for half a day.
//!
//! One node costs at most `16 * (FINE_KEPT + COARSE_KEPT)` bytes, 8.6 KB; nothing of it is stored.

use crate::liveness::UsageNow;
use lace_model::Millis;
use lace_wire::api::UsagePoint;
use std::collections::VecDeque;

/// Between two fine moments.
const FINE_MS: u64 = 5_000;
/// Fine moments: 15 minutes.
const FINE_KEPT: usize = 180;
/// Between two coarse moments.
const COARSE_MS: u64 = 120_000;
/// Coarse moments: 12 hours.
const COARSE_KEPT: usize = 360;

/// A moment in 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    at_s: u32,
    cpu_millis: u32,
    memory_kib: u32,
    pids: u32,
}

impl Moment {
    fn point(self) -> UsagePoint {
        let Self { at_s, cpu_millis, memory_kib, pids } = self;
        UsagePoint { at: u64::from(at_s) * 1000, cpu_millis, memory: u64::from(memory_kib) << 10, pids }
    }
}

/// What one node used.
#[derive(Clone, Debug, Default)]
pub struct UsageHistory {
    fine: Ring,
    coarse: Ring,
}

impl UsageHistory {
    /// Takes in what a beat said.
    pub fn note(&mut self, now: &UsageNow) {
        self.fine.note(now, FINE_MS, FINE_KEPT);
        self.coarse.note(now, COARSE_MS, COARSE_KEPT);
    }

    /// All moments, the oldest first: coarse ones before the fine ones begin.
    pub fn points(&self) -> Vec<UsagePoint> {
        let from = self.fine.kept.front().map_or(u32::MAX, |m| m.at_s);
        let coarse = self.coarse.kept.iter().filter(|m| m.at_s < from);
        coarse.chain(&self.fine.kept).map(|m| m.point()).collect()
    }
}

#[derive(Clone, Debug, Default)]
struct Ring {
    kept: VecDeque<Moment>,
    /// Processor time and moment of the last entry, to say the mean of a step.
    last: Option<(u64, Millis)>,
}

impl Ring {
    fn note(&mut self, now: &UsageNow, step_ms: u64, kept: usize) {
        let Some((cpu_us, at)) = self.last else {
            self.last = Some((now.usage.cpu_us, now.at));
            return;
        };
        let past_ms = now.at.saturating_sub(at);
        // Beats come a little early or late: a step is over when the next beat would be too late.
        if past_ms + 500 < step_ms {
            return;
        }
        let used_us = now.usage.cpu_us.saturating_sub(cpu_us);
        self.last = Some((now.usage.cpu_us, now.at));
        if self.kept.len() == kept {
            self.kept.pop_front();
        }
        self.kept.push_back(Moment {
            at_s: u32::try_from(now.at / 1000).unwrap_or(u32::MAX),
            cpu_millis: u32::try_from(used_us / past_ms.max(1)).unwrap_or(u32::MAX),
            memory_kib: u32::try_from(now.usage.memory >> 10).unwrap_or(u32::MAX),
            pids: now.usage.pids,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::NodeId;
    use lace_wire::link::frame::NodeUsage;

    /// Beats each second of a node that uses half a processor.
    fn history(seconds: u64) -> UsageHistory {
        let mut history = UsageHistory::default();
        let node: NodeId = "00000000-0000-0000-0000-0000000000aa".parse().expect("an id");
        for s in 1..=seconds {
            let usage = NodeUsage {
                node,
                cpu_us: s * 500_000,
                memory: 64 << 20,
                pids: 3,
                oom_kills: 0,
                throttled: 0,
            };
            history.note(&UsageNow { usage, at: s * 1000, cpu_millis: 500 });
        }
        history
    }

    #[test]
    fn a_step_says_its_mean() {
        let points = history(61).points();
        assert_eq!(points.len(), 12);
        assert!(points.iter().all(|p| p.cpu_millis == 500 && p.memory == 64 << 20 && p.pids == 3));
        assert!(points.windows(2).all(|w| w[1].at - w[0].at == 5000));
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let history = history(100_000);
        let points = history.points();
        assert!(points.len() <= FINE_KEPT + COARSE_KEPT);
        assert!(points.windows(2).all(|w| w[0].at < w[1].at));
        assert!(points[0].at < (100_000 - 11 * 3600) * 1000);
    }
}
