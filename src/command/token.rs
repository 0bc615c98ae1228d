//! `lace token`: who may do what.

use super::output::{ago, between};
use super::{Exit, Outcome, Session, confirm};
use clap::{Args, Subcommand, ValueEnum};
use lace_model::token::Role;
use lace_model::{AppName, Millis, Span, TokenId};
use lace_wire::api::{TokenInfo, TokenRequest};

const EXAMPLE: &str = "Example:\n  lace token create ci --role deployer --app shop --expires-in 30d";

/// `lace token`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: TokenVerb,
}

/// The verbs of `lace token`.
#[derive(Subcommand, Debug)]
pub enum TokenVerb {
    /// Make one; its text is shown this once
    #[command(after_help = EXAMPLE)]
    Create {
        /// What it is called
        name: String,
        /// What it allows
        #[arg(long, value_enum, default_value = "deployer")]
        role: RoleName,
        /// Only this application (may be said again)
        #[arg(long = "app", value_name = "APP")]
        apps: Vec<AppName>,
        /// When it ends
        #[arg(long, value_name = "TIME")]
        expires_in: Option<Span>,
        /// It lets one agent join, and nothing else
        #[arg(long)]
        join: bool,
    },
    /// List them, without their secret parts
    #[command(after_help = "Example:\n  lace token list")]
    List,
    /// End one
    #[command(after_help = "Example:\n  lace token remove 019aa9d6-2d4e-8000-8000-000000000001")]
    Remove {
        /// Its id
        id: TokenId,
    },
}

/// What a token allows, as the command line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// See everything but secrets
    Viewer,
    /// Change applications, too
    Deployer,
    /// Change hosts, tokens and the controller, too
    Admin,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Viewer => Self::Viewer,
            RoleName::Deployer => Self::Deployer,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// Runs `lace token`.
pub async fn run(args: TokenArgs, s: &mut Session) -> Outcome {
    match args.verb {
        TokenVerb::Create { name, role, apps, expires_in, join } => {
            let request = TokenRequest { name, role: role.into(), apps, expires_in, join };
            let made = s.client()?.token_create(&request).await?;
            s.out.item(&made, |made| made.token.clone());
            s.out.note(format!("token {} is shown this once: keep it", made.id));
        }
        TokenVerb::List => list(s).await?,
        TokenVerb::Remove { id } => {
            confirm::destructive(s, &format!("this ends token {id}"))?;
            s.client()?.token_remove(id).await?;
            s.out.say(format!("token {id} is ended"));
        }
    }
    Ok(Exit::DONE)
}

async fn list(s: &mut Session) -> Result<(), lace_model::Problem> {
    let tokens = s.client()?.tokens().await?;
    let now = s.now();
    s.out.list(&tokens, &["id", "name", "allows", "apps", "made", "ends"], |token| {
        let apps: Vec<&str> = token.apps.iter().map(AppName::as_str).collect();
        vec![
            token.id.into(),
            token.name.as_str().into(),
            allows(token).into(),
            if apps.is_empty() { "all".into() } else { apps.join(" ").into() },
            ago(now, token.created_at).into(),
            ends(token.expires_at, now).into(),
        ]
    });
    Ok(())
}

fn ends(at: Option<Millis>, now: Millis) -> String {
    match at {
        None => "never".into(),
        Some(at) if at <= now => "over".into(),
        Some(at) => format!("in {}", between(now, at)),
    }
}

fn allows(token: &TokenInfo) -> &'static str {
    match (token.join, token.once, token.role) {
        (true, ..) => "join",
        (_, true, _) => "log in once",
        (_, _, Role::Viewer) => "viewer",
        (_, _, Role::Deployer) => "deployer",
        (_, _, Role::Admin) => "admin",
    }
}
