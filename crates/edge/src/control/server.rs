//! The listening side of the control socket.

use super::{Answer, Request, frame};
use crate::names::{TopicError, Topics};
use crate::proxy::{GivenCertificate, Proxy};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// The agent needs one for topics, and one for each node that leaves (64 of its own at a time, 256 of other hosts); the
/// others are for an agent that takes over, and for people who look.
const CALLERS_MAX: usize = 480;

/// Between looks whether a caller that spoke out of turn is there still.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// No node is waited for longer than this.
const DRAIN_MAX: Duration = Duration::from_secs(3_600);

pub(crate) struct Control {
    listener: UnixListener,
    topics: Arc<Topics>,
    proxy: Arc<Proxy>,
}

impl Control {
    /// Listens. The caller holds the lock of the state directory, so a socket that is there is a dead one.
    pub fn bind(path: &Path, topics: Arc<Topics>, proxy: Arc<Proxy>) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, topics, proxy })
    }

    pub async fn run(self) {
        let mut callers = JoinSet::new();
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "control socket does not accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            while callers.try_join_next().is_some() {}
            if callers.len() < CALLERS_MAX && is_trusted(&stream) {
                callers.spawn(attend(stream, Arc::clone(&self.topics), Arc::clone(&self.proxy)));
            }
        }
    }
}

/// Root, or who we are ourselves (unix(7), `SO_PEERCRED`). The file's mode says the same; this cannot be changed.
fn is_trusted(stream: &UnixStream) -> bool {
    let uid = match stream.peer_cred() {
        Ok(peer) => peer.uid(),
        Err(error) => {
            tracing::warn!(%error, "control caller without credentials");
            return false;
        }
    };
    let trusted = uid == 0 || uid == rustix::process::geteuid().as_raw();
    if !trusted {
        tracing::warn!(uid, "control caller turned away");
    }
    trusted
}

async fn attend(mut stream: UnixStream, topics: Arc<Topics>, proxy: Arc<Proxy>) {
    loop {
        let frame = match frame::read(&mut stream).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "control caller broke off"),
        };
        let answer = match frame::parse(&frame) {
            // Whoever asks again has another connection, and nobody waits for this one.
            Ok(request @ Request::Drain { .. }) => tokio::select! {
                answer = obey(&topics, &proxy, request) => answer,
                () = gone(&stream) => return,
            },
            Ok(request) => obey(&topics, &proxy, request).await,
            Err(error) => Answer::Refused { cause: format!("not a request: {error}") },
        };
        if let Err(error) = frame::write(&mut stream, &answer).await {
            return tracing::warn!(%error, "control caller does not listen");
        }
    }
}

/// The caller has closed its end.
async fn gone(stream: &UnixStream) {
    while let Ok(ready) = stream.ready(Interest::READABLE).await {
        if ready.is_read_closed() {
            return;
        }
        // It said more, which has time.
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Answers when it is presented and on disk.
async fn put(proxy: &Proxy, given: GivenCertificate) -> Answer {
    let chest = Arc::clone(&proxy.tls.chest);
    let refused = |cause: String| Answer::Refused { cause };
    match tokio::task::spawn_blocking(move || chest.put(given).map(|()| chest.list())).await {
        Ok(Ok(held)) => Answer::Certificates(held),
        Ok(Err(error)) => refused(error.to_string()),
        Err(error) => refused(error.to_string()),
    }
}

async fn obey(topics: &Topics, proxy: &Proxy, request: Request) -> Answer {
    match request {
        Request::Topic(topic) => match topics.put(topic).await {
            Ok(generation) => Answer::Taken(generation),
            Err(TopicError::Older { held, .. }) => Answer::Older { held },
            Err(error) => Answer::Refused { cause: error.to_string() },
        },
        Request::Gone(app) => {
            topics.gone(app).await;
            Answer::Forgotten {}
        }
        Request::Certificate(given) => put(proxy, given).await,
        Request::CertificateGone(name) => {
            proxy.tls.chest.gone(&name);
            Answer::Forgotten {}
        }
        Request::Certificates {} => Answer::Certificates(proxy.tls.chest.list()),
        Request::Traffic {} => Answer::Traffic(Box::new(proxy.traffic())),
        Request::Waiting {} => Answer::Waiting(proxy.waiting()),
        Request::Hello {} => Answer::Held(topics.held()),
        Request::Drain { node, within_ms } => {
            let within = Duration::from_millis(within_ms).min(DRAIN_MAX);
            Answer::Drained { all: proxy.drain(node, within).await }
        }
    }
}
