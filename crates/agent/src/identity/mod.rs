//! Who this host is: its key, its certificate and what the join said, in one file of mode 0600.

mod join;

pub use join::{Asking, join};

use crate::config::{AgentConfig, AgentError};
use lace_model::host::Block;
use lace_model::{HostId, InstallationId};
use lace_wire::link::dial::HostIdentity;
use lace_wire::link::frame::HostFacts;
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A host that has joined.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Its id.
    pub host: HostId,
    /// The installation.
    pub installation: InstallationId,
    /// Certificate (PEM).
    pub certificate: String,
    /// Private key (PEM); made here, never sent.
    pub key: String,
    /// The CA (PEM), pinned at the join.
    pub ca: String,
    /// The installation's private space.
    pub space: String,
    /// The host's blocks of addresses at the join; the held ones are newer.
    pub blocks: Vec<Block>,
}

impl Identity {
    /// What the link shows.
    pub fn shown(&self) -> HostIdentity {
        HostIdentity { certificate: self.certificate.clone(), key: self.key.clone() }
    }
}

/// The identity on disk, or a new one by joining.
pub async fn obtain(config: &AgentConfig, facts: &HostFacts) -> Result<Identity, AgentError> {
    let path = path(&config.state_dir);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|e| AgentError::Damaged { path: path.clone(), cause: e.to_string() }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let token = config.join_token.as_ref().ok_or(AgentError::NotJoined("a join token"))?;
            let ca =
                config.ca_pem.as_ref().ok_or(AgentError::NotJoined("the controller's CA certificate"))?;
            let asking = Asking { controllers: &config.controllers, ca, token, name: &config.name };
            let identity = join(&asking, facts).await?;
            store(&path, &identity)?;
            tracing::info!(host = %identity.host, "joined");
            Ok(identity)
        }
        Err(e) => Err(AgentError::state("read", path)(e)),
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("identity").join("host.json")
}

fn store(path: &Path, identity: &Identity) -> Result<(), AgentError> {
    private_dir(path.parent().unwrap_or(Path::new("/")))?;
    let bytes = serde_json::to_vec_pretty(identity).map_err(|e| AgentError::Answer(e.to_string()))?;
    write_private(path, &bytes)
}

/// Makes a directory that only root may enter, or closes one that is there. Directories above it let through who knows
/// the way: nodes, with ids of their own, have their roots below the state.
pub fn private_dir(path: &Path) -> Result<(), AgentError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o711).create(path);
    let closed = made.and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(0o700)));
    closed.map_err(AgentError::state("make", path))
}

/// Writes a file that only root reads, whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), AgentError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent).map_err(AgentError::state("make", parent))?;
    let fresh = path.with_extension("new");
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        std::fs::File::open(parent)?.sync_all()
    })();
    written.map_err(AgentError::state("write", path))
}
