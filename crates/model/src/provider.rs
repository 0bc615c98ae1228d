//! Providers: accounts at an infrastructure.

use crate::{Millis, Name};
use serde::{Deserialize, Serialize};

/// The sealed table holds secrets by application: providers' credentials, and the tickets of machines, are under this name,
/// which no application may have.
pub const VAULT: &str = "lace-providers";

/// What kind of infrastructure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// The controller's own machine.
    Local,
    /// Servers that are there, reached by SSH.
    Ssh,
    /// Simulated hosts.
    Sim,
    /// Amazon EC2 and what speaks like it.
    Ec2,
}

/// A credential of a kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialKey {
    /// Its name.
    pub name: &'static str,
    /// The variable of the environment that usually holds it.
    pub variable: &'static str,
    /// Nothing works without it.
    pub required: bool,
}

const fn credential(name: &'static str, variable: &'static str, required: bool) -> CredentialKey {
    CredentialKey { name, variable, required }
}

impl ProviderKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Local, Self::Ssh, Self::Sim, Self::Ec2];

    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ssh => "ssh",
            Self::Sim => "sim",
            Self::Ec2 => "ec2",
        }
    }

    /// The credentials that a provider of this kind takes.
    pub fn credentials(self) -> &'static [CredentialKey] {
        const EC2: [CredentialKey; 3] = [
            credential("access-key-id", "AWS_ACCESS_KEY_ID", true),
            credential("secret-access-key", "AWS_SECRET_ACCESS_KEY", true),
            credential("session-token", "AWS_SESSION_TOKEN", false),
        ];
        const SSH: [CredentialKey; 2] =
            [credential("key", "LACE_SSH_KEY", false), credential("password", "LACE_SSH_PASSWORD", false)];
        const SIM: [CredentialKey; 1] = [credential("secret", "LACE_SIM_SECRET", false)];
        match self {
            Self::Local => &[],
            Self::Sim => &SIM,
            Self::Ssh => &SSH,
            Self::Ec2 => &EC2,
        }
    }

    /// Are its hosts cut up into regions?
    pub fn has_regions(self) -> bool {
        matches!(self, Self::Ec2 | Self::Sim)
    }
}

impl std::fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for ProviderKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| match text {
            "openstack" | "qemu" => format!("providers of kind {text} come with a later version"),
            _ => format!("{text:?} is no kind of provider: local, ssh, sim or ec2"),
        })
    }
}

/// A provider as stored: key = its name. Its credentials are sealed elsewhere and never come out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: ProviderKind,
    /// The region that its pools are in where they say none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Where its API answers, where that is not the usual place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What is taken off the prices of its pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<crate::pool::Discount>,
    /// Names of the credentials that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<String>,
    /// When it was made.
    pub made_at: Millis,
}

impl Provider {
    /// Can hosts be made there, where none has room? A simulated account is somewhere, or makes none.
    pub fn makes_hosts(&self) -> bool {
        self.kind == ProviderKind::Ec2 || (self.kind == ProviderKind::Sim && self.endpoint.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_words() {
        for kind in ProviderKind::ALL {
            assert_eq!(kind.word().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).expect("json"), kind.word());
        }
        assert!("qemu".parse::<ProviderKind>().expect_err("later").contains("later"));
        assert!("ec3".parse::<ProviderKind>().expect_err("no kind").contains("ec2"));
    }
}
