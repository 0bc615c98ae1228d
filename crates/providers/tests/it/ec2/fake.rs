//! A server on a loopback port that gives written answers, one after another, and keeps what it was asked.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use lace_providers::ec2::{Chain, Client, Credentials, Patience, Place};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is answered to one question. After the last one, it is given again.
#[derive(Clone)]
pub enum Reply {
    Says(u16, String),
    /// Nothing, for as long as the test runs.
    Hangs,
}

impl Reply {
    pub fn ok(xml: &str) -> Self {
        Self::Says(200, xml.to_owned())
    }

    pub fn error(status: u16, code: &str) -> Self {
        let error = format!("<Error><Code>{code}</Code><Message>because</Message></Error>");
        Self::Says(status, format!("<Response><Errors>{error}</Errors><RequestID>r-1</RequestID></Response>"))
    }
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<(VecDeque<Reply>, Vec<Asked>)>>);

pub struct Fake {
    pub at: String,
    kept: Kept,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let kept = Kept::default();
        kept.0.lock().expect("kept").0.extend(replies);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = format!("http://{}", listener.local_addr().expect("address"));
        let router = Router::new().fallback(answer).with_state(kept.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { at, kept, task }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.kept.0.lock().expect("kept").1.clone()
    }

    /// A client of it that has little patience.
    pub fn client(&self) -> Client {
        let ms = Duration::from_millis;
        let patience =
            Patience { answer: ms(400), call: ms(5_000), tries: 4, pause: ms(4), pause_max: ms(10) };
        self.client_with(Chain::only(Credentials::given("AKID", "secret", None)), patience)
    }

    pub fn client_with(&self, chain: Chain, patience: Patience) -> Client {
        let place = Place { region: "eu-west-1".into(), endpoint: Some(self.at.clone()) };
        Client::new(&place, chain, patience).expect("client")
    }
}

async fn answer(
    State(kept): State<Kept>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let body = String::from_utf8_lossy(&body).into_owned();
    let reply = {
        let mut kept = kept.0.lock().expect("kept");
        kept.1.push(Asked { method, path: uri.path().to_owned(), headers, body });
        match kept.0.len() {
            0 | 1 => kept.0.front().cloned(),
            _ => kept.0.pop_front(),
        }
    };
    match reply {
        Some(Reply::Says(status, text)) => (StatusCode::from_u16(status).expect("status"), text),
        Some(Reply::Hangs) | None => std::future::pending().await,
    }
}
