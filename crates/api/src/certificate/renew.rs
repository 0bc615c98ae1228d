//! A certificate that Lace obtains is asked for now, whatever pause a failure brought.

use super::stored;
use crate::ask::At;
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::AppName;
use lace_model::authority::{AUTHORITY_KEY, Authority, Obtaining};
use lace_model::certificate::CertificateSource;
use lace_model::event::NewEvent;
use lace_model::family::Service;
use lace_model::route::host_name;
use lace_store::Expect;
use lace_wire::api::Accepted;

/// `POST /v1/apps/{app}/certificates/{host}/renew`.
pub(crate) async fn renew(
    State(state): State<ApiState>,
    caller: Caller,
    At((app, host)): At<(AppName, String)>,
) -> Answer<Json<Accepted>> {
    let host = host_name(&host).map_err(Refusal::usage)?;
    Ok(Json(again(|| renew_once(&state, &caller, &app, &host)).await?))
}

async fn renew_once(state: &ApiState, caller: &Caller, app: &AppName, host: &str) -> Answer<Accepted> {
    let mut row = stored(state, app)?;
    let source = wished(state, app, host)?;
    let entry = row.value.obtaining.iter_mut().find(|o| o.host == host);
    match entry {
        // A controller is at it, or was: its claim ends soon.
        Some(entry) if entry.claimed => entry.asked = true,
        Some(entry) => (entry.next_at, entry.asked) = (0, true),
        None => row.value.obtaining.push(Obtaining { asked: true, ..Obtaining::new(host, source) }),
    }
    let subject = format!("{app}/certificate/{host}");
    let deed = Deed::new("certificate renew", &subject);
    let mut batch = deed.batch(caller);
    batch.put(&row.value, Expect::Rev(row.rev));
    batch.event(NewEvent::new("certificate.asked", &subject, "asked for now").by(caller.name.clone()));
    deed.only(state, batch).await?;
    let message = format!("a certificate for {host} is asked for now: lace route show {app}");
    Ok(Accepted { operation: None, message })
}

fn wished(state: &ApiState, app: &AppName, host: &str) -> Answer<CertificateSource> {
    let has_authority = state.store.get::<Authority>(AUTHORITY_KEY)?.is_some();
    let services = state.store.list::<Service>(&format!("{app}/"))?;
    let routes = services.iter().flat_map(|service| service.value.spec.routes.iter().flatten());
    lace_planner::wishes(routes, has_authority).remove(host).ok_or_else(|| {
        let message = format!("no certificate of {app} for {host} is obtained by Lace");
        Refusal::not_found(message).hint(
            "it wants a route with `tls = \"internal\"`, or with `tls = \"auto\"` and an authority: lace authority show",
        )
    })
}
