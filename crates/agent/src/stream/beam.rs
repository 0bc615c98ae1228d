//! Questions to Erlang runtimes, and their shells.

use super::{Out, failed};
use crate::beam::question;
use crate::hands::Hands;
use bytes::Bytes;
use lace_model::release::ReleaseKind;
use lace_model::{Code, NodeId, Problem};
use lace_wire::beam::BeamAsk;
use lace_wire::stream::{STREAM_FRAME_BYTES_MAX, StreamFrame};
use serde::Serialize;

/// Answers one question: JSON, or text for a dump.
pub async fn serve(hands: &Hands, node: NodeId, ask: BeamAsk, out: &Out) -> Result<(), Problem> {
    let answer = match ask {
        BeamAsk::Call(call) => text(&question::call(hands, node, &call).await?)?,
        BeamAsk::Report => text(&question::describe(hands, node).await?)?,
        BeamAsk::Top { most } => text(&question::top(hands, node, most).await?)?,
        BeamAsk::Dump => question::dump(hands, node).await?.into_bytes(),
    };
    let answer = Bytes::from(answer);
    for from in (0..answer.len()).step_by(STREAM_FRAME_BYTES_MAX) {
        let part = answer.slice(from..answer.len().min(from + STREAM_FRAME_BYTES_MAX));
        if !out.send(StreamFrame::Stdout(part)).await {
            return Ok(());
        }
    }
    out.send(StreamFrame::Exit(0)).await;
    Ok(())
}

fn text(answer: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(answer).map_err(failed)
}

/// Is the node's process an Erlang runtime?
pub fn is_runtime(hands: &Hands, node: NodeId) -> bool {
    question::entry(hands, node).is_ok()
}

/// The words that open a shell of the runtime, with the release's own script.
pub fn shell(hands: &Hands, node: NodeId) -> Result<Vec<String>, Problem> {
    let entry = question::entry(hands, node)?;
    let script = entry.spec.start.first().filter(|_| entry.spec.kind != ReleaseKind::Generic);
    let script =
        script.ok_or_else(|| Problem::new(Code::Usage, format!("{} has no release script", entry.path)))?;
    Ok(vec![script.clone(), "remote".to_owned()])
}
