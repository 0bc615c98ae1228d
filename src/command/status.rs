//! `lace status`: how everything, or a target, is.

use super::output::{Cell, Table, ago};
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::node::NodePhase;
use lace_model::rollout::Phase;
use lace_model::{Code, Millis, Problem, TargetPath};
use lace_wire::api::{FamilyStatus, Health, NodeView, RunningRevision, Status};
use std::time::{Duration, Instant};

/// How often the picture is drawn anew.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `lace status`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace status shop/game --watch")]
pub struct StatusArgs {
    /// APP, APP/SERVICE, APP/SERVICE/FAMILY, or a node of it
    pub target: Option<TargetPath>,
    /// Go on, until interrupted or --timeout
    #[arg(short, long)]
    pub watch: bool,
}

/// Runs `lace status`.
pub async fn run(args: StatusArgs, s: &mut Session) -> Outcome {
    if args.watch {
        return watch(args, s).await;
    }
    let status = s.client()?.status(args.target.as_ref()).await?;
    show(s, &status, args.target.as_ref());
    Ok(Exit::DONE)
}

async fn watch(args: StatusArgs, s: &mut Session) -> Outcome {
    let client = s.watching_client()?;
    let deadline = s.global.timeout.map(|t| Instant::now() + Duration::from_millis(t.ms()));
    let mut shown: Option<Status> = None;
    loop {
        let status = client.status(args.target.as_ref()).await?;
        if shown.as_ref().is_none_or(|shown| differs(shown, &status)) || s.out.for_people() {
            if s.out.for_people() && s.world.out_terminal {
                s.out.clear();
            }
            show(s, &status, args.target.as_ref());
            shown = Some(status);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(Exit::DONE);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::DONE),
        }
    }
}

fn differs(old: &Status, new: &Status) -> bool {
    Status { now: new.now, ..old.clone() } != *new
}

fn show(s: &mut Session, status: &Status, target: Option<&TargetPath>) {
    if !s.out.for_people() {
        return s.out.item(status, |_| String::new());
    }
    let families: Vec<&FamilyStatus> = status.apps.iter().flat_map(|a| &a.families).collect();
    if families.is_empty() {
        s.out.line(nothing(status, target));
    } else {
        s.out.table(family_table(&families, status.now));
    }
    if target.is_some() && !families.is_empty() {
        let nodes: Vec<&NodeView> = families.iter().flat_map(|f| &f.nodes).collect();
        if !nodes.is_empty() {
            s.out.line("");
            s.out.table(node_table(&nodes, status.now));
        }
    }
    for line in families.iter().flat_map(|family| remarks(family)).chain(about_hosts(status)) {
        s.out.line(line);
    }
}

fn nothing(status: &Status, target: Option<&TargetPath>) -> String {
    match (target, status.apps.first()) {
        (Some(target), _) => format!("{target}: no service yet; lace deploy {target}"),
        (None, Some(app)) => format!("{}: no service yet; lace deploy", app.name),
        (None, None) => "nothing runs here yet; lace deploy in a project's directory".into(),
    }
}

fn family_table(families: &[&FamilyStatus], now: Millis) -> Table {
    let mut table = Table::new(&["target", "health", "ready", "release", "rev", "since", "message"]);
    for family in families {
        table.row(vec![
            short(family).into(),
            health(family.health),
            format!("{}/{}", family.ready, family.wanted).into(),
            runs(family, |now| now.release.clone(), &family.release).into(),
            runs(family, |now| now.revision.to_string(), &family.revision.to_string()).into(),
            ago(now, family.since).into(),
            family.message.as_str().into(),
        ]);
    }
    table
}

/// What its nodes run, and what is wanted where that is something else.
fn runs(family: &FamilyStatus, of: impl Fn(&RunningRevision) -> String, wanted: &str) -> String {
    match family.running.as_ref().map(of) {
        Some(now) if now != wanted => format!("{now} (wanted {wanted})"),
        _ => wanted.to_owned(),
    }
}

