//! `lace maintenance`: a page instead of the service.

use super::{Outcome, Session, apply::submit};
use clap::{Args, ValueEnum};
use lace_model::application::{ApplicationSpec, ApplyRequest, ServiceSpec};
use lace_model::route::{Maintenance, PAGE_BYTES_MAX};
use lace_model::{Code, Problem, TargetPath};
use std::path::PathBuf;

/// `lace maintenance`.
#[derive(Args, Debug)]
#[command(after_help = "\
Nodes go on running; whoever comes in from outside gets the page, with status 503.

Example:
  lace maintenance on shop --page back-soon.html")]
pub struct MaintenanceArgs {
    /// On or off
    pub switch: Switch,
    /// A service, or all of an application
    pub target: TargetPath,
    /// HTML that is shown instead of the usual page
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
}

/// The two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// The page is shown
    On,
    /// The service is back
    Off,
}

/// Runs `lace maintenance`.
pub async fn run(args: MaintenanceArgs, s: &mut Session) -> Outcome {
    let on = args.switch == Switch::On;
    let page = args.page.map(|path| read(s, path)).transpose()?.filter(|_| on);
    let target = args.target;
    let known = s.client()?.export(&target.app).await?;
    let spec = ServiceSpec { maintenance: Some(Maintenance { on, page }), ..ServiceSpec::default() };
    let meant = known.services.into_keys().filter(|name| target.service.as_ref().is_none_or(|t| t == name));
    let services: std::collections::BTreeMap<_, _> = meant.map(|name| (name, spec.clone())).collect();
    if services.is_empty() {
        return Err(Problem::not_found(&target).hint("lace status"));
    }
    let spec = ApplicationSpec { services };
    submit(s, ApplyRequest { app: target.app, spec, prune: false, delete_data: false, plan: None }).await
}

fn read(s: &Session, path: PathBuf) -> Result<String, Problem> {
    let page = std::fs::read_to_string(s.at(&path))
        .map_err(|e| Problem::new(Code::Usage, format!("{}: {e}", path.display())))?;
    if page.len() > PAGE_BYTES_MAX {
        let text =
            format!("{} has {} bytes; at most {PAGE_BYTES_MAX} are allowed", path.display(), page.len());
        return Err(Problem::new(Code::Usage, text));
    }
    Ok(page)
}
