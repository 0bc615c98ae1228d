//! The volumes of this host: told, deleted, moved, and carried out and in.

use super::exec::pump;
use super::{In, Out, failed};
use crate::hands::Hands;
use crate::volume::{self, There};
use lace_model::{Code, Name, NodeId, NodePath, Problem, TargetPath};
use lace_wire::stream::{SnapshotStep, StreamFrame, Volume};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

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

/// Takes, restores or forgets a snapshot of the volumes of a name.
pub async fn snapshot(
    hands: &Arc<Hands>,
    under: TargetPath,
    name: Name,
    (snapshot, step): (Name, SnapshotStep),
    out: &Out,
) -> Result<(), Problem> {
    let hands = hands.clone();
    let done = tokio::task::spawn_blocking(move || {
        let mut there = hands.volumes.there(|place| under.covers_node(place));
        there.retain(|volume| volume.name == name);
        let mut done = Vec::new();
        for volume in &there {
            if let Err(cause) = volume::snapshot(&hands, volume, &snapshot, step) {
                if step == SnapshotStep::Take {
                    done.iter().for_each(|volume: &&There| drop(volume.forget(&snapshot)));
                }
                return Err(cause);
            }
            done.push(volume);
        }
        Ok(there.iter().map(|volume| tell(&hands, volume, false)).collect::<Vec<_>>())
    });
    let told = done.await.map_err(failed)?.map_err(|text| Problem::new(Code::Conflict, text))?;
    answer(&told, out).await
}

/// Puts the volumes of an application under another name.
pub async fn relocate(hands: &Arc<Hands>, from: Name, to: Name, out: &Out) -> Result<(), Problem> {
    let hands = hands.clone();
    let moved = tokio::task::spawn_blocking(move || hands.volumes.relocate(&from, &to)).await;
    moved.map_err(failed)?.map_err(|text| Problem::new(Code::Conflict, text))?;
    answer(&[], out).await
}

/// Packs what a volume holds to stdout. Closing the stream ends it by a closed pipe.
pub async fn out_of(
    hands: &Arc<Hands>,
    place: NodePath,
    name: Name,
    from: &mut In,
    out: &Out,
) -> Result<(), Problem> {
    let mut there = hands.volumes.there(|there| *there == place);
    there.retain(|volume| volume.name == name);
    let Some(volume) = there.pop() else {
        return Err(Problem::not_found(format_args!("volume {name} of {place} on this host")));
    };
    let (ours, theirs) = io::pipe().map_err(failed)?;
    let reader = pipe::Receiver::from_owned_fd(ours.into()).map_err(failed)?;
    let held = volume::holder(hands, &volume).is_some();
    let packing = tokio::task::spawn_blocking(move || volume.pack(held, theirs.as_fd()));
    tokio::select! {
        () = pump(reader, out.clone(), StreamFrame::Stdout) => {}
        () = from.closed() => return Ok(()),
    }
    packing.await.map_err(failed)?.map_err(failed)?;
    out.send(StreamFrame::Exit(0)).await;
    Ok(())
}

/// Makes a volume of what comes on stdin.
pub async fn into(
    hands: &Arc<Hands>,
    place: NodePath,
    name: Name,
    size: u64,
    from: &mut In,
    out: &Out,
) -> Result<(), Problem> {
    let (theirs, ours) = io::pipe().map_err(failed)?;
    let mut writer = pipe::Sender::from_owned_fd(ours.into()).map_err(failed)?;
    let owner = hands.clone();
    let filling =
        tokio::task::spawn_blocking(move || owner.volumes.fill(&place, &name, size, theirs.as_fd()));
    let mut whole = true;
    loop {
        match from.next().await {
            Some(StreamFrame::Stdin(bytes)) => {
                // tar ended early: its words say why.
                if writer.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            Some(StreamFrame::StdinEnd) => break,
            Some(_) => {}
            None => {
                whole = false;
                break;
            }
        }
    }
    drop(writer);
    filling.await.map_err(failed)?.map_err(|text| Problem::new(Code::Conflict, text))?;
    if whole {
        out.send(StreamFrame::Exit(0)).await;
    }
    Ok(())
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
    let holder = volume::holder(hands, there);
    Volume {
        path: there.place.clone(),
        name: there.name.clone(),
        size,
        used,
        node: holder.and_then(|id| id.parse().ok().map(NodeId)),
        host: String::new(),
        doomed: hands.held.read(|state| state.doomed.contains(&there.place)),
        snapshots: there.snapshots(),
    }
}