/// The path without the family where it has the service's name.
fn short(family: &FamilyStatus) -> String {
    let path = &family.path;
    if path.family == path.service { path.service_path().to_string() } else { path.to_string() }
}

/// A health as a cell.
pub fn health(health: Health) -> Cell {
    match health {
        Health::Healthy => Cell::good("healthy"),
        Health::Progressing => Cell::warning("progressing"),
        Health::Degraded => Cell::warning("degraded"),
        Health::Failed => Cell::bad("failed"),
        Health::Stopped => Cell::faint("stopped"),
    }
}

/// Nodes as people see them.
pub fn node_table(nodes: &[&NodeView], now: Millis) -> Table {
    let mut table = Table::new(&["node", "state", "address", "host", "rev", "restarts", "since", "detail"]);
    for node in nodes {
        let status = &node.status;
        table.row(vec![
            status.path.short().into(),
            state(node),
            status.address.into(),
            node.host.as_str().into(),
            status.revision.into(),
            status.restarts.into(),
            ago(now, status.since).into(),
            detail(node, now).into(),
        ]);
    }
    table
}

fn state(node: &NodeView) -> Cell {
    if !node.host_connected {
        return Cell::warning("unknown");
    }
    match node.status.phase {
        NodePhase::Running if node.status.ready => Cell::good("ready"),
        NodePhase::Running => Cell::warning("running"),
        NodePhase::Preparing => Cell::warning("preparing"),
        NodePhase::Starting => Cell::warning("starting"),
        NodePhase::Backoff => Cell::bad("backoff"),
        NodePhase::Stopping => Cell::faint("stopping"),
        NodePhase::Stopped => Cell::faint("stopped"),
        NodePhase::Failed => Cell::bad("failed"),
        NodePhase::Gone => Cell::faint("gone"),
    }
}

fn detail(node: &NodeView, now: Millis) -> String {
    if !node.host_connected {
        return format!("its host was last seen {} ago", ago(now, node.host_seen));
    }
    let exit = node.status.exit.as_ref().filter(|_| !node.status.ready).map(ToString::to_string);
    node.status.detail.clone().or(exit).unwrap_or_default()
}

fn remarks(family: &FamilyStatus) -> Vec<String> {
    let path = short(family);
    let mut lines = Vec::new();
    if let Some(rollout) = &family.rollout {
        let to = rollout.to;
        match &rollout.phase {
            Phase::Reverting { cause } => {
                lines.push(format!("{path}: revision {to} failed, going back: {cause}"));
            }
            Phase::Reverted { cause } => {
                lines.push(format!("{path}: revision {to} failed and was reverted: {cause}"));
            }
            Phase::Failed { cause } => lines.push(format!("{path}: revision {to} failed: {cause}")),
            Phase::Aborted => lines.push(format!("{path}: the rollout to revision {to} was aborted")),
            Phase::Rolling | Phase::Watching { .. } | Phase::Done => {}
        }
    }
    lines.extend(family.drift.iter().map(|drift| format!("{path}: changed by hand: {drift}")));
    lines
}

fn about_hosts(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    if status.hosts_connected < status.hosts {
        let away = status.hosts - status.hosts_connected;
        lines.push(format!("{away} of {} hosts do not answer; lace host list", status.hosts));
    }
    if status.hosts == 0 {
        lines.push("there is no host yet; lace up starts an agent on this machine".into());
    }
    if status.adopt {
        lines.push("adopt mode after a restore: what is unknown is kept; see lace server info".into());
    }
    lines
}

/// The one family of a target.
///
/// # Errors
/// [`Code::Usage`] with the families where there are several, [`Code::NotFound`] where there is none.
pub fn one_family(status: &Status, target: &TargetPath) -> Result<lace_model::FamilyPath, Problem> {
    let mut families = status.apps.iter().flat_map(|a| &a.families).map(|f| &f.path);
    let found: Vec<_> = families.by_ref().filter(|path| target.covers(path)).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Problem::not_found(target).hint("lace status lists what there is")),
        many => Err(Problem::new(Code::Usage, format!("{target} has several families: name one"))
            .details(many.iter().map(ToString::to_string))),
    }
}
