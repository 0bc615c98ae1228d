//! Providers: registered with their credentials, which are sealed and never come out.

use crate::ask::{At, Doc};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::event::NewEvent;
use lace_model::pool::Pool;
use lace_model::provider::{Provider, ProviderKind, VAULT};
use lace_model::{AppName, Code, Name};
use lace_store::{Batch, Expect, Row, SecretValue};
use lace_wire::api::{Accepted, ProviderRequest};
use std::collections::BTreeMap;

/// Providers at most.
const PROVIDERS_MAX: usize = 100;
/// A region or an endpoint has at most so many bytes.
pub(crate) const WORD_BYTES_MAX: usize = 256;

/// Is this a name that no application may have?
pub(crate) fn is_reserved(app: &AppName) -> bool {
    app.as_str() == VAULT
}

/// Refuses to make an application that would share its secrets with providers.
pub(crate) fn refuse_reserved(app: &AppName) -> Answer<()> {
    match is_reserved(app) {
        true => Err(Refusal::usage(format!("{app} is a name of Lace's own")).hint("choose another one")),
        false => Ok(()),
    }
}

fn vault() -> Answer<AppName> {
    Name::new(VAULT).map_err(|e| Refusal::new(Code::Error, e.to_string()))
}

/// `GET /v1/providers`.
pub(crate) async fn list(State(state): State<ApiState>) -> Answer<Json<Vec<Provider>>> {
    let rows = state.store.snapshot_async(|view| view.list::<Provider>("")).await?;
    Ok(Json(rows.into_iter().map(|row| row.value).collect()))
}

/// `POST /v1/providers/{name}`.
pub(crate) async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
    Doc(request): Doc<ProviderRequest>,
) -> Answer<Json<Accepted>> {
    let kind = request.kind.ok_or_else(|| {
        Refusal::usage(format!("provider {name}: no kind is said")).hint("local, ssh, sim or ec2")
    })?;
    let known = state.store.list::<Provider>("")?;
    if known.iter().any(|row| row.value.name == name) {
        return Err(Refusal::new(Code::Conflict, format!("there is a provider {name} already"))
            .hint(format!("change it with: lace provider set {name}")));
    }
    if known.len() >= PROVIDERS_MAX {
        return Err(Refusal::new(Code::Conflict, format!("there are {PROVIDERS_MAX} providers, the most")));
    }
    let blank = Provider {
        name: name.clone(),
        kind,
        region: None,
        endpoint: None,
        discount: None,
        credentials: Vec::new(),
        made_at: state.now(),
    };
    let (provider, sealed) = laid_over(&blank, &BTreeMap::new(), &request)?;
    write(&state, &caller, "provider.add", &provider, sealed, Expect::Absent).await
}

/// `PUT /v1/providers/{name}`.
pub(crate) async fn set(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
    Doc(request): Doc<ProviderRequest>,
) -> Answer<Json<Accepted>> {
    again(|| set_once(&state, &caller, &name, &request)).await
}

async fn set_once(
    state: &ApiState,
    caller: &Caller,
    name: &Name,
    request: &ProviderRequest,
) -> Answer<Json<Accepted>> {
    let row = by_name(state, name)?;
    if request.kind.is_some_and(|kind| kind != row.value.kind) {
        let text = format!("provider {name} is of kind {}, which does not change", row.value.kind);
        return Err(Refusal::new(Code::Conflict, text).hint("add another provider"));
    }
    let former = credentials(state, name)?;
    let (provider, sealed) = laid_over(&row.value, &former, request)?;
    write(state, caller, "provider.set", &provider, sealed, Expect::Rev(row.rev)).await
}

/// `DELETE /v1/providers/{name}`.
pub(crate) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
) -> Answer<Json<Accepted>> {
    let row = by_name(&state, &name)?;
    let pools = state.store.list::<Pool>("")?;
    let users: Vec<&str> =
        pools.iter().filter(|p| p.value.provider == name).map(|p| p.value.name.as_str()).collect();
    if !users.is_empty() {
        let text = format!("provider {name} is used by the pools {}", users.join(", "));
        return Err(Refusal::new(Code::Conflict, text).hint("remove them first: lace pool remove NAME"));
    }
    let subject = format!("provider/{name}");
    let deed = Deed::light("provider.remove", &subject);
    let mut batch = deed.batch(&caller);
    batch.delete::<Provider>(name.as_str(), Expect::Rev(row.rev));
    if !row.value.credentials.is_empty() {
        batch.secret_remove(&vault()?, name.as_str());
    }
    batch.event(NewEvent::new("provider.removed", &subject, "removed, its credentials with it"));
    deed.only(&state, batch).await?;
    Ok(Json(Accepted { operation: None, message: format!("provider {name} is removed") }))
}

