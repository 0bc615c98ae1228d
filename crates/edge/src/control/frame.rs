//! Frames: length first, JSON after.

use super::FRAME_BYTES_MAX;
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Once a frame has begun, it must end within this time.
const FRAME_TIME: Duration = Duration::from_secs(10);

/// Waits for the next frame; nothing where the peer has closed between frames.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length[..1]).await {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    timeout(FRAME_TIME, async {
        from.read_exact(&mut length[1..]).await?;
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            let text = format!("a frame of {length} bytes: at most {FRAME_BYTES_MAX} are taken");
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).await?;
        Ok(Some(body))
    })
    .await?
}

pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)?;
    let length = frame.len() - 4;
    if length > FRAME_BYTES_MAX {
        let text = format!("{length} bytes do not fit a frame of {FRAME_BYTES_MAX}");
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    timeout(FRAME_TIME, to.write_all(&frame)).await?
}

pub(super) fn parse<T: DeserializeOwned>(frame: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(frame)?)
}
