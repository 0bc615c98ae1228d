//! Public keys as OpenSSH writes them: `KIND BASE64 WORDS` (sshd(8), AUTHORIZED_KEYS FILE FORMAT; RFC 4253, 6.6).

use crate::refusal::{Answer, Refusal};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use lace_model::Name;
use sha2::{Digest, Sha256};

/// Longest line, in bytes: the largest key that is taken has 200.
const LINE_BYTES_MAX: usize = 4096;

/// Kinds that are taken, and the bytes of the key itself behind its names (RFC 8709, RFC 5656, OpenSSH PROTOCOL.u2f).
const KINDS: [(&str, Option<&str>, usize); 6] = [
    ("ssh-ed25519", None, 32),
    ("ecdsa-sha2-nistp256", Some("nistp256"), 65),
    ("ecdsa-sha2-nistp384", Some("nistp384"), 97),
    ("ecdsa-sha2-nistp521", Some("nistp521"), 133),
    ("sk-ssh-ed25519@openssh.com", None, 32),
    ("sk-ecdsa-sha2-nistp256@openssh.com", Some("nistp256"), 65),
];

/// A key, read.
#[derive(Debug)]
pub(super) struct KeyLine {
    pub kind: String,
    /// In base64.
    pub key: String,
    pub fingerprint: String,
    words: String,
}

impl KeyLine {
    /// What it is called where nobody says: who has it, as its last words tell.
    pub fn name(&self) -> Name {
        let who = self.words.split(['@', ' ']).next().filter(|who| !who.is_empty());
        lace_release::name_from(who.unwrap_or("key"))
    }
}

/// Reads the one line of a file.
///
/// # Errors
/// It is none, or of a kind that is not taken.
pub(super) fn read(text: &str) -> Answer<KeyLine> {
    let off = |why: &str| {
        Refusal::usage(format!("this is no public key: {why}"))
            .hint("give the file that ends with .pub; ssh-keygen -t ed25519 makes a pair")
    };
    if text.contains("PRIVATE KEY") {
        return Err(off("it is the private half, which stays with its owner"));
    }
    if text.len() > LINE_BYTES_MAX {
        return Err(off("it is too long"));
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(off("it is not one line")) };
    let (kind, rest) = line.split_once(' ').ok_or_else(|| off("it has one word only"))?;
    let (key, words) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
    let known = KINDS.iter().find(|(name, ..)| *name == kind);
    let (_, curve, bytes) = known.ok_or_else(|| {
        Refusal::usage(format!("keys of kind {kind:?} are not taken here"))
            .hint("ed25519 and ecdsa are: ssh-keygen -t ed25519")
    })?;
    let blob = STANDARD.decode(key).map_err(|_| off("its second word is no base64"))?;
    if !is_whole(&blob, kind, *curve, *bytes) {
        return Err(off("it is damaged"));
    }
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&blob)));
    Ok(KeyLine { kind: kind.into(), key: key.into(), fingerprint, words: words.trim().into() })
}

/// Does it hold what its kind says, and nothing that does not belong there?
fn is_whole(blob: &[u8], kind: &str, curve: Option<&str>, bytes: usize) -> bool {
    let Some((name, mut rest)) = field(blob) else { return false };
    if name != kind.as_bytes() {
        return false;
    }
    if let Some(curve) = curve {
        match field(rest) {
            Some((said, after)) if said == curve.as_bytes() => rest = after,
            _ => return false,
        }
    }
    let Some((key, rest)) = field(rest) else { return false };
    // Keys in hardware say for which application they are.
    let rest = if kind.starts_with("sk-") { field(rest).map(|(_, rest)| rest) } else { Some(rest) };
    key.len() == bytes && rest.is_some_and(<[u8]>::is_empty)
}

/// A string of SSH: four bytes of length, then itself (RFC 4251, 5).
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `ssh-keygen`, and what `ssh-keygen -lf` says of it.
    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFKWYBcFEgCfr6SYEFZ2k7KjQXPPCKuV7Y8hbvtmYD8E Ada.L@engine";

    #[test]
    fn keys_of_openssh_are_read() {
        let read_ = read(&format!("# mine\n{ED25519}\n")).expect("good");
        assert_eq!((read_.kind.as_str(), read_.name().as_str()), ("ssh-ed25519", "ada-l"));
        assert!(read_.fingerprint.starts_with("SHA256:") && read_.fingerprint.len() == 50);
        let bare = ED25519.rsplit_once(' ').expect("words").0;
        assert_eq!(read(bare).expect("good").name().as_str(), "key");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let cut = ED25519.replace("YD8E", "");
        let other = ED25519.replacen("ssh-ed25519", "ecdsa-sha2-nistp256", 1);
        for (bad, told) in [
            ("", "one line"),
            ("hello", "one word"),
            ("ssh-rsa AAAAB3NzaC1yc2E= me", "not taken"),
            ("command=\"sh\" ssh-ed25519 AAAA me", "not taken"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "private half"),
            ("ssh-ed25519 !!!! me", "base64"),
            (cut.as_str(), "damaged"),
            (other.as_str(), "damaged"),
        ] {
            let refusal = read(bad).expect_err(bad);
            assert!(refusal.problem().message.contains(told), "{bad}: {}", refusal.problem());
        }
        assert!(read(&format!("{ED25519}\n{ED25519}")).is_err(), "two");
        assert!(read(&"a".repeat(5000)).is_err(), "too long");
    }
}
