//! What is asked of Erlang and Elixir runtimes, and what they answer: the same words from agent to command line.

use lace_model::node::NodeAlarm;
use lace_model::vm::VmSample;
use serde::{Deserialize, Serialize};

/// Longest patience for one call, in milliseconds.
pub const CALL_WITHIN_MS_MAX: u64 = 50_000;
/// Usual patience, in milliseconds.
pub const CALL_WITHIN_MS: u64 = 5_000;
/// Longest text of an answer, in bytes.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes that are kept of what a call prints.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// A question to one runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeamAsk {
    /// Call a function.
    Call(BeamCall),
    /// Who it is, what it runs, whom it sees: [`BeamReport`].
    Report,
    /// Its largest processes: [`lace_model::vm::VmTop`].
    Top {
        /// So many by each rank.
        most: usize,
    },
    /// A picture of everything in it, as text.
    Dump,
}

/// A function and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BeamCall {
    /// Module, as a name.
    pub module: String,
    /// Function, as a name.
    pub function: String,
    /// Arguments as Erlang terms between commas: `ok, [1,2]`.
    #[serde(default)]
    pub arguments: String,
    /// Patience in milliseconds; then the call's process is ended.
    #[serde(default)]
    pub within_ms: Option<u64>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BeamOutcome {
    /// With a value.
    Returned,
    /// With an exception of class `error`.
    Error,
    /// With an exception of class `exit`.
    Exit,
    /// With an exception of class `throw`.
    Throw,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BeamAnswer {
    /// How it ended.
    pub outcome: BeamOutcome,
    /// The value, or the reason of the exception, as Erlang text.
    pub term: String,
    /// The same for programs: atoms and texts are strings, tuples and lists arrays.
    #[schema(value_type = Object)]
    pub value: serde_json::Value,
    /// Where the exception came from, as Erlang text.
    pub stack: Option<String>,
    /// What was printed.
    pub output: String,
    /// More was printed than is kept.
    pub output_is_cut: bool,
    /// How long it took, in microseconds, seen from its host.
    pub took_us: u64,
}

/// One runtime, by its own words and by the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BeamReport {
    /// Its node name.
    pub name: String,
    /// Why it cannot be spoken to; nothing where it can.
    pub trouble: Option<String>,
    /// `starting`, `started` or `stopping`.
    pub state: String,
    /// Its OTP release.
    pub otp: String,
    /// The nodes that it should see.
    pub planned: Vec<String>,
    /// The nodes that it may see beside these: its family makes its mesh itself.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// The gateways of other clusters that it should be connected to out of sight.
    #[serde(default)]
    pub gateways: Vec<String>,
    /// Its cluster within the family, from 1, where there are several.
    #[serde(default)]
    pub cluster: Option<u32>,
    /// Its global group, where the family has named ones and it is in one.
    #[serde(default)]
    pub group: Option<String>,
    /// The nodes that it sees.
    pub nodes: Vec<String>,
    /// The hidden nodes that it sees, without Lace.
    pub hidden: Vec<String>,
    /// Running applications.
    pub applications: Vec<BeamApplication>,
    /// The distributed application of its family.
    pub failover: Option<String>,
    /// The last look at its numbers.
    #[schema(value_type = Option<Object>)]
    pub sample: Option<VmSample>,
    /// Limits that it is near.
    #[schema(value_type = Vec<Object>)]
    pub alarms: Vec<NodeAlarm>,
}

/// How one runtime stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    /// It is the same.
    Itself,
    /// Connected, as it should be or may be.
    Sees,
    /// Connected out of sight: both are gateways.
    Gateway,
    /// Connected, and should not be.
    Unplanned,
    /// Not connected, and should be.
    Missing,
    /// Neither is nor should be.
    Apart,
}

impl Tie {
    /// One sign, for tables.
    pub fn sign(self) -> char {
        match self {
            Self::Itself => '-',
            Self::Sees => '*',
            Self::Gateway => '+',
            Self::Unplanned => '?',
            Self::Missing => '!',
            Self::Apart => '.',
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Itself => "itself",
            Self::Sees => "sees it",
            Self::Gateway => "connected out of sight",
            Self::Unplanned => "connected, which is not planned",
            Self::Missing => "not connected, though planned",
            Self::Apart => "apart",
        }
    }
}

/// A running application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BeamApplication {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl BeamReport {
    /// Planned nodes that it does not see.
    pub fn missing(&self) -> impl Iterator<Item = &String> {
        self.planned.iter().filter(|name| !self.nodes.contains(name))
    }

    /// Nodes that it sees and should not.
    pub fn unplanned(&self) -> impl Iterator<Item = &String> {
        self.nodes.iter().filter(|name| !self.planned.contains(name) && !self.allowed.contains(name))
    }

    /// Gateways of other clusters that it is not connected to.
    pub fn unreached(&self) -> impl Iterator<Item = &String> {
        self.gateways.iter().filter(|name| !self.hidden.contains(name))
    }

    /// How it stands to another one.
    pub fn tie(&self, other: &Self) -> Tie {
        let has = |names: &[String]| names.contains(&other.name);
        if self.name == other.name {
            Tie::Itself
        } else if has(&self.nodes) {
            if has(&self.planned) || has(&self.allowed) { Tie::Sees } else { Tie::Unplanned }
        } else if has(&self.hidden) {
            if has(&self.gateways) { Tie::Gateway } else { Tie::Unplanned }
        } else if has(&self.planned) || has(&self.gateways) {
            Tie::Missing
        } else {
            Tie::Apart
        }
    }

    /// What is not as planned, in words.
    pub fn deviations(&self) -> Vec<String> {
        if let Some(trouble) = &self.trouble {
            return vec![trouble.clone()];
        }
        let missing = self.missing().map(|name| format!("does not see {name}"));
        let unplanned = self.unplanned().map(|name| format!("sees {name}, which is not planned"));
        let unreached = self.unreached().map(|name| format!("is not connected to the gateway {name}"));
        missing.chain(unplanned).chain(unreached).collect()
    }

    /// Does it run the distributed application?
    pub fn runs_failover(&self) -> bool {
        self.applications.iter().any(|app| Some(&app.name) == self.failover.as_ref())
    }
}
