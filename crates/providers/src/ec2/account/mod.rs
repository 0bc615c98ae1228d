//! EC2 as a provider: what all providers promise, in the words of EC2.
//!
//! Everything that we make has two tags: the installation's, and our id of it. Actions that make another thing each time
//! that they are asked (a VPC, an address) are asked only after a look by those tags; machines and volumes have client tokens
//! besides.

mod address;
mod describe;
mod host;
mod network;
mod volume;

use super::action::{Tag, Which};
use super::client::{Client, Patience, Place};
use super::credential::Chain;
use super::sign::sha256_hex;
use crate::provider::{
    Account, Address, Error, HostKind, HostWanted, Instance, Key, Limit, Network, NetworkWanted, Provider,
    Result, Stranger, Volume, VolumeWanted,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use tokio::sync::Mutex;

/// The tag whose value is the installation that made a thing.
pub const INSTALLATION: &str = "lace-installation";
/// The tag whose value is our id of a thing.
pub const KEY: &str = "lace-key";

/// An account at EC2, in one region, as an installation uses it.
pub struct Ec2 {
    client: Client,
    installation: String,
    limits: BTreeMap<String, u64>,
    /// Networks are made and deleted one at a time: what one call finds is what it made, or what was there before.
    network: Mutex<()>,
}

impl Ec2 {
    /// Nothing is asked yet. `limits` are the figures that were raised for this account, by their words
    /// ([`Provider::limits`] lists them); `hosts` may also lower what is had.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a place that cannot be, and for an installation that no tag may have: 1 to 64 letters, digits,
    /// `-` and `_`.
    pub fn new(
        place: &Place,
        chain: Chain,
        patience: Patience,
        installation: &str,
        limits: BTreeMap<String, u64>,
    ) -> Result<Self> {
        let sign = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=64).contains(&installation.len()) || !installation.chars().all(sign) {
            return Err(Error::invalid(format_args!("{installation:?} is no name of an installation")));
        }
        let client = Client::new(place, chain, patience)?;
        Ok(Self { client, installation: installation.to_owned(), limits, network: Mutex::new(()) })
    }

    /// What it asks with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The tags of what is made under this key.
    fn tags(&self, key: &Key, name: &str) -> Vec<Tag> {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        vec![tag("Name", name), tag(INSTALLATION, &self.installation), tag(KEY, key.as_str())]
    }

    /// What is the same for the same key, and for no other one of any installation of the account.
    fn token(&self, key: &Key) -> String {
        sha256_hex(format!("{}\n{key}", self.installation).as_bytes())
    }
}

/// Asks for what is ours under this key.
struct Ours<'a> {
    installation: [&'a str; 1],
    key: [&'a str; 1],
}

impl<'a> Ours<'a> {
    fn of(ec2: &'a Ec2, key: &'a Key) -> Self {
        Self { installation: [&ec2.installation], key: [key.as_str()] }
    }

    fn filters(&self) -> [(&'static str, &[&'a str]); 2] {
        [("tag:lace-installation", &self.installation), ("tag:lace-key", &self.key)]
    }
}

/// What is ours, whatever its key.
const OURS: &str = "tag:lace-installation";

#[async_trait]
impl Provider for Ec2 {
    async fn check(&self) -> Result<Account> {
        self.who().await
    }

    async fn regions(&self) -> Result<Vec<String>> {
        Ok(self.client.regions().await?)
    }

    async fn zones(&self) -> Result<Vec<String>> {
        self.open_zones().await
    }

    async fn kinds(&self, names: &[String]) -> Result<Vec<HostKind>> {
        self.kinds_of(names).await
    }

    async fn limits(&self) -> Result<Vec<Limit>> {
        self.all_limits().await
    }

    async fn ensure_network(&self, wanted: &NetworkWanted) -> Result<Network> {
        let _alone = self.network.lock().await;
        network::ensure(self, wanted).await
    }

    async fn delete_network(&self, key: &Key) -> Result<()> {
        let _alone = self.network.lock().await;
        network::delete(self, key).await
    }

    async fn create_host(&self, wanted: &HostWanted) -> Result<Instance> {
        host::create(self, wanted).await
    }

    async fn hosts(&self) -> Result<Vec<Instance>> {
        host::all(self).await
    }

    async fn strangers(&self) -> Result<Vec<Stranger>> {
        host::strangers(self).await
    }

    async fn delete_host(&self, key: &Key) -> Result<()> {
        host::delete(self, key).await
    }

    async fn create_address(&self, key: &Key) -> Result<Address> {
        address::create(self, key).await
    }

    async fn addresses(&self) -> Result<Vec<Address>> {
        address::found(self, Which::Filters(&[(OURS, &[&self.installation])])).await
    }

    async fn lead_address(&self, key: &Key, host: &Key) -> Result<()> {
        address::lead(self, key, host).await
    }

    async fn delete_address(&self, key: &Key) -> Result<()> {
        address::delete(self, key).await
    }

    async fn create_volume(&self, wanted: &VolumeWanted) -> Result<Volume> {
        volume::create(self, wanted).await
    }

    async fn volumes(&self) -> Result<Vec<Volume>> {
        volume::all(self).await
    }

    async fn attach_volume(&self, key: &Key, host: &Key) -> Result<()> {
        volume::attach(self, key, host).await
    }

    async fn delete_volume(&self, key: &Key) -> Result<()> {
        volume::delete(self, key).await
    }
}
