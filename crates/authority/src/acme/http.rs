//! Requests to an authority: encrypted, bounded in size and time, and what it says about when to come back.

use crate::Refused;
use bytes::Bytes;
use futures::TryStreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use lace_model::Millis;
use lace_model::authority::Authority;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Longest answer: a chain of certificates has a few kilobytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// One client for one authority.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    later_ms: Arc<AtomicU64>,
}

impl Http {
    pub fn new(authority: &Authority) -> Result<Self, Refused> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true)
            .tls_backend_preconfigured(tls(authority.ca.as_deref())?)
            .build()
            .map_err(Refused::new)?;
        Ok(Self { client, later_ms: Arc::default() })
    }

    /// For how long the authority wants to be left alone.
    pub fn later(&self) -> Option<Millis> {
        Some(self.later_ms.load(Relaxed)).filter(|ms| *ms > 0)
    }

    async fn send(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Fault> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await.map(|body| body.to_bytes());
        let url = parts.uri.to_string();
        let sent = self.client.request(parts.method, &url).headers(parts.headers).body(body).send().await;
        let answer = sent.map_err(|error| words(&error))?;
        if matches!(answer.status().as_u16(), 429 | 503) {
            let said = answer.headers().get(http::header::RETRY_AFTER);
            let seconds = said.and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
            self.later_ms.store(seconds.unwrap_or(0).saturating_mul(1_000), Relaxed);
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut stream = answer.bytes_stream();
        let mut whole = Vec::new();
        while let Some(bytes) = stream.try_next().await.map_err(|error| words(&error))? {
            if whole.len() + bytes.len() > ANSWER_BYTES_MAX {
                return Err(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes").into());
            }
            whole.extend_from_slice(&bytes);
        }
        let mut response = Response::new(Full::new(Bytes::from(whole)));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(BytesResponse::from(response))
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move { this.send(request).await.map_err(Error::Other) })
    }
}

/// The innermost cause says what is wrong: refused, no such host, unknown issuer.
fn words(error: &reqwest::Error) -> Fault {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let at = error.url().and_then(|url| url.host_str()).unwrap_or("it");
    format!("{at} cannot be reached: {inner}").into()
}

fn tls(ca: Option<&str>) -> Result<ClientConfig, Refused> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Refused::new)?;
    let Some(pem) = ca else {
        let trusting = builder.with_platform_verifier().map_err(Refused::new)?;
        return Ok(trusting.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(Refused::new)?).map_err(Refused::new)?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
