//! `lace node`: single nodes.

use super::output::clock;
use super::verb::a_node;
use super::{Exit, Outcome, Session, confirm, status, watch};
use clap::{Args, Subcommand};
use lace_model::{Problem, TargetPath};
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
    /// Remove one; its family has one less
    #[command(after_help = "Example:\n  lace node remove shop/riak/3")]
    Remove {
        /// The node
        node: TargetPath,
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
        NodeVerb::Remove { node } => {
            let target = a_node(node)?;
            confirm::destructive(s, &format!("this removes {target}"))?;
            let request = VerbRequest::Delete { target, force: false, delete_data: false };
            let accepted = s.client()?.verb(&request).await?;
            watch::accepted(s, accepted).await
        }
        NodeVerb::List { target } => list(s, target).await,
        NodeVerb::Show { node } => show(s, a_node(node)?).await,
    }
}

async fn list(s: &mut Session, target: Option<TargetPath>) -> Outcome {
    let nodes = s.client()?.nodes(target.as_ref()).await?;
    if s.out.for_people() {
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
