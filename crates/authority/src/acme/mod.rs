//! One order at a public authority, from the account to the chain (RFC 8555 section 7).

mod account;
mod http;

use crate::Refused;
use crate::doors::Doors;
use http::Http;
use instant_acme::{
    AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus, Problem,
};
use lace_model::authority::{Authority, Challenge, ChallengeKind};
use lace_store::Store;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// An authority that has not decided after this time is left.
const DECIDED_WITHIN: Duration = Duration::from_secs(120);
/// Between looks at an order; a little longer each time.
const LOOK_MIN: Duration = Duration::from_millis(250);
const LOOK_MAX: Duration = Duration::from_secs(5);
/// What an authority says when it does not know the account (RFC 8555 section 6.7): it lost it, or is another one.
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// Orders a certificate. The doors show its challenges meanwhile.
///
/// Returns the chain and its key, one PEM text.
pub(crate) async fn order(
    store: &Store,
    authority: &Authority,
    (host, kind): (&str, ChallengeKind),
    doors: &Doors<'_>,
) -> Result<String, Refused> {
    let http = Http::new(authority)?;
    let told = |error: Error| Refused { cause: words(&error), later: http.later() };
    let account = account::open(store, authority, http.clone()).await?;
    let names = [Identifier::Dns(host.to_owned())];
    let mut order = match account.new_order(&NewOrder::new(&names)).await {
        Err(error) if is_unknown_account(&error) => {
            account::forget(store, authority)?;
            return Err(told(error));
        }
        placed => placed.map_err(told)?,
    };
    prove(&mut order, (host, kind), doors)
        .await
        .map_err(|refused| Refused { later: http.later(), ..refused })?;
    let until = Instant::now() + DECIDED_WITHIN;
    if decided(&mut order, until, |s| s != OrderStatus::Pending).await.map_err(told)? == OrderStatus::Invalid
    {
        return Err(Refused { later: http.later(), ..why_not(&mut order, kind).await });
    }
    let (request, key) = request(host)?;
    order.finalize_csr(&request).await.map_err(told)?;
    let is_made = |status| matches!(status, OrderStatus::Valid | OrderStatus::Invalid);
    decided(&mut order, until, is_made).await.map_err(told)?;
    let chain = order.certificate().await.map_err(told)?;
    let chain = chain.ok_or_else(|| Refused::new("the authority does not finish the order"))?;
    Ok(format!("{}\n{key}", chain.trim_end()))
}

/// Shows what the authority wants to see, where it does not know already that the name is ours.
async fn prove(
    order: &mut Order,
    (host, kind): (&str, ChallengeKind),
    doors: &Doors<'_>,
) -> Result<(), Refused> {
    let told = |error: Error| Refused::new(words(&error));
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(told)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let offered = authorization.challenge(kind_of(kind));
        let mut challenge =
            offered.ok_or_else(|| Refused::new(format_args!("the authority does not offer {kind}")))?;
        let authorization = challenge.key_authorization().as_str().to_owned();
        let token = challenge.token.clone();
        doors.show(Challenge { host: host.to_owned(), token, authorization }).await?;
        challenge.set_ready().await.map_err(told)?;
    }
    Ok(())
}

fn kind_of(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
    }
}

/// Looks until the order is as it shall be.
async fn decided(
    order: &mut Order,
    until: Instant,
    is_so: impl Fn(OrderStatus) -> bool,
) -> Result<OrderStatus, Error> {
    let mut pause = LOOK_MIN;
    loop {
        let status = order.refresh().await?.status;
        if is_so(status) {
            return Ok(status);
        }
        if Instant::now() >= until {
            return Err(Error::Timeout(None));
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LOOK_MAX);
    }
}

/// Which challenge failed, and what the authority saw.
async fn why_not(order: &mut Order, kind: ChallengeKind) -> Refused {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let seen = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = seen {
            return Refused::new(format_args!(
                "the authority did not find the name ours by {kind}: {}",
                detail(problem)
            ));
        }
    }
    let said = order.state().error.as_ref().map(detail);
    let said = said.unwrap_or_else(|| "it does not say why".to_owned());
    Refused::new(format_args!("the authority refused the order: {said}"))
}

/// A request for the name alone, and its fresh key.
fn request(host: &str) -> Result<(Vec<u8>, String), Refused> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key)?;
    Ok((request.der().to_vec(), key.serialize_pem()))
}

fn is_unknown_account(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref() == Some(NO_ACCOUNT))
}

fn words(error: &Error) -> String {
    match error {
        Error::Api(problem) => format!("the authority says: {}", detail(problem)),
        Error::Timeout(_) => format!("the authority did not decide within {} s", DECIDED_WITHIN.as_secs()),
        Error::Json(_) => {
            "the authority's answer is none of ACME: is this the address of its directory?".to_owned()
        }
        other => format!("the authority: {other}"),
    }
}

fn detail(problem: &Problem) -> String {
    let inner = problem.subproblems.iter().find_map(|inner| inner.detail.as_deref());
    let said = problem.detail.as_deref().or(inner).or(problem.r#type.as_deref());
    said.unwrap_or("no reason").to_owned()
}
