//! Asks an epmd where a node listens (Erlang/OTP, "Distribution Protocol", PORT_PLEASE2_REQ).

use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Where an epmd listens.
pub const PORT: u16 = 4369;
const PORT_PLEASE2_REQ: u8 = 122;
const PORT2_RESP: u8 = 119;
/// Longest name, in bytes: an atom's.
const NAME_BYTES_MAX: usize = 255;

/// The distribution port of the node with that name before the `@`; none where this epmd does not know it.
///
/// # Errors
/// Those of the connection; an answer that is none.
pub async fn port_of(mut epmd: impl AsyncRead + AsyncWrite + Unpin, alive: &str) -> Result<Option<u16>> {
    if alive.len() > NAME_BYTES_MAX {
        return Err(ErrorKind::InvalidInput.into());
    }
    let length = (alive.len() + 1) as u16;
    let request = [&length.to_be_bytes()[..], &[PORT_PLEASE2_REQ], alive.as_bytes()].concat();
    epmd.write_all(&request).await?;
    let mut head = [0; 2];
    epmd.read_exact(&mut head).await?;
    match head {
        [PORT2_RESP, 0] => Ok(Some(epmd.read_u16().await?)),
        [PORT2_RESP, _] => Ok(None),
        _ => Err(Error::new(ErrorKind::InvalidData, "this is no epmd")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(answer: &[u8]) -> Result<Option<u16>> {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(answer).await.unwrap();
        let port = port_of(ours, "game").await;
        let mut request = [0; 7];
        theirs.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"\0\x05\x7agame");
        port
    }

    #[tokio::test]
    async fn answers_are_understood() {
        assert_eq!(asked(&[119, 0, 0x23, 0x8c, 77, 0]).await.unwrap(), Some(9100));
        assert_eq!(asked(&[119, 1]).await.unwrap(), None);
        assert!(asked(b"HTTP").await.is_err());
    }
}
