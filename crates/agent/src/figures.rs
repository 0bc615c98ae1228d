//! Figures of nodes of packages: read at a low rate, as their packages say, and told with the next beat.

use crate::hands::{Hands, Kept};
use crate::node::{ask, probe};
use lace_machine::{ExecSpec, NodeHandle};
use lace_model::NodeId;
use lace_model::document::NodeEntry;
use lace_model::package::{Figure, MetricSource, PackageUse, read_figures, words_of};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Between two looks at one node.
const EVERY: Duration = Duration::from_secs(15);
/// For one look.
const WITHIN: Duration = Duration::from_secs(5);
/// Most bytes that a page of figures may have: two hundred of them take a tenth of it.
const BYTES_MAX: usize = 256 << 10;

/// What was read and not told yet.
#[derive(Default)]
pub struct Figures(Mutex<HashMap<NodeId, Vec<Figure>>>);

impl Figures {
    fn note(&self, node: NodeId, figures: Vec<Figure>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node, figures);
    }

    /// What was read since this was asked last.
    pub fn take_news(&self) -> Vec<(NodeId, Vec<Figure>)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

/// Reads the figures of a node until dropped; nothing where its package has none.
pub fn keep(hands: &Arc<Hands>, entry: &Arc<NodeEntry>, node: &NodeHandle) -> Option<Kept> {
    let package = entry.spec.package.as_deref()?;
    let source = package.metrics.clone()?;
    let port = port_of(package, &source);
    let (hands, entry, node) = (hands.clone(), entry.clone(), node.clone());
    Some(Kept(tokio::spawn(async move {
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            match tokio::time::timeout(WITHIN, look(&entry, &node, &source, port)).await {
                Ok(Ok(text)) => hands.figures.note(entry.id, read_figures(&text)),
                // People see that the figures are old; whether a node is well, its check says.
                Ok(Err(cause)) => tracing::debug!(node = %entry.id, cause, "its figures were not read"),
                Err(_) => tracing::debug!(node = %entry.id, "its figures did not come in time"),
            }
        }
    })))
}

fn port_of(package: &PackageUse, source: &MetricSource) -> Option<u16> {
    match source {
        MetricSource::Http { port, .. } => package.ports.get(port).copied(),
        MetricSource::Script { .. } => None,
    }
}

async fn look(
    entry: &NodeEntry,
    node: &NodeHandle,
    source: &MetricSource,
    port: Option<u16>,
) -> Result<String, String> {
    let bytes = match source {
        MetricSource::Http { path, .. } => {
            let port = port.ok_or("the package has no such port")?;
            probe::page(entry.address, port, path, BYTES_MAX).await?
        }
        MetricSource::Script { file } => {
            let command = ExecSpec::new(words_of("metrics", file));
            let (exit, out, err) = ask(node, move |node| node.output_within(&command, WITHIN)).await?;
            if exit.code != Some(0) {
                let said = String::from_utf8_lossy(&err);
                return Err(format!("{} {}", exit.reason, said.lines().last().unwrap_or_default()));
            }
            out
        }
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
