//! The file of contexts: `~/.config/lace/contexts.toml`, readable by its owner only.

use super::broken;
use crate::command::session::{cannot_read, cannot_write, write_private};
use crate::command::world::World;
use lace_model::{Code, Problem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One context in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The controller's address.
    pub url: String,
    /// The token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// PEM text of the only trusted authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Destructive verbs want the name typed.
    #[serde(default)]
    pub protected: bool,
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contexts {
    /// The chosen one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// All, by name.
    #[serde(default)]
    pub context: BTreeMap<String, Stored>,
}

impl Contexts {
    /// Reads the file; nothing is known where there is none.
    pub fn load(world: &World) -> Result<Self, Problem> {
        let path = path(world)?;
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|e| broken(&path, &e.message())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(cannot_read(&path, &e)),
        }
    }

    /// Writes the file, with mode 0600 in a directory with mode 0700.
    pub fn save(&self, world: &World) -> Result<(), Problem> {
        use std::os::unix::fs::DirBuilderExt;
        let path = path(world)?;
        let text = toml::to_string(self).map_err(|e| broken(&path, &e))?;
        if let Some(dir) = path.parent() {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(|e| cannot_write(dir, &e))?;
        }
        write_private(&path, text.as_bytes()).map_err(|e| cannot_write(&path, &e))
    }
}

fn path(world: &World) -> Result<PathBuf, Problem> {
    beside(world, "contexts.toml")
}

/// A file of the command line's own: in LACE_CONFIG_DIR, or `lace` below XDG_CONFIG_HOME, or below `~/.config`.
pub fn beside(world: &World, name: &str) -> Result<PathBuf, Problem> {
    let dir = world.var("LACE_CONFIG_DIR").map(PathBuf::from);
    let xdg = || world.var("XDG_CONFIG_HOME").map(|dir| PathBuf::from(dir).join("lace"));
    let home = || world.var("HOME").map(|dir| PathBuf::from(dir).join(".config/lace"));
    let dir = dir.or_else(xdg).or_else(home).ok_or_else(|| {
        Problem::new(Code::Usage, "there is no place for settings: HOME is not set")
            .hint("set LACE_CONFIG_DIR")
    })?;
    Ok(world.at(dir).join(name))
}
