//! A controller of canned answers, and the world in which commands run against it.

use crate::command::{self, RoleCommands, World};
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use lace_model::{Code, Millis, Problem};
use lace_wire::api::StreamOpen;
use lace_wire::client::{decode_frame, encode_frame};
use lace_wire::stream::StreamFrame;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};

/// The moment in which all tests happen.
pub const NOW: Millis = 1_800_000_000_000;

/// One call that came.
#[derive(Clone, Debug)]
pub struct Called {
    /// `GET /v1/status?target=shop`.
    pub line: String,
    /// Its body.
    pub body: Bytes,
    /// Its token.
    pub token: Option<String>,
}

type Script = Box<dyn Fn(&StreamOpen) -> Vec<StreamFrame> + Send>;

#[derive(Default)]
struct Inside {
    answers: HashMap<String, VecDeque<(u16, Vec<u8>)>>,
    all_fail: Option<Problem>,
    called: Vec<Called>,
    script: Option<Script>,
    opened: Vec<StreamOpen>,
    taken: Vec<u8>,
}

/// The fake controller.
#[derive(Clone)]
pub struct Fake {
    inside: Arc<Mutex<Inside>>,
    /// Its address.
    pub url: String,
    dir: Arc<tempfile::TempDir>,
}

impl Fake {
    /// Starts one on a port of its own; it ends with the test process.
    pub fn start() -> Self {
        let inside: Arc<Mutex<Inside>> = Arc::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("nonblocking");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let app = axum::Router::new()
            .route("/v1/stream", axum::routing::get(stream))
            .fallback(answer)
            .with_state(Arc::clone(&inside));
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("listener");
                axum::serve(listener, app).await.expect("serves");
            });
        });
        let dir = Arc::new(tempfile::tempdir().expect("directory"));
        Self { inside, url, dir }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("no panic")
    }

    /// Answers `GET /v1/apps` and the like; the last answer of several stays.
    pub fn on(&self, line: &str, value: impl Serialize) -> &Self {
        self.on_raw(line, 200, serde_json::to_vec(&value).expect("json"))
    }

    /// The same with a status and bytes.
    pub fn on_raw(&self, line: &str, status: u16, bytes: Vec<u8>) -> &Self {
        self.inside().answers.entry(line.to_owned()).or_default().push_back((status, bytes));
        self
    }

    /// Refuses one call.
    pub fn refuse(&self, line: &str, problem: &Problem) -> &Self {
        let body = serde_json::to_vec(problem).expect("json");
        self.on_raw(line, problem.code.http_status(), body)
    }

    /// Refuses everything.
    pub fn fail(&self, code: Code) -> &Self {
        self.inside().all_fail = Some(Problem::new(code, "refused on order").hint("do not order it"));
        self
    }

    /// What streams say.
    pub fn says(&self, script: impl Fn(&StreamOpen) -> Vec<StreamFrame> + Send + 'static) -> &Self {
        self.inside().script = Some(Box::new(script));
        self
    }

    /// The calls that came, in order.
    pub fn called(&self) -> Vec<Called> {
        self.inside().called.clone()
    }

    /// The lines of the calls that came.
    pub fn lines(&self) -> Vec<String> {
        self.called().into_iter().map(|called| called.line).collect()
    }

    /// The streams that were opened.
    pub fn opened(&self) -> Vec<StreamOpen> {
        self.inside().opened.clone()
    }

    /// What streams got on their input.
    pub fn taken(&self) -> Vec<u8> {
        self.inside().taken.clone()
    }

    /// A directory of the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A command against this controller, without terminals.
    pub fn lace(&self, words: &[&str]) -> Ran {
        Line::new(self.dir()).env("LACE_URL", &self.url).env("LACE_TOKEN", "token").run(words)
    }

    /// A command line to be furnished.
    pub fn line(&self) -> Line {
        Line::new(self.dir()).env("LACE_URL", &self.url).env("LACE_TOKEN", "token")
    }
}

