//! The client of the HTTP API: one typed method for each endpoint of [`crate::api`].
//!
//! This room knows addresses, tokens, certificates and retries. It decides nothing about what it carries; failures
//! come back as the [`Problem`]s that the controller sent, or as [`Code::Unreachable`] where none answers.

mod calls;
mod download;
mod events;
mod people;
mod routes;
mod send;
mod stream;
mod tls;

pub use download::{Downloaded, download};
pub use events::{EventFeed, SseDecoder, SseMessage};
pub use stream::{decode_frame, encode_frame};

use lace_model::{Code, Problem};
use reqwest::Url;
use std::sync::Arc;
use std::time::Duration;

/// Where a controller of this machine listens.
pub const URL_DEFAULT: &str = "http://127.0.0.1:7440";
/// How long a call may take beyond what it asks the controller to wait.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one connection attempt may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long a command that has not begun yet tries to reach a controller.
pub const RETRY_FOR: Duration = Duration::from_millis(300);
/// For how long something that is being watched outlives a controller that is away.
pub const RETRY_WATCHING: Duration = Duration::from_secs(30);

/// Which controller, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// `http://127.0.0.1:7440` or `https://...`; plain HTTP is for loopback only.
    pub url: String,
    /// The token, if any.
    pub token: Option<String>,
    /// The PEM text of the only authority that is trusted; the system's where none is given.
    pub ca: Option<String>,
}

/// A client of one controller. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Arc<str>>,
    tls: Option<Arc<rustls::ClientConfig>>,
    retry_for: Duration,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Code::Usage`] where the address is no URL, is plain HTTP beyond loopback, or the PEM text holds no certificate.
    pub fn new(endpoint: &Endpoint) -> Result<Self, Problem> {
        crate::install_crypto();
        let base = parse_url(&endpoint.url)?;
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        let (builder, tls) = if base.scheme() == "https" {
            let config = tls::config(endpoint.ca.as_deref())?;
            (builder.tls_backend_preconfigured(config.clone()), Some(Arc::new(config)))
        } else {
            (builder.tls_certs_only([]), None)
        };
        let http = builder
            .build()
            .map_err(|e| Problem::new(Code::Error, format!("cannot make an HTTP client: {e}")))?;
        let token = endpoint.token.as_deref().map(Arc::from);
        Ok(Self { http, base, token, tls, retry_for: RETRY_FOR })
    }

    /// The same client, trying for so long to reach a controller.
    #[must_use]
    pub fn retrying_for(&self, time: Duration) -> Self {
        Self { retry_for: time, ..self.clone() }
    }

    /// The controller's address.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }
}

fn parse_url(text: &str) -> Result<Url, Problem> {
    let bad = |why: &str| {
        Problem::new(Code::Usage, format!("{text:?} is not a controller's address: {why}"))
            .hint("write http://127.0.0.1:7440 or https://HOST:PORT")
    };
    let url = Url::parse(text).map_err(|e| bad(&e.to_string()))?;
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if is_loopback(host) => Ok(url),
        ("http", Some(_)) => Err(bad("plain http is for this machine only")),
        _ => Err(bad("it does not begin with http:// or https://")),
    }
}

/// Is it a name or an address of this machine only?
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        let cases = [
            ("http://127.0.0.1:7440", true),
            ("http://localhost:7440", true),
            ("http://[::1]:7440", true),
            ("https://lace.example.com", true),
            ("http://10.0.0.1:7440", false),
            ("http://lace.example.com", false),
            ("ftp://127.0.0.1", false),
            ("127.0.0.1:7440", false),
            ("", false),
        ];
        for (url, good) in cases {
            assert_eq!(parse_url(url).is_ok(), good, "{url}");
        }
    }

    #[test]
    fn a_pem_without_certificate_is_refused() {
        let endpoint = Endpoint {
            url: "https://lace.example.com".into(),
            token: None,
            ca: Some("no certificate".into()),
        };
        let problem = Client::new(&endpoint).err().expect("refused");
        assert_eq!(problem.code, Code::Usage);
    }
}
