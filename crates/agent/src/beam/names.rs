//! Global names that are never shared again. When two nodes meet, `global` takes a lock on all that both know, exchanges their
//! names under it, and gives it back. Where a connection was lost and made again in between, the lock may stay at a third
//! node in the name of one that lives and has forgotten it (seen with OTP 25): from then on nobody shares names with the
//! third one, and `global:sync/0` never returns. It goes when the connection to whoever it is kept for goes; so a node that
//! is in this state leaves its peers for a moment, one node of the family after the other, and never one that has the copy.

use super::boot::has_copy;
use super::line::Line;
use super::ready::others;
use crate::node::Patient;
use lace_beam::{Call, Link, Term};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks, which cost one call.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// A runtime that shares its names says so in some milliseconds.
const SYNC_WITHIN: Duration = Duration::from_secs(3);
/// So long names may take to be shared where a failover waits for them.
const PATIENCE: Duration = Duration::from_secs(7);
/// And where none does, with so much more for each other member: large clusters that begin all at once take their time, and
/// would take longer if anybody left.
const PATIENCE_ALONE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(6));
/// Members try one after the other, as long as it lasts.
const TURN: Duration = Duration::from_secs(4);
const TURNS: u32 = 5;
/// All is well after so many good looks: whoever is not let in is begun again and again, and is missed by nobody meanwhile.
const WELL: u32 = 4;

/// Looks after the global names of a node's runtime, as long as it is polled.
pub async fn keep(patient: Patient) {
    let (mut silent_since, mut well) = (None, 0);
    loop {
        sleep(LOOK_EVERY).await;
        let began = Instant::now();
        let Line::Open(link) = patient.hands.lines.line(patient.entry.id) else { continue };
        let others = others(&patient.hands, &patient.entry).len();
        if others == 0 || are_shared(&link).await {
            well += 1;
            silent_since = silent_since.filter(|_| well < WELL);
            continue;
        }
        well = 0;
        let since = *silent_since.get_or_insert(began);
        if since.elapsed() >= patience(&patient, others) && !has_copy(&patient.node).await {
            silent_since = None;
            tracing::warn!(node = %patient.entry.id, "its global names are stuck: it leaves its peers and meets them again");
            leave(&link).await;
        }
    }
}

fn patience(patient: &Patient, others: usize) -> Duration {
    let beam = patient.entry.spec.beam.as_ref();
    let waits = beam.is_some_and(|beam| beam.failover.is_some());
    let turn = patient.entry.path.index.saturating_sub(1) % TURNS;
    let (alone, each) = PATIENCE_ALONE;
    let whole = if waits { PATIENCE } else { alone + each * u32::try_from(others).unwrap_or(1_000) };
    whole + TURN * turn
}

/// Who does not answer at all is somebody else's business.
async fn are_shared(link: &Link) -> bool {
    let call = |module, function| link.call(Call::new(module, function, Vec::new()).within(SYNC_WITHIN));
    call("global", "sync").await.is_ok() || call("erlang", "node").await.is_err()
}

/// Whoever asks for its readiness has it connect again.
async fn leave(link: &Link) {
    let Ok(peers) = link.call(Call::new("erlang", "nodes", Vec::new())).await else { return };
    for peer in peers.as_list().unwrap_or_default().iter().filter_map(Term::as_atom) {
        let _ = link.call(Call::new("erlang", "disconnect_node", vec![Term::atom(peer)])).await;
    }
}
