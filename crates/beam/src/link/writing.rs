//! Writes frames, several at a time where they wait, and a tick where there is nothing to say.

use super::{LinkError, Shared};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// Most bytes that are put together for one write.
const WRITE_BYTES_MAX: usize = 256 * 1024;

/// A frame of no length: I am here.
const TICK: &[u8] = &[0; 4];

/// A peer may keep a shorter time than is known here: the shortest that OTP takes is 4 s.
const TICK_EVERY: Duration = Duration::from_secs(2);

/// Writes until the link is closed. The peer takes four missed ticks for our end.
pub(super) async fn run<W>(
    shared: Arc<Shared>,
    mut writer: W,
    mut frames: mpsc::Receiver<Bytes>,
    tick_time: Duration,
) where
    W: AsyncWrite + Unpin,
{
    let pause = (tick_time / 4).min(TICK_EVERY);
    loop {
        let next = tokio::time::timeout(pause, frames.recv()).await;
        let out = match next {
            Err(_) => BytesMut::from(TICK),
            Ok(None) => return,
            Ok(Some(frame)) => together(&frame, &mut frames),
        };
        let written = async {
            writer.write_all(&out).await?;
            writer.flush().await
        };
        match tokio::time::timeout(tick_time, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return shared.close(error.into()),
            Err(_) => return shared.close(LinkError::Silent(tick_time)),
        }
    }
}

fn together(first: &[u8], frames: &mut mpsc::Receiver<Bytes>) -> BytesMut {
    let mut out = BytesMut::from(first);
    while out.len() < WRITE_BYTES_MAX {
        let Ok(frame) = frames.try_recv() else { break };
        out.extend_from_slice(&frame);
    }
    out
}
