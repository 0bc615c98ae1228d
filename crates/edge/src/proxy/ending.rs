//! A door that was asked to end may still carry requests when its successor is asked to let go of a node. The two talk
//! by files in the state directory: the successor says which nodes leave, each door that ends does the same and says so.
//!
//! `ends-PID` is locked by a door that ends, for as long as it lives. `node-ID` holds a token while the successor wants a
//! node let go of. `PID-ID` is the answer: the token, as soon as that door carries nothing of the node any more but
//! tunnels. `waits-PID` tells the successor which requests wait there for a node: it speaks for them.

use super::table::Tables;
use crate::news::News;
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

const ENDS: &str = "ends-";
const NODE: &str = "node-";
const WAITS: &str = "waits-";

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
        // Locked before it has its name: whoever finds it finds it held.
        let (beside, place) = (self.dir.join(format!("new-{name}")), self.dir.join(format!("{ENDS}{name}")));
        let lock = File::create(&beside).ok()?;
        flock(&lock, FlockOperation::LockExclusive).ok()?;
        fs::rename(beside, place).ok()?;
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
    pub async fn let_go(&self, node: NodeId, within: Duration) -> bool {
        let until = Instant::now() + within;
        let doors = self.others();
        if doors.is_empty() {
            return true;
        }
        let question = Question { dir: &self.dir, node, token: self.token(), doors };
        if let Err(error) = write(&self.dir, &format!("{NODE}{node}"), &question.token) {
            tracing::warn!(%node, %error, "doors that end cannot be asked to let go of a node");
            return false;
        }
        while !question.is_answered() {
            if Instant::now() >= until {
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
        true
    }

    /// Requests that wait for a node in doors that end, by the name of their route.
    pub fn waiting(&self) -> HashMap<String, u64> {
        let mut all = HashMap::new();
        for door in self.others() {
            let text = fs::read(self.dir.join(format!("{WAITS}{door}"))).unwrap_or_default();
            let counts: HashMap<String, u64> = serde_json::from_slice(&text).unwrap_or_default();
            counts.into_iter().for_each(|(route, count)| *all.entry(route).or_default() += count);
        }
        all
    }

    /// Tells the door after this one which requests wait here.
    pub fn tell_waiting(&self, ends: &Ends, counts: &HashMap<String, u64>) {
        let text = serde_json::to_string(counts).unwrap_or_default();
        if let Err(error) = write(&self.dir, &format!("{WAITS}{}", ends.name), &text) {
            tracing::warn!(%error, "the door after this one does not hear of requests that wait here");
        }
    }

    fn token(&self) -> String {
        format!("{}.{}.{}", std::process::id(), self.began, self.token.fetch_add(1, Ordering::Relaxed))
    }

    /// What the door after this one wants let go of.
    fn wanted(&self) -> HashMap<NodeId, String> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return HashMap::new() };
        let named = entries.flatten().filter_map(|entry| {
            let node: NodeId = entry.file_name().to_str()?.strip_prefix(NODE)?.parse().ok()?;
            Some((node, fs::read_to_string(entry.path()).ok()?))
        });
        named.take(NODES_MAX).collect()
    }

    /// Does as the door after this one says, until dropped.
    pub async fn follow(&self, ends: &Ends, tables: &Arc<Tables>, within: Duration) {
        let mut wanted: HashMap<NodeId, String> = HashMap::new();
        let (mut leave, mut news) = (JoinSet::new(), News::of(&self.dir));
        loop {
            if news.look() {
                let before = std::mem::replace(&mut wanted, self.wanted());
                for (node, token) in wanted.clone() {
                    if before.get(&node) != Some(&token) {
                        let tables = Arc::clone(tables);
                        leave.spawn(async move {
                            tables.drain(node, within).await;
                            (node, token)
                        });
                    }
                }
            }
            // What is left are tunnels, which nobody waits for. Who asked anew wants another answer.
            while let Some(left) = leave.try_join_next() {
                if let Ok((node, token)) = left
                    && wanted.get(&node) == Some(&token)
                {
                    let _ = write(&self.dir, &format!("{}-{node}", ends.name), &token);
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// A question to the doors that have not answered yet. With it goes all that was written for it.
struct Question<'a> {
    dir: &'a Path,
    node: NodeId,
    token: String,
    doors: Vec<String>,
}

impl Question<'_> {
    fn is_answered(&self) -> bool {
        let is_over = |door: &String| {
            fs::read_to_string(self.answer(door)).is_ok_and(|answer| answer == self.token)
                || !is_held(&self.dir.join(format!("{ENDS}{door}")))
        };
        self.doors.iter().all(is_over)
    }

    fn answer(&self, door: &str) -> PathBuf {
        self.dir.join(format!("{door}-{}", self.node))
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let asked = self.dir.join(format!("{NODE}{}", self.node));
        for path in std::iter::once(asked).chain(self.doors.iter().map(|door| self.answer(door))) {
            // Of a later question about the node nothing is taken away.
            if fs::read_to_string(&path).is_ok_and(|token| token == self.token) {
                let _ = fs::remove_file(path);
            }
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
    match File::open(path) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockShared).is_err(),
        // Whoever cannot look does not know that it is over.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
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
        assert!(next.let_go(node(), Duration::ZERO).await, "nobody ends");
        let ends = first.hold().expect("a disk");
        assert!(!next.let_go(node(), SOON).await, "it does not say");
        tokio::select! {
            () = first.follow(&ends, &tables, LATE) => {}
            all = next.let_go(node(), LATE) => assert!(all),
        }
        assert!(!next.let_go(node(), SOON).await, "each question wants an answer of its own");
        drop(ends);
        assert!(next.let_go(node(), SOON).await, "it has ended");
    }

    #[tokio::test]
    async fn requests_are_waited_for_and_tunnels_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Ending::open(dir.path().join("doors")).unwrap();
        let tables = Arc::new(Tables::default());
        let member = tables.with_member(node());
        let (first, next) = (open(), open());
        let ends = first.hold().expect("a disk");
        let follows = first.follow(&ends, &tables, LATE);
        tokio::pin!(follows);
        // A tunnel and a request.
        (0..2).for_each(|_| member.enter());
        member.enter_tunnel();
        tokio::select! {
            () = &mut follows => {}
            all = next.let_go(node(), SOON) => assert!(!all, "a request is there"),
        }
        member.leave();
        tokio::select! {
            () = &mut follows => {}
            all = next.let_go(node(), LATE) => assert!(all, "the tunnel alone"),
        }
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
            tokio::select! {
                () = first.follow(&ends, &tables, LATE) => {}
                all = next.let_go(node(), LATE) => assert!(all),
            }
            let names = fs::read_dir(dir.path().join("doors")).unwrap();
            assert_eq!(names.count(), 1, "nothing is left of the question");
        }
    }

    #[tokio::test]
    async fn requests_that_wait_are_told_while_their_door_lives() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Ending::open(dir.path().join("doors")).unwrap();
        let (first, next) = (open(), open());
        let ends = first.hold().expect("a disk");
        assert_eq!(next.waiting(), HashMap::new());
        first.tell_waiting(&ends, &HashMap::from([("shop.example.com/".to_owned(), 2)]));
        assert_eq!(next.waiting(), HashMap::from([("shop.example.com/".to_owned(), 2)]));
        drop(ends);
        assert_eq!(next.waiting(), HashMap::new());
    }

    #[test]
    fn whoever_asked_anew_loses_nothing_when_the_former_question_goes() {
        let dir = tempfile::tempdir().unwrap();
        let ending = Ending::open(dir.path().join("doors")).unwrap();
        let question = |token: &str| {
            write(&ending.dir, &format!("{NODE}{}", node()), token).unwrap();
            Question { dir: &ending.dir, node: node(), token: token.to_owned(), doors: vec!["1".to_owned()] }
        };
        let first = question("one");
        let second = question("two");
        drop(first);
        assert_eq!(ending.wanted(), HashMap::from([(node(), "two".to_owned())]));
        drop(second);
        assert_eq!(ending.wanted(), HashMap::new());
    }
}
