//! What we show a server to be let in: a key from a file, keys of the agent (ssh-agent(1)), or a password.

use lace_model::{Code, Problem};
use russh::keys::{Algorithm, Error, PrivateKey, decode_secret_key};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest file that is read as a key, in bytes.
const KEY_BYTES_MAX: u64 = 64 << 10;

/// What we show.
#[derive(Clone)]
pub enum Login {
    /// A key, and where it is from.
    Key(Arc<PrivateKey>, PathBuf),
    /// A password.
    Password(String),
    /// The keys of the agent at this socket.
    Agent(PathBuf),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(_, path) => write!(f, "the key {}", path.display()),
            Self::Password(_) => f.write_str("the password"),
            Self::Agent(_) => f.write_str("the keys of the SSH agent"),
        }
    }
}

/// Where keys usually lie in a home, the first choice first.
pub fn usual_keys(home: &Path) -> [PathBuf; 2] {
    ["id_ed25519", "id_ecdsa"].map(|name| home.join(".ssh").join(name))
}

/// Reads a key. Nothing where it wants a passphrase and none was given.
///
/// # Errors
/// The file cannot be read, is no private key, is one of a kind that is not used, or the passphrase is wrong.
pub fn read_key(path: &Path, passphrase: Option<&str>) -> Result<Option<Login>, Problem> {
    let bad =
        |code: Code, why: &dyn fmt::Display| Problem::new(code, format!("the key {}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| bad(Code::NotFound, &e))?.len();
    if size > KEY_BYTES_MAX {
        return Err(bad(Code::Usage, &"it is too large for a key").hint("give the file of a private key"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| bad(Code::Error, &e))?;
    if text.trim_start().starts_with("ssh-") {
        return Err(bad(Code::Usage, &"it is the public half").hint("give the file without .pub"));
    }
    let key = match decode_secret_key(&text, passphrase) {
        Ok(key) => key,
        Err(Error::KeyIsEncrypted) if passphrase.is_none() => return Ok(None),
        Err(_) if passphrase.is_some() => {
            return Err(bad(Code::Usage, &"it does not open with this passphrase"));
        }
        Err(error) => return Err(unusable(bad(Code::Usage, &error))),
    };
    if matches!(key.algorithm(), Algorithm::Rsa { .. } | Algorithm::Dsa) {
        return Err(unusable(bad(Code::Usage, &format_args!("{} is not used any more", key.algorithm()))));
    }
    Ok(Some(Login::Key(Arc::new(key), path.to_owned())))
}

fn unusable(problem: Problem) -> Problem {
    problem.hint("ed25519 and ecdsa keys do: ssh-keygen -t ed25519; the SSH agent may hold others")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_keys_say_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("key");
        assert_eq!(read_key(&file, None).expect_err("none").code, Code::NotFound);
        for (text, told) in [("", "key"), ("hello", "key"), ("ssh-ed25519 AAAA x", "without .pub")] {
            std::fs::write(&file, text).expect("written");
            let problem = read_key(&file, None).expect_err("no key");
            assert!(problem.hint.unwrap_or_default().contains(told), "{text}");
        }
    }

    fn made(dir: &Path, kind: &str, passphrase: &str) -> PathBuf {
        let file = dir.join(format!("{kind}{passphrase}"));
        let words = ["-q", "-t", kind, "-N", passphrase, "-f", file.to_str().expect("text")];
        let made = std::process::Command::new("ssh-keygen").args(words).status().expect("ssh-keygen runs");
        assert!(made.success());
        file
    }

    #[test]
    fn keys_of_openssh_open_with_their_passphrase() {
        let dir = tempfile::tempdir().expect("a directory");
        for kind in ["ed25519", "ecdsa"] {
            let plain = made(dir.path(), kind, "");
            assert!(read_key(&plain, None).expect("read").is_some(), "{kind}");
            let locked = made(dir.path(), kind, "secret");
            assert!(read_key(&locked, None).expect("read").is_none(), "{kind} wants a passphrase");
            assert!(read_key(&locked, Some("secret")).expect("read").is_some(), "{kind}");
            let wrong = read_key(&locked, Some("guess")).expect_err("wrong");
            assert!(wrong.message.contains("does not open with this passphrase"), "{wrong:?}");
        }
        let rsa = read_key(&made(dir.path(), "rsa", ""), None).expect_err("not used");
        assert!(rsa.hint.unwrap_or_default().contains("ssh-keygen -t ed25519"));
    }
}
