//! Who calls, and what they may touch.

use crate::refusal::{Answer, Refusal};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lace_model::token::{Role, Token};
use lace_model::{AppName, Code, TokenId};
use lace_planner::Doer;

/// The token behind a request, after it was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token.
    pub token: TokenId,
    /// Its name: the actor of audit rows, events and operations.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The applications it is limited to; all where empty.
    pub apps: Vec<AppName>,
}

impl Caller {
    /// The caller behind a token.
    pub(crate) fn of(token: &Token) -> Self {
        let Token { id, name, role, apps, .. } = token;
        Self { token: *id, name: name.clone(), role: *role, apps: apps.clone() }
    }

    /// Refuses a lower role.
    pub(crate) fn needs(&self, role: Role) -> Answer<()> {
        if self.role >= role {
            return Ok(());
        }
        let (has, wants) = (one(self.role), one(role));
        Err(Refusal::new(Code::NotAllowed, format!("token {} is {has}; this is for {wants}", self.name))
            .hint("ask an admin for a token: lace token create NAME --role ROLE"))
    }

    /// May it see things of this application?
    pub(crate) fn sees(&self, app: &AppName) -> bool {
        self.apps.is_empty() || self.apps.contains(app)
    }

    /// Refuses another application than those it is limited to.
    pub(crate) fn touches(&self, app: &AppName) -> Answer<()> {
        if self.sees(app) {
            return Ok(());
        }
        let message = format!("token {} is limited to other applications than {app}", self.name);
        Err(Refusal::new(Code::NotAllowed, message))
    }

    /// Refuses a token that is limited to some applications.
    pub(crate) fn is_whole(&self) -> Answer<()> {
        if self.apps.is_empty() {
            return Ok(());
        }
        let message = format!("token {} is limited to some applications; this concerns all", self.name);
        Err(Refusal::new(Code::NotAllowed, message))
    }

    /// Refuses whoever may not give a host away: with isolation `host` a node has the host's files, and its root perhaps.
    /// A host carries more than the applications that a token is limited to.
    pub(crate) fn may_isolate(&self) -> Answer<()> {
        self.needs(Role::Admin)?;
        self.is_whole()
    }

    /// The planner's word for it.
    pub(crate) fn doer(&self, now: lace_model::Millis) -> Doer {
        Doer { actor: self.name.clone(), now }
    }
}

/// The role in one word, as tables and messages say it.
pub(crate) fn role_text(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Deployer => "deployer",
        Role::Admin => "admin",
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        parts.extensions.get::<Self>().cloned().ok_or_else(no_credentials)
    }
}

/// The refusal of a request without a token.
pub(crate) fn no_credentials() -> Refusal {
    Refusal::new(Code::NotAuthenticated, "the request carries no token")
        .hint("send `Authorization: Bearer TOKEN`, or type `lace login URL`")
}

/// `a viewer`, `an admin`.
fn one(role: Role) -> String {
    let article = if role == Role::Admin { "an" } else { "a" };
    format!("{article} {}", role_text(role))
}
