//! A door that was asked to end may still carry requests when its successor is asked to let go of a node. The two talk
//! by files in the state directory: the successor says which nodes leave, each door that ends does the same and says so.
//!
//! `ends-PID` is locked by a door that ends, for as long as it lives. `node-ID` holds what the successor wants of a node:
//! `leaves TOKEN`, or `stays TOKEN` where it gets requests again. `PID-ID` is the answer: the token, as soon as that door
//! carries nothing of the node any more.

use super::table::Tables;
use lace_model::NodeId;
use rustix::fs::{FlockOperation, flock};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Nodes that a door which ends hears of: more than one host can have.
const NODES_MAX: usize = 4_096;
/// A node that left may come back as the same one, restarted in its place; later no former door cares.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(120);
const COMES_BACK_LOOK: Duration = Duration::from_millis(100);

const ENDS: &str = "ends-";
const NODE: &str = "node-";

/// The directory that doors of one host have in common.
pub(crate) struct Ending {
    dir: PathBuf,
    /// No two words about a node are alike: when this door began, and a number.
    began: u128,
    token: AtomicU64,
}

/// This door ends: the lock is given back however it does.
pub(crate) struct Ends {
    _lock: File,
    name: String,
}

impl Ending {
    /// What former doors said to each other is forgotten; those that end are left alone.
    ///
    /// # Errors
    /// Where the directory cannot be made or read.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        for entry in fs::read_dir(&dir)?.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(ENDS) {
                let _ = fs::remove_file(entry.path());
            }
        }
        let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let this = Self { dir, began, token: AtomicU64::new(0) };
        this.others();
        Ok(this)
    }

    /// This door ends from here on: whoever comes after it asks it. None where the disk refuses: then nobody does.
    pub fn hold(&self) -> Option<Ends> {
        let name = std::process::id().to_string();
        let lock = File::create(self.dir.join(format!("{ENDS}{name}"))).ok()?;
        flock(&lock, FlockOperation::LockExclusive).ok()?;
        Some(Ends { _lock: lock, name })
    }

    /// The doors that end.
    fn others(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let mut alive = Vec::new();
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().and_then(|name| name.strip_prefix(ENDS)) else { continue };
            match is_held(&entry.path()) {
                true => alive.push(name.to_owned()),
                false => drop(fs::remove_file(entry.path())),
            }
        }
        alive
    }

    /// Has the doors that end let go of a node; true when none carries anything of it within the time.
    pub async fn let_go(&self, node: NodeId, within: Duration, tables: &Arc<Tables>) -> bool {
        let until = Instant::now() + within;
        let mut doors = self.others();
        if doors.is_empty() {
            return true;
        }
        let token = self.token();
        if let Err(error) = self.write(&format!("{NODE}{node}"), &format!("leaves {token}")) {
            tracing::warn!(%node, %error, "doors that end cannot be asked to let go of a node");
            return false;
        }
        self.watch(node, Arc::clone(tables));
        loop {
            doors.retain(|door| self.read(&format!("{door}-{node}")).as_deref() != Some(&token));
            doors.retain(|door| is_held(&self.dir.join(format!("{ENDS}{door}"))));
            if doors.is_empty() || Instant::now() >= until {
                return doors.is_empty();
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// A node that gets requests here again gets them from doors that end, too.
    fn watch(&self, node: NodeId, tables: Arc<Tables>) {
        let (dir, token) = (self.dir.clone(), self.token());
        tokio::spawn(async move {
            let until = Instant::now() + COMES_BACK_WITHIN;
            while Instant::now() < until {
                sleep(COMES_BACK_LOOK).await;
                if tables.has_back(node) {
                    let _ = write(&dir, &format!("{NODE}{node}"), &format!("stays {token}"));
                    return;
                }
            }
        });
    }

    fn token(&self) -> String {
        format!("{}.{}.{}", std::process::id(), self.began, self.token.fetch_add(1, Ordering::Relaxed))
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.dir.join(name)).ok()
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        write(&self.dir, name, text)
    }

    /// What the door after this one says of nodes.
    fn words(&self) -> Vec<(NodeId, String)> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let named = entries.flatten().filter_map(|entry| {
            let node: NodeId = entry.file_name().to_str()?.strip_prefix(NODE)?.parse().ok()?;
            Some((node, fs::read_to_string(entry.path()).ok()?))
        });
        named.take(NODES_MAX).collect()
    }

    /// Does as the door after this one says, until dropped.
    pub async fn follow(&self, ends: &Ends, tables: &Arc<Tables>, within: Duration) {
        let mut heard: HashMap<NodeId, String> = HashMap::new();
        let mut leave = JoinSet::new();
        loop {
            for (node, word) in self.words() {
                if heard.get(&node) == Some(&word) {
                    continue;
                }
                match word.split_once(' ') {
                    Some(("leaves", token)) => {
                        let (tables, token) = (Arc::clone(tables), token.to_owned());
                        leave.spawn(async move { (node, token, tables.drain(node, within).await) });
                    }
                    Some(("stays", _)) => tables.stays(node),
                    _ => continue,
                }
                heard.insert(node, word);
            }
            while let Some(left) = leave.try_join_next() {
                if let Ok((node, token, true)) = left {
                    let _ = self.write(&format!("{}-{node}", ends.name), &token);
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Beside and moved: nobody reads half of it.
fn write(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let beside = dir.join(format!("new-{name}"));
    fs::write(&beside, text)?;
    fs::rename(beside, dir.join(name))
}

/// Does somebody have the lock of that file?
fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(100);
    const LATE: Duration = Duration::from_secs(20);

    fn node() -> NodeId {
        NodeId::derive(&[7; 32], "node")
    }

    #[tokio::test]
    async fn a_node_is_let_go_of_when_every_door_that_ends_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Ending::open(dir.path().join("doors")).unwrap();
        let tables = Arc::new(Tables::default());
        let (first, next) = (open(), open());
        assert!(next.let_go(node(), Duration::ZERO, &tables).await, "nobody ends");
        let ends = first.hold().expect("a disk");
        assert!(!next.let_go(node(), SOON, &tables).await, "it does not say");
        tokio::select! {
            () = first.follow(&ends, &tables, LATE) => {}
            all = next.let_go(node(), LATE, &tables) => assert!(all),
        }
        assert!(!next.let_go(node(), SOON, &tables).await, "each question wants an answer of its own");
        drop(ends);
        assert!(next.let_go(node(), SOON, &tables).await, "it has ended");
    }

    #[tokio::test]
    async fn a_door_that_ends_is_asked_by_each_that_comes_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Ending::open(dir.path().join("doors")).unwrap();
        let tables = Arc::new(Tables::default());
        let first = open();
        let ends = first.hold().expect("a disk");
        for _ in 0..2 {
            let next = open();
            assert!(next.words().is_empty(), "what was said before is forgotten");
            tokio::select! {
                () = first.follow(&ends, &tables, LATE) => {}
                all = next.let_go(node(), LATE, &tables) => assert!(all),
            }
            assert_eq!(next.words().len(), 1);
        }
    }
}
