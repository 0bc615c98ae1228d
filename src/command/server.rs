//! `lace server`: the controller itself. Without a verb it is the role.

use super::roles::RestoreArgs;
use super::session::cannot_write;
use super::{Exit, Outcome, Session, confirm};
use clap::{Args, Subcommand};
use lace_model::{ByteSize, Code, Problem};
use lace_wire::api::ServerInfo;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `lace server`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, after_help = "Example:\n  lace server backup monday.lace")]
pub struct ServerArgs {
    /// What to do; the role where nothing is said.
    #[command(subcommand)]
    pub verb: Option<ServerVerb>,
    /// The role's own words
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub words: Vec<String>,
}

/// The verbs of `lace server`.
#[derive(Subcommand, Debug)]
pub enum ServerVerb {
    /// Show version, epoch, and what it does not know
    #[command(after_help = "Example:\n  lace server info")]
    Info,
    /// Save its own state
    #[command(after_help = "Example:\n  lace server backup monday.lace")]
    Backup {
        /// Where to
        file: PathBuf,
    },
    /// Make a state from a backup, on the controller's machine, while it is stopped
    Restore(RestoreArgs),
    /// End adopt mode after a restore: what is unknown may be removed from now on
    #[command(after_help = "Example:\n  lace server adopted")]
    Adopted,
}

/// Runs `lace server`, the role aside.
pub async fn run(args: ServerArgs, s: &mut Session) -> Outcome {
    match args.verb {
        Some(ServerVerb::Info) => {
            let info = s.client()?.server().await?;
            s.out.item(&info, picture);
        }
        Some(ServerVerb::Backup { file }) => backup(s, &file).await?,
        Some(ServerVerb::Adopted) => {
            confirm::destructive(s, "this lets the controller remove what it does not know")?;
            s.client()?.server_adopted().await?;
            s.out.say("adopt mode is over");
        }
        Some(ServerVerb::Restore(_)) | None => {
            return Err(Problem::new(Code::Usage, "this is a role, not a command"));
        }
    }
    Ok(Exit::DONE)
}

fn picture(info: &ServerInfo) -> String {
    let mut text = format!(
        "version      {}\ninstallation {}\nepoch        {}\nagents dial  {}\n",
        info.version, info.installation, info.epoch, info.agent_address
    );
    if info.adopt {
        text.push_str("adopt mode   what is unknown is kept; end it with: lace server adopted\n");
    }
    for (host, node) in &info.unknown_nodes {
        text.push_str(&format!("  unknown node {node} on host {host}\n"));
    }
    text
}

async fn backup(s: &mut Session, file: &Path) -> Result<(), Problem> {
    let path = s.at(file);
    let beside = path.with_extension("part");
    let _ = std::fs::remove_file(&beside);
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let mut part = made.map_err(|e| cannot_write(&beside, &e))?;
    let saved = s.client()?.server_backup(|piece| part.write_all(piece)).await;
    let kept = match saved {
        Ok(bytes) => part
            .sync_all()
            .and_then(|()| std::fs::rename(&beside, &path))
            .map(|()| bytes)
            .map_err(|e| cannot_write(file, &e)),
        Err(problem) => Err(problem),
    };
    let bytes = kept.inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
    s.out.say(format!("{}: {}", file.display(), ByteSize(bytes).human()));
    s.out.note("the master key is not in it: keep that elsewhere");
    Ok(())
}