async fn answer(State(inside): State<Arc<Mutex<Inside>>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let line = format!("{} {}", parts.method, parts.uri);
    let token = parts.headers.get("authorization").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let mut inside = inside.lock().expect("no panic");
    inside.called.push(Called { line: line.clone(), body, token });
    if let Some(problem) = &inside.all_fail {
        return refusal(problem);
    }
    let path = format!("{} {}", parts.method, parts.uri.path());
    let key = if inside.answers.contains_key(&line) { line } else { path.clone() };
    let Some(answers) = inside.answers.get_mut(&key) else {
        return match parts.method {
            Method::PUT if path.starts_with("PUT /v1/blobs/") => StatusCode::NO_CONTENT.into_response(),
            _ => refusal(&Problem::new(Code::Error, format!("the fake knows no {path}"))),
        };
    };
    let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
    let (status, bytes) = next.expect("an answer");
    (StatusCode::from_u16(status).expect("status"), bytes).into_response()
}

fn refusal(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.code.http_status()).expect("status");
    (status, serde_json::to_vec(problem).expect("json")).into_response()
}

async fn stream(
    State(inside): State<Arc<Mutex<Inside>>>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let open: StreamOpen = serde_json::from_str(&query["request"]).expect("a request");
    let frames = {
        let mut inside = inside.lock().expect("no panic");
        if let Some(problem) = &inside.all_fail {
            return refusal(problem);
        }
        let frames = inside.script.as_ref().map_or_else(Vec::new, |script| script(&open));
        inside.opened.push(open);
        frames
    };
    upgrade.on_upgrade(move |socket| play(socket, frames, inside))
}

/// Frames `Stdin` in a script stand for "take input until its end".
async fn play(mut socket: WebSocket, frames: Vec<StreamFrame>, inside: Arc<Mutex<Inside>>) {
    for frame in frames {
        if matches!(frame, StreamFrame::Stdin(_)) {
            while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
                match decode_frame(&bytes) {
                    Some(StreamFrame::Stdin(bytes)) => {
                        inside.lock().expect("no panic").taken.extend_from_slice(&bytes);
                    }
                    _ => break,
                }
            }
        } else if socket.send(Message::Binary(encode_frame(&frame))).await.is_err() {
            return;
        }
    }
    let _ = socket.send(Message::Close(None)).await;
}

/// What a command left.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit status.
    pub exit: u8,
    /// What it wrote.
    pub out: String,
    /// What it wrote to the error output.
    pub err: String,
}

impl Ran {
    /// The JSON that it wrote.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }
}

/// A command line with its world.
pub struct Line {
    env: BTreeMap<String, String>,
    dir: PathBuf,
    input: Vec<u8>,
    terminal: bool,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }
}

impl Line {
    /// In a directory, which holds its settings, too.
    pub fn new(dir: &Path) -> Self {
        let config = dir.join("config").display().to_string();
        let env = BTreeMap::from([("LACE_CONFIG_DIR".to_owned(), config)]);
        Self { env, dir: dir.to_owned(), input: Vec::new(), terminal: false }
    }

    /// With an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// With something on the input.
    pub fn input(mut self, text: &str) -> Self {
        self.input = text.as_bytes().to_vec();
        self
    }

    /// With a person at terminals.
    pub fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// The world around it.
    pub fn world(&self) -> World {
        World {
            env: self.env.clone(),
            dir: self.dir.clone(),
            input: Box::new(std::io::Cursor::new(self.input.clone())),
            out: Box::new(std::io::sink()),
            err: Box::new(std::io::sink()),
            in_terminal: self.terminal,
            out_terminal: self.terminal,
            err_terminal: false,
            columns: 100,
            now: || NOW,
        }
    }

    /// Runs it.
    pub fn run(self, words: &[&str]) -> Ran {
        let (out, err) = (Sink::default(), Sink::default());
        let world = World { out: Box::new(out.clone()), err: Box::new(err.clone()), ..self.world() };
        let args = std::iter::once("lace").chain(words.iter().copied()).map(Into::into);
        let exit = command::run(args, world, &ROLES);
        Ran { exit, out: out.text(), err: err.text() }
    }
}

/// Roles that only say, by their exit status, which one was called.
pub const ROLES: RoleCommands = RoleCommands {
    server: |words| ExitCode::from(if words.is_empty() { 101 } else { 111 }),
    agent: |_| ExitCode::from(102),
    net: |_| ExitCode::from(103),
    pid1: |_| ExitCode::from(104),
    sim: |_| ExitCode::from(110),
    up: |_| ExitCode::from(105),
    down: |_| ExitCode::from(106),
    demo: |_| ExitCode::from(107),
    doctor: |_| ExitCode::from(108),
    restore: |_| ExitCode::from(109),
};
