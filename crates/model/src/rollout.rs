//! Rollouts: from one revision to the next.

use crate::{Millis, Span};
use serde::{Deserialize, Serialize};

/// How nodes change over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Some at a time.
    #[default]
    Rolling,
    /// All of the new beside all of the old, then the doors switch; the old stays for a while.
    BlueGreen,
    /// A few first, with a share of the requests; then more, by time or by `promote`.
    Canary,
    /// All together.
    AllAtOnce,
    /// One after the other, in its running runtime: an Erlang release with a relup. Nothing is restarted.
    Hot,
}

/// A node that crashes this soon after it was ready was not good, whatever the manifest says: no second node follows it.
pub const HEALTHY_FOR_MIN: Span = Span(500);

/// So many of the wanted nodes, or so many in a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// A number of nodes.
    Count(u32),
    /// Hundredths of the wanted count, rounded down.
    Percent(u8),
}

impl Share {
    /// How many of `count` that is; one at least, or nothing would ever move.
    pub fn of(self, count: u32) -> u32 {
        match self {
            Self::Count(number) => number,
            Self::Percent(percent) => (u64::from(count) * u64::from(percent) / 100) as u32,
        }
        .max(1)
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(number) => write!(f, "{number}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Most nodes that a family may be without at a time.
const SHARE_MAX: u32 = 100_000;

impl std::str::FromStr for Share {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, max) = match text.strip_suffix('%') {
            Some(digits) => (digits, 100),
            None => (text, SHARE_MAX),
        };
        let number: u32 =
            digits.parse().map_err(|_| format!("{text:?} is not a number of nodes such as 2 or 25%"))?;
        if !(1..=max).contains(&number) {
            return Err(format!("{number} is not between 1 and {max}"));
        }
        Ok(match u8::try_from(number) {
            Ok(percent) if text.ends_with('%') => Self::Percent(percent),
            _ => Self::Count(number),
        })
    }
}

/// As in a manifest: a number, or text such as `25%`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Text(String),
}

impl Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(number) => Written::Number(*number),
            Self::Percent(_) => Written::Text(self.to_string()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self::Count(number)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// The rules of a rollout (`rollout = { ... }` in the manifest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RolloutPolicy {
    /// How.
    pub strategy: Strategy,
    /// At most so many nodes of the wanted count are not good because of the rollout.
    pub max_unavailable: Share,
    /// A node is good once it has been ready for so long without a break, and at least for [`HEALTHY_FOR_MIN`]; the
    /// next node follows then. The rollout is done when all are good.
    pub healthy_for: Span,
    /// A node that is not ready after this long fails the revision.
    pub deadline: Span,
    /// A failed revision goes back by itself.
    pub revert: bool,
    /// The new revision fails where this share of its answers are errors (5xx), and the old one has fewer by half.
    pub max_errors: Option<Share>,
    /// Blue-green: how long the old nodes stay after the doors have switched.
    pub keep: Span,
    /// Canary: how far each step goes. Hundredths are a share of the nodes and of the requests, a number is one of nodes.
    /// None said: one node.
    pub steps: Vec<Share>,
    /// Canary: how long each step is watched before the next; without it each waits for a person.
    pub pause: Option<Span>,
}

impl RolloutPolicy {
    /// Most steps of a canary.
    pub const STEPS_MAX: usize = 20;

    /// The step of this number, from 0; none after the last.
    pub fn step(&self, number: u32) -> Option<Share> {
        match self.steps.as_slice() {
            [] if number == 0 => Some(Share::Count(1)),
            steps => steps.get(number as usize).copied(),
        }
    }
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self {
            strategy: Strategy::Rolling,
            max_unavailable: Share::Count(1),
            healthy_for: Span::secs(1),
            deadline: Span::secs(120),
            revert: true,
            max_errors: None,
            keep: Span::secs(10),
            steps: Vec::new(),
            pause: None,
        }
    }
}

/// Where a rollout stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum Phase {
    /// Nodes are changing over.
    Rolling,
    /// All are ready; watched since.
    Watching {
        /// Since when all are ready.
        since: Millis,
    },
    /// Done.
    Done,
    /// Failed; the former revision is coming back.
    Reverting {
        /// What went wrong.
        cause: String,
    },
    /// Failed; the former revision is back and healthy.
    Reverted {
        /// What went wrong.
        cause: String,
    },
    /// Failed; there is nothing to go back to, or reverting is off or failed too.
    Failed {
        /// What went wrong.
        cause: String,
    },
    /// Stopped by a person; the former revision is coming back.
    Aborted,
}

/// Two revisions of a family that are there together on purpose: how far the new one is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Blue-green: the indexes of the new nodes begin after this one. None where nodes change over in their places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u32>,
    /// Canary: the step, from 0.
    #[serde(default)]
    pub step: u32,
    /// Of a thousand requests so many go to the new revision; none where each node gets its part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permille: Option<u16>,
    /// Since when all nodes of the step are good, or the doors have switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
}

impl Split {
    /// All requests, in thousandths.
    pub const WHOLE: u16 = 1_000;
}

/// A rollout of one family, kept in its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The revision that the nodes had (`None` at the first one).
    pub from: Option<u64>,
    /// The revision that they shall have.
    pub to: u64,
    /// Where it stands.
    pub phase: Phase,
    /// When it began.
    pub started_at: Millis,
    /// When the phase last changed or a node last became ready.
    pub moved_at: Millis,
    /// The last log lines of the node that failed.
    #[serde(default)]
    pub last_lines: Vec<String>,
    /// How the two revisions share the work, where they do so on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// The new revision's nodes are a mesh of Erlang nodes of their own; without, they join the one that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<u64>,
}

impl Rollout {
    /// Is nothing left to do?
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Reverted { .. } | Phase::Failed { .. })
    }

    /// Where the indexes of a set that stands beside the old one begin (less one), as long as it may become the family's.
    pub fn beside(&self) -> Option<u32> {
        let forward = matches!(self.phase, Phase::Rolling | Phase::Watching { .. } | Phase::Failed { .. });
        self.split.as_ref().filter(|_| forward)?.base
    }

    /// Of a thousand requests so many go to [`to`](Self::to); none where each node gets its part.
    pub fn permille(&self) -> Option<u16> {
        match self.phase {
            Phase::Done => None,
            // What is known as bad gets nothing as long as others are there.
            Phase::Reverting { .. } | Phase::Reverted { .. } | Phase::Aborted => {
                self.from.filter(|from| *from != self.to).map(|_| 0)
            }
            _ => self.split.as_ref()?.permille,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_or_a_percentage_and_never_nothing() {
        for (text, count, wanted) in
            [("2", 10, 2), ("25%", 10, 2), ("100%", 3, 3), ("1%", 10, 1), ("30%", 0, 1)]
        {
            let share: Share = text.parse().expect(text);
            assert_eq!((share.of(count), share.to_string()), (wanted, text.to_owned()));
            let json = serde_json::to_string(&share).expect("json");
            assert_eq!(serde_json::from_str::<Share>(&json).expect("back"), share);
        }
        for text in ["0", "0%", "101%", "-1", "1.5", "%", "many"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
