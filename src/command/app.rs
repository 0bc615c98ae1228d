//! `lace app`: applications.

use super::output::ago;
use super::{Exit, Outcome, Session, confirm, status, watch};
use clap::{Args, Subcommand};
use lace_model::{AppName, Code, Problem, TargetPath};
use lace_wire::api::VerbRequest;

/// `lace app`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace app list")]
pub struct AppArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: AppVerb,
}

/// The verbs of `lace app`.
#[derive(Subcommand, Debug)]
pub enum AppVerb {
    /// Make an empty one
    #[command(after_help = "Example:\n  lace app create shop")]
    Create {
        /// Its name
        name: AppName,
    },
    /// List them
    #[command(after_help = "Example:\n  lace app list --format json")]
    List,
    /// Show one with its families and nodes
    #[command(after_help = "Example:\n  lace app show shop")]
    Show {
        /// Its name
        name: AppName,
    },
    /// Give one another name; its nodes, their DNS names and the doors by its name are called after it
    #[command(after_help = "Example:\n  lace app rename shop store --restart")]
    Rename {
        /// Its name
        name: AppName,
        /// Its new name
        to: AppName,
        /// Stop it first where it runs, and start it under the new name
        #[arg(long)]
        restart: bool,
    },
    /// Delete one with everything in it
    #[command(after_help = "Example:\n  lace app delete shop --delete-data")]
    Delete {
        /// Its name
        name: AppName,
        /// End even where hosts do not answer; names what was abandoned
        #[arg(long)]
        force: bool,
        /// Volumes, too
        #[arg(long)]
        delete_data: bool,
    },
}

/// Runs `lace app`.
pub async fn run(args: AppArgs, s: &mut Session) -> Outcome {
    match args.verb {
        AppVerb::Create { name } => {
            let app = s.client()?.app_create(&name).await?;
            s.out.item(&app, |app| format!("application {} is made", app.name));
        }
        AppVerb::List => list(s).await?,
        AppVerb::Show { name } => {
            let target = TargetPath { app: name, service: None, family: None, index: None };
            return status::run(status::StatusArgs { target: Some(target), watch: false }, s).await;
        }
        AppVerb::Rename { name, to, restart } => return rename(s, &name, &to, restart).await,
        AppVerb::Delete { name, force, delete_data } => {
            let data = if delete_data { " and its data" } else { "" };
            confirm::destructive(s, &format!("this deletes application {name}{data}"))?;
            let accepted = s.client()?.app_delete(&name, force, delete_data).await?;
            return watch::accepted(s, accepted).await;
        }
    }
    Ok(Exit::DONE)
}

/// Names of nodes have the application in them, so nothing of it may run meanwhile.
async fn rename(s: &mut Session, name: &AppName, to: &AppName, restart: bool) -> Outcome {
    if !restart {
        let accepted = s.client()?.app_rename(name, to).await?;
        s.out.item(&accepted, |a| format!("{}; its nodes start with: lace start {to}", a.message));
        return Ok(Exit::DONE);
    }
    confirm::destructive(s, &format!("this stops all nodes of {name} for a moment"))?;
    // What would be refused anyway stops nothing.
    let client = s.client()?;
    if client.apps().await?.iter().any(|known| known.name == *to) {
        let text = format!("there is an application {to} already");
        return Err(Problem::new(Code::Conflict, text).hint("choose another name"));
    }
    let whole = |app: &AppName| TargetPath { app: app.clone(), service: None, family: None, index: None };
    let stopped = client.verb(&VerbRequest::Stop { target: whole(name) }).await?;
    if let Some(id) = stopped.operation {
        watch::operation(s, id).await?;
    }
    let renamed = client.app_rename(name, to).await;
    let runs_as = if renamed.is_ok() { to } else { name };
    let started = client.verb(&VerbRequest::Start { target: whole(runs_as) }).await?;
    s.out.note(renamed?.message);
    watch::accepted(s, started).await
}

async fn list(s: &mut Session) -> Result<(), lace_model::Problem> {
    let apps = s.client()?.apps().await?;
    let now = s.now();
    s.out.list(&apps, &["name", "health", "services", "ready", "made"], |app| {
        vec![
            app.name.as_str().into(),
            status::health(app.health),
            app.services.into(),
            format!("{}/{}", app.ready, app.wanted).into(),
            ago(now, app.created_at).into(),
        ]
    });
    Ok(())
}
