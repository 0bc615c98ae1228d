//! `lace volume`: what outlives nodes.

use super::output::{Cell, sizes};
use super::{Exit, Outcome, Session};
use clap::{Args, Subcommand};
use lace_model::TargetPath;
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
}

/// Runs `lace volume`.
pub async fn run(args: VolumeArgs, s: &mut Session) -> Outcome {
    let VolumeVerb::List { target } = args.verb;
    let volumes = s.client()?.volumes(target.as_ref()).await?;
    s.out.list(&volumes, &["node", "name", "state", "used", "size", "host"], |volume| {
        vec![
            volume.path.to_string().into(),
            volume.name.as_str().into(),
            state(volume),
            sizes(volume.used).into(),
            volume.size.map_or_else(|| Cell::warning("not enforced"), |size| sizes(size).into()),
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
