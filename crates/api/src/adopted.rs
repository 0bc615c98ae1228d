//! Nodes that run already: taken into view, asked, and let go of. Nothing of them is started or stopped.

use crate::ask::{Ask, At, Doc, TargetAsk};
use crate::caller::Caller;
use crate::deed::Deed;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use futures::future::BoxFuture;
use lace_model::adopted::{ADOPTED_MAX, Adopted, AdoptedTls, SERVICE, parts, secret_name, tls_secret_name};
use lace_model::event::NewEvent;
use lace_model::family::{Application, Family};
use lace_model::vm::VmSample;
use lace_model::{AppName, Code, FamilyPath, Name, NodePath, Problem, TargetPath};
use lace_store::{Expect, SecretValue};
use lace_wire::api::{Accepted, AdoptRequest};
use lace_wire::beam::BeamAsk;
use std::sync::Arc;

/// Longest cookie, in bytes: an atom's text.
const COOKIE_BYTES_MAX: usize = 255;
/// Longest certificates with their key, in bytes.
const PEM_BYTES_MAX: usize = 64 << 10;

/// Who speaks with adopted nodes: the composition hands it in.
pub trait AdoptedNodes: Send + Sync {
    /// Connects once: the node's own name and those that it sees.
    fn look(&self, name: String, request: AdoptRequest) -> BoxFuture<'static, Result<Vec<String>, Problem>>;
    /// The answer to a question, as the agent of a node would give it.
    fn ask(&self, path: NodePath, ask: BeamAsk) -> BoxFuture<'static, Result<Vec<u8>, Problem>>;
    /// The last look at a node's numbers.
    fn sample(&self, path: &NodePath) -> Option<VmSample>;
    /// Something was adopted or let go of.
    fn nudge(&self);
}

/// Nobody: nothing can be adopted.
pub struct NoAdopted;

impl AdoptedNodes for NoAdopted {
    fn look(&self, _: String, _: AdoptRequest) -> BoxFuture<'static, Result<Vec<String>, Problem>> {
        Box::pin(async { Err(nobody()) })
    }

    fn ask(&self, _: NodePath, _: BeamAsk) -> BoxFuture<'static, Result<Vec<u8>, Problem>> {
        Box::pin(async { Err(nobody()) })
    }

    fn sample(&self, _: &NodePath) -> Option<VmSample> {
        None
    }

    fn nudge(&self) {}
}

fn nobody() -> Problem {
    Problem::new(Code::Error, "this controller speaks with no adopted nodes")
}

/// The handle as the state keeps it.
pub type AdoptedHandle = Arc<dyn AdoptedNodes>;

fn family(app: &AppName) -> FamilyPath {
    let adopted: Name = Name::new(SERVICE).expect("a name");
    FamilyPath::new(app.clone(), adopted.clone(), adopted)
}

