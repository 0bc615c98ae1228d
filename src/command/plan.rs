//! `lace plan`: the diff that apply would make, shown, saved, or asked for by exit status.

use super::manifest::{self, ManifestArgs};
use super::session::cannot_read;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::application::ApplyRequest;
use lace_model::change::{Action, Change, Plan};
use lace_model::money::{Cost, Rate};
use lace_model::{AppName, Code, Problem};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Largest saved plan, in bytes: a manifest of the largest size with its files.
const PLAN_BYTES_MAX: u64 = 64 << 20;

/// `lace plan`.
#[derive(Args, Debug)]
#[command(after_help = "\
Releases that the manifest makes from files here are built and uploaded first: the plan names what
apply would run. Nothing else changes.

Example:
  lace plan --out monday.plan && lace apply monday.plan")]
pub struct PlanArgs {
    /// The manifest
    #[arg(default_value = "lace.toml")]
    pub file: String,
    /// About the manifest.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Save it, for `lace apply PLAN`
    #[arg(long, value_name = "PLAN")]
    pub out: Option<String>,
    /// Exit with 11 where something would change
    #[arg(long)]
    pub exit_code: bool,
}

/// A plan on disk: what was shown, and the request that makes it so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// Version of this form.
    pub lace_plan: u32,
    /// What was shown.
    pub plan: Plan,
    /// What makes it so.
    pub request: ApplyRequest,
}

impl SavedPlan {
    /// The saved plan in a file; `None` where the file is something else.
    pub fn read(s: &Session, path: &Path) -> Result<Option<Self>, Problem> {
        let at = s.at(path);
        let size = std::fs::metadata(&at).map_or(0, |meta| meta.len());
        let Ok(bytes) = std::fs::read(&at) else { return Ok(None) };
        if size > PLAN_BYTES_MAX || !bytes.starts_with(b"{") {
            return Ok(None);
        }
        match serde_json::from_slice::<serde_json::Value>(&bytes) {
            Ok(value) if value.get("lace_plan").is_some() => serde_json::from_value(value)
                .map(Some)
                .map_err(|e| Problem::new(Code::Usage, format!("{} is not a plan: {e}", path.display()))),
            Ok(_) => Ok(None),
            Err(e) => Err(cannot_read(path, &e.into())),
        }
    }

    /// The request that does exactly this plan.
    pub fn pinned(self) -> ApplyRequest {
        ApplyRequest { plan: Some(self.plan.digest), ..self.request }
    }
}

/// Runs `lace plan`.
pub async fn run(args: PlanArgs, s: &mut Session) -> Outcome {
    let located = manifest::bring(s, Path::new(&args.file), &args.manifest).await?;
    for service in &located.rests {
        s.out.note(format!("Start is 0: where apply makes service {service}, it stops it at once"));
    }
    let request = args.manifest.request(located.manifest);
    let plan = s.client()?.plan(&request).await?;
    s.out.item(&plan, picture);
    let pending = !plan.is_empty();
    if let Some(path) = args.out {
        let saved = SavedPlan { lace_plan: 1, plan, request };
        let bytes = serde_json::to_vec_pretty(&saved).unwrap_or_default();
        s.write_private(&path, &bytes)?;
        s.out.note(format!("saved; do exactly this with: lace apply {path}"));
    }
    let changes = Exit(Code::ChangesPending.exit_status());
    Ok(if args.exit_code && pending { changes } else { Exit::DONE })
}

/// The plan as people read it: one line for each change, `+` comes, `~` changes, `-` goes, `!` is drift.
pub fn picture(plan: &Plan) -> String {
    let cost = plan.cost.as_ref().map(|cost| cost_told(&plan.app, cost)).unwrap_or_default();
    if plan.changes.is_empty() {
        return format!("{}: nothing to do{cost}", plan.app);
    }
    let mut text = String::new();
    for change in &plan.changes {
        text.push_str(&line(plan, change));
        text.push('\n');
    }
    text.push_str(&sum(plan));
    text.push_str(&cost);
    text
}

/// What it costs: the whole, each service, and each pool that it touches. Each line begins with a new one.
fn cost_told(app: &AppName, cost: &Cost) -> String {
    if cost.services.is_empty() && cost.notes.is_empty() {
        return String::new();
    }
    let is_priced = |rate: &Rate| !rate.micro_per_hour.is_empty();
    let nobody_said = !is_priced(&cost.now) && !is_priced(&cost.after);
    if nobody_said && cost.notes.is_empty() && (cost.now.unknown > 0 || cost.after.unknown > 0) {
        return "\ncost: unknown: nobody said what its hosts cost (`lace pool add --help`)".to_owned();
    }
    let mut lines = rates("cost per hour", "cost per month", &cost.now, &cost.after);
    for service in &cost.services {
        lines.push(
            service.service.as_ref().map_or_else(|| "  jobs".to_owned(), |name| format!("  {app}/{name}")),
        );
        lines.extend(rates("    per hour", "    per month", &service.now, &service.after));
    }
    for pool in &cost.pools {
        let name = pool.pool.as_ref().map_or_else(|| "no pool".to_owned(), |name| format!("pool {name}"));
        let profile = pool.profile.as_ref().map(|profile| format!(" ({profile})")).unwrap_or_default();
        lines.push(format!("  {name}{profile}: {}, {}", pool.hosts_told(), pool.price_told(cost.at)));
        lines.extend(rates("    per hour", "    per month", &pool.now, &pool.after));
    }
    lines.extend(cost.notes.iter().map(|note| format!("  {note}")));
    lines.into_iter().map(|line| format!("\n{line}")).collect()
}

fn rates(hour: &str, month: &str, now: &Rate, after: &Rate) -> Vec<String> {
    let told = |now: String, after: String| if now == after { after } else { format!("{now} -> {after}") };
    vec![
        format!("{hour}: {}", told(now.hour(), after.hour())),
        format!("{month}: {}", told(now.month(), after.month())),
    ]
}

fn line(plan: &Plan, change: &Change) -> String {
    let sign = match change.action {
        Action::Create => "+",
        Action::Update => "~",
        Action::Delete => "-",
        Action::Drift => "!",
    };
    let service = change.service.as_ref().map(|s| format!("/{s}")).unwrap_or_default();
    let field = if change.field.is_empty() { String::new() } else { format!(" {}", change.field) };
    let values = match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!(": {from} -> {to}"),
        (None, Some(to)) => format!(": {to}"),
        (Some(from), None) => format!(": {from} -> nothing"),
        (None, None) => String::new(),
    };
    let drift = if change.action == Action::Drift { " (by hand; stays)" } else { "" };
    let effect = change.effect.as_ref().map(|e| format!("  # {e}")).unwrap_or_default();
    format!("{sign} {}{service}{field}{values}{drift}{effect}", plan.app)
}

fn sum(plan: &Plan) -> String {
    let count = |action| plan.changes.iter().filter(|c| c.action == action).count();
    let drift = match count(Action::Drift) {
        0 => String::new(),
        n => format!(", {n} by hand"),
    };
    format!(
        "{}: {} to come, {} to change, {} to go{drift}",
        plan.app,
        count(Action::Create),
        count(Action::Update),
        count(Action::Delete)
    )
}
