//! `lace team`: users who are granted the same.

use super::grants;
use crate::command::output::ago;
use crate::command::{Exit, Outcome, Session, confirm};
use clap::{Args, Subcommand};
use lace_model::{Name, Problem};

/// `lace team`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace team join ops anna ben")]
pub struct TeamArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: TeamVerb,
}

/// The verbs of `lace team`.
#[derive(Subcommand, Debug)]
pub enum TeamVerb {
    /// Make one
    #[command(after_help = "Example:\n  lace team add ops")]
    Add {
        /// What it is called
        name: Name,
    },
    /// List them, with their members
    #[command(after_help = "Example:\n  lace team list")]
    List,
    /// Remove one that has no members
    #[command(after_help = "Example:\n  lace team remove ops")]
    Remove {
        /// Its name
        name: Name,
    },
    /// Take users into one
    #[command(after_help = "Example:\n  lace team join ops anna ben")]
    Join {
        /// Its name
        name: Name,
        /// Their names
        #[arg(required = true)]
        users: Vec<Name>,
    },
    /// Take users out of one
    #[command(after_help = "Example:\n  lace team leave ops anna")]
    Leave {
        /// Its name
        name: Name,
        /// Their names
        #[arg(required = true)]
        users: Vec<Name>,
    },
}

/// Runs `lace team`.
pub async fn run(args: TeamArgs, s: &mut Session) -> Outcome {
    match args.verb {
        TeamVerb::Add { name } => {
            s.client()?.team_add(&name).await?;
            s.out.say(format!(
                "team {name} is there; say what it may do: lace grant add team/{name} --role ROLE"
            ));
        }
        TeamVerb::List => list(s).await?,
        TeamVerb::Remove { name } => {
            confirm::destructive(s, &format!("this removes team {name}"))?;
            s.client()?.team_remove(&name).await?;
            s.out.say(format!("team {name} is removed"));
        }
        TeamVerb::Join { name, users } => {
            for user in &users {
                s.client()?.team_join(&name, user).await?;
                s.out.say(format!("{user} is in team {name}"));
            }
        }
        TeamVerb::Leave { name, users } => {
            for user in &users {
                s.client()?.team_leave(&name, user).await?;
                s.out.say(format!("{user} is no longer in team {name}"));
            }
        }
    }
    Ok(Exit::DONE)
}

async fn list(s: &mut Session) -> Result<(), Problem> {
    let teams = s.client()?.teams().await?;
    let now = s.now();
    s.out.list(&teams, &["name", "grants", "members", "made"], |team| {
        let members: Vec<&str> = team.members.iter().map(Name::as_str).collect();
        vec![
            team.name.as_str().into(),
            grants(&team.grants).into(),
            members.join(" ").into(),
            ago(now, team.created_at).into(),
        ]
    });
    Ok(())
}
