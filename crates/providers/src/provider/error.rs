//! Why a provider did not do what was asked, told apart by what to do next.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a call of a provider ends with.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a provider did not do what was asked. Messages hold no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Error {
    /// It does not let us in, or not do this: only a person can change that.
    #[error("{what}")]
    Refused {
        /// Who refused what, in its words.
        what: String,
        /// What to change.
        hint: String,
    },
    /// As much as this account may have is in use.
    #[error("the limit of {which} is reached{}", figures(.allowed, .used))]
    LimitReached {
        /// Of what.
        which: String,
        /// How many may be had, where it is known.
        allowed: Option<u64>,
        /// How many are in use, where it is known.
        used: Option<u64>,
        /// How it is raised.
        raise: String,
    },
    /// It has no room for this now; elsewhere there may be.
    #[error("{what}")]
    NoCapacity {
        /// Of what, where, in its words.
        what: String,
    },
    /// We asked too often, also after waiting.
    #[error("{what}")]
    Throttled {
        /// What was asked.
        what: String,
    },
    /// It failed or did not answer: whether anything was done is not known, and the same call may be repeated.
    #[error("{what}")]
    Temporary {
        /// What was asked, and what came of it.
        what: String,
    },
    /// What the call is about is not there.
    #[error("{what}")]
    NotFound {
        /// What is not there.
        what: String,
    },
    /// Something else needs it still.
    #[error("{what}")]
    InUse {
        /// What is needed by what.
        what: String,
    },
    /// The request cannot be done as it is, now or later.
    #[error("{what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
}

fn figures(allowed: &Option<u64>, used: &Option<u64>) -> String {
    match (allowed, used) {
        (Some(allowed), Some(used)) => format!(": {used} of {allowed} are in use"),
        (Some(allowed), None) => format!(": {allowed}"),
        _ => String::new(),
    }
}

impl Error {
    /// Refused, and what to change.
    pub fn refused(what: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self::Refused { what: what.to_string(), hint: hint.into() }
    }

    /// Failed, and may be repeated.
    pub fn temporary(what: impl fmt::Display) -> Self {
        Self::Temporary { what: what.to_string() }
    }

    /// Not there.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::NotFound { what: what.to_string() }
    }

    /// Needed still.
    pub fn in_use(what: impl fmt::Display) -> Self {
        Self::InUse { what: what.to_string() }
    }

    /// Wrong as it is.
    pub fn invalid(what: impl fmt::Display) -> Self {
        Self::Invalid { what: what.to_string() }
    }

    /// The same, with more to say about it.
    pub fn also(mut self, more: impl fmt::Display) -> Self {
        match &mut self {
            Self::LimitReached { which: what, .. }
            | Self::Refused { what, .. }
            | Self::NoCapacity { what }
            | Self::Throttled { what }
            | Self::Temporary { what }
            | Self::NotFound { what }
            | Self::InUse { what }
            | Self::Invalid { what } => *what = format!("{what}; {more}"),
        }
        self
    }

    /// What a person may do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => Some(hint),
            Self::LimitReached { raise, .. } => Some(raise),
            Self::NoCapacity { .. } => Some("another zone, profile or pool may have room"),
            _ => None,
        }
    }

    /// May the same call do better a while later, with nobody changing anything?
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::NoCapacity { .. } | Self::Throttled { .. } | Self::Temporary { .. } | Self::InUse { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn limits_are_told_with_figures() {
        let limit = |allowed, used| Error::LimitReached {
            which: "VPCs per region".into(),
            allowed,
            used,
            raise: "ask".into(),
        };
        assert_eq!(
            limit(Some(5), Some(5)).to_string(),
            "the limit of VPCs per region is reached: 5 of 5 are in use"
        );
        assert_eq!(limit(None, None).to_string(), "the limit of VPCs per region is reached");
        assert!(!limit(None, None).may_pass());
        assert_eq!(limit(None, None).hint(), Some("ask"));
    }
}
