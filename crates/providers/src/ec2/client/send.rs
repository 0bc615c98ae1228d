//! One question on its way: signed, sent, and its answer read.

use super::super::credential::Credentials;
use super::super::fault::Fault;
use super::super::query::{Query, Service};
use super::super::sign::{Request, Signer, sha256_hex};
use super::super::xml::Element;
use super::{Place, wrong};
use crate::provider::{Error, Result};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;
use std::time::Duration;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A page of a thousand machines has about four megabytes.
const ANSWER_BYTES_MAX: usize = 32 << 20;
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// What is read of an answer that is no XML, for its words.
const WORDS_MAX: usize = 200;

/// Connections, and where they lead.
pub(super) struct Http {
    client: reqwest::Client,
    plain: reqwest::Client,
    pub region: String,
    endpoint: Option<String>,
}

/// A client for what is on this machine: without a proxy, and as strict about certificates as all.
///
/// # Errors
/// [`Error::Invalid`] where this machine has no authorities to trust.
pub fn plain_http(answer: Duration) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_WITHIN.min(answer))
        .timeout(answer)
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(tls()?)
        .no_proxy();
    builder.build().map_err(|e| wrong(format!("nothing can be asked: {e}")))
}

impl Http {
    pub fn new(place: &Place, answer: Duration) -> Result<Self> {
        let region = place.region.clone();
        let sign = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.is_empty() || region.len() > 32 || !region.chars().all(sign) {
            return Err(wrong(format!("{region:?} is no region: write one such as eu-west-1")));
        }
        let endpoint = place.endpoint.as_deref().map(endpoint).transpose()?;
        let client = |proxied: bool| {
            let builder = reqwest::Client::builder()
                .connect_timeout(CONNECT_WITHIN.min(answer))
                .timeout(answer)
                .redirect(reqwest::redirect::Policy::none())
                .tls_backend_preconfigured(tls()?);
            let builder = if proxied { builder } else { builder.no_proxy() };
            builder.build().map_err(|e| wrong(format!("EC2 cannot be asked: {e}")))
        };
        // What is on this machine or its link is never behind a proxy.
        let near = endpoint.as_deref().is_some_and(|at| at.starts_with("http://"));
        Ok(Self { client: client(!near)?, plain: client(false)?, region, endpoint })
    }

    /// For what the machine tells of itself.
    pub fn plain(&self) -> &reqwest::Client {
        &self.plain
    }

    /// Asks once.
    pub async fn ask(&self, query: &Query, who: &Credentials) -> std::result::Result<Element, Fault> {
        let (action, body) = (query.action, query.body());
        let silent = |why: String| Fault::Silent { action, why };
        let at = self.at(query.service);
        let request =
            self.client.post(format!("{at}/")).headers(self.headers(query, who, &at, &body)).body(body);
        let mut answer = request.send().await.map_err(|e| silent(innermost(&e)))?;
        let status = answer.status().as_u16();
        let mut whole = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|e| silent(innermost(&e)))? {
            if whole.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(silent(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes")));
            }
            whole.extend_from_slice(&part);
        }
        match (Element::parse(&whole), status) {
            (Ok(answer), 200..=299) if is_for(&answer, action) => Ok(answer),
            (Ok(answer), 200..=299) => Err(silent(format!("it was answered by {}", answer.name))),
            (Ok(answer), _) => Err(refused(action, status, &answer)),
            (Err(why), _) => {
                let words: String = String::from_utf8_lossy(&whole).chars().take(WORDS_MAX).collect();
                let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
                Err(silent(format!("its answer {status} cannot be read ({why}): {words}")))
            }
        }
    }

    fn at(&self, service: Service) -> String {
        let (region, service) = (&self.region, service.word());
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        self.endpoint.clone().unwrap_or_else(|| format!("https://{service}.{region}.amazonaws.com{china}"))
    }

    fn headers(&self, query: &Query, who: &Credentials, at: &str, body: &str) -> reqwest::header::HeaderMap {
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let host = at.split_once("://").map_or(at, |(_, host)| host);
        let digest = sha256_hex(body.as_bytes());
        let mut signed = vec![
            ("content-type", FORM),
            ("host", host),
            ("x-amz-content-sha256", digest.as_str()),
            ("x-amz-date", time.as_str()),
        ];
        signed.extend(who.token.as_deref().map(|token| ("x-amz-security-token", token)));
        let (id, secret, region) = (&who.id, &who.secret, &self.region);
        let signer = Signer { id, secret, region, service: query.service.word(), time: &time };
        let request = Request { method: "POST", headers: &signed, body: body.as_bytes() };
        let authorization = signer.authorization(&request);
        let all = signed.into_iter().chain([("authorization", authorization.as_str())]);
        // A credential that no header may have is one that the service does not know: it is left out, and refused there.
        all.filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect()
    }
}

/// Plain HTTP goes to this machine only.
fn endpoint(text: &str) -> Result<String> {
    let bad = |why: &str| wrong(format!("{text:?} is no endpoint of EC2: {why}"));
    let url = reqwest::Url::parse(text).map_err(|e| bad(&e.to_string()))?;
    let host = url.host_str().ok_or_else(|| bad("it names no host"))?;
    if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
        return Err(bad("write https://HOST, and nothing after it"));
    }
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Err(bad("it must begin with https://; http:// is for this machine's own addresses")),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn tls() -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let trusting = builder.and_then(BuilderVerifierExt::with_platform_verifier);
    let config = trusting.map_err(|e| Error::refused(e, "install the package ca-certificates"))?;
    Ok(config.with_no_client_auth())
}

/// Something in between may answer in the service's place, with XML of its own.
fn is_for(answer: &Element, action: &str) -> bool {
    answer.name.strip_suffix("Response") == Some(action)
}

/// Both shapes: EC2's `Response/Errors/Error`, and `ErrorResponse/Error` of the others.
fn refused(action: &'static str, status: u16, answer: &Element) -> Fault {
    let error = answer.child("Errors").unwrap_or(answer).child("Error");
    let said = |name: &str| error.and_then(|error| error.text(name)).unwrap_or("not said").to_owned();
    Fault::Said { action, status, code: said("Code"), message: said("Message") }
}

/// The cause behind the layers.
fn innermost(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
