//! Silent hosts, and the guard against an observer that has lost its own network.

use super::input::{AWAY_AFTER, HostView};
use lace_model::Millis;

/// Fewer hosts than this never look like a sick observer.
const MANY_MIN: usize = 5;
/// Nor does a smaller part than one in so many.
const MANY_SHARE: usize = 5;
/// Hosts that fell silent within so many milliseconds of one another did so at once.
const AT_ONCE_MS: Millis = 60_000;

/// All silent hosts at this moment.
pub(super) struct Silence {
    /// When each was last seen, sorted.
    last_seen: Vec<Millis>,
    hosts: usize,
    now: Millis,
}

/// What a host's silence means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It may come back; lost at that moment (`None`: it was not seen yet, nothing is known).
    Waiting(Option<Millis>),
    /// Its replaceable nodes are lost.
    Lost,
    /// Too many at once.
    Many { away: usize, of: usize },
}

impl Silence {
    pub fn of(hosts: &[HostView], now: Millis) -> Self {
        let mut last_seen: Vec<Millis> = hosts
            .iter()
            .filter(|h| !h.liveness.connected && !h.host.removing)
            .map(|h| h.liveness.last_seen)
            .collect();
        last_seen.sort_unstable();
        Self { last_seen, hosts: hosts.len(), now }
    }

    /// Judges a host that is not connected.
    pub fn verdict(&self, host: &HostView) -> Verdict {
        let seen = host.liveness.last_seen;
        if seen == 0 {
            return Verdict::Waiting(None);
        }
        let lost_at = seen + AWAY_AFTER.ms();
        if self.now < lost_at {
            return Verdict::Waiting(Some(lost_at));
        }
        let from = self.last_seen.partition_point(|t| *t + AT_ONCE_MS < seen);
        let to = self.last_seen.partition_point(|t| *t <= seen + AT_ONCE_MS);
        let away = to - from;
        if away >= MANY_MIN && away * MANY_SHARE >= self.hosts {
            return Verdict::Many { away, of: self.hosts };
        }
        Verdict::Lost
    }
}
