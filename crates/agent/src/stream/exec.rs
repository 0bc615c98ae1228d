//! Commands and shells in a node for somebody outside. The command's session ends with the stream.

use super::command::{Ending, NotStarted, Running, Wish, Writer, start};
use super::{In, Out, failed};
use lace_machine::{Exit, NodeHandle};
use lace_model::Problem;
use lace_wire::stream::{STREAM_FRAME_BYTES_MAX, StreamFrame};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

/// After the end of a command, what it left in its pipes is read so long: a child of its own may hold them open.
pub const DRAIN: Duration = Duration::from_secs(1);

/// Runs the command until it ends or the stream is closed, which kills it.
pub async fn serve(node: NodeHandle, wish: Wish, from: &mut In, out: &Out) -> Result<(), Problem> {
    let running = match start(node, wish).await {
        Err(NotStarted::NoProgram { status, message }) => {
            out.send(StreamFrame::Stderr(format!("{message}\n").into())).await;
            out.send(StreamFrame::Exit(status)).await;
            return Ok(());
        }
        started => started?,
    };
    let Running { handle, input, output, errors, terminal } = running;
    let mut pumps = JoinSet::new();
    pumps.spawn(pump(output, out.clone(), StreamFrame::Stdout));
    if let Some(errors) = errors {
        pumps.spawn(pump(errors, out.clone(), StreamFrame::Stderr));
    }
    let mut ending = Ending::of(handle).map_err(failed)?;
    let exit = tokio::select! {
        exit = ending.exit() => exit.map_err(failed)?,
        () = feed(from, input, terminal) => return Ok(()),
    };
    let drained = async { while pumps.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, drained).await;
    out.send(StreamFrame::Exit(status_of(&exit))).await;
    Ok(())
}

fn status_of(exit: &Exit) -> i32 {
    exit.code.or(exit.signal.map(|signal| 128 + signal)).unwrap_or(255)
}

/// Frames from the controller go in; returns when the stream is closed.
async fn feed(from: &mut In, mut input: Option<Writer>, terminal: Option<OwnedFd>) {
    while let Some(frame) = from.next().await {
        match frame {
            StreamFrame::Stdin(bytes) => {
                let Some(writer) = &mut input else { continue };
                let written = async {
                    writer.write_all(&bytes).await?;
                    writer.flush().await
                };
                if written.await.is_err() {
                    input = None;
                }
            }
            // A terminal has no end of input but its own end-of-file character.
            StreamFrame::StdinEnd if terminal.is_none() => input = None,
            StreamFrame::Resize(size) => {
                if let Some(terminal) = &terminal {
                    let (ws_row, ws_col) = (size.rows, size.columns);
                    let size = rustix::termios::Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
                    let _ = rustix::termios::tcsetwinsize(terminal, size);
                }
            }
            _ => {}
        }
    }
}

/// Output goes to the controller until its end. Also used for archives.
pub async fn pump(mut reader: impl AsyncRead + Unpin, out: Out, frame: impl Fn(bytes::Bytes) -> StreamFrame) {
    let mut buffer = bytes::BytesMut::new();
    loop {
        buffer.reserve(STREAM_FRAME_BYTES_MAX);
        let mut some = (&mut reader).take(STREAM_FRAME_BYTES_MAX as u64);
        match some.read_buf(&mut buffer).await {
            // The master of a terminal says EIO when the other side is closed.
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if !out.send(frame(buffer.split().freeze())).await {
                    return;
                }
            }
        }
    }
}