/// The adopted nodes below a target, in order.
pub(crate) fn under(state: &ApiState, target: &TargetPath) -> lace_store::Result<Vec<Adopted>> {
    let is_meant = |name: &Option<Name>| name.as_ref().is_none_or(|name| name.as_str() == SERVICE);
    if !is_meant(&target.service) || !is_meant(&target.family) {
        return Ok(Vec::new());
    }
    let rows = state.store.list::<Adopted>(&format!("{}/", family(&target.app)))?;
    let mut found: Vec<_> = rows.into_iter().map(|row| row.value).collect();
    found.retain(|adopted| target.covers_node(&adopted.path));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The adopted node that a target names.
pub(crate) fn at(state: &ApiState, caller: &Caller, target: &TargetPath) -> Answer<Option<NodePath>> {
    caller.touches(&target.app)?;
    if target.index.is_none() || target.service.is_none() {
        return Ok(None);
    }
    Ok(under(state, target)?.into_iter().next().map(|adopted| adopted.path))
}

/// `PUT /v1/apps/{app}/adopted/{name}`: the node and all that it sees.
pub(crate) async fn adopt(
    State(state): State<ApiState>,
    caller: Caller,
    At((app, name)): At<(AppName, String)>,
    Doc(mut request): Doc<AdoptRequest>,
) -> Answer<Json<Accepted>> {
    if parts(&name).is_none() {
        return Err(Refusal::usage(format!("{name:?} is no node name")).hint("write NAME@HOST"));
    }
    if state.store.get::<Application>(app.as_str())?.is_none() {
        return Err(Refusal::not_found(format_args!("application {app}"))
            .hint(format!("make it first: lace app create {app}")));
    }
    if state.store.get::<Family>(&family(&app).to_string())?.is_some() {
        return Err(Refusal::new(Code::Conflict, format!("{app} has a service {SERVICE} of its own"))
            .hint("adopt into another application: --app"));
    }
    request.cookie = cookie_of(&request.cookie)?;
    let tls = request.tls.as_ref().map(sealed).transpose()?;
    let names = state.adopted.look(name.clone(), request.clone()).await?;
    let whole = TargetPath { app: app.clone(), service: None, family: None, index: None };
    let known = under(&state, &whole)?;
    let subject = format!("{app}/{SERVICE}");
    let deed = Deed::new("adopt", &subject);
    let mut batch = deed.batch(&caller);
    let mut next = known.iter().map(|adopted| adopted.path.index).max().unwrap_or(0) + 1;
    let mut places = Vec::new();
    for name in names.into_iter().filter(|name| parts(name).is_some()) {
        let former = known.iter().find(|adopted| adopted.name == name);
        let index = former.map_or(next, |former| former.path.index);
        next = next.max(index + 1);
        if next as usize > ADOPTED_MAX {
            let message = format!("{app} would have more than {ADOPTED_MAX} adopted nodes");
            return Err(Refusal::new(Code::TooLarge, message).hint("adopt into another application: --app"));
        }
        let path = family(&app).node(index);
        let adopted = Adopted {
            path: path.clone(),
            name: name.clone(),
            port: request.port,
            adopted_at: state.now(),
            adopted_by: caller.name.clone(),
        };
        let cookie = SecretValue::new(request.cookie.clone().into_bytes());
        batch.secret_put(&app, &secret_name(index), cookie, true);
        match &tls {
            Some(tls) => batch.secret_put(&app, &tls_secret_name(index), SecretValue::new(tls.clone()), true),
            None => batch.secret_remove(&app, &tls_secret_name(index)),
        };
        batch.put(&adopted, if former.is_some() { Expect::Any } else { Expect::Absent });
        places.push(format!("{} is {name}", path.short()));
    }
    batch.event(NewEvent::new("beam.adopted", &subject, places.join(", ")));
    deed.only(&state, batch).await?;
    state.adopted.nudge();
    Ok(Json(Accepted { operation: None, message: places.join("\n") }))
}

fn sealed(tls: &AdoptedTls) -> Answer<Vec<u8>> {
    let bytes = tls.authority.len() + tls.certificate.as_ref().map_or(0, String::len);
    if bytes > PEM_BYTES_MAX {
        let message = format!("the certificates have {bytes} bytes; at most {PEM_BYTES_MAX}");
        return Err(Refusal::new(Code::TooLarge, message));
    }
    serde_json::to_vec(tls).map_err(|e| Refusal::new(Code::Error, e.to_string()))
}

fn cookie_of(text: &str) -> Answer<String> {
    let text = Some(text.trim()).filter(|text| !text.is_empty());
    let good = text.filter(|text| text.len() <= COOKIE_BYTES_MAX && !text.contains(['\0', '\n']));
    let cookie = good.ok_or_else(|| {
        Refusal::usage("this is no cookie").hint("give one line of text: lace beam adopt NAME@HOST < cookie")
    })?;
    Ok(cookie.to_owned())
}

/// `DELETE /v1/beam/adopted`: looks no more.
pub(crate) async fn forget(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Accepted>> {
    let target = ask.required()?;
    caller.touches(&target.app)?;
    let found = under(&state, &target)?;
    if found.is_empty() {
        return Err(Refusal::not_found(format_args!("adopted node in {target}"))
            .hint(format!("lace beam status {}", target.app)));
    }
    let deed = Deed::new("forget", target.to_string());
    let mut batch = deed.batch(&caller);
    for adopted in &found {
        batch.delete::<Adopted>(&adopted.path.to_string(), Expect::Any);
        batch.secret_remove(&target.app, &secret_name(adopted.path.index));
        batch.secret_remove(&target.app, &tls_secret_name(adopted.path.index));
        let subject = adopted.path.to_string();
        batch.event(NewEvent::new(
            "beam.forgotten",
            &subject,
            format!("{} goes on without us", adopted.name),
        ));
    }
    deed.only(&state, batch).await?;
    state.adopted.nudge();
    let names: Vec<_> = found.iter().map(|adopted| adopted.name.as_str()).collect();
    Ok(Json(Accepted { operation: None, message: format!("{} is in view no more", names.join(", ")) }))
}
