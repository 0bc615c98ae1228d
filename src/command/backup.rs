//! `lace backup`: copies of what services of packages hold. They are made and put back by `lace service`.

use super::output::ago;
use super::{Exit, Outcome, Session, confirm, watch};
use clap::{Args, Subcommand};
use lace_model::backup::Backup;
use lace_model::release::Tree;
use lace_model::{BackupId, ByteSize, Code, Problem, TargetPath};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `lace backup`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace service backup shop/db && lace backup list shop/db")]
pub struct BackupArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: BackupVerb,
}

/// The verbs of `lace backup`.
#[derive(Subcommand, Debug)]
pub enum BackupVerb {
    /// List them, the newest first
    #[command(after_help = "Example:\n  lace backup list shop")]
    List {
        /// Of what; of everything when left out
        target: Option<TargetPath>,
    },
    /// Make one, as the service's package writes it
    #[command(after_help = "Example:\n  lace backup create shop/db")]
    Create(CreateArgs),
    /// Give one to a service, instead of what that holds
    #[command(after_help = RESTORE_HELP)]
    Restore(RestoreArgs),
    /// Write one to a file; every part is checked against its digest
    #[command(after_help = "Example:\n  lace backup download 01234567-89ab-8def-8123-456789abcdef db.backup")]
    Download {
        /// Its id
        id: BackupId,
        /// The file to make
        file: PathBuf,
    },
    /// Delete one
    #[command(after_help = "Example:\n  lace backup delete 01234567-89ab-8def-8123-456789abcdef")]
    Delete {
        /// Its id
        id: BackupId,
    },
}

/// `lace backup create`, `lace service backup`.
#[derive(Args, Debug)]
pub struct CreateArgs {
    /// The service, or the node that shall write it
    pub target: TargetPath,
}

/// The help of `lace backup restore` and `lace service restore`.
pub const RESTORE_HELP: &str = "\
Also to another service, if it is of the same package.

Example:
  lace service restore shop/db latest";

/// `lace backup restore`, `lace service restore`.
#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// The service, or the node that shall take it
    pub target: TargetPath,
    /// The backup's id, or latest
    pub backup: Which,
    /// Also one that another version of the package wrote
    #[arg(long)]
    pub other_version: bool,
}

/// Which backup: its id, or the newest of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// `latest`.
    Latest,
    /// Its id.
    Id(BackupId),
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "latest" => Ok(Self::Latest),
            text => text.parse().map(Self::Id).map_err(|_| "write its id, or latest".to_owned()),
        }
    }
}

/// Runs `lace backup`.
pub async fn run(args: BackupArgs, s: &mut Session) -> Outcome {
    match args.verb {
        BackupVerb::Create(args) => return create(s, &args).await,
        BackupVerb::Restore(args) => return restore(s, &args).await,
        BackupVerb::List { target } => list(s, target).await?,
        BackupVerb::Download { id, file } => download(s, id, &file).await?,
        BackupVerb::Delete { id } => {
            confirm::destructive(s, &format!("this deletes backup {id}"))?;
            s.client()?.backup_delete(id).await?;
            s.out.say(format!("backup {id} is deleted"));
        }
    }
    Ok(Exit::DONE)
}

/// `lace service backup`.
pub async fn create(s: &mut Session, args: &CreateArgs) -> Outcome {
    let accepted = s.client()?.backup_create(&args.target).await?;
    watch::accepted(s, accepted).await
}

/// `lace service restore`.
pub async fn restore(s: &mut Session, args: &RestoreArgs) -> Outcome {
    let RestoreArgs { target, backup, other_version } = args;
    let backup = match *backup {
        Which::Id(id) => s.client()?.backup(id).await?,
        Which::Latest => s.client()?.backups(Some(target)).await?.into_iter().next().ok_or_else(|| {
            Problem::not_found(format!("backup of {target}")).hint(format!("lace service backup {target}"))
        })?,
    };
    let Backup { id, service, package, version, bytes, made_at, .. } = &backup;
    let (size, made) = (ByteSize(*bytes).human(), ago(s.now(), *made_at));
    let deed = format!(
        "this replaces what {target} holds by backup {id}: {size} of {service}, written by {package}@{version} , {made}"
    );
    confirm::destructive(s, &deed)?;
    if !confirm::yes(s, &format!("{deed}. Go on?"))? {
        return Ok(Exit::DONE);
    }
    let accepted = s.client()?.backup_restore(*id, Some(target), *other_version).await?;
    watch::accepted(s, accepted).await
}

async fn list(s: &mut Session, target: Option<TargetPath>) -> Result<(), Problem> {
    let backups = s.client()?.backups(target.as_ref()).await?;
    let now = s.now();
    s.out.list(&backups, &["id", "service", "size", "package", "made", "by"], |backup| {
        vec![
            backup.id.to_string().into(),
            backup.service.to_string().into(),
            ByteSize(backup.bytes).human().into(),
            format!("{}@{}", backup.package, backup.version).into(),
            ago(now, backup.made_at).into(),
            backup.made_by.as_str().into(),
        ]
    });
    Ok(())
}

async fn download(s: &mut Session, id: BackupId, file: &Path) -> Result<(), Problem> {
    let client = s.client()?;
    let backup = client.backup(id).await?;
    let tree = client.blob_get(backup.tree).await?;
    let tree: Tree = serde_json::from_slice(&tree)
        .map_err(|e| Problem::new(Code::Error, format!("backup {id} is damaged: {e}")))?;
    let path = s.at(file);
    let shown = file.display().to_string();
    let cannot = |e: std::io::Error| Problem::new(Code::Error, format!("cannot write {shown}: {e}"));
    let mut goal = File::create_new(&path).map_err(cannot)?;
    for digest in tree.chunks() {
        let written = match client.blob_get(digest).await {
            Ok(bytes) => goal.write_all(&bytes).map_err(cannot),
            Err(problem) => Err(problem),
        };
        if let Err(problem) = written {
            // Half of it would be taken for the whole.
            let _ = std::fs::remove_file(&path);
            return Err(problem);
        }
    }
    goal.sync_all().map_err(cannot)?;
    s.out.say(format!("backup {id} ({}) is in {shown}", ByteSize(backup.bytes).human()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_its_id_or_the_newest() {
        let id = "01234567-89ab-8def-8123-456789abcdef";
        assert_eq!("latest".parse(), Ok(Which::Latest));
        assert_eq!(id.parse(), Ok(Which::Id(id.parse().unwrap())));
        assert!("newest".parse::<Which>().is_err());
    }
}
