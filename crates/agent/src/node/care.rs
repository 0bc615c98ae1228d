//! Is the process ready, is it alive? One task per process that has a check; it ends with the process.

use super::probe::probe;
use crate::hands::Hands;
use lace_machine::NodeHandle;
use lace_model::Millis;
use lace_model::check::Check;
use lace_model::document::NodeEntry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// While not ready a probe comes at least so often: a start should not wait for its check.
const EAGER: Duration = Duration::from_millis(100);

/// What a check found.
pub enum Finding {
    /// Ready.
    Ready,
    /// Not ready, and why.
    Unready(String),
    /// Not alive: shall be restarted.
    Dead(String),
}

/// The checks of one process.
pub struct Care {
    findings: Option<mpsc::Receiver<Finding>>,
    /// Aborts its tasks when dropped.
    _tasks: JoinSet<()>,
}

impl Care {
    /// Of a process that is down or has no checks.
    pub fn none() -> Self {
        Self { findings: None, _tasks: JoinSet::new() }
    }

    /// Nothing decides on readiness but the process itself.
    pub fn is_none(&self) -> bool {
        self.findings.is_none()
    }

    /// Begins the checks of a process that started at that moment.
    pub fn begin(_hands: &Arc<Hands>, entry: Arc<NodeEntry>, node: NodeHandle, started_at: Millis) -> Self {
        if entry.spec.check.is_none() && entry.spec.live.is_none() {
            return Self::none();
        }
        let (say, findings) = mpsc::channel(4);
        let mut tasks = JoinSet::new();
        match entry.spec.check.clone() {
            Some(check) => {
                tasks.spawn(readiness(check, entry.clone(), node.clone(), started_at, say.clone()));
            }
            None => drop(say.try_send(Finding::Ready)),
        }
        if let Some(live) = entry.spec.live.clone() {
            tasks.spawn(liveness(live, entry, node, started_at, say));
        }
        Self { findings: Some(findings), _tasks: tasks }
    }

    /// The next finding; never, where there are no checks.
    pub async fn next(&mut self) -> Option<Finding> {
        match &mut self.findings {
            Some(findings) => findings.recv().await,
            None => std::future::pending().await,
        }
    }
}

fn in_grace(check: &Check, started_at: Millis) -> bool {
    crate::clock::now() < started_at + check.grace.0
}

/// Counts failures in a row.
#[derive(Default)]
struct Tally {
    ready: bool,
    failures: u32,
}

/// What one answer changes.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    Ready,
    Unready,
}

impl Tally {
    fn count(&mut self, good: bool, failures_max: u32) -> Change {
        if good {
            self.failures = 0;
            let change = if self.ready { Change::None } else { Change::Ready };
            self.ready = true;
            return change;
        }
        self.failures += 1;
        if self.ready && self.failures >= failures_max.max(1) {
            self.ready = false;
            return Change::Unready;
        }
        Change::None
    }
}

async fn readiness(
    check: Check,
    entry: Arc<NodeEntry>,
    node: NodeHandle,
    started_at: Millis,
    say: mpsc::Sender<Finding>,
) {
    let mut tally = Tally::default();
    let mut said = None;
    loop {
        let outcome = probe(&check, &entry, &node).await;
        let change = tally.count(outcome.is_ok(), check.failures);
        let finding = match (change, outcome) {
            (Change::Ready, _) => Some(Finding::Ready),
            (Change::Unready, Err(cause)) => Some(Finding::Unready(cause)),
            // Before it was ever ready: the cause is shown once the grace is over, and when it changes.
            (Change::None, Err(cause)) if !tally.ready && !in_grace(&check, started_at) => {
                (said.as_ref() != Some(&cause)).then(|| {
                    said = Some(cause.clone());
                    Finding::Unready(cause)
                })
            }
            _ => None,
        };
        if let Some(finding) = finding
            && say.send(finding).await.is_err()
        {
            return;
        }
        let interval = Duration::from_millis(check.interval.0.max(10));
        tokio::time::sleep(if tally.ready { interval } else { interval.min(EAGER) }).await;
    }
}

async fn liveness(
    check: Check,
    entry: Arc<NodeEntry>,
    node: NodeHandle,
    started_at: Millis,
    say: mpsc::Sender<Finding>,
) {
    let mut tally = Tally { ready: true, failures: 0 };
    loop {
        tokio::time::sleep(Duration::from_millis(check.interval.0.max(10))).await;
        let outcome = probe(&check, &entry, &node).await;
        if outcome.is_err() && in_grace(&check, started_at) {
            continue;
        }
        if tally.count(outcome.is_ok(), check.failures) == Change::Unready {
            let cause = outcome.err().unwrap_or_default();
            let _ = say.send(Finding::Dead(cause)).await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_success_makes_ready_and_failures_in_a_row_unready() {
        let mut tally = Tally::default();
        let answers = [false, true, true, false, false, true, false, false, false, false, true];
        let changes: Vec<_> = answers.iter().map(|good| tally.count(*good, 3)).collect();
        use Change::{None as N, Ready as R, Unready as U};
        assert_eq!(changes, [N, R, N, N, N, N, N, N, U, N, R]);
    }
}
