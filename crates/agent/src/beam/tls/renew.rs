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
/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// The runtime's own memory of files, and what empties it (`ssl_pem_cache` of OTP 23 and later, the one for
/// distribution). Where that fails it looks at the files itself every two minutes.
const CACHE: &str = "ssl_pem_cache_dist";
const FORGET: &str = "unconditionally_clear_pem_cache";

/// Renews as long as it is polled: now (nobody knows how old the one is that a former agent wrote), and then again and again.
pub async fn keep(patient: Patient) {
    let Some(beam) = patient.entry.spec.beam.clone() else { return };
    loop {
        let pause = match renew(&patient).await {
            Ok(()) => Duration::from_millis(beam.tls_lifetime.0 / RENEWED_AFTER),
            Err(why) => {
                tracing::warn!(node = %patient.entry.id, why, "its certificate is not renewed");
                TRY_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
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
