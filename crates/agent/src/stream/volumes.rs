//! The volumes of this host, told and deleted.

use super::{Out, failed};
use crate::hands::Hands;
use crate::volume::{self, There};
use lace_model::{Name, NodeId, Problem, TargetPath};
use lace_wire::stream::{StreamFrame, Volume};
use std::sync::Arc;

/// Says which there are, and deletes them where asked: those of a node that is there go with it.
pub async fn serve(
    hands: &Arc<Hands>,
    under: Option<TargetPath>,
    erase: bool,
    out: &Out,
) -> Result<(), Problem> {
    let hands = hands.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let wanted = |place: &_| under.as_ref().is_none_or(|target| target.covers_node(place));
        let there = hands.volumes.there(wanted);
        there.iter().map(|volume| tell(&hands, volume, erase)).collect::<Vec<_>>()
    });
    answer(&looked.await.map_err(failed)?, out).await
}

/// Deletes the volumes of a name, but for those that a node has.
pub async fn erase(hands: &Arc<Hands>, under: TargetPath, name: Name, out: &Out) -> Result<(), Problem> {
    let hands = hands.clone();
    let erased = tokio::task::spawn_blocking(move || {
        let mut there = hands.volumes.there(|place| under.covers_node(place));
        there.retain(|volume| volume.name == name);
        let one = |volume: &There| {
            volume::erase_one(&hands, volume)?;
            Ok(tell(&hands, volume, false))
        };
        there.iter().map(one).collect::<Result<Vec<_>, String>>()
    });
    answer(&erased.await.map_err(failed)?.map_err(failed)?, out).await
}

async fn answer(volumes: &[Volume], out: &Out) -> Result<(), Problem> {
    let text = serde_json::to_vec(volumes).map_err(failed)?;
    for part in text.chunks(lace_wire::stream::STREAM_FRAME_BYTES_MAX) {
        out.send(StreamFrame::Stdout(part.to_vec().into())).await;
    }
    out.send(StreamFrame::Exit(0)).await;
    Ok(())
}

fn tell(hands: &Hands, there: &There, erase: bool) -> Volume {
    let (size, used) = (there.size(), there.used());
    if erase {
        volume::erase(hands, &there.place);
    }
    let holder = hands.volumes.held.holder(&there.place);
    Volume {
        path: there.place.clone(),
        name: there.name.clone(),
        size,
        used,
        node: holder.and_then(|id| id.parse().ok().map(NodeId)),
        host: String::new(),
        doomed: hands.held.read(|state| state.doomed.contains(&there.place)),
    }
}
