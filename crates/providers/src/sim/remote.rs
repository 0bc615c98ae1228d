//! A simulated account in another process, over HTTP on this machine.

use super::call::{Asked, Question};
use super::world::limits;
use crate::provider::{
    Account, Address, Error, HostKind, HostWanted, Instance, Key, Limit, Network, NetworkWanted, Provider,
    Result, Stranger, Volume, VolumeWanted,
};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// One call ends within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// A list of ten thousand machines has about four megabytes.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// An installation's account at a simulated provider that another process keeps.
pub struct Remote {
    http: reqwest::Client,
    at: String,
    installation: String,
    secret: String,
}

impl Remote {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address that is none of this machine's own: nothing there is encrypted.
    pub fn new(endpoint: &str, installation: &str, secret: &str) -> Result<Self> {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::invalid(format_args!("simulated provider at {endpoint}: {why}"))
        };
        let url = reqwest::Url::parse(endpoint).map_err(|error| wrong(&error))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if url.scheme() != "http" || !host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
            return Err(wrong(&"write http://127.0.0.1:PORT, where `lace sim` listens"));
        }
        let http = crate::ec2::plain_http(ANSWER_WITHIN)?;
        let at = format!("{}/call", endpoint.trim_end_matches('/'));
        Ok(Self { http, at, installation: installation.to_owned(), secret: secret.to_owned() })
    }

    async fn ask<T: DeserializeOwned>(&self, asked: Asked) -> Result<T> {
        let question =
            Question { installation: self.installation.clone(), secret: self.secret.clone(), asked };
        let body = serde_json::to_vec(&question).map_err(Error::temporary)?;
        let silent = |error: &dyn std::fmt::Display| {
            Error::temporary(format_args!("the simulated provider does not answer: {error}"))
        };
        let sent = self.http.post(&self.at).body(body).send().await;
        let mut answer = sent.map_err(|error| silent(&error.without_url()))?;
        let mut whole = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| silent(&error.without_url()))? {
            if whole.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(silent(&format_args!("its answer is longer than {ANSWER_BYTES_MAX} bytes")));
            }
            whole.extend_from_slice(&part);
        }
        let told: Result<serde_json::Value> =
            serde_json::from_slice(&whole).map_err(|error| silent(&error))?;
        serde_json::from_value(told?).map_err(|error| silent(&error))
    }
}

#[async_trait]
impl Provider for Remote {
    async fn check(&self) -> Result<Account> {
        let (id, user) = self.ask(Asked::Check).await?;
        Ok(Account { id, user, source: "given" })
    }

    async fn regions(&self) -> Result<Vec<String>> {
        self.ask(Asked::Regions).await
    }

    async fn zones(&self) -> Result<Vec<String>> {
        self.ask(Asked::Zones).await
    }

    async fn kinds(&self, names: &[String]) -> Result<Vec<HostKind>> {
        self.ask(Asked::Kinds(names.to_vec())).await
    }

    async fn limits(&self) -> Result<Vec<Limit>> {
        let figures: [(u64, Option<u64>); 4] = self.ask(Asked::Limits).await?;
        Ok(limits(figures))
    }

    async fn ensure_network(&self, wanted: &NetworkWanted) -> Result<Network> {
        let NetworkWanted { key, range, zones, adopt, .. } = wanted.clone();
        self.ask(Asked::EnsureNetwork { key, range, zones, adopt }).await
    }

    async fn delete_network(&self, key: &Key) -> Result<()> {
        self.ask(Asked::DeleteNetwork(key.clone())).await
    }

    async fn create_host(&self, wanted: &HostWanted) -> Result<Instance> {
        self.ask(Asked::CreateHost(Box::new(wanted.clone()))).await
    }

    async fn hosts(&self) -> Result<Vec<Instance>> {
        self.ask(Asked::Hosts).await
    }

    async fn strangers(&self) -> Result<Vec<Stranger>> {
        self.ask(Asked::Strangers).await
    }

    async fn delete_host(&self, key: &Key) -> Result<()> {
        self.ask(Asked::DeleteHost(key.clone())).await
    }

    async fn create_address(&self, key: &Key) -> Result<Address> {
        self.ask(Asked::CreateAddress(key.clone())).await
    }

    async fn addresses(&self) -> Result<Vec<Address>> {
        self.ask(Asked::Addresses).await
    }

    async fn lead_address(&self, key: &Key, host: &Key) -> Result<()> {
        self.ask(Asked::LeadAddress(key.clone(), host.clone())).await
    }

    async fn delete_address(&self, key: &Key) -> Result<()> {
        self.ask(Asked::DeleteAddress(key.clone())).await
    }

    async fn create_volume(&self, wanted: &VolumeWanted) -> Result<Volume> {
        self.ask(Asked::CreateVolume(wanted.clone())).await
    }

    async fn volumes(&self) -> Result<Vec<Volume>> {
        self.ask(Asked::Volumes).await
    }

    async fn attach_volume(&self, key: &Key, host: &Key) -> Result<()> {
        self.ask(Asked::AttachVolume(key.clone(), host.clone())).await
    }

    async fn delete_volume(&self, key: &Key) -> Result<()> {
        self.ask(Asked::DeleteVolume(key.clone())).await
    }
}
