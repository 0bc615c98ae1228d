//! People: users, teams, and what they are granted. Rights are read anew with every request, so that what is taken away is
//! gone at once, from open sessions too.

use crate::token::Role;
use crate::{AppName, Millis, Name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::{fmt, str::FromStr};

/// Most grants of one user or team.
pub const GRANTS_MAX: usize = 256;
/// Most teams of one user.
pub const TEAMS_MAX: usize = 64;
/// Most users, and most teams.
pub const PEOPLE_MAX: usize = 10_000;
/// Fewest characters of a password (NIST SP 800-63B-4, 3.1.1.2, asks for 15 where nothing else is asked for; 12 with a rest
/// after wrong ones).
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Most bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// A role, for one application or for all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// What it allows.
    pub role: Role,
    /// The application; everything where none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
}

/// Someone who logs in by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// What they are called.
    pub name: Name,
    /// Digest of the password (Argon2id as a PHC string, RFC 9106); none until they have chosen one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// What they may do by themselves.
    #[serde(default)]
    pub grants: BTreeSet<Grant>,
    /// The teams that they are in.
    #[serde(default)]
    pub teams: BTreeSet<Name>,
    /// When they came.
    pub created_at: Millis,
    /// They may not come in for now.
    #[serde(default)]
    pub locked: bool,
}

/// Users who are granted the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// What it is called.
    pub name: Name,
    /// What its members may do.
    #[serde(default)]
    pub grants: BTreeSet<Grant>,
    /// When it was made.
    pub created_at: Millis,
}

/// Whether strangers may become users by themselves. There is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignUp {
    /// They may.
    pub open: bool,
    /// The team that they come into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Name>,
}

/// Key of [`SignUp`].
pub const SIGN_UP_KEY: &str = "sign-up";

/// Who is granted something: `user/anna`, `team/ops`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Grantee {
    /// One user.
    User(Name),
    /// All members of a team.
    Team(Name),
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user/{name}"),
            Self::Team(name) => write!(f, "team/{name}"),
        }
    }
}

impl FromStr for Grantee {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let kind: fn(Name) -> Self = match text.split_once('/') {
            Some(("team", _)) => Self::Team,
            Some(("user", _)) | None => Self::User,
            Some(_) => return Err(format!("{text:?} is neither a user nor a team: write NAME or team/NAME")),
        };
        let name = text.split_once('/').map_or(text, |(_, name)| name);
        Name::new(name).map(kind).map_err(|e| e.to_string())
    }
}

impl TryFrom<String> for Grantee {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Grantee> for String {
    fn from(grantee: Grantee) -> Self {
        grantee.to_string()
    }
}

/// Says what is wrong with a new password.
///
/// # Errors
/// Where it is too short, too long, or the name of its owner said again and again.
pub fn check_password(owner: &Name, password: &str) -> Result<(), String> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(format!("a password has at least {PASSWORD_CHARS_MIN} characters"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(format!("a password has at most {PASSWORD_BYTES_MAX} bytes"));
    }
    let mut distinct: Vec<char> = password.to_lowercase().replace(owner.as_str(), "").chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 4 {
        return Err(
            "the password is too easy to guess: a few words that do not belong together are hard".into()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grantee_is_a_user_unless_it_says_team() {
        let name = |text: &str| Name::new(text).expect("a name");
        assert_eq!("anna".parse(), Ok(Grantee::User(name("anna"))));
        assert_eq!("user/anna".parse(), Ok(Grantee::User(name("anna"))));
        assert_eq!("team/ops".parse(), Ok(Grantee::Team(name("ops"))));
        for bad in ["", "host/x", "team/", "Team/ops", "user/a/b"] {
            assert!(bad.parse::<Grantee>().is_err(), "{bad}");
        }
        assert_eq!(Grantee::Team(name("ops")).to_string(), "team/ops");
    }

    #[test]
    fn easy_passwords_are_refused() {
        let anna = Name::new("anna").expect("a name");
        for bad in ["", "short", "eleven char", "aaaaaaaaaaaaaaaa", "annaannaanna", "ANNAanna1111"] {
            assert!(check_password(&anna, bad).is_err(), "{bad}");
        }
        assert!(check_password(&anna, &"x".repeat(1_025)).is_err());
        for good in ["correct horse battery", "zwölf Zeichen!"] {
            assert_eq!(check_password(&anna, good), Ok(()), "{good}");
        }
    }
}
