//! Releases: made of blobs that are there, listed, put to use, deleted when nothing uses them.

use crate::ask::{At, Doc};
use crate::caller::Caller;
use crate::deed::Deed;
use crate::refusal::{Answer, Refusal};
use crate::scene::Scene;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lace_model::event::NewEvent;
use lace_model::family::Service;
use lace_model::object::revision_key;
use lace_model::push::Commit;
use lace_model::release::{Release, ReleaseRef, Tree};
use lace_model::revision::{Revision, RevisionSpec};
use lace_model::target::Target;
use lace_model::{Code, Digest, Name, TargetPath};
use lace_planner::verb;
use lace_store::{Blobs, Expect, Row, View, limits};
use lace_wire::api::{Accepted, ReleaseUpload};
use std::collections::BTreeSet;

/// Longest version, in bytes.
const VERSION_BYTES_MAX: usize = 100;

/// Digests of missing chunks that a refusal names.
const MISSING_SHOWN: usize = 10;

/// `GET /v1/releases`.
pub(crate) async fn list(State(state): State<ApiState>) -> Answer<Json<Vec<Release>>> {
    let rows = state.store.snapshot_async(|view| view.list::<Release>("")).await?;
    Ok(Json(rows.into_iter().map(|row| row.value).collect()))
}

/// `GET /v1/releases/{release}`.
pub(crate) async fn show(State(state): State<ApiState>, At(key): At<String>) -> Answer<Json<Release>> {
    Ok(Json(found(&state, &key)?.value))
}

fn found(state: &ApiState, key: &str) -> Answer<Row<Release>> {
    let row = if key.len() <= limits::KEY_BYTES_MAX { state.store.get::<Release>(key)? } else { None };
    row.ok_or_else(|| Refusal::not_found(format_args!("release {key}")).hint("lace release list"))
}

/// `POST /v1/releases`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(upload): Doc<ReleaseUpload>,
) -> Answer<Json<Release>> {
    state.store.admit_new_work()?;
    keep_upload(&state, &caller, upload, None).await
}

/// Makes a release of chunks that are here; `pushed` says the commit that they are of.
pub(crate) async fn keep_upload(
    state: &ApiState,
    caller: &Caller,
    upload: ReleaseUpload,
    pushed: Option<Commit>,
) -> Answer<Json<Release>> {
    check_words(&upload)?;
    let store = state.store.clone();
    let (upload, tree) = tokio::task::spawn_blocking(move || keep_tree(store.blobs(), upload))
        .await
        .map_err(|e| Refusal::new(Code::Error, format!("the tree could not be kept: {e}")))??;
    let release = Release {
        bytes: upload.tree.bytes(),
        tree,
        name: upload.name,
        version: upload.version,
        kind: upload.kind,
        start: upload.start,
        stop: upload.stop,
        templates: upload.templates,
        needs: upload.needs,
        uploaded_at: state.now(),
        pushed,
    };
    keep(state, caller, release).await
}

/// Writes the release, once: the same one again is fine, another one under its name is not.
async fn keep(state: &ApiState, caller: &Caller, release: Release) -> Answer<Json<Release>> {
    let key = format!("{}@{}", release.name, release.version);
    if let Some(kept) = there_already(state, &key, &release)? {
        return Ok(Json(kept));
    }
    let deed = Deed::new(if release.pushed.is_some() { "push" } else { "release upload" }, &key);
    let mut batch = deed.batch(caller);
    batch.put(&release, Expect::Absent);
    batch.event(NewEvent::new(
        "release.uploaded",
        format!("release/{key}"),
        format!("{} bytes", release.bytes),
    ));
    if let Err(lost) = deed.only(state, batch).await {
        // Somebody else may have written the same meanwhile.
        return there_already(state, &key, &release)?.map(Json).ok_or(lost);
    }
    Ok(Json(release))
}

/// The release where it is there with the same content.
fn there_already(state: &ApiState, key: &str, release: &Release) -> Answer<Option<Release>> {
    let Some(row) = state.store.get::<Release>(key)? else { return Ok(None) };
    let mut same =
        Release { uploaded_at: row.value.uploaded_at, pushed: row.value.pushed.clone(), ..release.clone() };
    if row.value.needs.applications.is_empty() {
        // An older one did not look.
        same.needs.applications.clear();
    }
    if same == row.value {
        return Ok(Some(row.value));
    }
    let text = format!("there is a release {key} already, with other content");
    Err(Refusal::new(Code::Conflict, text).hint("upload it under another version: --version V"))
}

fn check_words(upload: &ReleaseUpload) -> Answer<()> {
    let version = &upload.version;
    let good = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    if version.is_empty() || version.len() > VERSION_BYTES_MAX || !version.chars().all(good) {
        return Err(Refusal::usage(format!("{version:?} is not a version"))
            .hint("a version has 1 to 100 of letters, digits and ._+~-"));
    }
    if upload.start.is_empty() && !upload.files {
        return Err(Refusal::usage(format!("release {} has no start command", upload.name))
            .hint("name one: --start CMD, or add a Procfile; of a service with a package: --files"));
    }
    upload.kind.check_start(&upload.start)?;
    Ok(())
}

