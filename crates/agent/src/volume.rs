//! Volumes: directories of this host that outlive the nodes that write to them.
//!
//! Each index of a family has its own, `APP/SERVICE/FAMILY/VOLUME/INDEX` below the machine's volumes: made at
//! first use, mounted into whichever node has the index, deleted only by who says so. Jobs have none: a node may run
//! beside them.
//! Two nodes never share one: a node holds its place from before its start until it is gone.

use crate::config::AgentError;
use crate::hands::Hands;
use crate::held::Record;
use crate::node::claim::Claims;
use lace_model::document::{EntryBody, EntryId, NodeEntry};
use lace_model::revision::VolumeSpec;
use lace_model::{Name, NodeId, NodePath};
use lace_wire::stream::{SnapshotStep, VolumeSnapshot};
use std::collections::HashSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Nobody but root gets past here: a node's root can leave setuid files of root's in its volume.
const OUTER_MODE: u32 = 0o700;
/// As any directory of root's; the node may change it.
const MODE: u32 = 0o755;

/// The volumes of this host.
pub struct Volumes {
    dir: PathBuf,
    /// Which node has the volumes of a place.
    pub held: Claims<NodePath>,
    /// Those that are being deleted or put back: no node gets one meanwhile, whatever it is that it has of the place.
    at_work: Mutex<HashSet<PathBuf>>,
}

impl Volumes {
    /// Opens the directory. `held` are the places of nodes that are there.
    pub fn open(dir: PathBuf, held: Claims<NodePath>) -> Result<Self, AgentError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(OUTER_MODE).create(&dir);
        made.map_err(AgentError::state("make", &dir))?;
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(OUTER_MODE))
            .map_err(AgentError::state("protect", &dir))?;
        Ok(Self { dir, held, at_work: Mutex::default() })
    }

    /// The volumes of a node, made where they are not there yet. Outer ones come first.
    pub fn give(&self, entry: &NodeEntry) -> Result<Vec<lace_machine::VolumeSpec>, String> {
        let mut volumes: Vec<_> = entry.spec.volumes.iter().collect();
        volumes.sort_by_key(|volume| Path::new(&volume.at));
        volumes.into_iter().map(|volume| self.give_one(&entry.path, volume)).collect()
    }

    /// Every volume that is there, of the places that are `wanted`.
    pub fn there(&self, wanted: impl Fn(&NodePath) -> bool) -> Vec<There> {
        let mut there: Vec<_> =
            places_below(&self.dir).iter().filter_map(|below| There::at(&self.dir, below)).collect();
        there.retain(|volume| wanted(&volume.place));
        there.sort_by(|a, b| (&a.place, &a.name).cmp(&(&b.place, &b.name)));
        // A directory and the file beside it are one.
        there.dedup_by(|a, b| a.dir == b.dir);
        there
    }

    fn give_one(&self, place: &NodePath, volume: &VolumeSpec) -> Result<lace_machine::VolumeSpec, String> {
        let source = self.path(place, volume);
        if self.works().contains(&source) {
            return Err(format!("volume {}: it is being deleted or put back", volume.name));
        }
        make(&source)
            .map_err(|e| format!("volume {}: cannot make {}: {e}", volume.name, source.display()))?;
        let (target, size_bytes) = (volume.at.clone().into(), Some(volume.size.0));
        Ok(lace_machine::VolumeSpec { source, target, read_only: false, size_bytes })
    }

    fn path(&self, place: &NodePath, volume: &VolumeSpec) -> PathBuf {
        self.path_of(place, &volume.name)
    }

    fn path_of(&self, place: &NodePath, name: &Name) -> PathBuf {
        let family = &place.family;
        let mut path = self.dir.clone();
        path.extend([&family.app, &family.service, &family.family, name].map(|name| name.as_str()));
        path.join(place.index.to_string())
    }

    /// Puts all volumes of an application under another one's name. Done already is fine.
    ///
    /// # Errors
    /// A node has one; that name has volumes.
    pub fn relocate(&self, from: &Name, to: &Name) -> Result<(), String> {
        let of = |app: &Name| self.there(|place| place.family.app == *app);
        let (mine, theirs) = (of(from), of(to));
        if mine.is_empty() {
            return Ok(());
        }
        if let Some(other) = theirs.first() {
            return Err(format!(
                "volume {} of {} is there already: lace volume delete",
                other.name, other.place
            ));
        }
        if let Some(used) = mine.iter().find(|volume| self.held.holder(&volume.place).is_some()) {
            return Err(format!("volume {} of {} is in use", used.name, used.place));
        }
        let [from, to] = [from, to].map(|app| self.dir.join(app.as_str()));
        // Places of volumes that were deleted stay behind as empty directories.
        let _ = std::fs::remove_dir_all(&to);
        std::fs::rename(&from, &to).map_err(|e| format!("{}: {e}", from.display()))
    }

    fn works(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of what an agent held still when it died amid a snapshot.
    pub fn thaw(&self) {
        lace_machine::volume::thaw_all(self.there(|_| true).into_iter().map(|volume| volume.dir));
    }

    /// Makes a volume that is not there, of an archive. No node gets its place meanwhile.
    ///
    /// # Errors
    /// It is there, or a node has its place; the archive is none, or is too much for it.
    pub fn fill(
        &self,
        place: &NodePath,
        name: &Name,
        bytes: u64,
        from: BorrowedFd<'_>,
    ) -> Result<(), String> {
        const FILLER: &str = "that is filled";
        let there = || format!("volume {name} of {place} is there already, or its node is: lace volume list");
        self.held.try_claim(place, FILLER).map_err(|_| there())?;
        let filled = lace_machine::volume::fill(&self.path_of(place, name), bytes, from);
        self.held.free(place, FILLER);
        filled.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => there(),
            _ => format!("volume {name} of {place}: {e}"),
        })
    }
}

