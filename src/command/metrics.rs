//! `lace metrics`: what nodes of packages say of themselves in numbers.

use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{ByteSize, TargetPath};
use lace_wire::api::FigureView;
use serde::Serialize;

/// `lace metrics`.
#[derive(Args, Debug)]
#[command(after_help = "\
Hosts read them every 15 s, as the package says. For Prometheus they are at /metrics.

Example:
  lace metrics shop/db")]
pub struct MetricsArgs {
    /// A target
    pub target: Option<TargetPath>,
}

#[derive(Serialize)]
struct Line {
    node: String,
    #[serde(flatten)]
    figure: FigureView,
    age_ms: u64,
}

/// Runs `lace metrics`.
pub async fn run(args: MetricsArgs, s: &mut Session) -> Outcome {
    let nodes = s.client()?.figures(args.target.as_ref()).await?;
    let of_node = |node: lace_wire::api::NodeFigures| {
        let (name, age_ms) = (node.path.short(), node.age_ms);
        let line = move |figure| Line { node: name.clone(), figure, age_ms };
        node.figures.into_iter().map(line).collect::<Vec<_>>()
    };
    let lines: Vec<Line> = nodes.into_iter().flat_map(of_node).collect();
    s.out.list(&lines, &["node", "figure", "value", "age", "help"], |line| {
        let FigureView { name, labels, help, .. } = &line.figure;
        let named = if labels.is_empty() { name.clone() } else { format!("{name}{{{labels}}}") };
        vec![
            line.node.as_str().into(),
            named.into(),
            value(&line.figure).into(),
            format!("{} s", line.age_ms / 1000).into(),
            help.as_str().into(),
        ]
    });
    Ok(Exit::DONE)
}

fn value(figure: &FigureView) -> String {
    match figure.unit.as_str() {
        "" => figure.value.to_string(),
        // Sizes are whole numbers and never negative; what a float loses above 2^53 nobody reads.
        "bytes" if figure.value >= 0.0 => ByteSize(figure.value as u64).human(),
        unit => format!("{} {unit}", figure.value),
    }
}
