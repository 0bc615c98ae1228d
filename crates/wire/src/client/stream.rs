//! Streams to a node over a WebSocket: one binary message is one byte of [`Channel`] and the payload.

use super::send::problem_of;
use super::{CONNECT_TIMEOUT, Client};
use crate::api::{Channel, StreamOpen};
use crate::stream::{STREAM_FRAME_BYTES_MAX, STREAM_FRAMES_WAITING, StreamFrame, StreamPair};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Sink, SinkExt, Stream, StreamExt};
use http::header::AUTHORIZATION;
use lace_model::{Code, Problem};
use reqwest::Url;
use serde::Serialize;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, handshake::client::Request};

/// The message that carries a frame.
pub fn encode_frame(frame: &StreamFrame) -> Bytes {
    match frame {
        StreamFrame::Stdin(bytes) => message(Channel::Stdin, bytes),
        StreamFrame::Stdout(bytes) => message(Channel::Stdout, bytes),
        StreamFrame::Stderr(bytes) => message(Channel::Stderr, bytes),
        StreamFrame::StdinEnd => message(Channel::StdinEnd, &[]),
        StreamFrame::Resize(size) => json(Channel::Resize, size),
        StreamFrame::Line(line) => json(Channel::Line, line),
        StreamFrame::Exit(status) => json(Channel::Exit, status),
        StreamFrame::Failed(problem) => json(Channel::Failed, problem),
    }
}

fn message(channel: Channel, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + payload.len());
    bytes.put_u8(channel as u8);
    bytes.put_slice(payload);
    bytes.freeze()
}

fn json<T: Serialize>(channel: Channel, value: &T) -> Bytes {
    message(channel, &serde_json::to_vec(value).unwrap_or_default())
}

/// The frame in a message; `None` for what this version does not know.
pub fn decode_frame(message: &Bytes) -> Option<StreamFrame> {
    let channel = Channel::from_byte(*message.first()?)?;
    let payload = message.slice(1..);
    Some(match channel {
        Channel::Stdin => StreamFrame::Stdin(payload),
        Channel::Stdout => StreamFrame::Stdout(payload),
        Channel::Stderr => StreamFrame::Stderr(payload),
        Channel::StdinEnd => StreamFrame::StdinEnd,
        Channel::Resize => StreamFrame::Resize(serde_json::from_slice(&payload).ok()?),
        Channel::Line => StreamFrame::Line(serde_json::from_slice(&payload).ok()?),
        Channel::Exit => StreamFrame::Exit(serde_json::from_slice(&payload).ok()?),
        Channel::Failed => StreamFrame::Failed(serde_json::from_slice(&payload).ok()?),
    })
}

impl Client {
    /// Opens a stream. Dropping `to` ends it.
    ///
    /// # Errors
    /// What the controller refuses (no such node, its host away), or [`Code::Unreachable`].
    pub async fn open(&self, open: &StreamOpen) -> Result<StreamPair, Problem> {
        let request = self.upgrade(open)?;
        let host = self.base.host_str().unwrap_or_default().to_owned();
        let port = self.base.port_or_known_default().unwrap_or(7440);
        let tcp = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((bare(&host), port)));
        let tcp = tcp.await.map_err(|e| self.unreachable(&e))?.map_err(|e| self.unreachable(&e))?;
        let _ = tcp.set_nodelay(true);
        match &self.tls {
            None => self.shake(request, tcp).await,
            Some(config) => {
                let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
                let name = rustls::pki_types::ServerName::try_from(bare(&host).to_owned())
                    .map_err(|e| self.unreachable(&e))?;
                let tls = connector.connect(name, tcp).await.map_err(|e| self.unreachable(&e))?;
                self.shake(request, tls).await
            }
        }
    }

    fn upgrade(&self, open: &StreamOpen) -> Result<Request, Problem> {
        let bad =
            |e: &dyn std::fmt::Display| Problem::new(Code::Error, format!("cannot ask for a stream: {e}"));
        let text = serde_json::to_string(open).map_err(|e| bad(&e))?;
        let mut url: Url = self.at(&["v1", "stream"]);
        url.query_pairs_mut().append_pair("request", &text);
        let url = url.as_str().replacen("http", "ws", 1);
        let mut request = url.into_client_request().map_err(|e| bad(&e))?;
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").parse().map_err(|e| bad(&e))?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    async fn shake<S>(&self, request: Request, socket: S) -> Result<StreamPair, Problem>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = WebSocketConfig::default()
            .read_buffer_size(STREAM_FRAME_BYTES_MAX)
            .max_message_size(Some(4 * STREAM_FRAME_BYTES_MAX))
            .max_frame_size(Some(4 * STREAM_FRAME_BYTES_MAX));
        let shaken = tokio_tungstenite::client_async_with_config(request, socket, Some(config)).await;
        match shaken {
            Ok((socket, _)) => Ok(pump(socket)),
            Err(Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                Err(problem_of(answer.status().as_u16(), &body))
            }
            Err(error) => Err(self.unreachable(&error)),
        }
    }
}

