//! Where releases are pushed to: the server of SSH, put together with the API that makes releases of what comes.

use super::paths::State;
use super::process::executable;
use super::{Failure, addresses};
use futures::future::BoxFuture;
use lace_api::{ApiState, PushDoor, PushedCode, Pushes, enable_push, take_push};
use lace_model::push::PushKey;
use lace_model::{Problem, ServicePath};
use lace_push::{Door, Enable, Home, HostKey, Pushed, Taken};
use lace_store::Store;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// An address that somebody else has is tried again after this time.
const TRIED_EVERY: Duration = Duration::from_secs(2);

/// The house as the server sees it.
struct House {
    state: ApiState,
    pushes: Pushes,
}

impl Home for House {
    fn knows(&self, key: &str) -> bool {
        self.pushes.knows(key)
    }

    fn admit(&self, service: &ServicePath, key: &str) -> Result<(String, PushKey), Problem> {
        self.pushes.admit(service, key)
    }

    fn take(&self, pushed: Pushed) -> BoxFuture<'static, Result<Taken, Problem>> {
        let state = self.state.clone();
        let Pushed { service, key, branch, commit, subject, code } = pushed;
        let pushed = PushedCode { service, key, branch, commit, subject, code };
        Box::pin(async move {
            let taken = take_push(&state, pushed).await?;
            Ok(Taken { lines: taken.lines, enables: taken.enables })
        })
    }

    fn enable(&self, Enable { service, key, release }: Enable) -> BoxFuture<'static, Vec<String>> {
        let state = self.state.clone();
        Box::pin(async move { enable_push(&state, &service, &key, &release).await })
    }

    fn refused(&self, service: &ServicePath, key: &str, why: &Problem) {
        self.pushes.note_refusal(service, key, why);
    }
}

/// The key that pushers know this controller by, and what they are told of the way to it.
pub fn door(state: &State, at: SocketAddr) -> Result<(HostKey, PushDoor), Failure> {
    let key = HostKey::load_or_create(&state.push_key())?;
    let url = format!("ssh://git@{}", addresses::from_elsewhere(at));
    Ok((key.clone(), PushDoor { url, host_key: key.fingerprint() }))
}

/// Takes pushes for ever. Where somebody else has the address, it goes on trying.
pub async fn serve(at: SocketAddr, key: HostKey, dir: PathBuf, state: ApiState) {
    // What a former process was amid is nobody's any more.
    if let Err(error) = sweep(&state.store, &dir) {
        tracing::warn!(%error, "repositories of services that are gone could not be removed");
    }
    let tcp = loop {
        match TcpListener::bind(at).await {
            Ok(tcp) => break tcp,
            Err(error) => tracing::warn!(%error, %at, "pushes cannot come in yet"),
        }
        tokio::time::sleep(TRIED_EVERY).await;
    };
    let home = Arc::new(House { pushes: Pushes(state.store.clone()), state });
    lace_push::serve(tcp, Door { key, dir, exe: executable(), home }).await;
}

/// Removes the repositories of services that are gone, and what pushes of a former process left.
pub fn sweep(store: &Store, dir: &Path) -> Result<(), Failure> {
    lace_push::sweep(dir, || Ok(Pushes(store.clone()).repositories()?))
}
