//! Typed ids. An id is chosen before the effect that it names, and is the idempotency key of that effect.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// An id derived from a seed and what it is for: the same input gives the same id (UUID version 8, RFC 9562).
            pub fn derive(seed: &[u8; 32], purpose: &str) -> Self {
                Self(derive(seed, stringify!($name), purpose))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// One node, from its start to its removal; its replacement has another id at the same path.
    NodeId,
    /// One host.
    HostId,
    /// A long piece of work that a person asked for.
    OperationId,
    /// Work that ends.
    JobId,
    /// A verb on a node, carried in the host's document.
    TaskId,
    /// An API token (its public part).
    TokenId,
    /// A copy of a service's data.
    BackupId,
    /// One exec, log, shell or file stream.
    StreamId,
    /// This installation of Lace: what it made carries this id.
    InstallationId,
}

fn derive(seed: &[u8; 32], kind: &str, purpose: &str) -> Uuid {
    let mut hasher = blake3::Hasher::new_keyed(seed);
    hasher.update(kind.as_bytes()).update(b"\0").update(purpose.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
