//! `lace grant`: what users and teams may do.

use super::role;
use crate::command::token::RoleName;
use crate::command::{Exit, Outcome, Session};
use clap::{Args, Subcommand};
use lace_model::AppName;
use lace_model::people::Grantee;
use lace_wire::api::GrantLine;

/// `lace grant`.
#[derive(Args, Debug)]
#[command(after_help = "\
What is granted or taken away counts at once, in open sessions too.

Example:
  lace grant add team/ops --role deployer --app shop")]
pub struct GrantArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: GrantVerb,
}

/// The verbs of `lace grant`.
#[derive(Subcommand, Debug)]
pub enum GrantVerb {
    /// Grant a role, for some applications or for everything
    #[command(after_help = "Example:\n  lace grant add anna --role viewer")]
    Add(GrantWords),
    /// Take a grant away
    #[command(after_help = "Example:\n  lace grant remove anna --role viewer")]
    Remove(GrantWords),
    /// List all
    #[command(after_help = "Example:\n  lace grant list")]
    List,
}

/// A grant in words.
#[derive(Args, Debug)]
pub struct GrantWords {
    /// A user, or team/NAME
    pub to: Grantee,
    /// What it allows
    #[arg(long, value_enum)]
    pub role: RoleName,
    /// Only for this application (may be said again)
    #[arg(long = "app", value_name = "APP")]
    pub apps: Vec<AppName>,
}

impl GrantWords {
    fn lines(self) -> Vec<GrantLine> {
        let Self { to, role, apps } = self;
        let line = |app| GrantLine { to: to.clone(), role: role.into(), app };
        if apps.is_empty() { vec![line(None)] } else { apps.into_iter().map(|app| line(Some(app))).collect() }
    }
}

/// Runs `lace grant`.
pub async fn run(args: GrantArgs, s: &mut Session) -> Outcome {
    match args.verb {
        GrantVerb::Add(words) => {
            for line in words.lines() {
                s.client()?.grant_add(&line).await?;
                s.out.say(format!("{} is {}", line.to, said(&line)));
            }
        }
        GrantVerb::Remove(words) => {
            for line in words.lines() {
                s.client()?.grant_remove(&line).await?;
                s.out.say(format!("{} is no longer {}", line.to, said(&line)));
            }
        }
        GrantVerb::List => {
            let lines = s.client()?.grants().await?;
            s.out.list(&lines, &["to", "role", "app"], |line| {
                let app = line.app.as_ref().map_or("all", AppName::as_str);
                vec![line.to.to_string().into(), role(line.role).into(), app.into()]
            });
        }
    }
    Ok(Exit::DONE)
}

fn said(line: &GrantLine) -> String {
    let of = line.app.as_ref().map_or("everything", AppName::as_str);
    format!("{} of {of}", role(line.role))
}
