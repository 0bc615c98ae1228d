//! Users, teams and what they are granted.

use lace_model::people::{Grant, Grantee};
use lace_model::token::Role;
use lace_model::{AppName, Millis, Name};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A user, without what opens the door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserInfo {
    /// What they are called.
    #[schema(value_type = String)]
    pub name: Name,
    /// They have chosen a password.
    pub has_password: bool,
    /// They may not come in for now.
    pub locked: bool,
    /// What they may do by themselves.
    #[schema(value_type = Vec<Object>)]
    pub grants: Vec<Grant>,
    /// The teams that they are in.
    #[schema(value_type = Vec<String>)]
    pub teams: Vec<Name>,
    /// When they came.
    #[schema(value_type = u64)]
    pub created_at: Millis,
    /// Their sessions that are open; 0 where it was not asked for.
    #[serde(default)]
    pub sessions: u64,
}

/// A user who shall be.
#[derive(Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserRequest {
    /// What they are called.
    #[schema(value_type = String)]
    pub name: Name,
    /// Their password; they get a link to choose one where none is said.
    #[serde(default)]
    pub password: Option<String>,
    /// What they may do.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub grants: Vec<Grant>,
    /// The teams that they are in.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub teams: Vec<Name>,
}

impl fmt::Debug for UserRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRequest").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A new user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserMade {
    /// The user.
    pub user: UserInfo,
    /// The one-time token of the link to choose a password.
    pub login: Option<super::TokenMade>,
}

/// Name and password.
#[derive(Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInRequest {
    /// Who comes.
    #[schema(value_type = String)]
    pub name: Name,
    /// The password.
    pub password: String,
}

impl fmt::Debug for SignInRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInRequest").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A new password.
#[derive(Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordRequest {
    /// The one until now, where there is one.
    #[serde(default)]
    pub current: Option<String>,
    /// The new one.
    pub new: String,
}

impl fmt::Debug for PasswordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordRequest")
    }
}

/// A team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TeamInfo {
    /// What it is called.
    #[schema(value_type = String)]
    pub name: Name,
    /// What its members may do.
    #[schema(value_type = Vec<Object>)]
    pub grants: Vec<Grant>,
    /// Who is in it.
    #[schema(value_type = Vec<String>)]
    pub members: Vec<Name>,
    /// When it was made.
    #[schema(value_type = u64)]
    pub created_at: Millis,
}

/// A team that shall be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamRequest {
    /// What it is called.
    #[schema(value_type = String)]
    pub name: Name,
}

/// One grant, and whose it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantLine {
    /// `user/anna`, `team/ops`.
    #[schema(value_type = String)]
    pub to: Grantee,
    /// What it allows.
    #[schema(value_type = String)]
    pub role: Role,
    /// The application; everything where none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub app: Option<AppName>,
}
