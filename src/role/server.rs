//! Role `server`: the controller.

use super::accounts::StoredAccounts;
use super::adopted::Keeper;
use super::hosts::{FleetHosts, FleetView, heard};
use super::paths::State;
use super::support::ControllerSupport;
use super::tls::TlsListener;
use super::{Failure, addresses, asked_to_end, block_on, doors, link, pushes, tls};
use axum::serve::ListenerExt;
use clap::Parser;
use lace_api::{ApiState, Config, NewToken, Passwords, PushDoor, SystemIds, Turns, mint_token};
use lace_engine::Witness;
use lace_engine::certificate::{Authority, Identity};
use lace_fleet::Fleet;
use lace_model::token::{Role, Token};
use lace_store::{Batch, Clock, Expect, MasterKey, Store, StoreError, SystemClock};
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::transport::Identity as TonicIdentity;
use uuid::Uuid;

/// A former controller of this state has this long to let go of it.
const STATE_FREE_WITHIN: Duration = Duration::from_secs(10);
/// Silent hosts are looked for at this interval.
const SILENCE_EVERY: Duration = Duration::from_millis(500);

/// What nobody needs any more is removed at this interval.
const HOUSE_EVERY: Duration = Duration::from_secs(3600);

/// The role's words.
#[derive(Parser, Debug, Clone)]
#[command(name = "lace server")]
pub struct ServerArgs {
    /// Where the state lives
    #[arg(long)]
    pub state: Option<String>,
    /// Where the API listens; beyond loopback it speaks TLS only
    #[arg(long, default_value = "127.0.0.1:7440")]
    pub listen: SocketAddr,
    /// Where agents dial
    #[arg(long, default_value = "127.0.0.1:7441")]
    pub link: SocketAddr,
    /// The private space of the installation
    #[arg(long, default_value = "10.192.0.0/10", value_parser = crate::command::space)]
    pub space: String,
    /// Where requests from outside come in on this machine
    #[arg(long)]
    pub door: Option<SocketAddr>,
    /// Where encrypted ones do
    #[arg(long)]
    pub door_tls: Option<SocketAddr>,
    /// Where releases are pushed to by git
    #[arg(long)]
    pub git: Option<SocketAddr>,
}

/// Runs the role.
pub fn main(words: Vec<String>) -> ExitCode {
    let args = ServerArgs::parse_from(std::iter::once("lace server".into()).chain(words));
    block_on(2, "server", serve(args))
}

async fn serve(args: ServerArgs) -> Result<(), Failure> {
    let state = State::new(args.state.as_deref());
    state.prepare()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let key = MasterKey::load_or_create(&state.master_key())?;
    let store = open_store(&state, &key, &clock).await?;
    let authority = Authority::load_or_create(&state.authority(), &store.installation().to_string())?;
    lace_api::keep_built_in(&store, clock.now_ms()).map_err(|refusal| refusal.problem().to_string())?;
    let names = [lace_wire::link::CONTROLLER_NAME.to_owned(), "localhost".into()];
    let reached = [addresses::behind(args.listen.ip()), addresses::behind(args.link.ip())].concat();
    let identity = authority.controller(&names, &reached)?;
    first_tokens(&state, &store, clock.as_ref())?;
    let ca = authority.ca().to_owned();
    let support = ControllerSupport {
        store: store.clone(),
        authority: Arc::new(authority),
        clock: clock.clone(),
        space: args.space.clone(),
        witness: Arc::new(Witness::new(store.clone(), Uuid::now_v7().as_u64_pair().1)),
        register: Arc::default(),
    };
    let joiners = Arc::new(support.clone());
    let (fleet, events) = Fleet::new(Arc::new(support));
    let engine = tokio::spawn(lace_engine::run(
        store.clone(),
        clock.clone(),
        Arc::new(FleetHosts(fleet.clone())),
        pass_on(events),
    ));
    tokio::spawn(watch_silence(fleet.clone()));
    tokio::spawn(keep_house(store.clone(), state.repositories()));
    let keeper = lace_authority::Keeper { store: store.clone(), clock: clock.clone(), door: args.door };
    tokio::spawn(lace_authority::keep(keeper));
    let controller = addresses::from_elsewhere(args.link).to_string();
    let accounts = StoredAccounts::new(store.clone(), clock.clone(), controller, ca.clone());
    let machines = tokio::spawn(lace_engine::keep_machines(store.clone(), clock.clone(), Arc::new(accounts)));
    let link =
        tokio::spawn(link::serve(args.link, fleet.clone(), ca.clone(), link_identity(&identity), joiners));
    let pushed_to = args.git.map(|at| pushes::door(&state, at)).transpose()?;
    let door = pushed_to.as_ref().map(|(_, door)| door.clone());
    let api_state = api_state(&args, &state, store, fleet, clock, (ca, door));
    if let Some((at, (key, _))) = args.git.zip(pushed_to) {
        tokio::spawn(pushes::serve(at, key, state.repositories(), api_state.clone()));
    }
    let api = tokio::spawn(serve_api(args.clone(), api_state, identity));
    tracing::info!(listen = %args.listen, link = %args.link, "controller serves");
    tokio::select! {
        () = asked_to_end() => Ok(()),
        ended = engine => ended?.map_err(Into::into),
        ended = machines => ended?.map_err(Into::into),
        ended = link => ended?,
        ended = api => ended?,
    }
}

