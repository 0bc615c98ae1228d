//! EC2: our client against a server that says what a test wants, and our provider against moto (PyPI), which simulates EC2
//! with its checks of signatures and rights, behind a proxy of ours for what moto does not do.

mod account;
mod client;
mod fake;
mod moto;
mod proxy;
mod saga;

/// For loopback, without anything around it.
fn http() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls.expect("tls").with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().expect("client")
}
