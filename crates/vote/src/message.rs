//! What members say to each other.

use crate::Seat;
use serde::{Deserialize, Serialize};

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub from: Seat,
    /// Which life of it: a random number per start.
    pub incarnation: u64,
    /// What.
    pub body: Body,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A candidate asks for a vote.
    Ask {
        /// When, by its own clock; the answer repeats it.
        sent: u64,
        /// The vote set that it counts by.
        generation: u64,
        /// The holder makes room for who has a higher one.
        preference: u64,
        /// It hears a majority: its wish is worth being heard.
        hears: bool,
        /// Only asks whether somebody is there: no vote is given.
        probe: bool,
    },
    /// A voter's answer.
    Answer {
        /// The question's time.
        sent: u64,
        /// The life of the candidate that asked.
        to: u64,
        /// The vote is given.
        granted: bool,
        /// The newest vote set that the voter knows of.
        generation: u64,
    },
    /// A candidate gives back all votes that it was given for questions up to this time.
    Release {
        /// The last one.
        sent: u64,
    },
}
