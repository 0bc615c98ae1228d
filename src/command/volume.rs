//! `lace volume`: what outlives nodes.

use super::output::Cell;
use super::{Exit, Outcome, Session, confirm, watch};
use clap::{Args, Subcommand};
use lace_model::{ByteSize, Name, TargetPath};
use lace_wire::stream::Volume;

/// `lace volume`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace volume list shop")]
pub struct VolumeArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: VolumeVerb,
}

/// The verbs of `lace volume`.
#[derive(Subcommand, Debug)]
pub enum VolumeVerb {
    /// List them, also those that no node has: the next node of the same place gets them again
    #[command(after_help = "Example:\n  lace volume list shop/game")]
    List {
        /// Of what; of everything when left out
        target: Option<TargetPath>,
    },
    /// Delete those of a name, with what is in them; refused while a node has one
    #[command(after_help = "Example:\n  lace stop shop/db && lace volume delete shop/db/data")]
    Delete {
        /// Which: the volume's name behind what it belongs to, such as shop/data or shop/db/1/data
        #[arg(value_name = "TARGET/VOLUME")]
        volume: Volumes,
    },
}

/// Volumes of one name below a target: `shop/data`, `shop/db/1/data`.
#[derive(Clone, Debug)]
pub struct Volumes {
    target: TargetPath,
    name: Name,
}

impl std::str::FromStr for Volumes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (target, name) = text.rsplit_once('/').ok_or("write APP/VOLUME or APP/SERVICE/N/VOLUME")?;
        let target = target.parse().map_err(|e| format!("{target:?}: {e}"))?;
        Ok(Self { target, name: name.parse().map_err(|e| format!("{name:?}: {e}"))? })
    }
}

/// Runs `lace volume`.
pub async fn run(args: VolumeArgs, s: &mut Session) -> Outcome {
    match args.verb {
        VolumeVerb::List { target } => list(s, target).await,
        VolumeVerb::Delete { volume } => delete(s, &volume).await,
    }
}

async fn delete(s: &mut Session, which: &Volumes) -> Outcome {
    let Volumes { target, name } = which;
    let mut there = s.client()?.volumes(Some(target)).await?;
    there.retain(|volume| volume.name == *name);
    let bytes = ByteSize(there.iter().map(|volume| volume.used).sum()).human();
    let deed = format!(
        "this deletes volume {name} of {target} with what is in it ({} in all, {bytes})",
        there.len()
    );
    confirm::destructive(s, &deed)?;
    if !there.is_empty() && !confirm::yes(s, &format!("{deed}. Go on?"))? {
        return Ok(Exit::DONE);
    }
    let accepted = s.client()?.volumes_delete(target, name).await?;
    watch::accepted(s, accepted).await
}

async fn list(s: &mut Session, target: Option<TargetPath>) -> Outcome {
    let volumes = s.client()?.volumes(target.as_ref()).await?;
    s.out.list(&volumes, &["node", "name", "state", "used", "size", "host"], |volume| {
        vec![
            volume.path.to_string().into(),
            volume.name.as_str().into(),
            state(volume),
            ByteSize(volume.used).human().into(),
            volume.size.map_or_else(|| Cell::warning("not enforced"), |size| ByteSize(size).human().into()),
            volume.host.as_str().into(),
        ]
    });
    Ok(Exit::DONE)
}

fn state(volume: &Volume) -> Cell {
    match (volume.node, volume.doomed) {
        (Some(_), true) => Cell::warning("goes with its node"),
        (Some(_), false) => Cell::good("in use"),
        (None, _) => Cell::faint("kept"),
    }
}
