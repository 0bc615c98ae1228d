//! `lace node`: single nodes.

use super::output::clock;
use super::verb::a_node;
use super::{Exit, Outcome, Session, confirm, status, watch};
use clap::{Args, Subcommand};
use lace_model::{Code, Problem, TargetPath};
use lace_wire::api::{NodeView, VerbRequest};

/// `lace node`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace node list shop")]
pub struct NodeArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: NodeVerb,
}

/// The verbs of `lace node`.
#[derive(Subcommand, Debug)]
pub enum NodeVerb {
    /// Add nodes to a family
    #[command(after_help = "Example:\n  lace node add shop/riak 2")]
    Add {
        /// The family; the service where it has one
        target: TargetPath,
        /// How many
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
    },
    /// Remove the last one; its family has one less
    #[command(after_help = "Example:\n  lace node remove shop/riak/3")]
    Remove {
        /// The node
        node: TargetPath,
    },
    /// Send its process a signal; a target: those of all its nodes
    #[command(after_help = "Example:\n  lace node signal shop/game/2 USR1")]
    Signal {
        /// The node, or a target
        target: TargetPath,
        /// HUP, INT, QUIT, USR1, USR2, WINCH, TERM, STOP, CONT or KILL
        signal: String,
    },
    /// List them
    #[command(after_help = "Example:\n  lace node list shop/game")]
    List {
        /// A target
        target: Option<TargetPath>,
    },
    /// Show one
    #[command(after_help = "Example:\n  lace node show shop/game/2")]
    Show {
        /// The node
        node: TargetPath,
    },
}

/// Runs `lace node`.
pub async fn run(args: NodeArgs, s: &mut Session) -> Outcome {
    match args.verb {
        NodeVerb::Add { target, count } => {
            let request = VerbRequest::Scale { target, count: format!("+{count}"), save: false };
            let accepted = s.client()?.verb(&request).await?;
            watch::accepted(s, accepted).await
        }
        NodeVerb::Signal { target, signal } => {
            let accepted = s.client()?.verb(&VerbRequest::Signal { target, signal }).await?;
            watch::accepted(s, accepted).await
        }
        NodeVerb::Remove { node } => remove(s, a_node(node)?).await,
        NodeVerb::List { target } => list(s, target).await,
        NodeVerb::Show { node } => show(s, a_node(node)?).await,
    }
}

/// Indices have no gaps: the last node goes, or none.
async fn remove(s: &mut Session, node: TargetPath) -> Outcome {
    let status = s.client()?.status(Some(&node)).await?;
    let path = status::one_family(&status, &node)?;
    let mut families = status.apps.iter().flat_map(|app| &app.families);
    let wanted = families.find(|family| family.path == path).map_or(0, |family| family.wanted);
    if node.index != Some(wanted) {
        let message = format!("{node} is not the last node of {path}, which has {wanted}");
        return Err(Problem::new(Code::Usage, message).hint(format!(
            "lace replace {node} makes a new one in its place; lace node remove {} removes the last",
            path.node(wanted.max(1)).short()
        )));
    }
    confirm::destructive(s, &format!("this removes {node}"))?;
    let target = TargetPath { index: None, ..node };
    let count = wanted.saturating_sub(1).to_string();
    let request = VerbRequest::Scale { target, count, save: false };
    let accepted = s.client()?.verb(&request).await?;
    watch::accepted(s, accepted).await
}

async fn list(s: &mut Session, target: Option<TargetPath>) -> Outcome {
    let nodes = s.client()?.nodes(target.as_ref()).await?;
    if s.out.for_people() && !nodes.is_empty() {
        let nodes: Vec<&NodeView> = nodes.iter().collect();
        let now = s.now();
        s.out.table(status::node_table(&nodes, now));
    } else {
        s.out.list(&nodes, &[], |_| Vec::new());
    }
    Ok(Exit::DONE)
}

async fn show(s: &mut Session, target: TargetPath) -> Outcome {
    let nodes = s.client()?.nodes(Some(&target)).await?;
    let node = nodes.into_iter().find(|node| target.covers_node(&node.status.path));
    let node = node.ok_or_else(|| {
        Problem::not_found(format_args!("node {target}")).hint("lace node list names the nodes")
    })?;
    s.out.item(&node, picture);
    Ok(Exit::DONE)
}

fn picture(node: &NodeView) -> String {
    let status = &node.status;
    let started = status.started_at.map_or_else(|| "-".into(), clock);
    let mut lines = vec![
        ("node", status.path.short()),
        ("id", status.id.to_string()),
        ("name", node.fqdn.clone()),
        ("address", status.address.to_string()),
        ("host", node.host.clone()),
        ("revision", status.revision.to_string()),
        ("state", format!("{:?}", status.phase).to_lowercase()),
        ("ready", if status.ready { "yes" } else { "no" }.to_owned()),
        ("started", started),
        ("restarts", status.restarts.to_string()),
    ];
    lines.extend(status.detail.clone().map(|detail| ("detail", detail)));
    lines.extend(status.exit.as_ref().map(|exit| ("last end", exit.to_string())));
    if !node.host_connected {
        lines.push(("host seen", clock(node.host_seen)));
    }
    let mut text: String = lines.iter().map(|(k, v)| format!("{k:9} {v}\n")).collect();
    for line in status.exit.iter().flat_map(|exit| &exit.last_lines) {
        text.push_str(&format!("  | {line}\n"));
    }
    text
}
