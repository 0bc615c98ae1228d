//! Certificates for routes: the chain may be looked at, the key goes in and never comes out.

mod read;
mod renew;

pub(crate) use renew::renew;

use crate::ask::{At, Raw};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::certificate::{CERTIFICATES_MAX, Certificate, CertificateSource, pattern, secret_of};
use lace_model::event::NewEvent;
use lace_model::family::Application;
use lace_model::secret::SECRET_BYTES_MAX;
use lace_model::{AppName, Code, Digest};
use lace_store::{Expect, Row, SecretValue};
use lace_wire::api::Accepted;

/// `GET /v1/apps/{app}/certificates`.
pub(crate) async fn list(
    State(state): State<ApiState>,
    At(app): At<AppName>,
) -> Answer<Json<Vec<Certificate>>> {
    Ok(Json(stored(&state, &app)?.value.certificates))
}

/// `PUT /v1/apps/{app}/certificates/{host}`: the chain and the key, one PEM text.
pub(crate) async fn put(
    State(state): State<ApiState>,
    caller: Caller,
    At((app, host)): At<(AppName, String)>,
    Raw(pem): Raw,
) -> Answer<Json<Accepted>> {
    let host = pattern(&host).map_err(Refusal::usage)?;
    if pem.len() > SECRET_BYTES_MAX {
        return Err(Refusal::too_large(SECRET_BYTES_MAX));
    }
    let found = read::read(&pem, &host, state.now())?;
    let live = stored(&state, &app)?.value;
    let others = live.certificates.iter().filter(|c| c.host != host).count();
    if others >= CERTIFICATES_MAX {
        let message = format!("{app} has {CERTIFICATES_MAX} certificates already");
        return Err(Refusal::new(Code::TooLarge, message).hint(format!("lace route cert list {app}")));
    }
    let digest = Digest::of(&pem);
    if live.certificates.iter().any(|c| c.host == host && c.digest == digest) {
        let message = format!("{app} has this very certificate for {host} already");
        return Ok(Json(Accepted { operation: None, message }));
    }
    let deed = Deed::new("certificate seal", format!("{app}/certificate/{host}"));
    let mut batch = deed.batch(&caller);
    batch.secret_put(&app, &secret_of(&host), SecretValue::new(pem.to_vec()), false);
    let version = deed.only(&state, batch).await?.secrets.first().map_or(1, |s| s.2);
    // Were this cut short, a version would lie there that nothing names; the next one goes before it.
    let certificate = Certificate {
        host: host.clone(),
        names: found.names,
        not_before: found.not_before,
        not_after: found.not_after,
        issuer: found.issuer,
        digest,
        version,
        added_at: state.now(),
        warned_days: None,
        source: CertificateSource::Given,
    };
    again(|| keep(&state, &caller, &app, &certificate)).await?;
    let message = format!("{app} has a certificate for {host}; doors present it from the next connection on");
    Ok(Json(Accepted { operation: None, message }))
}

async fn keep(state: &ApiState, caller: &Caller, app: &AppName, certificate: &Certificate) -> Answer<()> {
    let mut row = stored(state, app)?;
    let (host, until) = (&certificate.host, read::day(certificate.not_after));
    row.value.certificates.retain(|c| c.host != *host);
    row.value.certificates.push(certificate.clone());
    row.value.certificates.sort_by(|a, b| a.host.cmp(&b.host));
    let subject = format!("{app}/certificate/{host}");
    let deed = Deed::new("certificate add", &subject);
    let mut batch = deed.batch(caller);
    batch.put(&row.value, Expect::Rev(row.rev));
    let names = certificate.names.join(", ");
    let told = format!("good for {names} until {until}");
    batch.event(NewEvent::new("certificate.added", &subject, told).by(caller.name.clone()));
    deed.only(state, batch).await.map(drop)
}

/// `DELETE /v1/apps/{app}/certificates/{host}`.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    At((app, host)): At<(AppName, String)>,
) -> Answer<Json<Accepted>> {
    let host = pattern(&host).map_err(Refusal::usage)?;
    Ok(Json(again(|| delete_once(&state, &caller, &app, &host)).await?))
}

async fn delete_once(state: &ApiState, caller: &Caller, app: &AppName, host: &str) -> Answer<Accepted> {
    let mut row = stored(state, app)?;
    let before = row.value.certificates.len();
    let is_given = row.value.certificates.iter().any(|c| c.host == host && c.source.is_given());
    row.value.certificates.retain(|c| c.host != host);
    if row.value.certificates.len() == before {
        return Err(Refusal::not_found(format_args!("certificate of {app} for {host}"))
            .hint(format!("lace route cert list {app}")));
    }
    let subject = format!("{app}/certificate/{host}");
    let deed = Deed::light("certificate remove", &subject);
    let mut batch = deed.batch(caller);
    batch.put(&row.value, Expect::Rev(row.rev));
    batch.secret_remove(app, &secret_of(host));
    batch.event(
        NewEvent::new("certificate.removed", &subject, "removed with its key").by(caller.name.clone()),
    );
    deed.only(state, batch).await?;
    let message = match is_given {
        true => format!("the certificate of {app} for {host} is removed; its routes are plain HTTP again"),
        false => {
            format!(
                "the certificate of {app} for {host} is removed; another is obtained while a route wants one"
            )
        }
    };
    Ok(Accepted { operation: None, message })
}

fn stored(state: &ApiState, app: &AppName) -> Answer<Row<Application>> {
    let found = state.store.get::<Application>(app.as_str())?;
    found.ok_or_else(|| {
        Refusal::not_found(format_args!("application {app}"))
            .hint(format!("make it first: lace app create {app}"))
    })
}
