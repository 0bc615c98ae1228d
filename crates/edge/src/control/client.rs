//! The agent's side of the control socket.

use super::{Answer, Request, frame};
use crate::proxy::GivenCertificate;
use lace_model::document::Topic;
use lace_model::traffic::Traffic;
use lace_model::{AppName, Generation, NodeId};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout_at};

const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answered in time.
    #[error("`lace net` does not answer at {path}: {source}")]
    Away {
        /// The socket.
        path: PathBuf,
        /// The last cause.
        source: io::Error,
    },
    /// It answered, and will not do it.
    #[error("`lace net` refuses: {0}")]
    Refused(String),
    /// It answered something else.
    #[error("`lace net` answered {0:?}, which does not fit the question")]
    Odd(Box<Answer>),
}

/// What became of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It holds and is on disk.
    Taken,
    /// A newer one holds.
    Older {
        /// Which.
        held: Generation,
    },
}

/// Talks to `lace net`. Connects when needed, and again after a break; every call may be repeated.
pub struct NetClient {
    path: PathBuf,
    patience: Duration,
    stream: Option<UnixStream>,
}

impl NetClient {
    /// A client for the socket at this path; nothing happens yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), patience: PATIENCE, stream: None }
    }

    /// How long a call tries before it gives up (5 s by default).
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Hands over the names of an application.
    ///
    /// # Errors
    /// Where nobody answers in time, or the topic is refused for something else than its age.
    pub async fn put(&mut self, topic: Topic) -> Result<Put, ClientError> {
        match self.call(&Request::Topic(topic)).await? {
            Answer::Taken(_) => Ok(Put::Taken),
            Answer::Older { held } => Ok(Put::Older { held }),
            other => Err(unfit(other)),
        }
    }

    /// Takes the names of an application away.
    ///
    /// # Errors
    /// Where nobody answers in time.
    pub async fn gone(&mut self, app: AppName) -> Result<(), ClientError> {
        match self.call(&Request::Gone(app)).await? {
            Answer::Forgotten {} => Ok(()),
            other => Err(unfit(other)),
        }
    }

    /// Which topics are held, so that only the others need sending.
    ///
    /// # Errors
    /// Where nobody answers in time.
    pub async fn held(&mut self) -> Result<Vec<(AppName, Generation)>, ClientError> {
        match self.call(&Request::Hello {}).await? {
            Answer::Held(held) => Ok(held),
            other => Err(unfit(other)),
        }
    }

    /// Sees to it that the door gives a node no more requests, and waits for the end of those that it has. Says
    /// whether all have ended.
    ///
    /// # Errors
    /// Where nobody answers within `within` and the client's patience.
    pub async fn drain(&mut self, node: NodeId, within: Duration) -> Result<bool, ClientError> {
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        // A door that is not there is no door; one that is has the time that it was given.
        if self.stream.is_none() {
            self.stream = Some(self.connect().await?);
        }
        let within = within + self.patience;
        let asked = timeout_at(Instant::now() + within, self.once(&Request::Drain { node, within_ms })).await;
        let answer = asked.unwrap_or_else(|late| Err(late.into()));
        match answer.map_err(|source| ClientError::Away { path: self.path.clone(), source })? {
            Answer::Drained { all } => Ok(all),
            other => Err(unfit(other)),
        }
    }

    /// Hands over a certificate for routes.
    ///
    /// # Errors
    /// Where nobody answers in time, or it is of no use.
    pub async fn certificate(&mut self, given: GivenCertificate) -> Result<(), ClientError> {
        match self.call(&Request::Certificate(given)).await? {
            Answer::Certificates(_) => Ok(()),
            other => Err(unfit(other)),
        }
    }

    /// Takes a certificate away.
    ///
    /// # Errors
    /// Where nobody answers in time.
    pub async fn certificate_gone(&mut self, name: String) -> Result<(), ClientError> {
        match self.call(&Request::CertificateGone(name)).await? {
            Answer::Forgotten {} => Ok(()),
            other => Err(unfit(other)),
        }
    }

    /// Which certificates are held, and for which host names.
    ///
    /// # Errors
    /// Where nobody answers in time.
    pub async fn certificates(&mut self) -> Result<BTreeMap<String, Vec<String>>, ClientError> {
        match self.call(&Request::Certificates {}).await? {
            Answer::Certificates(held) => Ok(held),
            other => Err(unfit(other)),
        }
    }

    /// What the door carried since its process began.
    ///
    /// # Errors
    /// Where nobody answers in time.
    pub async fn traffic(&mut self) -> Result<Traffic, ClientError> {
        match self.call(&Request::Traffic {}).await? {
            Answer::Traffic(traffic) => Ok(*traffic),
            other => Err(unfit(other)),
        }
    }

    /// How many requests wait for a node to be there.
    ///
    /// # Errors
    /// Where nobody answers in time.
    pub async fn waiting(&mut self) -> Result<u64, ClientError> {
        match self.call(&Request::Waiting {}).await? {
            Answer::Waiting(count) => Ok(count),
            other => Err(unfit(other)),
        }
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let deadline = Instant::now() + self.patience;
        loop {
            match UnixStream::connect(&self.path).await {
                Ok(stream) => return Ok(stream),
                Err(source) if Instant::now() + PAUSE_MIN >= deadline => {
                    return Err(ClientError::Away { path: self.path.clone(), source });
                }
                Err(_) => sleep(PAUSE_MIN).await,
            }
        }
    }

    async fn call(&mut self, request: &Request) -> Result<Answer, ClientError> {
        self.call_within(request, self.patience).await
    }

    async fn call_within(&mut self, request: &Request, within: Duration) -> Result<Answer, ClientError> {
        let deadline = Instant::now() + within;
        let mut pause = PAUSE_MIN;
        loop {
            let tried = timeout_at(deadline, self.once(request)).await;
            let error = match tried.unwrap_or_else(|late| Err(late.into())) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.stream = None;
            let hopeless = error.kind() == io::ErrorKind::InvalidInput;
            if hopeless || Instant::now() + pause >= deadline {
                return Err(ClientError::Away { path: self.path.clone(), source: error });
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// The stream is put back only after a whole answer: a call that is dropped half-way leaves none behind.
    async fn once(&mut self, request: &Request) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => UnixStream::connect(&self.path).await?,
        };
        frame::write(&mut stream, request).await?;
        let frame = frame::read(&mut stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let answer = frame::parse(&frame)?;
        self.stream = Some(stream);
        Ok(answer)
    }
}

fn unfit(answer: Answer) -> ClientError {
    match answer {
        Answer::Refused { cause } => ClientError::Refused(cause),
        other => ClientError::Odd(Box::new(other)),
    }
}
