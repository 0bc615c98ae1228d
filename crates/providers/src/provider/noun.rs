//! What is made at providers, and what is known of it.

use super::Key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The script that a machine boots with has at most so many bytes (EC2: 16 KiB before base64).
pub const USER_DATA_BYTES_MAX: usize = 16 << 10;

/// The tag of machines that names the controller's epoch in which each was ordered.
pub const EPOCH: &str = "lace-epoch";

/// Who we are at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account, in its words.
    pub id: String,
    /// The user or role that the credentials belong to.
    pub user: String,
    /// Where the credentials came from: given, environment, profile, or the machine's own role.
    pub source: &'static str,
}

/// A kind of machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKind {
    /// Its name there.
    pub name: String,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Processor, as images name it: `x86_64`, `arm64`.
    pub architectures: Vec<String>,
}

/// How much may be had of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Of what: a word that the provider's settings may raise.
    pub name: &'static str,
    /// Of what, for people.
    pub which: &'static str,
    /// How many may be had.
    pub allowed: u64,
    /// How many are in use by anybody in this account, where it is known.
    pub used: Option<u64>,
    /// How it is raised.
    pub raise: &'static str,
}

/// A door of machines to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// First port.
    pub from: u16,
    /// Last port.
    pub to: u16,
    /// Who may come in, as ranges such as `0.0.0.0/0`.
    pub sources: Vec<String>,
}

impl Port {
    /// One port over TCP, for these ranges.
    pub fn tcp(port: u16, sources: &[&str]) -> Self {
        let sources = sources.iter().map(|&range| range.to_owned()).collect();
        Self { protocol: "tcp", from: port, to: port, sources }
    }
}

/// A network as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkWanted {
    /// Our id of it.
    pub key: Key,
    /// The range of its addresses, such as `10.80.0.0/16`: each zone gets a 256th of it.
    pub range: String,
    /// In which zones there shall be machines.
    pub zones: Vec<String>,
    /// A network of somebody else to live in (EC2: `vpc-…`), with a subnet in each zone: nothing of it is changed or deleted,
    /// machines get a group of rules of their own there.
    pub adopt: Option<String>,
    /// Who may come in from outside. Inside, everybody may.
    pub ports: Vec<Port>,
    /// A public key, in OpenSSH's form, whose owner may log in.
    pub login: Option<String>,
}

/// Where machines of a zone are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id there.
    pub id: String,
    /// Its zone.
    pub zone: String,
    /// Its range.
    pub range: String,
}

/// A network that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Our id of it.
    pub key: Key,
    /// Its id there.
    pub id: String,
    /// Its range.
    pub range: String,
    /// Where machines are, a subnet for each zone.
    pub subnets: Vec<Subnet>,
    /// The group of rules that its machines are in.
    pub group: String,
    /// The name of the key whose owner may log in.
    pub login: Option<String>,
    /// Whether it is somebody else's.
    pub adopted: bool,
}

/// A machine as it shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostWanted {
    /// Our id of it; one key makes one machine, ever.
    pub key: Key,
    /// What people shall see it called there.
    pub name: String,
    /// Where it shall be.
    pub network: Network,
    /// In which zone of the network; the first where not said.
    pub zone: Option<String>,
    /// Its kind.
    pub kind: String,
    /// What it boots from.
    pub image: String,
    /// The script that it runs at its first boot.
    pub user_data: String,
    /// Cheaper, and taken away when somebody pays more.
    pub spot: bool,
    /// Size of its first disk in GiB; the image's where not said.
    pub disk_gib: Option<u32>,
    /// More tags.
    pub tags: BTreeMap<String, String>,
}

/// How far a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum InstanceState {
    /// It is being made.
    Pending,
    /// It runs; whether it has booted is not known to the provider.
    Running,
    /// It stands still, and costs its disk.
    Stopped,
    /// It is on its way out.
    Leaving,
    /// It was there.
    Gone,
}

/// A machine that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id there.
    pub id: String,
    /// Our id of it.
    pub key: Key,
    /// How far it is.
    pub state: InstanceState,
    /// Why it is so, in the provider's words.
    pub reason: Option<String>,
    /// Its zone.
    pub zone: String,
    /// Its kind.
    pub kind: String,
    /// Its address inside.
    pub private: Option<Ipv4Addr>,
    /// Its address outside.
    pub public: Option<Ipv4Addr>,
    /// The controller's epoch in which it was ordered, where its tag says so ([`EPOCH`]).
    #[serde(default)]
    pub epoch: Option<u64>,
}

/// A machine of another installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    /// Its id there.
    pub id: String,
    /// Whose it is.
    pub installation: String,
}

/// A public address that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Its id there.
    pub id: String,
    /// Our id of it.
    pub key: Key,
    /// The address.
    pub ip: Ipv4Addr,
    /// The id there of the machine that it leads to.
    pub leads_to: Option<String>,
}

/// A volume as it shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeWanted {
    /// Our id of it.
    pub key: Key,
    /// Its zone.
    pub zone: String,
    /// Its size in GiB.
    pub size_gib: u32,
    /// Its kind there, such as `gp3`; the provider's usual one where not said.
    pub kind: Option<String>,
}

/// A volume that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its id there.
    pub id: String,
    /// Our id of it.
    pub key: Key,
    /// Its zone.
    pub zone: String,
    /// Its size in GiB.
    pub size_gib: u32,
    /// The id there of the machine that has it.
    pub attached: Option<String>,
}
