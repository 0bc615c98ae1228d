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
use lace_model::beam::Beam;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Between two looks, which cost one call.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// So long names may take to be shared.
const PATIENCE: Duration = Duration::from_secs(7);
/// Members try one after the other, as long as it lasts.
const TURN: Duration = Duration::from_secs(4);
const TURNS: u32 = 5;
/// All is well after so many good looks: whoever is not let in is begun again and again, and is missed by nobody meanwhile.
const WELL: u32 = 4;

/// Looks after the global names of a node's runtime, as long as it is polled.
pub async fn keep(patient: Patient) {
    if !patient.entry.spec.beam.as_ref().is_some_and(may_leave) {
        return;
    }
    let (mut silent_since, mut well) = (None, 0);
    loop {
        sleep(LOOK_EVERY).await;
        let Line::Open(link) = patient.hands.lines.line(patient.entry.id) else { continue };
        let Some(mut sync) = patient.hands.lines.sync(patient.entry.id) else { continue };
        loop {
            let began = Instant::now();
            if let Ok(said) = timeout(LOOK_EVERY, &mut sync).await {
                well = if said.is_ok() { well + 1 } else { 0 };
                silent_since = silent_since.filter(|_| well < WELL);
                break;
            }
            well = 0;
            let since = *silent_since.get_or_insert(began);
            let others = others(&patient.hands, &patient.entry);
            let turn = TURN * (patient.entry.path.index.saturating_sub(1) % TURNS);
            let is_due = !others.is_empty() && since.elapsed() >= PATIENCE + turn;
            if is_due && !has_copy(&patient.node).await {
                silent_since = None;
                let node = patient.entry.id;
                tracing::warn!(%node, "its global names are stuck: it leaves its peers and meets them again");
                leave(&link, &others).await;
            }
        }
    }
}

/// Where a boot waits for names, and nobody takes a short absence for a death: without votes OTP itself would start a second
/// copy meanwhile, and a cluster without a failover may have databases that take it for a partition.
fn may_leave(beam: &Beam) -> bool {
    beam.connect_all && beam.is_voted()
}

/// Whoever asks for its readiness has it connect again; nobody would with those that are no members.
async fn leave(link: &Link, others: &[String]) {
    for peer in others {
        let _ = link.call(Call::new("erlang", "disconnect_node", vec![Term::atom(peer)])).await;
    }
}
