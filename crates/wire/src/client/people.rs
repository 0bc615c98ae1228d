//! The endpoints about users, teams and grants.

use super::Client;
use crate::api::{
    GrantLine, PasswordRequest, SessionInfo, SignInRequest, TeamInfo, TeamRequest, TokenMade, UserInfo,
    UserMade, UserRequest,
};
use lace_model::people::SignUp;
use lace_model::{Name, Problem};
use reqwest::Method;

type Answer<T> = Result<T, Problem>;

impl Client {
    /// A session for a name and a password.
    pub async fn sign_in(&self, request: &SignInRequest) -> Answer<TokenMade> {
        self.ask(self.post(&["v1", "login", "password"]).json(request)).await
    }

    /// Who comes with the client's token.
    pub async fn session(&self) -> Answer<SessionInfo> {
        self.ask(self.get(&["v1", "session"])).await
    }

    /// All users.
    pub async fn users(&self) -> Answer<Vec<UserInfo>> {
        self.ask(self.get(&["v1", "users"])).await
    }

    /// Makes a user.
    pub async fn user_add(&self, request: &UserRequest) -> Answer<UserMade> {
        self.ask(self.post(&["v1", "users"]).json(request)).await
    }

    /// Removes a user, and ends their sessions.
    pub async fn user_remove(&self, user: &Name) -> Answer<()> {
        self.tell(self.delete(&["v1", "users", user.as_str()])).await
    }

    /// A link to choose a password.
    pub async fn user_link(&self, user: &Name) -> Answer<TokenMade> {
        self.ask(self.post(&["v1", "users", user.as_str(), "link"])).await
    }

    /// Keeps a user out, or lets them in again.
    pub async fn user_lock(&self, user: &Name, locked: bool) -> Answer<UserInfo> {
        let verb = if locked { "lock" } else { "unlock" };
        self.ask(self.post(&["v1", "users", user.as_str(), verb])).await
    }

    /// Changes one's own password.
    pub async fn user_password(&self, user: &Name, request: &PasswordRequest) -> Answer<()> {
        self.tell(self.post(&["v1", "users", user.as_str(), "password"]).json(request)).await
    }

    /// May strangers become users?
    pub async fn sign_up(&self) -> Answer<SignUp> {
        self.ask(self.get(&["v1", "sign-up"])).await
    }

    /// Says whether strangers may become users.
    pub async fn sign_up_set(&self, wanted: &SignUp) -> Answer<SignUp> {
        self.ask(self.call(Method::PUT, &["v1", "sign-up"]).json(wanted)).await
    }

    /// All teams.
    pub async fn teams(&self) -> Answer<Vec<TeamInfo>> {
        self.ask(self.get(&["v1", "teams"])).await
    }

    /// Makes a team.
    pub async fn team_add(&self, team: &Name) -> Answer<TeamInfo> {
        self.ask(self.post(&["v1", "teams"]).json(&TeamRequest { name: team.clone() })).await
    }

    /// Removes a team without members.
    pub async fn team_remove(&self, team: &Name) -> Answer<()> {
        self.tell(self.delete(&["v1", "teams", team.as_str()])).await
    }

    /// Takes a user into a team.
    pub async fn team_join(&self, team: &Name, user: &Name) -> Answer<()> {
        self.tell(self.call(Method::PUT, &["v1", "teams", team.as_str(), "members", user.as_str()])).await
    }

    /// Takes a user out of a team.
    pub async fn team_leave(&self, team: &Name, user: &Name) -> Answer<()> {
        self.tell(self.delete(&["v1", "teams", team.as_str(), "members", user.as_str()])).await
    }

    /// All grants.
    pub async fn grants(&self) -> Answer<Vec<GrantLine>> {
        self.ask(self.get(&["v1", "grants"])).await
    }

    /// Grants something.
    pub async fn grant_add(&self, line: &GrantLine) -> Answer<()> {
        self.tell(self.post(&["v1", "grants"]).json(line)).await
    }

    /// Takes a grant away.
    pub async fn grant_remove(&self, line: &GrantLine) -> Answer<()> {
        let call = self.delete(&["v1", "grants"]).query_some("to", Some(&line.to));
        let role = serde_json::to_value(line.role).ok().and_then(|role| role.as_str().map(str::to_owned));
        self.tell(call.query_some("role", role).query_some("app", line.app.as_ref())).await
    }
}
