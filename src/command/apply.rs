//! `lace apply`: makes it as a manifest, or exactly as a saved plan, says.

use super::manifest::{self, ManifestArgs};
use super::plan::SavedPlan;
use super::{Outcome, Session, confirm, conpaas, export, watch};
use clap::Args;
use lace_model::application::ApplyRequest;
use std::path::Path;

/// `lace apply`.
#[derive(Args, Debug)]
#[command(after_help = "\
A field that the manifest leaves out keeps its live value. A service that it does not name is kept
unless --prune is given; volumes go only with --delete-data. A plan saved by `lace plan --out P` is
done exactly, or not at all (exit status 8). What `lace export --with-data` wrote is made again with its
releases and volumes. With --from conpaas a JSON manifest of ConPaaS is read: services of type generic run by
package generic; types without a package yet are named, and nothing is changed.

Example:
  lace apply --stage production")]
pub struct ApplyArgs {
    /// The manifest, a saved plan, or an application that was exported with its data
    #[arg(default_value = "lace.toml", value_name = "FILE|PLAN")]
    pub file: String,
    /// About the manifest.
    #[command(flatten)]
    pub manifest: ManifestArgs,
}

/// Runs `lace apply`.
pub async fn run(args: ApplyArgs, s: &mut Session) -> Outcome {
    if export::begins_archive(&s.at(&args.file)) {
        return export::import(s, Path::new(&args.file), &args.manifest).await;
    }
    let file = Path::new(&args.file);
    let saved = if args.manifest.from.is_none() { SavedPlan::read(s, file)? } else { None };
    if let Some(saved) = saved {
        return submit(s, saved.pinned()).await;
    }
    let located = manifest::bring(s, file, &args.manifest).await?;
    let rests = located.rests;
    let request = args.manifest.request(located.manifest);
    if rests.is_empty() { submit(s, request).await } else { conpaas::submit(s, request, rests).await }
}

/// Applies and watches.
pub async fn submit(s: &mut Session, request: ApplyRequest) -> Outcome {
    if request.prune || request.delete_data {
        let data = if request.delete_data { " and its data" } else { "" };
        let deed = format!("this deletes what the manifest of {} leaves out{data}", request.app);
        confirm::destructive(s, &deed)?;
    }
    let accepted = s.client()?.apply(&request).await?;
    watch::accepted(s, accepted).await
}
