//! Users, teams, and what they are granted; and one's own account.

use crate::act::usage;
use crate::api::encoded;
use crate::page::{self, Noun};
use crate::visit::Visit;
use askama::Template;
use axum::Form;
use axum::http::Method;
use axum::response::Response;
use lace_model::people::{Grant, Grantee, PASSWORD_CHARS_MIN, SignUp};
use lace_model::token::Role;
use lace_model::{AppName, Millis, Name, Problem};
use lace_wire::api::{
    GrantLine, PasswordRequest, SessionInfo, TeamInfo, TeamRequest, TokenMade, UserInfo, UserMade,
    UserRequest,
};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "people.html")]
struct People {
    now: Millis,
    users: Vec<UserInfo>,
    teams: Vec<TeamInfo>,
    is_open: bool,
}

/// `GET /people`.
pub async fn list(visit: Visit) -> Response {
    visit.page("People", Noun::People, load(&visit).await).await
}

async fn load(visit: &Visit) -> Result<People, Problem> {
    let users = visit.get("/v1/users").await?;
    let teams = visit.get("/v1/teams").await?;
    let sign_up: SignUp = visit.get("/v1/sign-up").await?;
    Ok(People { now: visit.now, users, teams, is_open: sign_up.open })
}

/// `deployer of shop`.
fn words(grant: &Grant) -> String {
    let role = crate::words::role(&grant.role);
    grant.app.as_ref().map_or_else(|| format!("{role} of everything"), |app| format!("{role} of {app}"))
}

fn role(text: &str) -> Result<Role, Problem> {
    match text {
        "viewer" => Ok(Role::Viewer),
        "deployer" => Ok(Role::Deployer),
        "admin" => Ok(Role::Admin),
        other => Err(usage(format!("there is no role {other:?}"))),
    }
}

fn name(text: &str) -> Result<Name, Problem> {
    Name::new(text.trim()).map_err(|e| usage(e.to_string()))
}

fn app(text: &str) -> Result<Option<AppName>, Problem> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(name).transpose()
}

/// What is done about a user.
#[derive(Deserialize)]
pub struct AboutUser {
    verb: String,
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    app: String,
    #[serde(default)]
    team: String,
}

/// `POST /act/user`.
pub async fn user(visit: Visit, Form(form): Form<AboutUser>) -> Response {
    match about_user(&visit, &form).await {
        Ok(Done::Said(text)) => page::did(Ok(text)),
        Ok(Done::Link(name, made)) => {
            let message =
                format!("Give {name} this link: it works once, within a day, and is shown this once.");
            page::shown_once(&message, &format!("{}/login?token={}", visit.origin(), made.token))
        }
        Err(problem) => page::did(Err(problem)),
    }
}

enum Done {
    Said(String),
    Link(Name, TokenMade),
}

async fn about_user(visit: &Visit, form: &AboutUser) -> Result<Done, Problem> {
    let name = name(&form.name)?;
    let path = format!("/v1/users/{name}");
    match form.verb.as_str() {
        "add" => {
            let grants = match form.role.as_str() {
                "" => Vec::new(),
                text => vec![Grant { role: role(text)?, app: app(&form.app)? }],
            };
            let teams = app(&form.team)?.into_iter().collect();
            let request = UserRequest { name: name.clone(), password: None, grants, teams };
            let made: UserMade = visit.post("/v1/users", &request).await?;
            let said = Done::Said(format!("user {name} is there"));
            Ok(made.login.map_or(said, |made| Done::Link(name, made)))
        }
        "link" => Ok(Done::Link(name, visit.post(&format!("{path}/link"), &()).await?)),
        "lock" | "unlock" => {
            let user: UserInfo = visit.post(&format!("{path}/{}", form.verb), &()).await?;
            let state = if user.locked { "locked out" } else { "let in again" };
            Ok(Done::Said(format!("user {name} is {state}")))
        }
        "remove" => {
            visit.tell(Method::DELETE, &path, Vec::new()).await?;
            Ok(Done::Said(format!("user {name} is removed")))
        }
        other => Err(usage(format!("nothing is called {other:?} here"))),
    }
}

/// What is done about a team.
#[derive(Deserialize)]
pub struct AboutTeam {
    verb: String,
    name: String,
    #[serde(default)]
    user: String,
}

/// `POST /act/team`.
pub async fn team(visit: Visit, Form(form): Form<AboutTeam>) -> Response {
    page::did(about_team(&visit, &form).await)
}

