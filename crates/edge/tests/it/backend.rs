//! A node as the door sees one: a small server, HTTP/1.1 and h2.

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

type Reply = Response<BoxBody<Bytes, hyper::Error>>;

/// What it answers.
#[derive(Clone, Copy)]
pub enum Said {
    /// The head as it came, then the body.
    Echo,
    /// The body as it came, streamed.
    Body,
    /// An event each time that it is told to.
    Events,
    /// `on ADDRESS`.
    Who,
    /// Never.
    Nothing,
    /// Never, but it takes the whole body.
    Late,
}

pub struct Backend {
    pub at: SocketAddr,
    pub next: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Backend {
    pub async fn start(ip: Ipv4Addr, port: u16, said: Said) -> Self {
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let next = Arc::new(Notify::new());
        let task = tokio::spawn(serve(listener, said, Arc::clone(&next)));
        Self { at, next, task }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, said: Said, next: Arc<Notify>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let at = listener.local_addr().unwrap();
        let next = Arc::clone(&next);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, (said, at), Arc::clone(&next)));
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    mut request: Request<Incoming>,
    (said, at): (Said, SocketAddr),
    next: Arc<Notify>,
) -> Result<Reply, Infallible> {
    if request.headers().contains_key(UPGRADE) {
        return Ok(shout(&mut request));
    }
    Ok(match said {
        Said::Echo => echo(request).await,
        Said::Body => Response::new(request.into_body().boxed()),
        Said::Events => Response::new(events(next).boxed()),
        Said::Who => {
            let who = Full::new(Bytes::from(format!("on {}\n", at.ip())));
            Response::new(who.map_err(|never| match never {}).boxed())
        }
        Said::Nothing => std::future::pending().await,
        Said::Late => {
            drop(request.into_body().collect().await);
            std::future::pending().await
        }
    })
}

async fn echo(request: Request<Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let mut text = format!("{} {} {:?}\n", parts.method, parts.uri.path_and_query().unwrap(), parts.version);
    for (name, value) in &parts.headers {
        text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    text.push('\n');
    let mut bytes = text.into_bytes();
    bytes.extend(body.collect().await.map(|b| b.to_bytes()).unwrap_or_default());
    let whole = Full::new(Bytes::from(bytes)).map_err(|never| match never {});
    if parts.version != Version::HTTP_2 {
        return Response::new(whole.boxed());
    }
    let trailers =
        async { Some(Ok(HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]))) };
    let mut reply = Response::new(whole.with_trailers(trailers).boxed());
    if let Some(kind) = parts.headers.get(CONTENT_TYPE) {
        reply.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    reply
}

fn shout(request: &mut Request<Incoming>) -> Reply {
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let mut io = TokioIo::new(upgraded.await.unwrap());
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = io.read(&mut buffer).await {
            io.write_all(&buffer[..length]).await.unwrap();
        }
    });
    let mut reply = Response::new(Full::default().map_err(|never| match never {}).boxed());
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    reply.headers_mut().insert("connection", "upgrade".parse().unwrap());
    reply.headers_mut().insert(UPGRADE, "shout".parse().unwrap());
    reply
}

struct Events(mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|b| Ok(Frame::data(b))))
    }
}

fn events(next: Arc<Notify>) -> Events {
    let (to, from) = mpsc::channel(1);
    tokio::spawn(async move {
        for n in 0_u32.. {
            next.notified().await;
            if to.send(format!("data: {n}\n\n").into()).await.is_err() {
                return;
            }
        }
    });
    Events(from)
}
