//! `lace user`: who logs in by name.

use super::grants;
use crate::command::output::{Cell, ago};
use crate::command::token::RoleName;
use crate::command::{Exit, Outcome, Session, confirm};
use clap::{Args, Subcommand, ValueEnum};
use lace_model::people::{Grant, SignUp};
use lace_model::{AppName, Code, Name, Problem};
use lace_wire::api::{PasswordRequest, TokenMade, UserRequest};

const EXAMPLE: &str = "Example:\n  lace user add anna --role deployer --app shop";

/// `lace user`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct UserArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: UserVerb,
}

/// The verbs of `lace user`.
#[derive(Subcommand, Debug)]
pub enum UserVerb {
    /// Make one; prints the link to choose a password, good once and for a day
    #[command(after_help = EXAMPLE)]
    Add {
        /// What they are called
        name: Name,
        /// What they may do; nothing where none is said
        #[arg(long, value_enum)]
        role: Option<RoleName>,
        /// Only for this application (may be said again)
        #[arg(long = "app", value_name = "APP", requires = "role")]
        apps: Vec<AppName>,
        /// A team that they are in (may be said again)
        #[arg(long = "team", value_name = "TEAM")]
        teams: Vec<Name>,
        /// Read their password from the input, instead of a link
        #[arg(long)]
        password: bool,
    },
    /// List them
    #[command(after_help = "Example:\n  lace user list")]
    List,
    /// Remove one, and end their sessions
    #[command(after_help = "Example:\n  lace user remove anna")]
    Remove {
        /// Their name
        name: Name,
    },
    /// A link to choose a new password; the former one and all sessions end
    #[command(after_help = "Example:\n  lace user link anna")]
    Link {
        /// Their name
        name: Name,
    },
    /// Keep one out, from open sessions too
    #[command(after_help = "Example:\n  lace user lock anna")]
    Lock {
        /// Their name
        name: Name,
    },
    /// Let one in again
    #[command(after_help = "Example:\n  lace user unlock anna")]
    Unlock {
        /// Their name
        name: Name,
    },
    /// Change your own password; your other sessions end
    #[command(after_help = "\
On a terminal it asks without showing what is typed; else the first line of the input is the current
password and the second one the new. Who has none yet gives the new one alone.

Example:
  lace user password")]
    Password,
    /// Say whether strangers may become users by themselves
    #[command(after_help = "Example:\n  lace user sign-up open --team guests")]
    SignUp {
        /// What shall be; says what is where none is given
        wanted: Option<Wanted>,
        /// The team that they come into
        #[arg(long, value_name = "TEAM", requires = "wanted")]
        team: Option<Name>,
    },
}

/// Whether strangers may become users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// They may
    Open,
    /// An admin makes users
    Closed,
}

/// Runs `lace user`.
pub async fn run(args: UserArgs, s: &mut Session) -> Outcome {
    match args.verb {
        UserVerb::Add { name, role, apps, teams, password } => {
            let password = if password { Some(confirm::secret(s, "password: ")?) } else { None };
            let request = UserRequest { grants: wanted(role, apps), name, password, teams };
            add(s, &request).await?;
        }
        UserVerb::List => list(s).await?,
        UserVerb::Remove { name } => {
            confirm::destructive(s, &format!("this removes user {name} and ends their sessions"))?;
            s.client()?.user_remove(&name).await?;
            s.out.say(format!("user {name} is removed"));
        }
        UserVerb::Link { name } => {
            confirm::destructive(s, &format!("this ends the password of {name} and their sessions"))?;
            let made = s.client()?.user_link(&name).await?;
            show_link(s, &name, &made)?;
        }
        UserVerb::Lock { name } => {
            s.client()?.user_lock(&name, true).await?;
            s.out.say(format!("user {name} is locked out"));
        }
        UserVerb::Unlock { name } => {
            s.client()?.user_lock(&name, false).await?;
            s.out.say(format!("user {name} may come in again"));
        }
        UserVerb::Password => password(s).await?,
        UserVerb::SignUp { wanted, team } => sign_up(s, wanted, team).await?,
    }
    Ok(Exit::DONE)
}

/// One grant for each application; for everything where none is said.
fn wanted(role: Option<RoleName>, apps: Vec<AppName>) -> Vec<Grant> {
    let Some(role) = role.map(Into::into) else { return Vec::new() };
    if apps.is_empty() {
        return vec![Grant { role, app: None }];
    }
    apps.into_iter().map(|app| Grant { role, app: Some(app) }).collect()
}

async fn add(s: &mut Session, request: &UserRequest) -> Result<(), Problem> {
    let made = s.client()?.user_add(request).await?;
    match &made.login {
        Some(link) => show_link(s, &made.user.name, link),
        None => {
            s.out.say(format!("user {} may log in with the password", made.user.name));
            Ok(())
        }
    }
}

fn show_link(s: &mut Session, name: &Name, made: &TokenMade) -> Result<(), Problem> {
    let url = s.context()?.url;
    s.out.item(made, |made| format!("{}/login?token={}", url.trim_end_matches('/'), made.token));
    s.out.note(format!("give the link to {name}: it works once, within a day, and is shown this once"));
    Ok(())
}

async fn list(s: &mut Session) -> Result<(), Problem> {
    let users = s.client()?.users().await?;
    let now = s.now();
    s.out.list(&users, &["name", "grants", "teams", "state", "sessions", "since"], |user| {
        let teams: Vec<&str> = user.teams.iter().map(Name::as_str).collect();
        let state = match (user.locked, user.has_password) {
            (true, _) => Cell::warning("locked"),
            (_, false) => Cell::faint("has a link"),
            (_, true) => "active".into(),
        };
        vec![
            user.name.as_str().into(),
            grants(&user.grants).into(),
            teams.join(" ").into(),
            state,
            user.sessions.into(),
            ago(now, user.created_at).into(),
        ]
    });
    Ok(())
}

async fn password(s: &mut Session) -> Result<(), Problem> {
    let client = s.client()?;
    let session = client.session().await?;
    let Some(name) = session.user else {
        let message = format!("you come with token {}, which is no user's", session.name);
        return Err(Problem::new(Code::Usage, message).hint("lace login URL --user NAME"));
    };
    let (current, new) = if s.world.in_terminal {
        let current = confirm::secret(s, "current password (empty if there is none): ")?;
        let new = confirm::secret(s, "new password: ")?;
        if new != confirm::secret(s, "the same again: ")? {
            return Err(Problem::new(Code::Usage, "the two are not the same").hint("nothing was changed"));
        }
        (current, new)
    } else {
        let first = s.read_line()?;
        let second = s.read_line()?;
        if second.is_empty() { (second, first) } else { (first, second) }
    };
    let current = Some(current).filter(|text| !text.is_empty());
    client.user_password(&name, &PasswordRequest { current, new }).await?;
    s.out.say(format!("{name} has a new password; other sessions have ended"));
    Ok(())
}

async fn sign_up(s: &mut Session, wanted: Option<Wanted>, team: Option<Name>) -> Result<(), Problem> {
    let client = s.client()?;
    let now = match wanted {
        None => client.sign_up().await?,
        Some(wanted) => client.sign_up_set(&SignUp { open: wanted == Wanted::Open, team }).await?,
    };
    s.out.item(&now, |now| match (now.open, &now.team) {
        (false, _) => "an admin makes users".into(),
        (true, None) => "strangers may become users; nothing is granted to them".into(),
        (true, Some(team)) => format!("strangers may become users, in team {team}"),
    });
    Ok(())
}
