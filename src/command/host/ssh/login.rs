//! How to log in at servers: what was said, the agent, or the usual files.

use crate::command::{Session, confirm};
use clap::Args;
use lace_model::{Code, Problem};
use lace_providers::ssh::{Login, read_key, usual_keys};
use std::path::{Path, PathBuf};

/// The passphrase of a key, for where nobody can be asked.
const PASSPHRASE: &str = "LACE_SSH_PASSPHRASE";

/// What is said of logging in.
#[derive(Args, Debug, Clone, Default)]
pub struct LoginArgs {
    /// File of the private key to log in with (LACE_SSH_PASSPHRASE opens it); the SSH agent, or ~/.ssh/id_ed25519, where
    /// not said
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Log in with a password, which is asked for once, or read from stdin
    #[arg(long, conflicts_with = "key")]
    pub password: bool,
}

/// What to show the servers. `kept` is the key that was used before.
pub fn login(s: &mut Session, args: &LoginArgs, kept: Option<&Path>) -> Result<Login, Problem> {
    if args.password {
        let password = confirm::secret(s, "password for the servers: ")?;
        return match password.is_empty() {
            true => Err(Problem::new(Code::Usage, "there is no password on the input")),
            false => Ok(Login::Password(password)),
        };
    }
    if let Some(path) = args.key.as_deref().or(kept) {
        let path = s.at(path);
        return open(s, &path);
    }
    if let Some(socket) = s.world.var("SSH_AUTH_SOCK") {
        return Ok(Login::Agent(socket.into()));
    }
    let home = s.world.var("HOME").map(PathBuf::from).unwrap_or_default();
    match usual_keys(&home).into_iter().find(|path| path.is_file()) {
        Some(path) => open(s, &path),
        None => Err(Problem::new(Code::Usage, "there is nothing to log in at servers with")
            .hint("add --key FILE or --password, or start an SSH agent")),
    }
}

fn open(s: &mut Session, path: &Path) -> Result<Login, Problem> {
    let given = s.world.var(PASSPHRASE).map(str::to_owned);
    if let Some(login) = read_key(path, None)? {
        return Ok(login);
    }
    let passphrase = match given {
        Some(passphrase) => passphrase,
        None if s.world.in_terminal => confirm::secret(s, &format!("passphrase of {}: ", path.display()))?,
        None => {
            let text = format!("the key {} has a passphrase, and nobody is here to type it", path.display());
            return Err(
                Problem::new(Code::Usage, text).hint(format!("set {PASSPHRASE}, or use an SSH agent"))
            );
        }
    };
    let login = read_key(path, Some(&passphrase))?;
    login.ok_or_else(|| Problem::new(Code::Usage, format!("the key {} does not open", path.display())))
}