/// Looks at a tree, sees that all of its chunks are here, and keeps it as a blob under its digest.
fn keep_tree(blobs: &Blobs, upload: ReleaseUpload) -> Answer<(ReleaseUpload, Digest)> {
    refuse_half(blobs, &upload.tree, &format!("release {}", upload.name))?;
    let digest = put_tree(blobs, &upload.tree)?;
    Ok((upload, digest))
}

/// Refuses a tree that breaks the rules, or whose chunks are not all here.
pub(crate) fn refuse_half(blobs: &Blobs, tree: &Tree, of: &str) -> Answer<()> {
    lace_release::verify(tree).map_err(|e| e.problem())?;
    let missing = missing_chunks(blobs, tree)?;
    if !missing.is_empty() {
        let message = format!("{} chunks of {of} are not here", missing.len());
        let shown = missing.iter().take(MISSING_SHOWN).map(ToString::to_string);
        let problem = lace_model::Problem::new(Code::Conflict, message)
            .hint("upload it again: only what is missing is sent")
            .details(shown);
        return Err(problem.into());
    }
    Ok(())
}

/// Keeps a tree as a blob under its digest.
pub(crate) fn put_tree(blobs: &Blobs, tree: &Tree) -> Answer<Digest> {
    let bytes = serde_json::to_vec(tree)
        .map_err(|e| Refusal::new(Code::Error, format!("the tree has no JSON form: {e}")))?;
    Ok(blobs.put(&bytes)?)
}

fn missing_chunks(blobs: &Blobs, tree: &Tree) -> Answer<Vec<Digest>> {
    let wanted: BTreeSet<_> = tree.chunks().collect();
    let wanted: Vec<_> = wanted.into_iter().collect();
    let mut missing = Vec::new();
    for page in wanted.chunks(limits::BLOBS_ASKED_MAX) {
        missing.extend(blobs.missing(page)?);
    }
    Ok(missing)
}

/// `DELETE /v1/releases/{release}`.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    At(key): At<String>,
) -> Answer<StatusCode> {
    let row = found(&state, &key)?;
    let asked = key.clone();
    let users = state.store.snapshot_async(move |view| users(view, |spec| spec.release == asked)).await?;
    if !users.is_empty() {
        let names: Vec<_> = users.into_iter().collect();
        return Err(Refusal::new(Code::Conflict, format!("release {key} is in use by {}", names.join(", ")))
            .hint("put another one to use first: lace release activate TARGET NAME[@V]"));
    }
    let deed = Deed::light("release delete", &key);
    let mut batch = deed.batch(&caller);
    batch.delete::<Release>(&key, Expect::Rev(row.rev));
    batch.event(NewEvent::new("release.deleted", format!("release/{key}"), "deleted"));
    deed.only(&state, batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Services that want such a revision, run it, or would go back to it.
pub(crate) fn users(
    view: &View<'_>,
    is_one: impl Fn(&RevisionSpec) -> bool,
) -> lace_store::Result<BTreeSet<String>> {
    let mut numbers = BTreeSet::new();
    for row in view.list::<Service>("")? {
        numbers.insert((row.value.path, row.value.revision));
    }
    for row in view.list::<Target>("")? {
        let service = row.value.family.service_path();
        let of_nodes = row.value.nodes.iter().map(|n| n.revision);
        numbers.extend(of_nodes.chain(row.value.good).map(|n| (service.clone(), n)));
    }
    let mut found = BTreeSet::new();
    for (service, number) in numbers {
        let revision = view.get::<Revision>(&revision_key(&service, number))?;
        if revision.is_some_and(|r| is_one(&r.value.spec)) {
            found.insert(service.to_string());
        }
    }
    Ok(found)
}

/// `NAME` or `NAME@VERSION`.
pub(crate) fn release_ref(text: &str) -> Answer<ReleaseRef> {
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version.to_owned())),
        None => (text, None),
    };
    Ok(ReleaseRef { name: Name::new(name)?, version })
}

/// A service uses another release from now on.
pub(crate) async fn activate(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    text: &str,
    hot: bool,
) -> Answer<Accepted> {
    let wanted = release_ref(text)?;
    let mut scene = Scene::load(state, target).await?;
    let names = BTreeSet::from([wanted.name.clone()]);
    scene.live.releases = state.store.snapshot(|view| crate::reads::releases(view, &names))?;
    let release = scene.live.release(&wanted).cloned();
    let release = release
        .ok_or_else(|| Refusal::not_found(format_args!("release {text}")).hint("lace release list"))?;
    let live = scene.one_service(target)?;
    let edit = verb::release_activate(live, &release, hot, &caller.doer(state.now()))?;
    let _turns = crate::change::refuse_to_cut(state, caller, &edit).await?;
    let deed = Deed::new("activate", target);
    let batch = deed.batch(caller);
    Ok(deed.done(state, caller, edit, &scene.reads, batch).await?)
}