/// The address in a URL's host: without the brackets of IPv6.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn pump<S>(socket: WebSocketStream<S>) -> StreamPair
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (out, input) = socket.split();
    let (to, towards) = mpsc::channel(STREAM_FRAMES_WAITING);
    let (back, from) = mpsc::channel(STREAM_FRAMES_WAITING);
    tokio::spawn(async move {
        let writer = tokio::spawn(write(out, towards));
        read(input, back).await;
        writer.abort();
    });
    StreamPair { to, from }
}

async fn write<S>(mut out: S, mut frames: mpsc::Receiver<StreamFrame>)
where
    S: Sink<Message> + Unpin,
{
    while let Some(frame) = frames.recv().await {
        if out.send(Message::Binary(encode_frame(&frame))).await.is_err() {
            return;
        }
    }
    let _ = out.send(Message::Close(None)).await;
}

async fn read<S>(mut input: S, frames: mpsc::Sender<StreamFrame>)
where
    S: Stream<Item = Result<Message, Error>> + Unpin,
{
    while let Some(message) = input.next().await {
        let frame = match message {
            Ok(Message::Binary(bytes)) => decode_frame(&bytes),
            Ok(Message::Close(_)) => return,
            Ok(_) => None,
            Err(error) => Some(StreamFrame::Failed(broken(&error))),
        };
        let Some(frame) = frame else { continue };
        let last = matches!(frame, StreamFrame::Exit(_) | StreamFrame::Failed(_));
        if frames.send(frame).await.is_err() || last {
            return;
        }
    }
}

fn broken(error: &Error) -> Problem {
    Problem::new(Code::NodeUnreachable, format!("the stream broke: {error}"))
        .hint("the node goes on; try again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{LogLine, TerminalSize};

    #[test]
    fn every_frame_comes_back_as_it_went() {
        let frames = [
            StreamFrame::Stdin(Bytes::from_static(b"in")),
            StreamFrame::StdinEnd,
            StreamFrame::Stdout(Bytes::new()),
            StreamFrame::Stderr(Bytes::from_static(&[0, 255])),
            StreamFrame::Line(LogLine { at: 1, stderr: true, text: "x".into() }),
            StreamFrame::Resize(TerminalSize { columns: 80, rows: 24 }),
            StreamFrame::Exit(137),
            StreamFrame::Failed(Problem::not_found("node shop/game/9")),
        ];
        for frame in frames {
            assert_eq!(decode_frame(&encode_frame(&frame)), Some(frame));
        }
    }

    #[test]
    fn nonsense_is_no_frame() {
        for bytes in [&b""[..], &[200, 1], &[4, b'x'], &[7]] {
            assert_eq!(decode_frame(&Bytes::copy_from_slice(bytes)), None);
        }
    }
}
