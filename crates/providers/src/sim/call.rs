//! The calls of providers as words, for simulated accounts that are kept in another process.

use super::Cloud;
use crate::provider::{Error, HostWanted, Key, NetworkWanted, Provider, Result, VolumeWanted};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A call, and who asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Whose account.
    pub installation: String,
    /// Whether it is let in.
    pub secret: String,
    /// What is asked.
    pub asked: Asked,
}

/// The calls of [`Provider`], named as they are there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "named as the calls of the trait")]
pub enum Asked {
    Check,
    Regions,
    Zones,
    Kinds(Vec<String>),
    Limits,
    /// Simulated networks have neither doors nor logins.
    EnsureNetwork {
        key: Key,
        range: String,
        zones: Vec<String>,
        adopt: Option<String>,
    },
    DeleteNetwork(Key),
    CreateHost(Box<HostWanted>),
    Hosts,
    Strangers,
    DeleteHost(Key),
    CreateAddress(Key),
    Addresses,
    LeadAddress(Key, Key),
    DeleteAddress(Key),
    CreateVolume(VolumeWanted),
    Volumes,
    AttachVolume(Key, Key),
    DeleteVolume(Key),
}

fn told<T: Serialize>(value: Result<T>) -> Result<Value> {
    serde_json::to_value(value?).map_err(Error::temporary)
}

impl Cloud {
    /// Does what is asked; the answer is the call's result as JSON.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn answer(&self, question: Question) -> Result<Value> {
        let account = self.open(&question.installation, &question.secret);
        match question.asked {
            Asked::Check => told(account.check().await.map(|known| (known.id, known.user))),
            Asked::Regions => told(account.regions().await),
            Asked::Zones => told(account.zones().await),
            Asked::Kinds(names) => told(account.kinds(&names).await),
            Asked::Limits => {
                let limits = account.limits().await?;
                told(Ok(limits.into_iter().map(|limit| (limit.allowed, limit.used)).collect::<Vec<_>>()))
            }
            Asked::EnsureNetwork { key, range, zones, adopt } => {
                let wanted = NetworkWanted { key, range, zones, adopt, ports: Vec::new(), login: None };
                told(account.ensure_network(&wanted).await)
            }
            Asked::DeleteNetwork(key) => told(account.delete_network(&key).await),
            Asked::CreateHost(wanted) => told(account.create_host(&wanted).await),
            Asked::Hosts => told(account.hosts().await),
            Asked::Strangers => told(account.strangers().await),
            Asked::DeleteHost(key) => told(account.delete_host(&key).await),
            Asked::CreateAddress(key) => told(account.create_address(&key).await),
            Asked::Addresses => told(account.addresses().await),
            Asked::LeadAddress(key, host) => told(account.lead_address(&key, &host).await),
            Asked::DeleteAddress(key) => told(account.delete_address(&key).await),
            Asked::CreateVolume(wanted) => told(account.create_volume(&wanted).await),
            Asked::Volumes => told(account.volumes().await),
            Asked::AttachVolume(key, host) => told(account.attach_volume(&key, &host).await),
            Asked::DeleteVolume(key) => told(account.delete_volume(&key).await),
        }
    }
}
