//! Where everything of one installation on this machine lies.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Root's usual state.
const ROOTS: &str = "/var/lib/lace";

/// The state of an installation.
#[derive(Clone, Debug)]
pub struct State(PathBuf);

impl State {
    /// The named directory, or the usual one: `/var/lib/lace` for root, `~/.local/share/lace` for others.
    pub fn new(dir: Option<&str>) -> Self {
        let usual = || {
            if rustix::process::geteuid().is_root() {
                return PathBuf::from(ROOTS);
            }
            let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
            home.join(".local/share/lace")
        };
        let dir = dir.map_or_else(usual, PathBuf::from);
        Self(std::path::absolute(&dir).unwrap_or(dir))
    }

    /// The named directory, or root's usual one, whoever asks.
    pub fn of_root(dir: Option<&str>) -> Self {
        Self::new(Some(dir.unwrap_or(ROOTS)))
    }

    /// Makes the directories, and closes them to everybody else: nodes' roots lie below the state, and their ids must
    /// pass through, but nobody may look around; what the controller keeps, records and logs are root's alone.
    pub fn prepare(&self) -> std::io::Result<()> {
        let passed = [self.0.clone(), self.agent()].map(|dir| (dir, 0o711));
        let closed = [self.run(), self.server(), self.authority()].map(|dir| (dir, 0o700));
        for (dir, mode) in passed.into_iter().chain(closed) {
            let made = DirBuilder::new().recursive(true).mode(mode).create(&dir);
            let closed = made.and_then(|()| std::fs::set_permissions(&dir, Permissions::from_mode(mode)));
            closed.map_err(|e| named(&dir, &e))?;
        }
        Ok(())
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.0
    }
    /// The controller's.
    pub fn server(&self) -> PathBuf {
        self.0.join("server")
    }
    /// The authority's.
    pub fn authority(&self) -> PathBuf {
        self.0.join("authority")
    }
    /// Repositories of services, which releases are pushed to.
    pub fn repositories(&self) -> PathBuf {
        self.server().join("git")
    }
    /// The key that pushers know the controller by.
    pub fn push_key(&self) -> PathBuf {
        self.authority().join("push_ed25519")
    }
    /// The agent's.
    pub fn agent(&self) -> PathBuf {
        self.0.join("agent")
    }
    /// DNS and proxy.
    pub fn net(&self) -> PathBuf {
        self.0.join("net")
    }
    /// The socket of `lace net`.
    pub fn net_socket(&self) -> PathBuf {
        self.0.join("net/control.sock")
    }
    /// Process records and logs of the roles.
    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }
    /// The master key: beside the state, never in it, so that no backup of the state holds it.
    pub fn master_key(&self) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(".key");
        self.0.with_file_name(name)
    }
    /// The first admin token, for this machine's root.
    pub fn admin_token(&self) -> PathBuf {
        self.0.join("admin.token")
    }
    /// The one-time token of the login link.
    pub fn login_token(&self) -> PathBuf {
        self.0.join("login.token")
    }
    /// The one-time join token of this machine's agent.
    pub fn join_token(&self) -> PathBuf {
        self.0.join("join.token")
    }
    /// The authority of the controller elsewhere that this machine is a host of.
    pub fn pinned(&self) -> PathBuf {
        self.0.join("controller.pem")
    }
    /// How this machine joined a controller elsewhere.
    pub fn joined(&self) -> PathBuf {
        self.0.join("host.json")
    }
    /// How this installation was started.
    pub fn settings(&self) -> PathBuf {
        self.0.join("up.json")
    }
}

/// An error of the file system with what it is about, and the way out.
fn named(dir: &Path, error: &std::io::Error) -> std::io::Error {
    let text =
        format!("cannot make the directory {}: {error}; --state DIR names another place", dir.display());
    std::io::Error::new(error.kind(), text)
}