pub(crate) fn by_name(state: &ApiState, name: &Name) -> Answer<Row<Provider>> {
    let found = state.store.get::<Provider>(name.as_str())?;
    found.ok_or_else(|| Refusal::not_found(format_args!("provider {name}")).hint("lace provider list"))
}

/// The credentials of a provider, unsealed.
fn credentials(state: &ApiState, name: &Name) -> Answer<BTreeMap<String, String>> {
    let Some((value, _)) = state.store.secret_get(&vault()?, name.as_str(), None)? else {
        return Ok(BTreeMap::new());
    };
    serde_json::from_slice(value.expose())
        .map_err(|_| Refusal::new(Code::Error, format!("the credentials of provider {name} are damaged")))
}

type Sealed = Option<BTreeMap<String, String>>;

/// The provider as it shall be, and its credentials where they change.
fn laid_over(
    provider: &Provider,
    former: &BTreeMap<String, String>,
    request: &ProviderRequest,
) -> Answer<(Provider, Sealed)> {
    let name = &provider.name;
    let mut next = provider.clone();
    next.region = word("region", &request.region)?.or(next.region);
    next.endpoint = word("endpoint", &request.endpoint)?.or(next.endpoint);
    if let Some(endpoint) = &next.endpoint
        && !endpoint.starts_with("https://")
        && !endpoint.starts_with("http://")
    {
        return Err(Refusal::usage(format!("{endpoint:?} is no endpoint: write https://ADDRESS")));
    }
    if next.region.is_some() && !next.kind.has_regions() {
        return Err(Refusal::usage(format!("a provider of kind {} has no regions", next.kind)));
    }
    match request.discount.as_deref().map(str::trim) {
        None => {}
        Some("") => next.discount = None,
        Some(text) => {
            next.discount = Some(text.parse::<lace_model::pool::Discount>().map_err(Refusal::usage)?)
        }
    }
    let mut all = former.clone();
    all.extend(request.credentials.clone());
    check_credentials(name, next.kind, &all)?;
    next.credentials = all.keys().cloned().collect();
    Ok((next, (!request.credentials.is_empty()).then_some(all)))
}

/// Names are told, values never.
fn check_credentials(name: &Name, kind: ProviderKind, given: &BTreeMap<String, String>) -> Answer<()> {
    let keys = kind.credentials();
    let known = || keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ");
    if let Some(other) = given.keys().find(|name| keys.iter().all(|key| key.name != name.as_str())) {
        let hint = if keys.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", known()) };
        return Err(Refusal::usage(format!("a provider of kind {kind} has no credential {other}")).hint(hint));
    }
    let missing: Vec<_> = keys.iter().filter(|key| key.required && !given.contains_key(key.name)).collect();
    // Without any, the machine's own role or profile may serve.
    if !given.is_empty() && !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|key| key.name).collect();
        return Err(Refusal::usage(format!("provider {name} lacks the credentials {}", names.join(", "))));
    }
    match given.iter().find(|(_, value)| value.is_empty()) {
        Some((key, _)) => Err(Refusal::usage(format!("the credential {key} is empty"))),
        None => Ok(()),
    }
}

/// A word that is not empty and not endless.
pub(crate) fn word(what: &str, said: &Option<String>) -> Answer<Option<String>> {
    let Some(text) = said.as_deref().map(str::trim) else { return Ok(None) };
    match text.is_empty() || text.len() > WORD_BYTES_MAX {
        true => Err(Refusal::usage(format!("{what} has from 1 to {WORD_BYTES_MAX} characters"))),
        false => Ok(Some(text.to_owned())),
    }
}

async fn write(
    state: &ApiState,
    caller: &Caller,
    verb: &str,
    provider: &Provider,
    sealed: Sealed,
    expect: Expect,
) -> Answer<Json<Accepted>> {
    let subject = format!("provider/{}", provider.name);
    let deed = Deed::new(verb, &subject);
    let mut batch: Batch = deed.batch(caller);
    batch.put(provider, expect);
    if let Some(credentials) = sealed {
        let value = serde_json::to_vec(&credentials).map_err(|e| Refusal::new(Code::Error, e.to_string()))?;
        batch.secret_put(&vault()?, provider.name.as_str(), SecretValue::new(value), false);
    }
    let told = match provider.credentials.as_slice() {
        [] => "without credentials of its own".to_owned(),
        names => format!("with {}, sealed", names.join(", ")),
    };
    batch.event(NewEvent::new(verb, &subject, &told));
    deed.only(state, batch).await?;
    let message = format!("provider {}: kind {}, {told}", provider.name, provider.kind);
    Ok(Json(Accepted { operation: None, message }))
}
