//! New certificates for running nodes, long before the old ones end. Connections that are there go on with what they
//! showed; no runtime is restarted, and none notices.

use super::NODE;
use crate::beam::line::Line;
use crate::beam::ready::own_name;
use crate::node::{Patient, ask};
use crate::spec::Secrets;
use lace_beam::{Call, Term};
use std::path::Path;
use std::time::Duration;

/// So much of its lifetime a certificate is used at most: the agent may be away for the rest.
const RENEWED_AFTER: u64 = 3;
/// Between two looks at the clock, and between two tries.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The same for certificates that live for seconds.
const LOOK_MIN: Duration = Duration::from_millis(200);
/// The runtime's own memory of files, and what empties it (`ssl_pem_cache` of OTP 23 and later, the one for
/// distribution). Where that fails it looks at the files itself every two minutes.
const CACHE: &str = "ssl_pem_cache_dist";
const FORGET: &str = "unconditionally_clear_pem_cache";

/// Renews as long as it is polled: now (nobody knows how old the one is that a former agent wrote), and then again and again.
/// By the clock on the wall, as who checks a certificate: a host that slept is late, and a clock that was set is what counts.
pub async fn keep(patient: Patient) {
    let Some(beam) = patient.entry.spec.beam.clone() else { return };
    let mut due = None;
    loop {
        if is_due(due, crate::clock::now(), beam.tls_lifetime.0) {
            match renew(&patient).await {
                Ok(()) => due = Some(crate::clock::now() + beam.tls_lifetime.0 / RENEWED_AFTER),
                Err(why) => tracing::warn!(node = %patient.entry.id, why, "its certificate is not renewed"),
            }
        }
        tokio::time::sleep(pause(beam.tls_lifetime.0)).await;
    }
}

/// Is it time? A clock that was set back is no reason to wait longer than a whole lifetime's part.
fn is_due(due: Option<u64>, now: u64, lifetime: u64) -> bool {
    due.is_none_or(|due| now >= due || due - now > lifetime / RENEWED_AFTER)
}

/// Between two looks: often enough for a short life, too.
fn pause(lifetime: u64) -> Duration {
    Duration::from_millis(lifetime / RENEWED_AFTER / 4).clamp(LOOK_MIN, LOOK_EVERY)
}

async fn renew(patient: &Patient) -> Result<(), String> {
    let entry = &patient.entry;
    let (name, beam) = own_name(entry).zip(entry.spec.beam.as_ref()).ok_or("no node of a cluster")?;
    let secrets = Secrets::find(&patient.hands.held, &entry.path.family.app, &entry.spec)?;
    let text = super::issue(&super::authority(&secrets)?, super::host_of(&name), beam)?;
    ask(&patient.node, move |node| node.put(Path::new(NODE), 0o600, text.as_bytes())).await?;
    if let Line::Open(link) = patient.hands.lines.line(entry.id) {
        let forget = Term::tuple([Term::atom(FORGET), Term::atom("lace")]);
        let call = Call::new("gen_server", "call", vec![Term::atom(CACHE), forget]);
        let forgotten = link.call(call).await;
        tracing::debug!(node = %entry.id, ?forgotten, "has a new certificate");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_ahead_or_back_makes_it_due() {
        let third = 1000;
        for (due, now, expected) in [(None, 0, true), (Some(5000), 4500, false), (Some(5000), 5000, true)] {
            assert_eq!(is_due(due, now, 3 * third), expected);
        }
        assert!(is_due(Some(5000), 50_000, 3 * third) && is_due(Some(5000), 3_999, 3 * third));
        assert_eq!(pause(3 * third), Duration::from_millis(250));
        assert_eq!(pause(30 * 86_400_000), LOOK_EVERY);
    }
}
