//! Whoever pays.

use crate::{AppName, Name};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Before the name of a pool whose idle account is meant.
const IDLE: &str = "idle/";

/// Whoever pays: an application, `shop`, or nobody else, which is the idle account of a pool, `idle/eu-small`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AccountName {
    /// An application.
    App(AppName),
    /// What of a pool's hosts no application claims.
    Idle(Name),
}

impl AccountName {
    /// The application, where it is one.
    pub fn app(&self) -> Option<&AppName> {
        match self {
            Self::App(app) => Some(app),
            Self::Idle(_) => None,
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => write!(f, "{app}"),
            Self::Idle(pool) => write!(f, "{IDLE}{pool}"),
        }
    }
}

impl FromStr for AccountName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let idle = text.strip_prefix(IDLE);
        let name = Name::new(idle.unwrap_or(text))
            .map_err(|why| format!("{text:?} is no account: an application, or idle/POOL ({why})"))?;
        Ok(if idle.is_some() { Self::Idle(name) } else { Self::App(name) })
    }
}

crate::name::text_form!(AccountName: String);
