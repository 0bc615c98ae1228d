//! Files into and out of a node, as tar streams.

use super::exec::pump;
use super::{In, Out, failed};
use lace_machine::NodeHandle;
use lace_model::{Code, Problem};
use lace_wire::stream::StreamFrame;
use std::io;
use std::os::fd::AsFd;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

/// Unpacks what comes on stdin below a directory of the node.
pub async fn into(node: NodeHandle, directory: String, from: &mut In, out: &Out) -> Result<(), Problem> {
    let (theirs, ours) = io::pipe().map_err(failed)?;
    let mut writer = pipe::Sender::from_owned_fd(ours.into()).map_err(failed)?;
    let unpacking =
        tokio::task::spawn_blocking(move || node.write_tree(root_or(&directory), theirs.as_fd(), false));
    while let Some(bytes) = from.stdin().await {
        // tar ended early: its words say why.
        if writer.write_all(&bytes).await.is_err() {
            break;
        }
    }
    drop(writer);
    let unpacked = unpacking.await.map_err(failed)?;
    unpacked.map_err(refused)?;
    out.send(StreamFrame::Exit(0)).await;
    Ok(())
}

fn root_or(directory: &str) -> &str {
    match directory.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    }
}

/// Packs a path of the node to stdout. Closing the stream ends tar by a closed pipe.
pub async fn out_of(node: NodeHandle, path: String, from: &mut In, out: &Out) -> Result<(), Problem> {
    let (ours, theirs) = io::pipe().map_err(failed)?;
    let reader = pipe::Receiver::from_owned_fd(ours.into()).map_err(failed)?;
    let packing = tokio::task::spawn_blocking(move || node.read_tree(&path, theirs.as_fd()));
    tokio::select! {
        () = pump(reader, out.clone(), StreamFrame::Stdout) => {}
        () = from.closed() => return Ok(()),
    }
    packing.await.map_err(failed)?.map_err(refused)?;
    out.send(StreamFrame::Exit(0)).await;
    Ok(())
}

fn refused(error: lace_machine::Error) -> Problem {
    Problem::new(Code::Error, error.to_string())
}
