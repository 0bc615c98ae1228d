//! Secrets: values go in and never come out here. Events, logs and answers name them only.

use crate::ask::{At, Raw};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::reads::{self, Depth, Reads};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::beam::CA_PREFIX;
use lace_model::event::NewEvent;
use lace_model::family::Application;
use lace_model::secret::{SECRET_BYTES_MAX, SecretInfo, TASK_PREFIX};
use lace_model::{AppName, Code, Digest, Millis};
use lace_planner::{LiveApplication, verb};
use lace_store::SecretValue;
use lace_wire::api::Accepted;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose};
use std::time::{Duration, SystemTime};

/// A cluster has its authority as long as its cookie: as long as it lives.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);
/// For hosts whose clock is behind ours.
const BACKDATED: Duration = Duration::from_secs(3_600);

/// Longest name of a secret, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// `GET /v1/apps/{app}/secrets`.
pub(crate) async fn list(
    State(state): State<ApiState>,
    At(app): At<AppName>,
) -> Answer<Json<Vec<SecretInfo>>> {
    must_exist(&state, &app)?;
    let mut all = state.store.secret_list(Some(&app))?;
    all.retain(|secret| !lace_model::certificate::is_secret(&secret.name));
    all.retain(|secret| !secret.name.starts_with(TASK_PREFIX));
    Ok(Json(all))
}

/// `PUT /v1/apps/{app}/secrets/{name}`.
pub(crate) async fn put(
    State(state): State<ApiState>,
    caller: Caller,
    At((app, name)): At<(AppName, String)>,
    Raw(value): Raw,
) -> Answer<Json<Accepted>> {
    check_name(&name)?;
    must_exist(&state, &app)?;
    if name.starts_with(CA_PREFIX) {
        let text = format!(
            "{name} is the authority of a cluster, which Lace makes: members with another one would be strangers"
        );
        return Err(Refusal::usage(text).hint("give your secret another name"));
    }
    if value.len() > SECRET_BYTES_MAX {
        return Err(Refusal::too_large(SECRET_BYTES_MAX));
    }
    if value.contains(&0) {
        return Err(Refusal::usage("the value has a NUL sign in it, which no environment can hold")
            .hint("give bytes as text, such as base64, and let the program take them apart"));
    }
    Ok(Json(keep(&state, &caller, &app, &name, value.to_vec()).await?))
}

/// Gives a secret that Lace made another value, which nobody sees; what uses it rolls.
pub(crate) async fn renew(state: &ApiState, caller: &Caller, app: &AppName, name: &str) -> Answer<Accepted> {
    let value = generate(state, name)?;
    keep(state, caller, app, name, value.into_bytes()).await
}

async fn keep(
    state: &ApiState,
    caller: &Caller,
    app: &AppName,
    name: &str,
    value: Vec<u8>,
) -> Answer<Accepted> {
    let subject = format!("{app}/secret/{name}");
    let deed = Deed::new("secret set", &subject);
    let mut batch = deed.batch(caller);
    batch.secret_put(app, name, SecretValue::new(value), false);
    batch.event(NewEvent::new("secret.set", &subject, "a new value"));
    let version = deed.only(state, batch).await?.secrets.first().map_or(1, |s| s.2);
    // The value is safe from here on; were this cut short, the next apply would make the new revisions.
    again(|| roll(state, caller, app, name, version)).await
}

/// Services that use the secret get a new revision.
async fn roll(
    state: &ApiState,
    caller: &Caller,
    app: &AppName,
    name: &str,
    version: u64,
) -> Answer<Accepted> {
    let (live, reads) = live(state, app).await?;
    let services: Vec<_> = live.services.into_values().collect();
    let edit = verb::secret_changed(&services, name, version, &caller.doer(state.now()));
    if edit.is_empty() {
        let message = format!("secret {name} of {app} has version {version}; no service uses it");
        return Ok(Accepted { operation: None, message });
    }
    let deed = Deed::light("secret roll", format!("{app}/secret/{name}"));
    let batch = deed.batch(caller);
    let mut accepted = deed.done(state, caller, edit, &reads, batch).await?;
    accepted.message = format!("secret {name} of {app} has version {version}; its services roll");
    Ok(accepted)
}

