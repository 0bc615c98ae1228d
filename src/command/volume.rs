//! `lace volume`: what outlives nodes.

mod change;

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
    /// Give each node of a service a new one; its nodes change one after the other
    #[command(after_help = "Example:\n  lace volume create shop/db data 10GiB --at /var/lib/db")]
    Create {
        /// The service
        target: TargetPath,
        /// The volume's name
        name: Name,
        /// Its size; more does not go in
        size: ByteSize,
        /// Where nodes see it; /media/NAME where not said
        #[arg(long, value_name = "PATH")]
        at: Option<String>,
    },
    /// Give nodes a detached one back, with what is in it
    #[command(after_help = "Example:\n  lace volume attach shop/db/data")]
    Attach {
        /// The volume's name behind its service
        #[arg(value_name = "SERVICE/VOLUME")]
        volume: Volumes,
        /// Where nodes see it; where it was, where not said
        #[arg(long, value_name = "PATH")]
        at: Option<String>,
    },
    /// Take one from the nodes of a service; what is in it is kept
    #[command(after_help = "Example:\n  lace volume detach shop/db/data")]
    Detach {
        /// The volume's name behind its service
        #[arg(value_name = "SERVICE/VOLUME")]
        volume: Volumes,
    },
    /// Make one larger; its nodes change one after the other
    #[command(after_help = "Example:\n  lace volume resize shop/db/data 20GiB")]
    Resize {
        /// The volume's name behind its service
        #[arg(value_name = "SERVICE/VOLUME")]
        volume: Volumes,
        /// Its size from now on
        size: ByteSize,
    },
    /// Keep what is in them now; nodes that have them wait meanwhile
    #[command(after_help = "Example:\n  lace volume snapshot shop/db/data before-upgrade")]
    Snapshot {
        /// Which: the volume's name behind what it belongs to, such as shop/data or shop/db/1/data
        #[arg(value_name = "TARGET/VOLUME")]
        volume: Volumes,
        /// The snapshot's name
        name: Name,
    },
    /// Put what a snapshot holds in their place; refused while a node has one
    #[command(after_help = "\
What is in them now is lost, unless it is in a snapshot, too.

Example:
  lace stop shop/db && lace volume restore shop/db/data before-upgrade && lace start shop/db")]
    Restore {
        /// Which: the volume's name behind what it belongs to, such as shop/data or shop/db/1/data
        #[arg(value_name = "TARGET/VOLUME")]
        volume: Volumes,
        /// The snapshot's name
        name: Name,
    },
    /// Delete those of a name, with what is in them and their snapshots; refused while a node has one
    #[command(after_help = "\
Example:
  lace stop shop/db && lace volume delete shop/db/data
  lace volume delete shop/db/data --snapshot before-upgrade")]
    Delete {
        /// Which: the volume's name behind what it belongs to, such as shop/data or shop/db/1/data
        #[arg(value_name = "TARGET/VOLUME")]
        volume: Volumes,
        /// Delete this snapshot of them only
        #[arg(long, value_name = "NAME")]
        snapshot: Option<Name>,
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

impl std::fmt::Display for Volumes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.target, self.name)
    }
}

/// Runs `lace volume`.
pub async fn run(args: VolumeArgs, s: &mut Session) -> Outcome {
    match args.verb {
        VolumeVerb::List { target } => list(s, target).await,
        VolumeVerb::Create { target, name, size, at } => {
            change::create(s, &Volumes { target, name }, size, at).await
        }
        VolumeVerb::Attach { volume, at } => change::attach(s, &volume, at).await,
        VolumeVerb::Detach { volume } => change::detach(s, &volume).await,
        VolumeVerb::Resize { volume, size } => change::resize(s, &volume, size).await,
        VolumeVerb::Snapshot { volume: Volumes { target, name: volume }, name } => {
            let accepted = s.client()?.volumes_snapshot(&target, &volume, &name).await?;
            watch::accepted(s, accepted).await
        }
        VolumeVerb::Restore { volume, name } => {
            let Volumes { target, name: which } = &volume;
            confirm::destructive(s, &format!("this replaces what is in volume {volume} by snapshot {name}"))?;
            let accepted = s.client()?.volumes_restore(target, which, &name).await?;
            watch::accepted(s, accepted).await
        }
        VolumeVerb::Delete { volume, snapshot: Some(name) } => {
            confirm::destructive(s, &format!("this deletes snapshot {name} of volume {volume}"))?;
            let accepted = s.client()?.snapshot_delete(&volume.target, &volume.name, &name).await?;
            watch::accepted(s, accepted).await
        }
        VolumeVerb::Delete { volume, snapshot: None } => delete(s, &volume).await,
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
    s.out.list(&volumes, &["node", "name", "state", "used", "size", "host", "snapshots"], |volume| {
        vec![
            volume.path.to_string().into(),
            volume.name.as_str().into(),
            state(volume),
            ByteSize(volume.used).human().into(),
            volume.size.map_or_else(|| Cell::warning("not enforced"), |size| ByteSize(size).human().into()),
            volume.host.as_str().into(),
            snapshots(volume).into(),
        ]
    });
    Ok(Exit::DONE)
}

fn snapshots(volume: &Volume) -> String {
    let names: Vec<_> = volume.snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect();
    if names.is_empty() { "-".into() } else { names.join(", ") }
}

fn state(volume: &Volume) -> Cell {
    match (volume.node, volume.doomed) {
        (Some(_), true) => Cell::warning("goes with its node"),
        (Some(_), false) => Cell::good("in use"),
        (None, _) => Cell::faint("kept"),
    }
}
