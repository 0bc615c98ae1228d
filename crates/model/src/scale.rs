//! Scaling by load: how many nodes a family shall have, by what the doors carry to it.

use crate::Span;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The mean time from the head of a request to the head of its answer, in milliseconds.
    ResponseTimeMs,
    /// Requests in a second, for each node.
    RequestsPerNode,
    /// Requests under way, for each node.
    OpenPerNode,
}

impl Metric {
    const ALL: [(&'static str, Self); 3] = [
        ("response_time_ms", Self::ResponseTimeMs),
        ("requests_per_node", Self::RequestsPerNode),
        ("open_per_node", Self::OpenPerNode),
    ];
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, metric)| metric == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// What shall hold: `response_time_ms < 300`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleTarget {
    /// What is looked at.
    pub metric: Metric,
    /// It shall be below this.
    pub below: u32,
}

impl fmt::Display for ScaleTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} < {}", self.metric, self.below)
    }
}

impl FromStr for ScaleTarget {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let names = Metric::ALL.map(|(name, _)| name).join(", ");
        let bad = || format!("{text:?} is not a target such as \"response_time_ms < 300\" (of {names})");
        let (name, below) = text.split_once('<').ok_or_else(bad)?;
        let known = Metric::ALL.iter().find(|(known, _)| *known == name.trim()).ok_or_else(bad)?;
        let below: u32 = below.trim().parse().map_err(|_| bad())?;
        if below == 0 {
            return Err(format!("{text:?}: nothing is below 0"));
        }
        Ok(Self { metric: known.1, below })
    }
}

impl Serialize for ScaleTarget {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScaleTarget {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The rules of scaling (`scale = { ... }` in the manifest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalePolicy {
    /// Never fewer nodes. With 0 the family ends when nobody asks for it, and the first request starts it.
    pub min: u32,
    /// Never more nodes.
    pub max: u32,
    /// What shall hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ScaleTarget>,
    /// With `min = 0`: nobody has asked for so long.
    #[serde(default = "idle_usual")]
    pub idle: Span,
}

/// The usual [`ScalePolicy::idle`].
pub const IDLE_USUAL: Span = Span::secs(300);

fn idle_usual() -> Span {
    IDLE_USUAL
}

/// What doors carried to a family lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// How much time these numbers are about, in milliseconds; 0 where nothing is known.
    pub span_ms: u64,
    /// Answers in that time.
    pub answers: u64,
    /// The sum of their response times, in microseconds.
    pub time_us: u64,
    /// Requests under way.
    pub open: u64,
    /// Requests that wait for a node to be there.
    pub waiting: u64,
}

impl Load {
    /// Does anybody want anything?
    pub fn is_idle(&self) -> bool {
        self.answers == 0 && self.open == 0 && self.waiting == 0
    }

    /// The number of a metric for so many nodes; none where nothing is known.
    pub fn number(&self, metric: Metric, nodes: u32) -> Option<f64> {
        if self.span_ms == 0 {
            return None;
        }
        let nodes = f64::from(nodes.max(1));
        Some(match metric {
            Metric::ResponseTimeMs if self.answers == 0 => return None,
            Metric::ResponseTimeMs => self.time_us as f64 / self.answers as f64 / 1_000.0,
            Metric::RequestsPerNode => self.answers as f64 * 1_000.0 / self.span_ms as f64 / nodes,
            Metric::OpenPerNode => self.open as f64 / nodes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_and_said_alike() {
        for text in ["response_time_ms < 300", "requests_per_node < 50", "open_per_node < 8"] {
            assert_eq!(text.parse::<ScaleTarget>().expect(text).to_string(), text);
        }
        for text in
            ["", "response_time_ms", "cpu < 3", "open_per_node < 0", "open_per_node < x", "open_per_node > 3"]
        {
            assert!(text.parse::<ScaleTarget>().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_of_the_time_and_the_nodes() {
        let load = Load { span_ms: 10_000, answers: 400, time_us: 40_000_000, open: 6, waiting: 0 };
        assert_eq!(load.number(Metric::ResponseTimeMs, 2), Some(100.0));
        assert_eq!(load.number(Metric::RequestsPerNode, 2), Some(20.0));
        assert_eq!(load.number(Metric::OpenPerNode, 2), Some(3.0));
        assert_eq!(Load::default().number(Metric::OpenPerNode, 2), None);
    }
}