async fn open_store(state: &State, key: &MasterKey, clock: &Arc<dyn Clock>) -> Result<Store, Failure> {
    let until = tokio::time::Instant::now() + STATE_FREE_WITHIN;
    loop {
        match Store::open(&state.server(), key.clone(), clock.clone()) {
            Err(StoreError::InUse { .. }) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return Ok(other?),
        }
    }
}

/// What hosts say, in the engine's words, in order.
fn pass_on(
    mut events: mpsc::UnboundedReceiver<lace_fleet::FleetEvent>,
) -> mpsc::UnboundedReceiver<lace_engine::Heard> {
    let (to, said) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if to.send(heard(event)).is_err() {
                return;
            }
        }
    });
    said
}

async fn watch_silence(fleet: Fleet) {
    loop {
        tokio::time::sleep(SILENCE_EVERY).await;
        fleet.check_silence();
    }
}

async fn keep_house(store: Store, repositories: PathBuf) {
    loop {
        tokio::time::sleep(HOUSE_EVERY).await;
        let (store, dir) = (store.clone(), repositories.clone());
        match tokio::task::spawn_blocking(move || house(&store, &dir)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "old rows and blobs were not removed"),
            Err(error) => tracing::warn!(%error, "old rows and blobs were not removed"),
        }
    }
}

fn house(store: &Store, repositories: &Path) -> Result<(), Failure> {
    lace_engine::warn_of_certificates(store, SystemClock.now_ms())?;
    lace_engine::keep_house(store)?;
    pushes::sweep(store, repositories)
}

fn link_identity(identity: &Identity) -> TonicIdentity {
    TonicIdentity::from_pem(&identity.certificate, &identity.key)
}

fn api_state(
    args: &ServerArgs,
    state: &State,
    store: Store,
    fleet: Fleet,
    clock: Arc<dyn Clock>,
    (ca, pushes): (String, Option<PushDoor>),
) -> ApiState {
    let loopback = args.listen.ip().is_loopback();
    ApiState {
        adopted: Keeper::begin(store.clone()),
        store,
        liveness: Arc::new(FleetView { fleet: fleet.clone(), clock: clock.clone() }),
        streams: Arc::new(fleet),
        clock,
        ids: Arc::new(SystemIds),
        passwords: Passwords::default(),
        turns: Turns::default(),
        config: Arc::new(Config {
            loopback_http: loopback,
            public_url: addresses::url(args.listen, addresses::from_elsewhere(args.listen)),
            version: env!("CARGO_PKG_VERSION").into(),
            door: args.door,
            door_tls: args.door_tls,
            pushes,
            agent_address: addresses::from_elsewhere(args.link).to_string(),
            authority: ca,
            scratch: state.run(),
        }),
    }
}

/// The help of every command, for the dashboard's manual.
fn commands() -> Vec<lace_dashboard::CommandHelp> {
    let help = |(name, text)| lace_dashboard::CommandHelp { name, text };
    crate::command::manual::manual().into_iter().map(help).collect()
}

async fn serve_api(args: ServerArgs, state: ApiState, identity: Identity) -> Result<(), Failure> {
    let tcp =
        TcpListener::bind(args.listen).await.map_err(|e| format!("cannot listen on {}: {e}", args.listen))?;
    let config = lace_dashboard::Config {
        version: state.config.version.clone(),
        secure: !state.config.loopback_http,
        commands: commands(),
    };
    let router = lace_dashboard::router(lace_api::router(state), config);
    let bounds = (doors::BOUNDS, doors::HEAD_WITHIN);
    if args.listen.ip().is_loopback() {
        let tcp = tcp.tap_io(|stream| drop(stream.set_nodelay(true)));
        doors::serve(tcp, router, |_| false, bounds).await;
    } else {
        doors::serve(TlsListener::new(tcp, &identity)?, router, tls::is_http2, bounds).await;
    }
    Ok(())
}

/// The admin token of this machine's root, made once; and a fresh one-time login token at each start.
fn first_tokens(state: &State, store: &Store, clock: &dyn Clock) -> Result<(), Failure> {
    let now = clock.now_ms();
    let known = |path: &Path| {
        let text = fs::read_to_string(path).ok()?;
        let id = lace_api::token_id(text.trim())?;
        store.get::<Token>(&id.to_string()).ok().flatten()
    };
    let mut batch = Batch::new(None);
    if known(&state.admin_token()).is_none() {
        let (token, text) = mint_token(&SystemIds, now, NewToken::new("root of this machine", Role::Admin))?;
        write_private(&state.admin_token(), &text)?;
        batch.put(&token, Expect::Absent);
    }
    if let Some(former) = known(&state.login_token()) {
        batch.delete::<Token>(&former.value.id.to_string(), Expect::Any);
    }
    let (login, text) = mint_token(&SystemIds, now, NewToken::new("login link", Role::Admin).login(now))?;
    write_private(&state.login_token(), &text)?;
    batch.put(&login, Expect::Absent);
    store.commit(batch)?;
    Ok(())
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(part, path)
}
