//! The life of the process: open, answer, end.

use crate::config::{NetConfig, NetError};
use crate::control::Control;
use crate::dns::{self, Clients, Desk, Responder};
use crate::names::Topics;
use crate::proxy::{Chest, Ending, Proxy, Tls};
use crate::sockets::Keeper;
use crate::upstream::Upstream;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until SIGTERM or SIGINT. Listening sockets that the keeper has are taken over. The names of the last run are served before anybody connects.
///
/// # Errors
/// Where the state directory, the control socket or an address cannot be used, and waiting would not help.
pub async fn serve(config: NetConfig, keeper: Keeper) -> Result<(), NetError> {
    crate::descriptors::raise();
    let trap = |kind| signal(kind).map_err(|e| NetError::Stopped { part: "signals", cause: e.to_string() });
    let mut terminate = trap(SignalKind::terminate())?;
    let mut interrupt = trap(SignalKind::interrupt())?;
    let end = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve_kept(config, keeper, end).await
}

/// Serves until `end` is there.
///
/// # Errors
/// As [`serve`].
pub async fn serve_until(config: NetConfig, end: impl Future<Output = ()>) -> Result<(), NetError> {
    serve_kept(config, Keeper::default(), end).await
}

async fn serve_kept(
    config: NetConfig,
    keeper: Keeper,
    end: impl Future<Output = ()>,
) -> Result<(), NetError> {
    let state = |source| NetError::State { path: config.state_dir.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&config.state_dir).map_err(state)?;
    let lock = lock(&config.state_dir)?;
    let topics = Arc::new(Topics::open(&config.state_dir.join("topics")).map_err(state)?);
    tracing::info!(applications = topics.held().len(), "serving the names of the last run");
    let tls = Tls::new(Chest::open(&config.state_dir).map_err(state)?)
        .map_err(|e| NetError::Stopped { part: "TLS", cause: e.to_string() })?;
    let log = config.state_dir.join("access.log");
    let ending = Ending::open(config.state_dir.join("doors")).map_err(state)?;
    let proxy = Proxy::new(topics.routes(), &config.proxy, tls, keeper, (log, ending));
    let control = Control::bind(&config.control, Arc::clone(&topics), Arc::clone(&proxy))
        .map_err(|source| NetError::Control { path: config.control.clone(), source })?;
    let desk = Arc::new(Desk {
        responder: Responder::new(topics.names(), &config),
        upstream: Upstream::new(&config.upstreams, config.limits),
        clients: Arc::new(Clients::new(config.limits)),
        allowed: config.clients.clone(),
    });
    let door = tokio::spawn(Arc::clone(&proxy).run(config.proxy));
    let ended = tokio::select! {
        () = end => Ok(()),
        () = control.run() => Ok(()),
        failed = dns::run(desk, config.dns_listen) => failed,
    };
    // Names and door are another process's now; requests that are here are still answered here.
    let ends = proxy.ending.hold();
    drop(lock);
    proxy.close();
    match ends {
        Some(ends) => tokio::select! {
            _ = door => {}
            () = proxy.follow(&ends) => {}
            () = topics.follow() => {}
        },
        None => drop(door.await),
    }
    ended
}

/// One process per state directory; the kernel gives the lock back however we end.
fn lock(dir: &Path) -> Result<File, NetError> {
    let path = dir.join("lock");
    let failed = |source| NetError::State { path: path.clone(), source };
    let file = File::create(&path).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(NetError::Running(dir.to_owned())),
        Err(error) => Err(failed(io::Error::from(error))),
    }
}