/// A volume that is there.
pub struct There {
    /// The place that it belongs to.
    pub place: NodePath,
    /// Its name.
    pub name: Name,
    /// Its directory; the file with its data lies beside it, where it has one.
    dir: PathBuf,
}

impl There {
    fn at(dir: &Path, below: &Path) -> Option<Self> {
        let words: Vec<_> = below.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
        let [app, service, family, name, index] = words[..] else { return None };
        let index = index.strip_suffix(".img").unwrap_or(index);
        let place = format!("{app}/{service}/{family}/{index}").parse().ok()?;
        let dir = dir.join(below).with_file_name(index);
        Some(Self { place, name: name.parse().ok()?, dir })
    }

    /// Its size, where one is enforced.
    pub fn size(&self) -> Option<u64> {
        lace_machine::volume::size_bytes(&self.dir)
    }

    /// Bytes of the disk that it takes.
    pub fn used(&self) -> u64 {
        lace_machine::volume::disk_bytes(&self.dir)
    }

    /// Its snapshots, the oldest first.
    pub fn snapshots(&self) -> Vec<VolumeSnapshot> {
        let one = |lace_machine::volume::Snapshot { name, at, bytes }| VolumeSnapshot { name, at, bytes };
        lace_machine::volume::snapshots(&self.dir).into_iter().map(one).collect()
    }

    /// Removes a snapshot.
    pub fn forget(&self, snapshot: &Name) -> Result<(), String> {
        lace_machine::volume::forget(&self.dir, snapshot.as_str()).map_err(|e| e.to_string())
    }

    /// Packs what it holds; `held` says that a node has it.
    pub fn pack(&self, held: bool, to: BorrowedFd<'_>) -> Result<(), String> {
        let packed = lace_machine::volume::pack(&self.dir, held, to);
        packed.map_err(|e| format!("volume {} of {}: {e}", self.name, self.place))
    }

    /// Deletes it. Nobody may have it.
    pub fn remove(&self) -> Result<(), String> {
        let removed = lace_machine::volume::remove(&self.dir);
        removed.map_err(|e| format!("volume {} of {}: {e}", self.name, self.place))
    }
}

/// Who has a place while its volumes are deleted.
const ERASER: &str = "that is deleted";

/// Deletes a place's volumes where nobody has it, and nobody gets it meanwhile; else they go with the node that has it.
pub fn erase(hands: &Hands, place: &NodePath) {
    if hands.volumes.held.try_claim(place, ERASER).is_err() {
        hands.held.commit(vec![Record::Doomed(place.clone())]);
        return;
    }
    remove_all(hands, place);
    hands.volumes.held.free(place, ERASER);
}

/// Deletes one volume where no node has it, and none gets it meanwhile.
pub fn erase_one(hands: &Hands, volume: &There) -> Result<(), String> {
    if holder(hands, volume).is_some() {
        return Ok(());
    }
    alone(hands, volume, || volume.remove())
}

