//! Providers and pools: where hosts can be had, at what price, and how many there are.

use crate::page::{self, Noun};
use crate::pool::Row;
use crate::visit::Visit;
use askama::Template;
use axum::Form;
use axum::http::Method;
use axum::response::Response;
use lace_model::host::Host;
use lace_model::pool::Pool;
use lace_model::provider::{CredentialKey, Provider, ProviderKind};
use lace_model::{Millis, Problem};
use lace_wire::api::{Accepted, HostView, ProviderRequest};
use std::collections::BTreeMap;

/// Before the names of credentials in the form.
const CREDENTIAL: &str = "credential.";

#[derive(Template)]
#[template(path = "providers.html")]
struct Providers {
    now: Millis,
    providers: Vec<Provider>,
    pools: Vec<Row>,
}

/// `GET /providers`.
pub async fn list(visit: Visit) -> Response {
    visit.page("Providers", Noun::Providers, load(&visit).await).await
}

async fn load(visit: &Visit) -> Result<Providers, Problem> {
    let providers = visit.get("/v1/providers").await?;
    let pools: Vec<Pool> = visit.get("/v1/pools").await?;
    let hosts: Vec<HostView> = visit.get("/v1/hosts").await?;
    let hosts: Vec<Host> = hosts.into_iter().map(|view| view.host).collect();
    let pools = pools.into_iter().map(|pool| Row::of(pool, &hosts)).collect();
    Ok(Providers { now: visit.now, providers, pools })
}

/// The credentials that a kind takes.
fn credentials(kind: &ProviderKind) -> &'static [CredentialKey] {
    kind.credentials()
}

/// What is registered with a kind, in words.
fn account(kind: &ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Local => "This machine",
        ProviderKind::Ssh => "Servers over SSH",
        ProviderKind::Sim => "A simulated account",
        ProviderKind::Ec2 => "An account of EC2, or of what speaks like it",
    }
}

/// `POST /act/provider`: registers one, gives it other credentials, or removes it.
pub async fn act(visit: Visit, Form(fields): Form<Vec<(String, String)>>) -> Response {
    page::accepted(done(&visit, &fields).await)
}

async fn done(visit: &Visit, fields: &[(String, String)]) -> Result<Accepted, Problem> {
    let one = |key| crate::field::one(fields, key).trim();
    let path = format!("/v1/providers/{}", crate::api::encoded(one("name")));
    let method = match one("verb") {
        "add" => Method::POST,
        "set" => Method::PUT,
        "remove" => return visit.send(Method::DELETE, &path, &()).await,
        other => return Err(crate::act::usage(format!("there is no verb {other:?}"))),
    };
    let kind = match one("kind") {
        "" => None,
        text => Some(text.parse::<ProviderKind>().map_err(crate::act::usage)?),
    };
    let said = |key| Some(one(key).to_owned()).filter(|text| !text.is_empty());
    let credentials: BTreeMap<String, String> = crate::field::said(fields, CREDENTIAL).collect();
    let request = ProviderRequest {
        kind,
        region: said("region"),
        endpoint: said("endpoint"),
        credentials,
        ..ProviderRequest::default()
    };
    visit.send(method, &path, &request).await
}
