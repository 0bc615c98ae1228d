//! A client of the door that speaks HTTP/1.1 or h2 over a given connection.

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a request carries.
pub enum Given {
    Nothing,
    Whole(Option<Bytes>),
    /// So many, without saying so beforehand.
    Mebibytes(u32),
    /// What is given, until nobody gives any more.
    Parts(tokio::sync::mpsc::Receiver<Bytes>),
}

impl Body for Given {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(match self.get_mut() {
            Self::Parts(parts) => {
                return parts.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part))));
            }
            Self::Nothing | Self::Mebibytes(0) => None,
            Self::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Self::Mebibytes(left) => {
                *left -= 1;
                Some(Ok(Frame::data(vec![1; 1 << 20].into())))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing | Self::Whole(None) | Self::Mebibytes(0))
    }
}

pub enum Client {
    H1(http1::SendRequest<Given>),
    H2(http2::SendRequest<Given>),
}

impl Client {
    pub async fn h1(stream: TcpStream) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::H1(sender)
    }

    pub async fn h2(stream: TcpStream) -> Self {
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::H2(sender)
    }

    pub async fn send(&mut self, request: Request<Given>) -> Response<Incoming> {
        let sent = async {
            match self {
                Self::H1(sender) => sender.send_request(request).await,
                Self::H2(sender) => sender.send_request(request).await,
            }
        };
        timeout(Duration::from_secs(10), sent).await.expect("an answer in time").unwrap()
    }
}
