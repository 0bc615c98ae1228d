//! The program that runs here, handed out to machines that have none yet: to whoever shows a join token, on the agents' listener.
//!
//! Machines check its digest, which they were told on another way: with what they boot with.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use futures::future::BoxFuture;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tonic::server::NamedService;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

/// What runs, as it was when it started: whatever was installed in its place since.
const RUNNING: &str = "/proc/self/exe";
/// Bytes that are read at a time.
const PART_BYTES: usize = 256 << 10;

/// SHA-256 of the program that runs here, in hexadecimal digits.
///
/// # Errors
/// Where it cannot be read.
pub fn digest() -> io::Result<String> {
    static OWN: OnceLock<String> = OnceLock::new();
    if let Some(known) = OWN.get() {
        return Ok(known.clone());
    }
    let file = std::fs::read(RUNNING)?;
    Ok(OWN.get_or_init(|| lace_providers::ec2::digest(&file)).clone())
}

/// Whoever wants to join, as far as tokens tell.
pub trait Joiners: Send + Sync + 'static {
    /// Is this the text of a token that lets somebody join now?
    fn may_join(&self, token: &str) -> bool;
}

/// Serves `GET /program/SHA-256`, with a join token as the bearer's.
#[derive(Clone)]
pub struct HandOut {
    joiners: Arc<dyn Joiners>,
    know: Arc<dyn Fn(SocketAddr) + Send + Sync>,
}

impl HandOut {
    /// `know` hears from where somebody with a token asks: that connection may take its time.
    pub fn new(joiners: Arc<dyn Joiners>, know: Arc<dyn Fn(SocketAddr) + Send + Sync>) -> Self {
        Self { joiners, know }
    }

    async fn answer(self, asked: Asked) -> Response<Body> {
        let Asked { method, name, token, from } = asked;
        if method != Method::GET {
            return said(StatusCode::METHOD_NOT_ALLOWED, "ask with GET");
        }
        let joiners = self.joiners;
        let looked = move || Ok::<_, io::Error>((token.is_some_and(|t| joiners.may_join(&t)), digest()?));
        match tokio::task::spawn_blocking(looked).await {
            Ok(Ok((false, _))) => said(StatusCode::FORBIDDEN, "show a join token that is valid"),
            Ok(Ok((true, own))) if own != name => said(
                StatusCode::NOT_FOUND,
                "another program runs here by now: machines are told which when they are made",
            ),
            Ok(Ok((true, _))) => {
                from.into_iter().for_each(|from| (self.know)(from));
                whole().unwrap_or_else(|error| failed(&error))
            }
            Ok(Err(error)) => failed(&error),
            Err(error) => failed(&error),
        }
    }
}

/// What is asked, and by whom.
struct Asked {
    method: Method,
    name: String,
    token: Option<String>,
    from: Option<SocketAddr>,
}

impl Asked {
    fn of<B>(request: &Request<B>) -> Self {
        let seen = request.extensions();
        let tls = seen.get::<TlsConnectInfo<TcpConnectInfo>>().map(|info| info.get_ref().clone());
        let info = tls.or_else(|| seen.get::<TcpConnectInfo>().cloned());
        Self {
            method: request.method().clone(),
            name: request.uri().path().rsplit('/').next().unwrap_or_default().to_owned(),
            token: bearer(request.headers()).map(str::to_owned),
            from: info.and_then(|info| info.remote_addr()),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

fn said(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut answer = Response::new(Body::from(format!("{text}\n")));
    *answer.status_mut() = status;
    answer
}

fn failed(error: &dyn std::fmt::Display) -> Response<Body> {
    tracing::warn!(%error, "the program could not be handed out");
    said(StatusCode::INTERNAL_SERVER_ERROR, "the program cannot be read: see the log of role server")
}

/// The file, part by part: nobody holds all of it.
fn whole() -> io::Result<Response<Body>> {
    let file = File::open(RUNNING)?;
    let bytes = file.metadata()?.len();
    let parts = futures::stream::try_unfold(file, |mut file| async move {
        let read = move || {
            let mut part = vec![0; PART_BYTES];
            let n = file.read(&mut part)?;
            part.truncate(n);
            Ok::<_, io::Error>((part, file))
        };
        let (part, file) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        Ok::<_, io::Error>((!part.is_empty()).then_some((part, file)))
    });
    let mut answer = Response::new(Body::from_stream(parts));
    answer.headers_mut().insert(CONTENT_LENGTH, bytes.into());
    let kind = axum::http::HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(answer)
}

impl NamedService for HandOut {
    const NAME: &'static str = "program";
}

impl tower::Service<Request<tonic::body::Body>> for HandOut {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let (this, asked) = (self.clone(), Asked::of(&request));
        Box::pin(async move { Ok(this.answer(asked).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct One;

    impl Joiners for One {
        fn may_join(&self, token: &str) -> bool {
            token == "good"
        }
    }

    #[tokio::test]
    async fn who_shows_a_token_gets_what_runs_by_its_digest() {
        let known = Arc::new(AtomicUsize::new(0));
        let counted = known.clone();
        let know = Arc::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let out = HandOut::new(Arc::new(One), know);
        let asked = |method: Method, name: &str, token: Option<&str>| {
            let from = Some("192.0.2.7:4711".parse().expect("an address"));
            let asked = Asked { method, name: name.to_owned(), token: token.map(str::to_owned), from };
            out.clone().answer(asked)
        };
        let own = digest().expect("readable");
        for (method, name, token, status) in [
            (Method::POST, own.as_str(), Some("good"), StatusCode::METHOD_NOT_ALLOWED),
            (Method::GET, own.as_str(), None, StatusCode::FORBIDDEN),
            (Method::GET, own.as_str(), Some("bad"), StatusCode::FORBIDDEN),
            (Method::GET, "00ff", Some("good"), StatusCode::NOT_FOUND),
        ] {
            assert_eq!(asked(method, name, token).await.status(), status, "{name} {token:?}");
        }
        assert_eq!(known.load(Ordering::Relaxed), 0, "strangers do not stay");
        let answer = asked(Method::GET, &own, Some("good")).await;
        assert_eq!((answer.status(), known.load(Ordering::Relaxed)), (StatusCode::OK, 1));
        let length = answer.headers()[CONTENT_LENGTH].to_str().expect("text").to_owned();
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("whole");
        assert_eq!((bytes.len().to_string(), lace_providers::ec2::digest(&bytes)), (length, own));
    }

    #[test]
    fn tokens_are_the_bearers() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.insert(AUTHORIZATION, "Bearer lace_1 ".parse().expect("a value"));
        assert_eq!(bearer(&headers), Some("lace_1"));
        headers.insert(AUTHORIZATION, "Basic x".parse().expect("a value"));
        assert_eq!(bearer(&headers), None);
    }
}
