//! Releases as archives: for browsers and scripts, which do not cut files into chunks. What an archive holds is read
//! by the same rules and kept in the same chunks as what the command line sends.

use crate::ask::Ask;
use crate::caller::Caller;
use crate::limit::ARCHIVE_BODY_MAX;
use crate::refusal::{Answer, Refusal};
use crate::release::keep_upload;
use crate::state::ApiState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use futures::StreamExt;
use lace_model::release::Release;
use lace_model::{Code, Name};
use lace_release::{ChunkSource, Limits, Packed, Recognised};
use lace_store::Blobs;
use lace_wire::api::ReleaseUpload;
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use tokio::io::AsyncWriteExt;

/// So much of a file says what kind it is.
const HEAD_BYTES: u64 = 1024;

/// `?name&version&start&file`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchiveAsk {
    /// Its name, where it does not say one.
    name: Option<Name>,
    /// Its version, instead of its own.
    version: Option<String>,
    /// What starts it, in words divided by blanks.
    start: Option<String>,
    /// The file's name: a release without a name is called after it.
    file: Option<String>,
}

/// `POST /v1/archives`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<ArchiveAsk>,
    body: Body,
) -> Answer<Json<Release>> {
    state.store.admit_new_work()?;
    let spill = Spill(state.config.scratch.join(format!("archive-{}", state.ids.id())));
    receive(body, &spill.0).await?;
    let (store, version_said) = (state.store.clone(), ask.version.is_some());
    let read = tokio::task::spawn_blocking(move || unpack(store.blobs(), &spill.0, ask)).await;
    let upload =
        read.map_err(|e| Refusal::new(Code::Error, format!("the archive could not be read: {e}")))??;
    let taken = match keep_upload(&state, &caller, upload.clone(), None).await {
        Err(refusal) if refusal.problem().code == Code::Conflict && !version_said => upload,
        kept => return kept,
    };
    // People rebuild without counting up: the same version with another content gets its digest behind it.
    let version = format!("{}-{}", taken.version, taken.tree.digest().short());
    keep_upload(&state, &caller, ReleaseUpload { version, ..taken }, None).await
}

/// A file that goes away with its owner.
struct Spill(PathBuf);

impl Drop for Spill {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %self.0.display(), "an archive's copy could not be removed");
        }
    }
}

async fn receive(body: Body, to: &Path) -> Answer<()> {
    let failed = |e: std::io::Error| Refusal::new(Code::Error, format!("the archive could not be kept: {e}"));
    if let Some(dir) = to.parent() {
        tokio::fs::create_dir_all(dir).await.map_err(failed)?;
    }
    let mut file = tokio::fs::File::create(to).await.map_err(failed)?;
    let mut pieces = body.into_data_stream();
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Refusal::usage("the archive ended before it was complete"))?;
        bytes += piece.len();
        if bytes > ARCHIVE_BODY_MAX {
            return Err(Refusal::too_large(ARCHIVE_BODY_MAX));
        }
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)
}

fn unpack(blobs: &Blobs, path: &Path, ask: ArchiveAsk) -> Answer<ReleaseUpload> {
    known_kind(path)?;
    let packed = lace_release::read_archive(path, &Limits::default()).map_err(|e| e.problem())?;
    let found = lace_release::recognise(&packed.tree, &packed.chunks).map_err(|e| e.problem())?;
    let upload = describe(ask, found, &packed)?;
    keep_chunks(blobs, &packed)?;
    Ok(upload)
}

/// Keeps the chunks that are not here.
pub(crate) fn keep_chunks(blobs: &Blobs, packed: &Packed) -> Answer<()> {
    for digest in lace_release::needed(&packed.tree) {
        if !blobs.missing(&[digest])?.is_empty() {
            blobs.put(&packed.chunks.chunk(&digest).map_err(|e| e.problem())?)?;
        }
    }
    Ok(())
}

/// Refuses what is no archive, without naming our copy of it.
fn known_kind(path: &Path) -> Answer<()> {
    let failed = |e: std::io::Error| Refusal::new(Code::Error, format!("the archive could not be read: {e}"));
    let mut head = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(HEAD_BYTES).read_to_end(&mut head).map_err(failed)?;
    lace_release::ArchiveKind::of(&head).map(drop).ok_or_else(|| {
        Refusal::usage("this is no archive of a known kind")
            .hint("send tar, tar.gz, tar.bz2, tar.xz, tar.zst or zip")
    })
}

fn describe(ask: ArchiveAsk, found: Recognised, packed: &Packed) -> Answer<ReleaseUpload> {
    let version = ask.version.unwrap_or_else(|| found.version_of(&packed.tree));
    let own = found.name.as_deref().and_then(|name| Name::new(name.replace('_', "-")).ok());
    let by_file = || ask.file.as_deref().map(|file| lace_release::name_from(stem(file)));
    let name = ask.name.or(own).or_else(by_file);
    let name =
        name.ok_or_else(|| Refusal::usage("the release does not say its name").hint("say it: name=NAME"))?;
    let said = ask.start.map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    Ok(ReleaseUpload {
        name,
        version,
        tree: packed.tree.clone(),
        kind: found.kind,
        start: said.filter(|words| !words.is_empty()).unwrap_or(found.start),
        files: false,
        stop: found.stop,
        templates: found.templates,
        needs: found.needs,
    })
}

/// `web-1.2.tar.gz` is called `web`.
fn stem(file: &str) -> &str {
    let file = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let end = file.char_indices().find(|(at, c)| *c == '.' || (*c == '-' && is_number(&file[at + 1..])));
    end.map_or(file, |(at, _)| &file[..at])
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn files_name_releases() {
        for (file, name) in [("web-1.2.tar.gz", "web"), ("C:\\x\\my-app.zip", "my-app"), ("ball", "ball")] {
            assert_eq!(stem(file), name);
        }
    }
}
