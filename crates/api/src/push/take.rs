//! A commit becomes a release of its service.

use super::found;
use crate::archive::keep_chunks;
use crate::caller::Caller;
use crate::refusal::{Answer, Refusal};
use crate::release::{activate, keep_upload};
use crate::state::ApiState;
use lace_model::event::NewEvent;
use lace_model::family::Service;
use lace_model::object::revision_key;
use lace_model::people::Grant;
use lace_model::push::{Commit, PushKey, version_of};
use lace_model::release::Release;
use lace_model::revision::{Revision, RevisionSpec};
use lace_model::token::Role;
use lace_model::{Code, Name, Problem, ServicePath, TargetPath, TokenId};
use lace_release::Limits;
use lace_store::{Batch, Blobs, Store};
use lace_wire::api::ReleaseUpload;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

/// Code that was pushed.
#[derive(Clone, Debug)]
pub struct PushedCode {
    /// To which service.
    pub service: ServicePath,
    /// With which key.
    pub key: PushKey,
    /// On which branch.
    pub branch: String,
    /// The commit's name.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
    /// An archive (tar) of its tree.
    pub code: Arc<File>,
}

/// Who may push, for the server that they come to.
pub struct Pushes(pub Store);

impl Pushes {
    /// Does a key (base64) belong to any service?
    pub fn knows(&self, key: &str) -> bool {
        let rows = self.0.list::<Service>("").unwrap_or_else(|error| {
            tracing::warn!(%error, "keys could not be read");
            Vec::new()
        });
        rows.iter().filter(|row| !row.value.deleting).any(|row| of(&row.value, key).is_some())
    }

    /// The name of a service's repository, and its key.
    ///
    /// # Errors
    /// It is none of its keys. Whether there is such a service is nobody's business who has no key of it.
    pub fn admit(&self, path: &ServicePath, key: &str) -> Result<(String, PushKey), Problem> {
        let row = self.0.get::<Service>(&path.to_string())?.filter(|row| !row.value.deleting);
        let admitted = row.and_then(|row| of(&row.value, key)).ok_or_else(|| {
            let text = format!("there is no service {path}, or your key is none of its keys");
            Problem::new(Code::NotAllowed, text)
                .hint(format!("let somebody add it: lace key add {path} FILE.pub"))
        })?;
        // Before git writes anything: a full disk is not filled further.
        self.0.admit_new_work()?;
        Ok(admitted)
    }

    /// The names of all repositories that services have.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn repositories(&self) -> Result<BTreeSet<String>, Problem> {
        let rows = self.0.list::<Service>("")?;
        Ok(rows.into_iter().filter_map(|row| Some(row.value.pushes?.repository)).collect())
    }

    /// Notes that a push was refused; strangers are not noted, for they could fill the disk.
    pub fn note_refusal(&self, path: &ServicePath, key: &str, why: &Problem) {
        let rows = self.0.list::<Service>("").unwrap_or_default();
        let who = rows.iter().find_map(|row| Some(actor(&row.value.path, &of(&row.value, key)?.1)));
        let mut batch = Batch::new(who.clone());
        batch.audit("push", &path.to_string(), &format!("refused: {}", why.message));
        if let Err(error) = self.0.commit(batch) {
            tracing::warn!(%error, "a refused push could not be noted");
        }
    }
}

fn of(service: &Service, key: &str) -> Option<(String, PushKey)> {
    let pushes = service.pushes.as_ref()?;
    let key = pushes.keys.iter().find(|known| known.key == key)?;
    Some((pushes.repository.clone(), key.clone()))
}

fn actor(service: &ServicePath, key: &PushKey) -> String {
    format!("key {} of {service}", key.name)
}

/// What became of a push.
#[derive(Clone, Debug)]
pub struct TakenPush {
    /// For the pusher.
    pub lines: Vec<String>,
    /// The release that its key puts to use ([`enable_push`]), once its branch is there.
    pub enables: Option<String>,
}

/// Makes a release of a commit. The answer is for the pusher.
///
/// # Errors
/// Why it is not taken. Nothing is kept then.
pub async fn take_push(state: &ApiState, pushed: PushedCode) -> Result<TakenPush, Problem> {
    take(state, pushed).await.map_err(|refusal| refusal.problem().clone())
}

