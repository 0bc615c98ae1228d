//! Certificates that nobody has to give: ordered from a public authority by ACME (RFC 8555), or issued by the
//! installation's own, kept as sealed values of their application, and renewed before they end.
//!
//! What is due and when it is tried again is the planner's business, what an authority is shown is the doors'. Here is
//! the talk with the authority, and the loop around it. A failure is never silent: it is an event, and stands in the
//! application's row with its cause and the time of the next try.

mod acme;
mod doors;
mod internal;
mod keep;
mod leaf;
mod row;

pub use keep::{Keeper, keep};

use lace_model::Millis;

/// Why a certificate was not had.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Refused {
    /// For people.
    pub cause: String,
    /// The authority wants to be left alone for so long, in milliseconds.
    pub later: Option<Millis>,
}

impl Refused {
    fn new(cause: impl std::fmt::Display) -> Self {
        Self { cause: cause.to_string(), later: None }
    }
}

impl From<lace_store::StoreError> for Refused {
    fn from(error: lace_store::StoreError) -> Self {
        Self::new(format_args!("the state cannot be read or written: {error}"))
    }
}

impl From<rcgen::Error> for Refused {
    fn from(error: rcgen::Error) -> Self {
        Self::new(format_args!("no certificate or request could be made: {error}"))
    }
}