/// Does something about a snapshot of a volume. A node that has the volume is held up while one is taken.
///
/// # Errors
/// What is in the way.
pub fn snapshot(hands: &Hands, volume: &There, name: &Name, step: SnapshotStep) -> Result<(), String> {
    let named = |e: io::Error| format!("volume {} of {}: {e}", volume.name, volume.place);
    let held = holder(hands, volume).is_some();
    match step {
        SnapshotStep::Restore if held => Err(format!("volume {} of {} is in use", volume.name, volume.place)),
        SnapshotStep::Take if held => {
            lace_machine::volume::take(&volume.dir, name.as_str(), true).map_err(named)
        }
        SnapshotStep::Take => alone(hands, volume, || {
            lace_machine::volume::take(&volume.dir, name.as_str(), false).map_err(named)
        }),
        SnapshotStep::Restore => {
            alone(hands, volume, || lace_machine::volume::restore(&volume.dir, name.as_str()).map_err(named))
        }
        SnapshotStep::Forget => volume.forget(name),
    }
}

/// Does something to a volume that no node has; none gets it meanwhile.
///
/// # Errors
/// A node has it, or somebody is at it already; what the work says.
fn alone(hands: &Hands, volume: &There, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let volumes = &hands.volumes;
    if !volumes.works().insert(volume.dir.clone()) {
        return Err(format!("volume {} of {} is just being worked on", volume.name, volume.place));
    }
    // A node claims its place before it is given volumes: one that came in between is seen here.
    let done = match holder(hands, volume) {
        Some(_) => Err(format!("volume {} of {} is in use", volume.name, volume.place)),
        None => work(),
    };
    volumes.works().remove(&volume.dir);
    done
}

/// Who has a volume. A node has its place whole, but of the volumes that are there only those that its revision says; of one that is
/// known no more, all.
pub fn holder(hands: &Hands, volume: &There) -> Option<String> {
    let holder = hands.volumes.held.holder(&volume.place)?;
    let lacks = holder.parse().ok().and_then(|id| {
        hands.held.read(|state| match &state.entries.get(&EntryId::Node(NodeId(id)))?.body {
            EntryBody::Node(node) => Some(node.spec.volumes.iter().all(|said| said.name != volume.name)),
            _ => None,
        })
    });
    (lacks != Some(true)).then_some(holder)
}

/// Deletes the volumes of a place; whoever calls has it.
pub fn remove_all(hands: &Hands, place: &NodePath) {
    for volume in hands.volumes.there(|there| there == place) {
        if let Err(cause) = volume.remove() {
            tracing::warn!(cause, "not deleted");
        }
    }
    hands.held.commit(vec![Record::Erased(place.clone())]);
}

/// What should have gone with nodes that went without anybody who knew their places.
pub async fn erase_doomed(hands: &Arc<Hands>) {
    let doomed: Vec<_> = hands.held.read(|state| state.doomed.iter().cloned().collect());
    let hands = hands.clone();
    let erased = tokio::task::spawn_blocking(move || doomed.iter().for_each(|place| erase(&hands, place)));
    let _ = erased.await;
}

/// Paths of five words below a directory: APP/SERVICE/FAMILY/VOLUME/INDEX.
fn places_below(dir: &Path) -> Vec<PathBuf> {
    let mut level = vec![PathBuf::new()];
    for _ in 0..5 {
        let inner = |below: &PathBuf| {
            let entries = std::fs::read_dir(dir.join(below)).into_iter().flatten().flatten();
            entries.map(|entry| below.join(entry.file_name())).collect::<Vec<_>>()
        };
        level = level.iter().flat_map(inner).collect();
    }
    level
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
        let volumes = Volumes::open(dir.path().join("volumes"), Claims::default()).unwrap();
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
        let there: Vec<_> = volumes.there(|place| place.index == 2).into_iter().map(|v| v.dir).collect();
        assert_eq!(there, [inner.source, outer.source.clone()]);
        std::fs::write(outer.source.with_file_name("2.img"), "data").unwrap();
        assert_eq!(volumes.there(|_| true).len(), 4, "a file and its directory are one volume");
        assert_eq!((mode(&outer.source), mode(&dir.path().join("volumes"))), (0o750, OUTER_MODE));
    }
}