async fn take(state: &ApiState, pushed: PushedCode) -> Answer<TakenPush> {
    state.store.admit_new_work()?;
    let path = pushed.service.clone();
    let (service, key) = allowed(state, &path, &pushed.key)?;
    let wanted = state.store.get::<Revision>(&revision_key(&path, service.revision))?;
    let wanted = wanted.ok_or_else(|| Refusal::not_found(format_args!("revision of {path}")))?.value.spec;
    let (store, code) = (state.store.clone(), pushed.code.clone());
    let (name, version) = (release_name(&path, &wanted), version_of(&pushed.commit));
    let (of_name, of_version, spec) = (name.clone(), version.clone(), wanted.clone());
    let read =
        tokio::task::spawn_blocking(move || upload(store.blobs(), code.as_ref(), of_name, of_version, &spec));
    let upload =
        read.await.map_err(|e| Refusal::new(Code::Error, format!("the code could not be read: {e}")))??;
    let caller = caller(&path, &key);
    let PushedCode { branch, commit, subject, .. } = pushed;
    let commit = Commit { service: path.clone(), branch, commit, subject, key: key.name.clone() };
    let release = keep_upload(state, &caller, upload, Some(commit)).await?.0;
    let text = format!("{name}@{version}");
    let mut lines = told(&release, &text);
    let is_active = wanted.release == text;
    if is_active {
        lines.push(format!("lace: {path} runs it already"));
    } else if !key.auto_enable {
        lines.push(format!("lace: not enabled yet; enable it: {}", by_hand(&path, &text)));
    }
    let enables = Some(text).filter(|_| key.auto_enable && !is_active);
    Ok(TakenPush { lines, enables })
}

/// The service and its key as they are now: the key may have been removed since the push began.
fn allowed(state: &ApiState, path: &ServicePath, key: &PushKey) -> Answer<(Service, PushKey)> {
    let service = found(state, path)?.value;
    let known = of(&service, &key.key);
    let (_, key) = known.ok_or_else(|| Refusal::new(Code::NotAllowed, "this key was removed just now"))?;
    Ok((service, key))
}

/// Whoever pushes may do with the application what a deployer may; what is asked of it is this room's.
fn caller(service: &ServicePath, key: &PushKey) -> Caller {
    let grant = Grant { role: Role::Deployer, app: Some(service.app.clone()) };
    Caller::with(TokenId(Default::default()), actor(service, key), [grant].into()).acting(Role::Deployer)
}

/// As the service's releases are called; a service without one gets some of its own name.
fn release_name(path: &ServicePath, wanted: &RevisionSpec) -> Name {
    let named = wanted.release.split('@').next().and_then(|name| Name::new(name).ok());
    named.unwrap_or_else(|| path.service.clone())
}

fn upload(
    blobs: &Blobs,
    code: impl Read,
    name: Name,
    version: String,
    wanted: &RevisionSpec,
) -> Answer<ReleaseUpload> {
    let packed = lace_release::read_stream(code, &Limits::default()).map_err(|e| e.problem())?;
    let found = lace_release::recognise(&packed.tree, &packed.chunks).map_err(|e| e.problem())?;
    let packaged = wanted.package.is_some();
    if found.start.is_empty() && !packaged && wanted.start.is_empty() {
        return Err(Refusal::usage("nothing in this commit says how it starts")
            .hint("add a Procfile, or push a built release"));
    }
    keep_chunks(blobs, &packed)?;
    Ok(ReleaseUpload {
        name,
        version,
        kind: if packaged { wanted.kind } else { found.kind },
        files: found.start.is_empty(),
        start: found.start,
        stop: found.stop,
        templates: found.templates,
        needs: found.needs,
        tree: packed.tree,
    })
}

fn told(release: &Release, text: &str) -> Vec<String> {
    let subject = release.pushed.as_ref().map(|commit| commit.subject.as_str()).unwrap_or_default();
    let files = release.bytes.div_ceil(1024);
    vec![format!("lace: version {text} ({files} KiB): {subject}")]
}

fn by_hand(path: &ServicePath, release: &str) -> String {
    format!("lace release activate {path} {release}")
}

/// Puts a release that was pushed to use, for a key that may. The answer is for the pusher; what keeps it from that does not undo
/// the version.
pub async fn enable_push(state: &ApiState, path: &ServicePath, key: &PushKey, text: &str) -> Vec<String> {
    let caller = &caller(path, key);
    let target =
        TargetPath { app: path.app.clone(), service: Some(path.service.clone()), family: None, index: None };
    let enabled = match allowed(state, path, key) {
        Ok(_) => activate(state, caller, &target, text, false).await,
        Err(refusal) => Err(refusal),
    };
    match enabled {
        Ok(accepted) => {
            let watch = accepted.operation.map(|id| format!(": lace op wait {id}")).unwrap_or_default();
            vec![format!("lace: it is being enabled{watch}")]
        }
        Err(refusal) => {
            let problem = refusal.problem();
            note(state, caller, path, problem).await;
            let mut lines = vec![format!("lace: not enabled: {}", problem.message)];
            lines.extend(problem.details.iter().map(|line| format!("lace:   {line}")));
            lines.push(format!("lace: enable it later: {}", by_hand(path, text)));
            lines
        }
    }
}

async fn note(state: &ApiState, caller: &Caller, path: &ServicePath, problem: &Problem) {
    let mut batch = Batch::new(Some(caller.name.clone()));
    batch.event(NewEvent::new("push.not-enabled", path, &problem.message).by(&caller.name));
    batch.audit("activate", &path.to_string(), &format!("refused: {}", problem.message));
    if let Err(error) = state.store.commit_async(batch).await {
        tracing::warn!(%error, "a push that was not enabled could not be noted");
    }
}
