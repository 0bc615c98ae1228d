//! Erlang and Elixir nodes that run already, somewhere: Lace looks at them and touches nothing.

use crate::{Millis, NodePath};
use serde::{Deserialize, Serialize};

/// The service that adopted nodes stand in: `APP/adopted/N`.
pub const SERVICE: &str = "adopted";
/// Most adopted nodes of one application.
pub const ADOPTED_MAX: usize = 200;

/// One node that was adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// Where it stands: what targets and grants name.
    pub path: NodePath,
    /// Its node name, `NAME@HOST`.
    pub name: String,
    /// Its distribution port, where no epmd shall be asked.
    #[serde(default)]
    pub port: Option<u16>,
    /// When.
    pub adopted_at: Millis,
    /// By whom.
    pub adopted_by: String,
}

/// How adopted nodes are spoken to where they speak TLS.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdoptedTls {
    /// Certificates of the authorities that vouch for them, PEM.
    pub authority: String,
    /// What we show where they ask for it: a certificate and its key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// The sealed value that holds an adopted node's [`AdoptedTls`], where it speaks TLS.
pub fn tls_secret_name(index: u32) -> String {
    format!("LACE_ADOPTED_TLS_{index}")
}

/// The sealed value that holds the cookie of an adopted node.
pub fn secret_name(index: u32) -> String {
    format!("LACE_ADOPTED_{index}")
}

/// `NAME@HOST` in its parts, where it is one.
pub fn parts(name: &str) -> Option<(&str, &str)> {
    let (alive, host) = name.split_once('@')?;
    let plain = |text: &str, more: &str| {
        !text.is_empty()
            && text.len() <= 255
            && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    (plain(alive, "_-") && plain(host, ".-:")).then_some((alive, host))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn names_have_two_parts() {
        assert_eq!(parts("game@10.0.0.1"), Some(("game", "10.0.0.1")));
        assert_eq!(parts("g_1@a-b.example.com"), Some(("g_1", "a-b.example.com")));
        for wrong in ["game", "@x", "game@", "a@b@c", "a b@c", "a@b;c"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
