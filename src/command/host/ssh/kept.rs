//! Which servers this person made hosts, and how they are reached: `servers.toml` beside the contexts. No secret is in it.

use crate::command::context::beside;
use crate::command::session::{cannot_read, cannot_write, write_private};
use crate::command::world::World;
use lace_model::{Code, Name, Problem};
use lace_providers::ssh::Server;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Name or address.
    pub address: String,
    /// Port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// The key's file, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Digest of the binary that was brought.
    pub digest: String,
}

impl Kept {
    /// Whom to connect to.
    pub fn server(&self) -> Server {
        Server { host: self.address.clone(), port: self.port, user: self.user.clone() }
    }
}

/// All of them, by installation and name of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Servers {
    #[serde(default)]
    server: BTreeMap<String, BTreeMap<String, Kept>>,
}

impl Servers {
    /// Reads the file; nothing is known where there is none.
    pub fn load(world: &World) -> Result<Self, Problem> {
        let path = beside(world, "servers.toml")?;
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|e| {
                Problem::new(Code::Error, format!("cannot understand {}: {}", path.display(), e.message()))
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(cannot_read(&path, &e)),
        }
    }

    /// Is there one of this name in any installation?
    pub fn have(&self, name: &Name) -> bool {
        self.server.values().any(|servers| servers.contains_key(name.as_str()))
    }

    /// The one of this name.
    pub fn get(&self, installation: &str, name: &Name) -> Option<&Kept> {
        self.server.get(installation)?.get(name.as_str())
    }

    /// Keeps one, or forgets it, in the file as it is now.
    pub fn change(world: &World, installation: &str, name: &Name, kept: Option<Kept>) -> Result<(), Problem> {
        let path = beside(world, "servers.toml")?;
        make_private(&path)?;
        // Two commands at once would forget what the other one keeps.
        let lock = path.with_extension("lock");
        let held = std::fs::File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _held = held.map_err(|e| cannot_write(&lock, &e))?;
        let mut all = Self::load(world)?;
        let servers = all.server.entry(installation.to_owned()).or_default();
        match kept {
            Some(kept) => drop(servers.insert(name.to_string(), kept)),
            None => drop(servers.remove(name.as_str())),
        }
        all.server.retain(|_, servers| !servers.is_empty());
        let text = toml::to_string(&all).map_err(|e| Problem::new(Code::Error, e.to_string()))?;
        write_private(&path, text.as_bytes()).map_err(|e| cannot_write(&path, &e))
    }
}

fn make_private(path: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::DirBuilderExt;
    let dir = path.parent().unwrap_or(Path::new("."));
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| cannot_write(dir, &e))
}
