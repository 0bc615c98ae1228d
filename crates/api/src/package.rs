//! Packages: how to run kinds of services. Those of the catalogue are there from the first start on.

use crate::ask::{At, Doc};
use crate::caller::Caller;
use crate::deed::Deed;
use crate::refusal::{Answer, Refusal};
use crate::release::{put_tree, refuse_half, users};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lace_model::event::NewEvent;
use lace_model::package::{Package, StoredPackage};
use lace_model::release::Tree;
use lace_model::{Code, Digest, Millis};
use lace_release::package::{PACKAGE_LIMITS, catalog, look_at};
use lace_release::{ChunkSource, ReleaseError};
use lace_store::{Batch, Blobs, Expect, Row, Store, limits};
use lace_wire::api::PackageUpload;

/// `GET /v1/packages`.
pub(crate) async fn list(State(state): State<ApiState>) -> Answer<Json<Vec<StoredPackage>>> {
    let rows = state.store.snapshot_async(|view| view.list::<StoredPackage>("")).await?;
    Ok(Json(rows.into_iter().map(|row| row.value).collect()))
}

/// `GET /v1/packages/{package}`.
pub(crate) async fn show(State(state): State<ApiState>, At(key): At<String>) -> Answer<Json<StoredPackage>> {
    if key.contains('@') || key.len() > limits::KEY_BYTES_MAX {
        return Ok(Json(found(&state, &key)?.value));
    }
    let named = format!("{key}@");
    let rows = state.store.snapshot_async(move |view| view.list::<StoredPackage>(&named)).await?;
    let newest = rows.into_iter().map(|row| row.value).max_by_key(|package| package.uploaded_at);
    newest.map(Json).ok_or_else(|| nothing(&key))
}

fn nothing(key: &str) -> Refusal {
    Refusal::not_found(format_args!("package {key}")).hint("lace package list")
}

fn found(state: &ApiState, key: &str) -> Answer<Row<StoredPackage>> {
    let short = key.len() <= limits::KEY_BYTES_MAX;
    let row = if short { state.store.get::<StoredPackage>(key)? } else { None };
    row.ok_or_else(|| nothing(key))
}

/// The chunks of a package that are here.
struct Here<'a>(&'a Blobs);

impl ChunkSource for Here<'_> {
    fn chunk(&self, digest: &Digest) -> Result<Vec<u8>, ReleaseError> {
        let missing = |why: String| ReleaseError::Chunk { digest: *digest, why };
        let bytes = self.0.get(digest).map_err(|e| missing(e.to_string()))?;
        bytes.ok_or_else(|| missing("it is not here".into()))
    }
}

/// A package by its tree: what a service pinned, whatever has that name and version today.
pub(crate) fn pinned(blobs: &Blobs, tree: &Digest) -> Answer<Package> {
    let gone = || Refusal::not_found(format_args!("tree {} of the package", tree.short()));
    let bytes = blobs.get(tree)?.ok_or_else(gone)?;
    let tree: Tree = serde_json::from_slice(&bytes).map_err(|_| gone())?;
    Ok(look_at(&tree, &Here(blobs))?.package)
}

/// `POST /v1/packages`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(upload): Doc<PackageUpload>,
) -> Answer<Json<StoredPackage>> {
    state.store.admit_new_work()?;
    let (store, now) = (state.store.clone(), state.now());
    let looked = tokio::task::spawn_blocking(move || look(store.blobs(), &upload.tree, now)).await;
    let package =
        looked.map_err(|e| Refusal::new(Code::Error, format!("the package could not be kept: {e}")))??;
    refuse_ours(&state, &package)?;
    keep(&state, &caller, package).await
}

/// Names of the catalogue are Lace's: the newest of a name is what a service gets that says no version.
fn refuse_ours(state: &ApiState, package: &StoredPackage) -> Answer<()> {
    let name = &package.spec.name;
    let of_name = state.store.snapshot(|view| view.list::<StoredPackage>(&format!("{name}@")))?;
    // What is there already, byte for byte, may be sent again.
    let other = |row: &Row<StoredPackage>| row.value.built_in && row.value.tree != package.tree;
    if !of_name.iter().any(other) {
        return Ok(());
    }
    let text = format!("{name} is the name of a package that comes with Lace");
    Err(Refusal::new(Code::Conflict, text).hint("give it another name in its package.toml"))
}

