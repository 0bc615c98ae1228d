//! Releases by `git push`: a server of SSH that takes pushes to the repositories of services, and nothing else.
//!
//! Whoever comes is known by a key, as user `git`; a key belongs to services. The one thing that may be asked for is
//! `git-receive-pack` of one of them: no shell, no terminal, no forwarding, no other repository, no way to read. Git itself is
//! Debian's, confined ([`lace_machine::confined`]) to that repository. Before it lets anything in, a hook of ours hands the
//! pushed code over ([`Home::take`]); what the controller says to it is what the pusher reads, and what it refuses never
//! becomes a branch.
//!
//! Nothing here knows what a release is, who owns a service or what enabling means: [`Home`] does.

mod asked;
mod host_key;
mod places;
mod receive;
mod repository;
mod session;
mod spool;

pub use host_key::HostKey;
pub use receive::{forget_groups, group_prefix};
pub use repository::sweep;

use futures::future::BoxFuture;
use lace_model::push::PushKey;
use lace_model::{Problem, ServicePath};
use places::{CONNECTIONS_OF_ADDRESS_MAX, Places};
use russh::MethodKind;
use russh::server::Config;
use session::Visit;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Most bytes of one push, packed: code, not its build products or data.
pub const PUSH_BYTES_MAX: u64 = 128 << 20;
/// Most bytes of the code of a commit, as an archive.
pub const CODE_BYTES_MAX: u64 = 1 << 30;
/// Most bytes of a repository: a hundred thousand commits of code.
pub const REPOSITORY_BYTES_MAX: u64 = 2 << 30;
/// A whole push, the release that is made of it included: at its largest, over a line of 2 Mbit/s.
pub const PUSH_WITHIN: Duration = Duration::from_secs(600);
/// Connections at a time; more wait outside.
const CONNECTIONS_MAX: usize = 64;
/// Whoever is not known has this long to become so (sshd_config(5), `LoginGraceTime`, is 120 s).
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
/// A connection on which nothing comes is asked whether it lives.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// One on which still nothing comes is ended.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// The answer to a wrong key takes this long, whichever it is.
const REFUSED_AFTER: Duration = Duration::from_millis(300);
/// Keys that one connection may try: `ssh` offers all that its agent holds.
const ATTEMPTS_MAX: usize = 20;

/// Code that was pushed and is about to be let in.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The service.
    pub service: ServicePath,
    /// The key that sent it.
    pub key: PushKey,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// The commit's name.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
    /// An archive (tar) of its tree.
    pub code: Arc<std::fs::File>,
}

/// A release that was made of a push.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// What the pusher is told.
    pub lines: Vec<String>,
    /// The release that is put to use once the branch is there, as `NAME@VERSION`.
    pub enables: Option<String>,
}

/// A release to be put to use.
#[derive(Clone, Debug)]
pub struct Enable {
    /// The service.
    pub service: ServicePath,
    /// The key that sent it.
    pub key: PushKey,
    /// `NAME@VERSION`.
    pub release: String,
}

/// What the server needs of the house that it belongs to.
pub trait Home: Send + Sync + 'static {
    /// Does this key (base64, as in OpenSSH's files) belong to any service?
    fn knows(&self, key: &str) -> bool;
    /// The name of the service's repository, and the key as the service knows it.
    ///
    /// # Errors
    /// There is no such service, or the key is not one of its keys: told to the pusher as it is.
    fn admit(&self, service: &ServicePath, key: &str) -> Result<(String, PushKey), Problem>;
    /// Makes a release of it; puts nothing to use yet, for the branch may still not come to be.
    ///
    /// # Errors
    /// Why not: the push is refused with it.
    fn take(&self, pushed: Pushed) -> BoxFuture<'static, Result<Taken, Problem>>;
    /// The branch is there: puts the release to use ([`Taken::enables`]). The answer is told to the pusher.
    fn enable(&self, taken: Enable) -> BoxFuture<'static, Vec<String>>;
    /// Notes that somebody known was refused.
    fn refused(&self, service: &ServicePath, key: &str, why: &Problem);
}

/// The server and its places.
pub struct Door {
    /// What it is known by.
    pub key: HostKey,
    /// The directory of the repositories.
    pub dir: PathBuf,
    /// An executable with role `confined`.
    pub exe: PathBuf,
    /// Whose server it is.
    pub home: Arc<dyn Home>,
}

/// The server as its connections share it.
struct Shared {
    door: Door,
    places: Places,
    /// Connections by their address.
    visitors: Mutex<BTreeMap<IpAddr, usize>>,
}

/// Serves for ever.
pub async fn serve(listener: TcpListener, door: Door) {
    let config = Arc::new(config(&door.key));
    spool::clear(&door.dir);
    forget_groups(&door.dir);
    let shared = Arc::new(Shared { door, places: Places::default(), visitors: Mutex::default() });
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        let (stream, from) = match listener.accept().await {
            Ok(came) => came,
            Err(error) => {
                tracing::warn!(%error, "a connection for a push could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        // Whoever comes too often at a time hears nothing: it would cost as much as a visit.
        let Some(address) = Address::of(&shared, from.ip()) else { continue };
        let visit = Visit::new(shared.clone(), from.ip());
        let config = config.clone();
        tokio::spawn(async move {
            visit.meet(config, stream).await;
            drop((seat, address));
        });
    }
}

/// One of the connections that an address has.
struct Address(Arc<Shared>, IpAddr);

impl Address {
    fn of(shared: &Arc<Shared>, address: IpAddr) -> Option<Self> {
        let mut visitors = shared.visitors.lock().unwrap_or_else(|broken| broken.into_inner());
        let count = visitors.entry(address).or_default();
        *count += 1;
        let counted = Self(shared.clone(), address);
        let may = *count <= CONNECTIONS_OF_ADDRESS_MAX;
        drop(visitors);
        may.then_some(counted)
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        let mut visitors = self.0.visitors.lock().unwrap_or_else(|broken| broken.into_inner());
        match visitors.get_mut(&self.1) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(visitors.remove(&self.1)),
        }
    }
}

fn config(key: &HostKey) -> Config {
    let methods = [MethodKind::PublicKey, MethodKind::KeyboardInteractive];
    Config {
        methods: methods.as_slice().into(),
        keys: vec![key.private()],
        auth_rejection_time: REFUSED_AFTER,
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: ATTEMPTS_MAX,
        inactivity_timeout: Some(SILENT_MAX),
        keepalive_interval: Some(ALIVE_EVERY),
        nodelay: true,
        ..Config::default()
    }
}
