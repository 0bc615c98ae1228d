//! Checks: is a node ready (traffic, rollout), is it alive (restart)?

use crate::Span;
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// `GET path` on the node's address answers 200 to 399.
    Http {
        /// TCP port.
        port: u16,
        /// Path with its slash.
        path: String,
    },
    /// A TCP connection opens.
    Tcp {
        /// TCP port.
        port: u16,
    },
    /// A command in the node exits 0.
    Exec {
        /// Words of the command.
        argv: Vec<String>,
    },
}

/// A probe and its rhythm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What is asked.
    pub probe: Probe,
    /// Between two probes.
    pub interval: Span,
    /// For one probe.
    pub timeout: Span,
    /// So many failures in a row count.
    pub failures: u32,
    /// After the process's start, failures do not count.
    pub grace: Span,
}

impl Check {
    /// A check with the usual rhythm: every 2 s, 1 s each, 3 failures, 20 s of grace.
    pub fn new(probe: Probe) -> Self {
        Self { probe, interval: Span::secs(2), timeout: Span::secs(1), failures: 3, grace: Span::secs(20) }
    }
}
