//! The controller itself: what it is, its backup, the end of adopt mode.

use crate::caller::Caller;
use crate::deed::Deed;
use crate::door::Held;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use lace_model::Code;
use lace_wire::api::ServerInfo;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces of a backup that wait for the client.
const PIECES_WAITING: usize = 8;

/// Bytes of one piece.
const PIECE_BYTES: usize = 64 << 10;

/// `GET /v1/server`.
pub(crate) async fn info(State(state): State<ApiState>) -> Answer<Json<ServerInfo>> {
    let meta = state.store.meta()?;
    Ok(Json(ServerInfo {
        version: state.config.version.clone(),
        installation: meta.installation.to_string(),
        epoch: meta.epoch,
        adopt: meta.adopt,
        agent_address: state.config.agent_address.clone(),
        authority: state.config.authority.clone(),
        unknown_nodes: state.liveness.unknown(),
    }))
}

/// `POST /v1/server/adopted`.
pub(crate) async fn adopted(State(state): State<ApiState>, caller: Caller) -> Answer<StatusCode> {
    let done = tokio::task::spawn_blocking(move || state.store.end_adoption(Some(caller.name))).await;
    done.map_err(|e| Refusal::new(Code::Error, format!("adopt mode: {e}")))??;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/server/backup`: a tar archive of what [`lace_store::Store::backup`] makes, without the master key.
pub(crate) async fn backup(
    State(state): State<ApiState>,
    caller: Caller,
    held: Option<Extension<Held>>,
) -> Answer<Response> {
    let deed = Deed::light("backup", "controller");
    let batch = deed.batch(&caller);
    deed.only(&state, batch).await?;
    let scratch = Scratch(state.config.scratch.join(format!("backup-{}", state.ids.id())));
    let (store, dir) = (state.store.clone(), scratch.0.clone());
    let made = tokio::task::spawn_blocking(move || store.backup(&dir)).await;
    made.map_err(|e| Refusal::new(Code::Error, format!("the backup: {e}")))??;
    let (to, from) = mpsc::channel(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        let _held = held;
        if let Err(error) = pack(&scratch.0, &to) {
            // An archive that ends early must not look whole: the connection breaks instead.
            let _ = to.blocking_send(Err(error));
        }
    });
    let name = "attachment; filename=\"lace-backup.tar\"";
    let headers = [(header::CONTENT_TYPE, "application/x-tar"), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(ReceiverStream::new(from))).into_response())
}

/// A directory that goes away with its owner.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, dir = %self.0.display(), "a backup's copy could not be removed");
        }
    }
}

type Piece = io::Result<Bytes>;

fn pack(dir: &Path, to: &mpsc::Sender<Piece>) -> io::Result<()> {
    let out = io::BufWriter::with_capacity(PIECE_BYTES, Pieces(to));
    let mut archive = tar::Builder::new(out);
    archive.follow_symlinks(false);
    archive.append_dir_all(".", dir)?;
    archive.into_inner()?.flush()
}

struct Pieces<'a>(&'a mpsc::Sender<Piece>);

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