/// Looks at a tree by the rules that `lace package check` has, and keeps it as a blob.
fn look(blobs: &Blobs, tree: &Tree, now: Millis) -> Answer<StoredPackage> {
    refuse_large(tree)?;
    refuse_half(blobs, tree, "the package")?;
    let spec = look_at(tree, &Here(blobs))?.good()?;
    let tree_digest = put_tree(blobs, tree)?;
    Ok(StoredPackage { spec, tree: tree_digest, bytes: tree.bytes(), built_in: false, uploaded_at: now })
}

fn refuse_large(tree: &Tree) -> Answer<()> {
    let (entries, bytes) = (tree.entries.len(), tree.bytes());
    if entries <= PACKAGE_LIMITS.entries && bytes <= PACKAGE_LIMITS.bytes {
        return Ok(());
    }
    let text = format!("the package has {entries} files and directories and {bytes} bytes");
    let hint = format!(
        "at most {} and {} are kept: what a service runs is a release, or comes with its image",
        PACKAGE_LIMITS.entries, PACKAGE_LIMITS.bytes
    );
    Err(Refusal::new(Code::TooLarge, text).hint(hint))
}

/// Writes the package, once: the same one again is fine, another one under its name and version is not.
async fn keep(state: &ApiState, caller: &Caller, package: StoredPackage) -> Answer<Json<StoredPackage>> {
    let key = package.spec.key();
    if let Some(kept) = there_already(state, &key, &package)? {
        return Ok(Json(kept));
    }
    let deed = Deed::new("package upload", &key);
    let mut batch = deed.batch(caller);
    batch.put(&package, Expect::Absent);
    let text = format!("{} bytes", package.bytes);
    batch.event(NewEvent::new("package.uploaded", format!("package/{key}"), text));
    if let Err(lost) = deed.only(state, batch).await {
        // Somebody else may have written the same meanwhile.
        return there_already(state, &key, &package)?.map(Json).ok_or(lost);
    }
    Ok(Json(package))
}

fn there_already(state: &ApiState, key: &str, package: &StoredPackage) -> Answer<Option<StoredPackage>> {
    let Some(row) = state.store.get::<StoredPackage>(key)? else { return Ok(None) };
    if row.value.tree == package.tree {
        return Ok(Some(row.value));
    }
    let text = format!("there is a package {key} already, with other content");
    Err(Refusal::new(Code::Conflict, text).hint("give it another version in its package.toml"))
}

/// `DELETE /v1/packages/{package}`.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    At(key): At<String>,
) -> Answer<StatusCode> {
    let row = found(&state, &key)?;
    if row.value.built_in {
        let text = format!("package {key} came with Lace and stays");
        return Err(Refusal::new(Code::Conflict, text));
    }
    let tree = row.value.tree;
    let users = state
        .store
        .snapshot_async(move |view| users(view, |spec| spec.package.as_ref().is_some_and(|p| p.tree == tree)))
        .await?;
    if !users.is_empty() {
        let users = users.into_iter().collect::<Vec<_>>().join(", ");
        let text = format!("package {key} is in use by {users}");
        return Err(
            Refusal::new(Code::Conflict, text).hint("give them another version, or delete them first")
        );
    }
    let deed = Deed::light("package delete", &key);
    let mut batch = deed.batch(&caller);
    batch.delete::<StoredPackage>(&key, Expect::Rev(row.rev));
    batch.event(NewEvent::new("package.deleted", format!("package/{key}"), "deleted"));
    deed.only(&state, batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Keeps the packages that came with this Lace. One that is there with another content is of a former Lace: it is
/// replaced, and services that pinned it go on with the tree that they named.
///
/// # Errors
/// What the store says; a package of the catalogue that is not good.
pub fn keep_built_in(store: &Store, now: Millis) -> Answer<()> {
    let mut batch = Batch::new(None);
    for built in catalog::built_in() {
        let spec = look_at(&built.tree, &built)?.good()?;
        let row = store.get::<StoredPackage>(&spec.key())?;
        let (tree, bytes) = (built.tree.digest(), built.tree.bytes());
        // One of a person's, from before the name was ours, stays: services may have pinned it.
        if row.as_ref().is_some_and(|row| row.value.tree == tree || !row.value.built_in) {
            continue;
        }
        for digest in lace_release::needed(&built.tree) {
            store.blobs().put(&built.chunk(&digest).map_err(|e| e.problem())?)?;
        }
        put_tree(store.blobs(), &built.tree)?;
        let expect = row.map_or(Expect::Absent, |row| Expect::Rev(row.rev));
        batch.put(&StoredPackage { spec, tree, bytes, built_in: true, uploaded_at: now }, expect);
    }
    if !batch.is_empty() {
        store.commit(batch)?;
    }
    Ok(())
}
