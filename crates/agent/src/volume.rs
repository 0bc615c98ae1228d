//! Volumes: directories of this host that outlive the nodes that write to them.
//!
//! Each index of a family has its own, `volumes/APP/SERVICE/FAMILY/VOLUME/INDEX` below the state directory: made at
//! first use, mounted into whichever node has the index, never deleted here. Jobs have none: a node may run beside them.
//! Two nodes never share one: a node holds its place from before its start until it is gone.

use crate::config::AgentError;
use crate::node::claim::Claims;
use lace_model::NodePath;
use lace_model::document::NodeEntry;
use lace_model::revision::VolumeSpec;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Nobody but root gets past here: a node's root can leave setuid files of root's in its volume.
const OUTER_MODE: u32 = 0o700;
/// As any directory of root's; the node may change it.
const MODE: u32 = 0o755;

/// The volumes of this host.
pub struct Volumes {
    dir: PathBuf,
    /// Which node has the volumes of a place.
    pub held: Claims<NodePath>,
}

impl Volumes {
    /// Opens the directory below the state directory. `held` are the places of nodes that are there.
    pub fn open(state_dir: &Path, held: Claims<NodePath>) -> Result<Self, AgentError> {
        let dir = state_dir.join("volumes");
        let made = std::fs::DirBuilder::new().recursive(true).mode(OUTER_MODE).create(&dir);
        made.map_err(AgentError::state("make", &dir))?;
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(OUTER_MODE))
            .map_err(AgentError::state("protect", &dir))?;
        Ok(Self { dir, held })
    }

    /// The volumes of a node, made where they are not there yet. Outer ones come first.
    pub fn give(&self, entry: &NodeEntry) -> Result<Vec<lace_machine::VolumeSpec>, String> {
        let mut volumes: Vec<_> = entry.spec.volumes.iter().collect();
        volumes.sort_by_key(|volume| Path::new(&volume.at));
        volumes.into_iter().map(|volume| self.give_one(&entry.path, volume)).collect()
    }

    fn give_one(&self, place: &NodePath, volume: &VolumeSpec) -> Result<lace_machine::VolumeSpec, String> {
        let source = self.path(place, volume);
        make(&source)
            .map_err(|e| format!("volume {}: cannot make {}: {e}", volume.name, source.display()))?;
        Ok(lace_machine::VolumeSpec { source, target: volume.at.clone().into(), read_only: false })
    }

    fn path(&self, place: &NodePath, volume: &VolumeSpec) -> PathBuf {
        let family = &place.family;
        let mut path = self.dir.clone();
        path.extend([&family.app, &family.service, &family.family, &volume.name].map(|name| name.as_str()));
        path.join(place.index.to_string())
    }
}

/// Makes a directory of root's, which is also root's in the node. One that is there stays as it is.
fn make(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::create_dir(path) {
        Ok(()) => std::fs::set_permissions(path, PermissionsExt::from_mode(MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::{entry, spec};

    #[test]
    fn every_index_has_its_own_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(dir.path(), Claims::default()).unwrap();
        let volume = |name: &str, at: &str| -> VolumeSpec {
            serde_json::from_value(serde_json::json!({ "name": name, "size": "1GiB", "at": at })).unwrap()
        };
        let wanted = [volume("inner", "/data/inner"), volume("outer", "/data")];
        let given = |index| {
            let mut entry = entry(index, spec());
            entry.spec.volumes = wanted.to_vec();
            volumes.give(&entry).unwrap()
        };
        let [outer, inner] = given(2).try_into().unwrap();
        assert_eq!(outer.source, dir.path().join("volumes/shop/game/game/outer/2"));
        assert_eq!((outer.target, inner.target), ("/data".into(), "/data/inner".into()));
        std::fs::set_permissions(&outer.source, PermissionsExt::from_mode(0o750)).unwrap();
        assert_ne!(given(1)[0].source, outer.source);
        assert_eq!(given(2)[0].source, outer.source);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&outer.source), mode(&dir.path().join("volumes"))), (0o750, OUTER_MODE));
    }
}
