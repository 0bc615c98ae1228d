//! What every provider can do: say whether it lets us in, describe what it has, make machines and what they need, list and
//! delete what it made for us.
//!
//! - **Our id is the key.** Everything that is made carries a [`Key`] that the caller chose and wrote down before, and the
//!   installation that it belongs to. Making twice with one key finds the first result; deleting what is not there is done
//!   already. So a call that broke off is simply repeated.
//! - **Lists show what is ours**: by tag, of this installation only. What others made is not touched; machines of other
//!   installations are shown where they are asked for.
//! - **One value speaks to one region** with the credentials of one account.
//! - **Every call ends**: within the deadline that the provider was made with, with a result or with an [`Error`] that says
//!   whether repeating can help.

mod error;
mod key;
mod noun;

pub use error::{Error, Result};
pub use key::{BadKey, Key};
pub use noun::{
    Account, Address, EPOCH, HostKind, HostWanted, Instance, InstanceState, Limit, Network, NetworkWanted,
    Port, Stranger, Subnet, USER_DATA_BYTES_MAX, Volume, VolumeWanted,
};

use async_trait::async_trait;

/// An account at an infrastructure, in one region.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Asks who we are there.
    ///
    /// # Errors
    /// [`Error::Refused`] with what to change where the credentials do not serve.
    async fn check(&self) -> Result<Account>;

    /// The regions that this account may use.
    ///
    /// # Errors
    /// As every call: refused, throttled, temporary.
    async fn regions(&self) -> Result<Vec<String>>;

    /// The zones of this region that take machines.
    ///
    /// # Errors
    /// As every call.
    async fn zones(&self) -> Result<Vec<String>>;

    /// What machines of these kinds have.
    ///
    /// # Errors
    /// [`Error::Invalid`] names a kind that is not to be had.
    async fn kinds(&self, names: &[String]) -> Result<Vec<HostKind>>;

    /// How much may be had, and how much of that is in use by anybody in this account.
    ///
    /// # Errors
    /// As every call.
    async fn limits(&self) -> Result<Vec<Limit>>;

    /// Makes what machines live in, or finds it. Zones may be added later by asking again with the same key.
    ///
    /// # Errors
    /// [`Error::LimitReached`] before anything is made, where the limit is known. Whatever fails, what this call made is
    /// undone.
    async fn ensure_network(&self, wanted: &NetworkWanted) -> Result<Network>;

    /// Deletes a network, everything in the order that its parts need. What was adopted stays.
    ///
    /// # Errors
    /// [`Error::InUse`] while machines are in it; then nothing of it was deleted.
    async fn delete_network(&self, key: &Key) -> Result<()>;

    /// Makes a machine, or finds it. It boots afterwards.
    ///
    /// # Errors
    /// [`Error::NoCapacity`] where another zone, kind or pool may have room; [`Error::LimitReached`]; [`Error::Invalid`] for
    /// an image or kind that is not there, for user data that is too long, and for a key whose machine was deleted.
    async fn create_host(&self, wanted: &HostWanted) -> Result<Instance>;

    /// The machines of this installation that are not gone.
    ///
    /// # Errors
    /// As every call.
    async fn hosts(&self) -> Result<Vec<Instance>>;

    /// The machines of other installations in this account that are not gone: to be told of, never to be touched.
    ///
    /// # Errors
    /// As every call.
    async fn strangers(&self) -> Result<Vec<Stranger>>;

    /// Deletes a machine. It may be listed as leaving for a while.
    ///
    /// # Errors
    /// As every call.
    async fn delete_host(&self, key: &Key) -> Result<()>;

    /// Takes a public address that stays, or finds it.
    ///
    /// # Errors
    /// [`Error::LimitReached`].
    async fn create_address(&self, key: &Key) -> Result<Address>;

    /// The addresses of this installation.
    ///
    /// # Errors
    /// As every call.
    async fn addresses(&self) -> Result<Vec<Address>>;

    /// Leads an address to a machine, away from where it led.
    ///
    /// # Errors
    /// [`Error::NotFound`] where either is not there.
    async fn lead_address(&self, key: &Key, host: &Key) -> Result<()>;

    /// Gives an address back, wherever it leads.
    ///
    /// # Errors
    /// As every call.
    async fn delete_address(&self, key: &Key) -> Result<()>;

    /// Makes a volume, or finds it.
    ///
    /// # Errors
    /// [`Error::LimitReached`], [`Error::Invalid`].
    async fn create_volume(&self, wanted: &VolumeWanted) -> Result<Volume>;

    /// The volumes of this installation.
    ///
    /// # Errors
    /// As every call.
    async fn volumes(&self) -> Result<Vec<Volume>>;

    /// Attaches a volume to a machine of its zone.
    ///
    /// # Errors
    /// [`Error::NotFound`] where either is not there, [`Error::InUse`] where another machine has it.
    async fn attach_volume(&self, key: &Key, host: &Key) -> Result<()>;

    /// Deletes a volume with what is on it; taken off its machine first.
    ///
    /// # Errors
    /// As every call.
    async fn delete_volume(&self, key: &Key) -> Result<()>;
}