async fn about_team(visit: &Visit, form: &AboutTeam) -> Result<String, Problem> {
    let team = name(&form.name)?;
    let member = || Ok::<_, Problem>(format!("/v1/teams/{team}/members/{}", name(&form.user)?));
    match form.verb.as_str() {
        "add" => {
            let made: TeamInfo = visit.post("/v1/teams", &TeamRequest { name: team.clone() }).await?;
            Ok(format!("team {} is there", made.name))
        }
        "remove" => {
            visit.tell(Method::DELETE, &format!("/v1/teams/{team}"), Vec::new()).await?;
            Ok(format!("team {team} is removed"))
        }
        "join" => {
            visit.tell(Method::PUT, &member()?, Vec::new()).await?;
            Ok(format!("{} is in team {team}", form.user))
        }
        "leave" => {
            visit.tell(Method::DELETE, &member()?, Vec::new()).await?;
            Ok(format!("{} is no longer in team {team}", form.user))
        }
        other => Err(usage(format!("nothing is called {other:?} here"))),
    }
}

/// A grant that is given or taken away.
#[derive(Deserialize)]
pub struct AboutGrant {
    verb: String,
    to: String,
    role: String,
    #[serde(default)]
    app: String,
}

/// `POST /act/grant`.
pub async fn grant(visit: Visit, Form(form): Form<AboutGrant>) -> Response {
    page::did(about_grant(&visit, &form).await)
}

async fn about_grant(visit: &Visit, form: &AboutGrant) -> Result<String, Problem> {
    let to: Grantee = form.to.trim().parse().map_err(usage)?;
    let line = GrantLine { to, role: role(&form.role)?, app: app(&form.app)? };
    let grant = words(&Grant { role: line.role, app: line.app.clone() });
    if form.verb == "remove" {
        let app = line.app.as_ref().map(|app| format!("&app={app}")).unwrap_or_default();
        let query =
            format!("to={}&role={}{app}", encoded(&line.to.to_string()), crate::words::role(&line.role));
        visit.tell(Method::DELETE, &format!("/v1/grants?{query}"), Vec::new()).await?;
        return Ok(format!("{} is no longer {grant}", line.to));
    }
    let body = serde_json::to_vec(&line).unwrap_or_default();
    visit.tell(Method::POST, "/v1/grants", body).await?;
    Ok(format!("{} is {grant}", line.to))
}

/// Whether strangers may become users.
#[derive(Deserialize)]
pub struct AboutSignUp {
    open: bool,
    #[serde(default)]
    team: String,
}

/// `POST /act/sign-up`.
pub async fn sign_up(visit: Visit, Form(form): Form<AboutSignUp>) -> Response {
    page::did(set_sign_up(&visit, &form).await)
}

async fn set_sign_up(visit: &Visit, form: &AboutSignUp) -> Result<String, Problem> {
    let wanted = SignUp { open: form.open, team: app(&form.team)? };
    let now: SignUp = visit.send(Method::PUT, "/v1/sign-up", &wanted).await?;
    Ok(if now.open { "strangers may become users" } else { "only admins make users" }.to_owned())
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    session: SessionInfo,
    least: usize,
}

/// `GET /account`: what one may do, and one's password.
pub async fn account(visit: Visit) -> Response {
    let session = visit.get::<SessionInfo>("/v1/session").await;
    let made = session.map(|session| Account { session, least: PASSWORD_CHARS_MIN });
    visit.page("Your account", Noun::People, made).await
}

/// A new password.
#[derive(Deserialize)]
pub struct NewPassword {
    #[serde(default)]
    current: String,
    new: String,
    again: String,
}

/// `POST /act/password`.
pub async fn password(visit: Visit, Form(form): Form<NewPassword>) -> Response {
    page::did(change_password(&visit, form).await)
}

async fn change_password(visit: &Visit, form: NewPassword) -> Result<String, Problem> {
    if form.new != form.again {
        return Err(usage("the two new passwords are not the same").hint("nothing was changed"));
    }
    let session: SessionInfo = visit.get("/v1/session").await?;
    let name = session.user.ok_or_else(|| usage("a token has no password").hint("log in by name"))?;
    let current = Some(form.current).filter(|text| !text.is_empty());
    let body = serde_json::to_vec(&PasswordRequest { current, new: form.new }).unwrap_or_default();
    visit.tell(Method::POST, &format!("/v1/users/{name}/password"), body).await?;
    Ok("you have a new password; your other sessions have ended".into())
}