/// `DELETE /v1/apps/{app}/secrets/{name}`.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    At((app, name)): At<(AppName, String)>,
) -> Answer<Json<Accepted>> {
    again(|| delete_once(&state, &caller, &app, &name)).await
}

async fn delete_once(state: &ApiState, caller: &Caller, app: &AppName, name: &str) -> Answer<Json<Accepted>> {
    let (live, reads) = live(state, app).await?;
    if !state.store.secret_list(Some(app))?.iter().any(|s| s.name == *name) {
        let hint = format!("lace secret list {app}");
        return Err(Refusal::not_found(format_args!("secret {name} of {app}")).hint(hint));
    }
    let uses = |s: &&lace_planner::LiveService| s.wanted().is_some_and(|r| r.spec.secrets.contains_key(name));
    let users: Vec<_> = live.services.values().filter(uses).map(|s| s.service.path.to_string()).collect();
    if !users.is_empty() {
        let message = format!("secret {name} is in use by {}", users.join(", "));
        return Err(Refusal::new(Code::Conflict, message)
            .hint("take it out of the manifest's `secrets` first, and apply"));
    }
    let subject = format!("{app}/secret/{name}");
    let deed = Deed::light("secret remove", &subject);
    let mut batch = deed.batch(caller);
    batch.secret_remove(app, name);
    reads.require(&mut batch, &Default::default());
    batch.event(NewEvent::new("secret.removed", &subject, "removed with all versions"));
    deed.only(state, batch).await?;
    Ok(Json(Accepted { operation: None, message: format!("secret {name} of {app} is removed") }))
}

async fn live(state: &ApiState, app: &AppName) -> Answer<(LiveApplication, Reads)> {
    let name = app.clone();
    let (live, reads) = state
        .store
        .snapshot_async(move |view| {
            let mut reads = Reads::default();
            Ok((reads::live(view, &name, Depth::Wanted, &mut reads)?, reads))
        })
        .await?;
    match live.app {
        Some(_) => Ok((live, reads)),
        None => Err(no_app(app)),
    }
}

fn must_exist(state: &ApiState, app: &AppName) -> Answer<()> {
    let found = state.store.get::<Application>(app.as_str())?;
    found.map(drop).ok_or_else(|| no_app(app))
}

fn no_app(app: &AppName) -> Refusal {
    Refusal::not_found(format_args!("application {app}"))
        .hint(format!("make it first: lace app create {app}"))
}

fn check_name(name: &str) -> Answer<()> {
    let mut chars = name.chars();
    let good = name.len() <= NAME_BYTES_MAX
        && chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if good {
        return Ok(());
    }
    Err(Refusal::usage("this is not a name of a secret")
        .hint("it may become an environment variable: letters, digits and _, no digit first, at most 128"))
}

/// A value that Lace makes itself: 64 hexadecimal digits for a cluster's cookie, a certificate with its key (PEM) for the
/// authority of its distribution.
pub(crate) fn generate(state: &ApiState, name: &str) -> Answer<String> {
    let failed = |e: &dyn std::fmt::Display| Refusal::new(Code::Error, format!("{name} cannot be made: {e}"));
    if name.starts_with(CA_PREFIX) {
        return authority(name, state.now()).map_err(|e| failed(&e));
    }
    let bytes = state.ids.secret();
    let bytes = bytes.map_err(|e| failed(&format_args!("cannot read the random source: {e}")))?;
    Ok(Digest(bytes).to_string())
}

fn authority(name: &str, now: Millis) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // A common name has 64 characters at most (RFC 5280, appendix A.1).
    let common = format!("Lace cluster {}", name.trim_start_matches(CA_PREFIX));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common.chars().take(64).collect::<String>());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let made = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
    params.not_before = made.checked_sub(BACKDATED).unwrap_or(SystemTime::UNIX_EPOCH).into();
    params.not_after = (made + AUTHORITY_LIFETIME).into();
    Ok(format!("{}\n{}", params.self_signed(&key)?.pem(), key.serialize_pem()))
}
