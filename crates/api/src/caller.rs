//! Who calls, and what they may touch.

use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lace_model::people::{Grant, Team, User};
use lace_model::token::{Role, Token};
use lace_model::{AppName, Code, Name, TokenId};
use lace_planner::Doer;
use std::collections::BTreeSet;

/// Who is behind a request, after their token was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token.
    pub token: TokenId,
    /// The actor of audit rows, events and operations: a token's name, or `user/NAME`.
    pub name: String,
    /// The user whose session it is.
    pub user: Option<Name>,
    /// What they may do.
    pub grants: BTreeSet<Grant>,
    /// What they do here: grants below it do not count.
    pub acts_as: Role,
}

impl Caller {
    /// The caller behind a token; behind a user's session, what the user may do at the moment.
    pub(crate) fn of(state: &ApiState, token: &Token) -> Answer<Self> {
        let id = token.id;
        let Some(name) = &token.user else {
            return Ok(Self::with(id, token.name.clone(), grants_of(token)));
        };
        let user = state.store.get::<User>(name.as_str())?.map(|row| row.value);
        let user = user.filter(|user| !user.locked).ok_or_else(crate::token::unknown_token)?;
        let mut grants = user.grants;
        for team in &user.teams {
            grants
                .extend(state.store.get::<Team>(team.as_str())?.into_iter().flat_map(|row| row.value.grants));
        }
        Ok(Self { user: Some(user.name), ..Self::with(id, format!("user/{name}"), grants) })
    }

    /// The same caller at a later moment: what was granted or taken away since counts.
    ///
    /// # Errors
    /// Where the token has ended, or the user has gone.
    pub(crate) fn renewed(&self, state: &ApiState) -> Answer<Self> {
        let token = state.store.get::<Token>(&self.token.to_string())?.map(|row| row.value);
        let token = token.filter(|token| !crate::token::is_over(token, state.now()));
        Ok(Self::of(state, &token.ok_or_else(crate::token::unknown_token)?)?.acting(self.acts_as))
    }

    /// Someone with these grants.
    pub(crate) fn with(token: TokenId, name: String, grants: BTreeSet<Grant>) -> Self {
        Self { token, name, user: None, grants, acts_as: Role::Viewer }
    }

    /// The same, held to what is theirs in this role.
    pub(crate) fn acting(self, role: Role) -> Self {
        Self { acts_as: role, ..self }
    }

    /// What counts here.
    fn counting(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(|grant| grant.role >= self.acts_as)
    }

    /// The highest role that they have anywhere.
    pub(crate) fn role(&self) -> Option<Role> {
        self.grants.iter().map(|grant| grant.role).max()
    }

    /// Refuses who has a lower role everywhere.
    pub(crate) fn needs(&self, role: Role) -> Answer<()> {
        let Some(has) = self.role() else {
            let message = format!("{} is granted nothing", self.who());
            return Err(Refusal::new(Code::NotAllowed, message)
                .hint("ask an admin: lace grant add NAME --role viewer"));
        };
        if has >= role {
            return Ok(());
        }
        let hint = match &self.user {
            None => "ask an admin for a token: lace token create NAME --role ROLE".to_owned(),
            Some(name) => format!("ask an admin: lace grant add {name} --role {}", role_text(role)),
        };
        let message = format!("{} is {}; this is for {}", self.who(), one(has), one(role));
        Err(Refusal::new(Code::NotAllowed, message).hint(hint))
    }

    /// `token ci`, `user/anna`.
    fn who(&self) -> String {
        if self.user.is_some() { self.name.clone() } else { format!("token {}", self.name) }
    }

    /// May it see things of this application?
    pub(crate) fn sees(&self, app: &AppName) -> bool {
        self.counting().any(|grant| grant.app.as_ref().is_none_or(|own| own == app))
    }

    /// Is it said of this very user?
    pub(crate) fn is_self(&self, subject: &str) -> bool {
        self.user.is_some() && subject == self.name
    }

    /// May it see everything?
    pub(crate) fn sees_all(&self) -> bool {
        self.counting().any(|grant| grant.app.is_none())
    }

    /// Refuses another application than those it is limited to.
    pub(crate) fn touches(&self, app: &AppName) -> Answer<()> {
        if self.sees(app) {
            return Ok(());
        }
        let message = format!("{} is limited to other applications than {app}", self.who());
        Err(Refusal::new(Code::NotAllowed, message))
    }

    /// Refuses who is limited to some applications.
    pub(crate) fn is_whole(&self) -> Answer<()> {
        if self.sees_all() {
            return Ok(());
        }
        let message = format!("{} is limited to some applications; this concerns all", self.who());
        Err(Refusal::new(Code::NotAllowed, message))
    }

    /// Refuses whoever may not give a host away: with isolation `host` a node has the host's files, and its root perhaps.
    /// A host carries more than the applications that a token is limited to.
    pub(crate) fn may_isolate(&self) -> Answer<()> {
        self.needs(Role::Admin)?;
        self.clone().acting(Role::Admin).is_whole()
    }

    /// The planner's word for it.
    pub(crate) fn doer(&self, now: lace_model::Millis) -> Doer {
        Doer { actor: self.name.clone(), now }
    }
}

/// What a token says it allows.
pub(crate) fn grants_of(token: &Token) -> BTreeSet<Grant> {
    let role = token.role;
    if token.apps.is_empty() {
        return BTreeSet::from([Grant { role, app: None }]);
    }
    token.apps.iter().map(|app| Grant { role, app: Some(app.clone()) }).collect()
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
