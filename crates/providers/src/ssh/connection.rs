//! A connection to a server: known by its key, and we are let in.

use super::{KnownHosts, Login, Server};
use lace_model::{Code, Problem};
use russh::Disconnect;
use russh::client::{self, AuthResult, Handle};
use russh::keys::PrivateKeyWithHashAlg;
use russh::keys::PublicKeyOrCertificate;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A server has this long to take a connection.
const REACHED_WITHIN: Duration = Duration::from_secs(10);
/// It has this long to show its key.
const GREETED_WITHIN: Duration = Duration::from_secs(15);
/// It has this long to let us in; some ask others who we are.
const LET_IN_WITHIN: Duration = Duration::from_secs(20);
/// A connection on which nothing comes is asked whether it lives.
const ASKED_EVERY: Duration = Duration::from_secs(10);
/// So many questions may stay without an answer.
const UNANSWERED_MAX: usize = 3;
/// Most keys of an agent that are tried: servers hang up after six (`MaxAuthTries`, sshd_config(5)).
const AGENT_KEYS_MAX: usize = 5;

/// What was seen when the server was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Welcome {
    /// The fingerprint of its key, where that was pinned now.
    pub pinned: Option<String>,
}

/// A server that we are logged in at.
pub struct Connection {
    pub(super) handle: Handle<Meeting>,
    pub(super) server: Server,
    /// Scripts that change something run with this before them.
    pub(super) is_root: bool,
}

/// Looks at the server's key.
pub(super) struct Meeting {
    known: KnownHosts,
    server: Server,
    seen: Arc<Mutex<Result<Welcome, Problem>>>,
}

impl client::Handler for Meeting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let checked = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.known.check(&self.server, key),
            PublicKeyOrCertificate::Certificate(_) => Err(Problem::new(
                Code::HostKeyChanged,
                format!("{} shows a certificate, and servers are known by keys here", self.server),
            )),
        };
        let is_known = checked.is_ok();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = checked.map(|pinned| Welcome { pinned });
        Ok(is_known)
    }
}

impl Connection {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`Code::ServerUnreachable`], [`Code::HostKeyChanged`] or [`Code::LoginRefused`], with the server's name.
    pub async fn open(
        server: &Server,
        login: &Login,
        known: &KnownHosts,
    ) -> Result<(Self, Welcome), Problem> {
        let (mut handle, welcome) = meet(server, known).await?;
        match timeout(LET_IN_WITHIN, log_in(&mut handle, server, login)).await {
            Ok(done) => done?,
            Err(_) => return Err(silent(server, "does not say whether it lets us in", LET_IN_WITHIN)),
        }
        Ok((Self { handle, server: server.clone(), is_root: server.user == "root" }, welcome))
    }

    /// Says goodbye; a server that does not hear it notices anyway.
    pub async fn close(self) {
        let bye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        let _ = timeout(Duration::from_secs(1), bye).await;
    }
}

async fn meet(server: &Server, known: &KnownHosts) -> Result<(Handle<Meeting>, Welcome), Problem> {
    let at = (server.host.as_str(), server.port);
    let stream = match timeout(REACHED_WITHIN, TcpStream::connect(at)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(unreachable(server, &format!("cannot be reached: {error}"))),
        Err(_) => return Err(silent(server, "does not take a connection", REACHED_WITHIN)),
    };
    let _ = stream.set_nodelay(true);
    let config = client::Config {
        keepalive_interval: Some(ASKED_EVERY),
        keepalive_max: UNANSWERED_MAX,
        ..client::Config::default()
    };
    let seen = Arc::new(Mutex::new(Ok(Welcome::default())));
    let meeting = Meeting { known: known.clone(), server: server.clone(), seen: seen.clone() };
    let met = timeout(GREETED_WITHIN, client::connect_stream(Arc::new(config), stream, meeting)).await;
    let welcome = seen.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    match met {
        Ok(Ok(handle)) => Ok((handle, welcome)),
        Ok(Err(error)) => Err(unreachable(server, &format!("does not speak SSH as we do: {error}"))),
        Err(_) => Err(silent(server, "takes the connection and does not speak SSH", GREETED_WITHIN)),
    }
}

async fn log_in(handle: &mut Handle<Meeting>, server: &Server, login: &Login) -> Result<(), Problem> {
    let user = server.user.as_str();
    let answer = match login {
        Login::Password(password) => handle.authenticate_password(user, password.as_str()).await,
        Login::Key(key, _) => {
            handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(key.clone(), None)).await
        }
        Login::Agent(socket) => return by_agent(handle, server, login, socket).await,
    };
    match answer {
        Ok(AuthResult::Success) => Ok(()),
        Ok(AuthResult::Failure { remaining_methods, .. }) => {
            let takes: Vec<&str> = remaining_methods.iter().map(Into::into).collect();
            Err(refused(server, login, &takes.join(", ")))
        }
        Err(error) => Err(unreachable(server, &format!("hung up while we logged in: {error}"))),
    }
}

async fn by_agent(
    handle: &mut Handle<Meeting>,
    server: &Server,
    login: &Login,
    socket: &std::path::Path,
) -> Result<(), Problem> {
    let no_agent = |e: russh::keys::Error| Problem::new(Code::Error, format!("the SSH agent: {e}"));
    let mut agent = AgentClient::connect_uds(socket).await.map_err(no_agent)?;
    let keys = agent.request_identities().await.map_err(no_agent)?;
    for identity in keys.into_iter().take(AGENT_KEYS_MAX) {
        let AgentIdentity::PublicKey { key, .. } = identity else { continue };
        let hash = match key.algorithm() {
            russh::keys::Algorithm::Rsa { .. } => Some(russh::keys::HashAlg::Sha512),
            _ => None,
        };
        let answer = handle.authenticate_publickey_with(server.user.as_str(), key, hash, &mut agent).await;
        if answer.is_ok_and(|answer| answer.success()) {
            return Ok(());
        }
    }
    Err(refused(server, login, "publickey"))
}

fn refused(server: &Server, login: &Login, takes: &str) -> Problem {
    let takes = if takes.is_empty() { "nothing more" } else { takes };
    let hint = match login {
        Login::Password(_) => {
            "check user and password; `PasswordAuthentication` of sshd may be off: give --key"
        }
        _ => {
            "put the public half into ~/.ssh/authorized_keys of that user there, or give another --user or --key"
        }
    };
    let text = format!("{server} does not let us in with {login} (it takes {takes})");
    Problem::new(Code::LoginRefused, text).hint(hint)
}

pub(super) fn silent(server: &Server, what: &str, within: Duration) -> Problem {
    unreachable(server, &format!("{what} within {} s", within.as_secs()))
}

pub(super) fn unreachable(server: &Server, what: &str) -> Problem {
    Problem::new(Code::ServerUnreachable, format!("{server} {what}"))
        .hint(format!("try by hand: ssh -p {} {}@{}", server.port, server.user, server.host))
}
