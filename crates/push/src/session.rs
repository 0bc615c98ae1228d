//! One connection: who comes, and the one thing that may be asked for.

use crate::places::Taker;
use crate::receive::{self, refusal};
use crate::{KNOWN_WITHIN, PUSH_WITHIN, SILENT_MAX, Shared, asked};
use lace_model::push::PushKey;
use lace_model::{Code, Problem, ServicePath};
use russh::keys::{HashAlg, PublicKey, PublicKeyBase64};
use russh::server::{
    self, Auth, ChannelOpenHandle, Config, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{
    Channel, ChannelId, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Disconnect, MethodKind,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whom pushers log in as.
const USER: &str = "git";
/// Fingerprints of keys that were tried, as a refusal names them.
const TRIED_SHOWN: usize = 5;

/// A connection and what is known of it.
pub(crate) struct Visit {
    shared: Arc<Shared>,
    /// The key that was shown, in base64; set once it was proved.
    key: Option<String>,
    known: Arc<AtomicBool>,
    tried: Vec<String>,
    /// Channels that nothing was asked on yet.
    open: BTreeMap<ChannelId, Channel<Msg>>,
    busy: bool,
    address: IpAddr,
}

impl Visit {
    pub fn new(shared: Arc<Shared>, address: IpAddr) -> Self {
        Self {
            shared,
            address,
            key: None,
            known: Arc::default(),
            tried: Vec::new(),
            open: BTreeMap::new(),
            busy: false,
        }
    }

    /// Speaks with whoever comes, until they go or their time is over.
    pub async fn meet(self, config: Arc<Config>, stream: TcpStream) {
        let known = self.known.clone();
        let running = match timeout(KNOWN_WITHIN, server::run_stream(config, stream, self)).await {
            Ok(Ok(running)) => running,
            // Who does not speak SSH is not told about.
            _ => return,
        };
        let handle = running.handle();
        tokio::pin!(running);
        if timeout(KNOWN_WITHIN, &mut running).await.is_ok() {
            return;
        }
        if known.load(Ordering::Relaxed) && timeout(PUSH_WITHIN + SILENT_MAX, &mut running).await.is_ok() {
            return;
        }
        let bye = handle.disconnect(Disconnect::ByApplication, "the time is over".into(), String::new());
        let _ = timeout(KNOWN_WITHIN, bye).await;
        let _ = timeout(KNOWN_WITHIN, running).await;
    }

    fn is_known(&mut self, user: &str, key: &PublicKey) -> bool {
        let text = key.public_key_base64();
        if user == USER && self.shared.door.home.knows(&text) {
            return true;
        }
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if self.tried.len() < TRIED_SHOWN && !self.tried.contains(&fingerprint) {
            self.tried.push(fingerprint);
        }
        false
    }

    /// Why nobody is let in: told where a client asks for more ways than keys.
    fn why_not(&self, user: &str) -> String {
        let hint = "let somebody add your key: lace key add APP/SERVICE ~/.ssh/id_ed25519.pub";
        if user != USER {
            return format!(
                "lace: pushers log in as user {USER}, not {user:?}: ssh://{USER}@HOST:PORT/APP/SERVICE"
            );
        }
        match &self.tried[..] {
            [] => {
                format!("lace: no key was shown that can be used here (ed25519 or ecdsa)\nlace: hint: {hint}")
            }
            tried => {
                format!("lace: no service knows a key of yours: {}\nlace: hint: {hint}", tried.join(", "))
            }
        }
    }
}

impl server::Handler for Visit {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if self.is_known(user, offer.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        if !self.is_known(user, key.public_key) {
            return Ok(Auth::reject());
        }
        self.key = Some(key.public_key.public_key_base64());
        self.known.store(true, Ordering::Relaxed);
        Ok(Auth::Accept)
    }

    /// Never lets anybody in. A question without anything to type is how a reason is told (RFC 4256, 3.2).
    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        if response.is_some() {
            let only = [MethodKind::PublicKey];
            return Ok(Auth::Reject {
                proceed_with_methods: Some(only.as_slice().into()),
                partial_success: false,
            });
        }
        let instructions = self.why_not(user).into();
        Ok(Auth::Partial { name: "".into(), instructions, prompts: Vec::new().into() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.busy || !self.open.is_empty() {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.open.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let (Some(channel), Some(key)) = (self.open.remove(&id), self.key.clone()) else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        self.busy = true;
        let (from, to) = channel.split();
        let (shared, asked) = (self.shared.clone(), asked::service(command));
        let who = (key, self.address);
        tokio::spawn(async move { Speaker(to).serve(&shared, asked, who, from).await });
        Ok(())
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        let Some(channel) = self.open.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        self.busy = true;
        let (_, to) = channel.split();
        let problem =
            Problem::new(Code::NotAllowed, "this is no place for a shell: it takes pushes of releases")
                .hint("a shell in a node: lace shell APP/SERVICE/N");
        tokio::spawn(async move { Speaker(to).end(Err(problem)).await });
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }
}

/// The way to the pusher.
pub(crate) struct Speaker(ChannelWriteHalf<Msg>);

impl Speaker {
    /// Sends bytes; a pusher that has gone hears nothing.
    pub async fn send(&self, bytes: &[u8], as_error: bool) {
        let _ = match as_error {
            true => self.0.extended_data_bytes(1, bytes.to_vec()).await,
            false => self.0.data_bytes(bytes.to_vec()).await,
        };
    }

    async fn serve(
        self,
        shared: &Shared,
        asked: Result<ServicePath, Problem>,
        who: (String, IpAddr),
        from: ChannelReadHalf,
    ) {
        let done = match asked {
            Ok(service) => self.push(shared, &service, who, from).await,
            Err(problem) => Err(problem),
        };
        self.end(done).await;
    }

    async fn push(
        &self,
        shared: &Shared,
        service: &ServicePath,
        (key, address): (String, IpAddr),
        from: ChannelReadHalf,
    ) -> Result<u32, Problem> {
        let admitted: (String, PushKey) = shared
            .door
            .home
            .admit(service, &key)
            .inspect_err(|problem| shared.door.home.refused(service, &key, problem))?;
        let late = |what: &str| Problem::new(Code::StillWatching, format!("the push to {service} {what}"));
        let taker = Taker { key, address, repository: admitted.0.clone() };
        let _place = timeout(SILENT_MAX, shared.places.take(taker))
            .await
            .map_err(|_| late("found no place: others are pushing").hint("try again in a moment"))?;
        // It may have been removed while it waited.
        let admitted = shared.door.home.admit(service, &admitted.1.key)?;
        let pushed = timeout(PUSH_WITHIN, receive::run(shared, service, admitted, from, self)).await;
        pushed.unwrap_or_else(|_| {
            let text = format!("took longer than {} s", PUSH_WITHIN.as_secs());
            Err(late(&text).hint("push fewer commits at a time"))
        })
    }

    async fn end(&self, done: Result<u32, Problem>) {
        let status = match done {
            Ok(status) => status,
            Err(problem) => {
                let text = refusal(&problem).join("\n");
                self.send(format!("{text}\n").as_bytes(), true).await;
                u32::from(problem.code.exit_status())
            }
        };
        let _ = self.0.exit_status(status).await;
        let _ = self.0.eof().await;
        let _ = self.0.close().await;
    }
}
