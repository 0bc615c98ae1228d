//! What a node shall be: plain values, parsed and checked once at the door.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Everything that is needed to start one node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Its id, chosen before the start: `[a-z0-9-]`, 1 to 64 bytes.
    pub id: String,
    /// The host name inside, without domain.
    pub hostname: String,
    /// The full name, for /etc/hosts; empty when there is none.
    #[serde(default)]
    pub fqdn: String,
    /// Its address, out of this host's blocks.
    pub address: Ipv4Addr,
    /// More lines for /etc/hosts.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The name server; the machine's gateway address when absent.
    #[serde(default)]
    pub nameserver: Option<Ipv4Addr>,
    /// The search domain of resolv.conf.
    #[serde(default)]
    pub search: Option<String>,
    /// Where the files below the layers come from.
    #[serde(default)]
    pub image: Image,
    /// Host directories laid read-only over the image, the first one on top.
    #[serde(default)]
    pub layers: Vec<PathBuf>,
    /// Files written before the process starts.
    #[serde(default)]
    pub files: Vec<FileSpec>,
    /// Host directories that outlive the node.
    #[serde(default)]
    pub volumes: Vec<VolumeSpec>,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// How it is kept apart.
    #[serde(default)]
    pub isolation: Isolation,
    /// What runs in it; nothing (only PID 1) when absent.
    #[serde(default)]
    pub process: Option<ProcessSpec>,
    /// Its part in the votes on who of its family runs the one copy of an application; none has no part.
    #[serde(default)]
    pub votes: Option<VoteSpec>,
}

/// A node's part in the votes of its family (see `lace-vote`).
#[derive(Clone, Serialize, Deserialize)]
pub struct VoteSpec {
    /// Its own seat.
    pub seat: u32,
    /// What tells the family's messages from others: 32 bytes.
    #[serde(with = "hex")]
    pub key: Vec<u8>,
    /// Who votes.
    pub set: VoteSeats,
    /// No PID 1 was in its seat before, in this node or another: it need not wait until what that one promised is over.
    /// Counts for the very first start of the node only.
    #[serde(default)]
    pub is_first: bool,
    /// How PID 1 itself brings the copy up and down; none where the node may not run it, or others do that.
    #[serde(default)]
    pub copy: Option<CopySpec>,
}

/// How a node's process is made to run its family's one copy: commands beside it, each a list of words, which end well when it
/// is done. `LACE_UNHEARD` names the seats that were not heard for as long as a lease.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopySpec {
    /// Ends once the process can run the copy.
    pub ready: Vec<String>,
    /// Starts it.
    pub start: Vec<String>,
    /// Stops it in order.
    pub stop: Vec<String>,
    /// Whoever holds with a lower one makes room.
    pub preference: u64,
}

impl std::fmt::Debug for VoteSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VoteSpec(seat {}, {:?})", self.seat, self.set)
    }
}

/// A vote set with addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteSeats {
    /// The newer one counts.
    pub generation: u64,
    /// Seats, and where their PID 1s are.
    pub members: Vec<(u32, Ipv4Addr)>,
    /// The seat of a member that is no node: it is reached by whoever subscribes to the nodes' events.
    #[serde(default)]
    pub witness: Option<u32>,
}

/// Where a node's lowest files come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    /// The host's /usr (live, read-only) and a fresh /etc.
    #[default]
    Host,
    /// Only the given layers: they must hold a whole root file system.
    Layers,
}

/// How a node is kept apart from the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// A user namespace of its own: root inside is nobody outside.
    #[default]
    Border,
    /// No user namespace: root inside is the host's root with few capabilities and a system call
    /// filter. Keeps CAP_SYS_ADMIN for `trusted.*` attributes; needs a grant.
    Plain,
    /// The host's network, files and name; processes, shared memory and temporary files of its own. Everything in it runs
    /// as a user of its own without rights, unless its process is root's (see [`NodeSpec::is_unprivileged`]). Needs a grant.
    Host,
}

/// Limits of a node; absent means unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// CPU time in thousandths of one core.
    pub cpu_millis: Option<u32>,
    /// Memory in bytes; swap is not given on top of it.
    pub memory_bytes: Option<u64>,
    /// Processes and threads, PID 1 included.
    pub pids: Option<u32>,
}

/// One file to write into a node.
#[derive(Clone, Serialize, Deserialize)]
pub struct FileSpec {
    /// Where, absolute, inside the node.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// The user (name or number) it belongs to; root when absent.
    #[serde(default)]
    pub owner: Option<String>,
    /// The content.
    #[serde(with = "hex")]
    pub content: Vec<u8>,
    /// True for secrets: the path must be below /run, which is the node's own tmpfs; the content
    /// never reaches a disk.
    #[serde(default)]
    pub tmpfs: bool,
}

impl std::fmt::Debug for FileSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.content.len();
        write!(f, "FileSpec({}, {bytes} bytes)", self.path.display())
    }
}

/// A host directory seen at a path in the node. In a border node, root's files inside belong to
/// root in the directory (idmapped), so a volume can move between nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// The directory on the host; it must exist. With a size, the data lies in a file beside it (see
    /// [`crate::volume`]).
    pub source: PathBuf,
    /// Where it appears, absolute.
    pub target: PathBuf,
    /// Without the right to write.
    #[serde(default)]
    pub read_only: bool,
    /// Its size; unbounded when absent.
    #[serde(default)]
    pub size_bytes: Option<u64>,
}

/// A process that PID 1 keeps running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessSpec {
    /// The program (searched in PATH) and its arguments.
    pub argv: Vec<String>,
    /// Added to the node's base environment.
    pub env: BTreeMap<String, String>,
    /// Working directory; `/` when absent.
    pub cwd: Option<String>,
    /// `user`, `user:group`, `uid` or `uid:gid`; root when absent.
    pub user: Option<String>,
    /// False: known, but not started before it is asked for.
    pub enabled: bool,
    /// True for a job: not restarted, its exit status is kept.
    pub one_shot: bool,
    /// The first wait before a restart, ms.
    pub restart_min_ms: u64,
    /// The longest wait before a restart, ms.
    pub restart_max_ms: u64,
    /// After running so long, ms, the next failure starts again at the first wait.
    pub healthy_after_ms: u64,
    /// What asks it to end.
    pub stop_signal: i32,
    /// How long, ms, before everything is killed.
    pub stop_grace_ms: u64,
    /// Bytes kept of its output, over all files.
    pub log_bytes_max: u64,
    /// Files that the output is kept in, at least 2.
    pub log_files: u32,
}

impl Default for ProcessSpec {
    fn default() -> Self {
        ProcessSpec {
            argv: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            user: None,
            enabled: true,
            one_shot: false,
            restart_min_ms: 100,
            restart_max_ms: 30_000,
            healthy_after_ms: 10_000,
            stop_signal: libc::SIGTERM,
            stop_grace_ms: 10_000,
            log_bytes_max: 8 << 20,
            log_files: 4,
        }
    }
}

/// A command run next to the process, with its environment, limits and rights.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecSpec {
    /// The program (searched in PATH) and its arguments.
    pub argv: Vec<String>,
    /// Added to the process's environment.
    pub env: BTreeMap<String, String>,
    /// Working directory; the process's when absent.
    pub cwd: Option<String>,
    /// The process's user when absent.
    pub user: Option<String>,
    /// A terminal of so many rows and columns instead of three descriptors.
    pub pty: Option<(u16, u16)>,
    /// Leave the command running when the caller goes away.
    pub detached: bool,
}

impl ExecSpec {
    /// A command from its words.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        ExecSpec { argv: argv.into_iter().map(Into::into).collect(), ..ExecSpec::default() }
    }

    /// The same with one more variable.
    pub fn with(mut self, (name, value): (String, String)) -> Self {
        self.env.insert(name, value);
        self
    }
}

/// Largest sum of file contents in one spec, bytes: it travels through a pipe and lives in memory.
pub const FILES_BYTES_MAX: usize = 16 << 20;

/// What is its own of a node with isolation `host`, beside its temporary files.
pub(crate) const OWN_PLACES: [&str; 3] = ["/app", "/run/lace", "/package"];

/// Members of a vote set: each asks each.
pub const VOTERS_MAX: usize = 101;

impl NodeSpec {
    /// Does everything in it run as a user of its own, who has no rights on the host? With isolation `host`, unless its
    /// process is said to be root's.
    pub fn is_unprivileged(&self) -> bool {
        let user = self.process.as_ref().and_then(|process| process.user.as_deref());
        self.isolation == Isolation::Host && !matches!(user, Some("root" | "0"))
    }

    /// Checks everything that can be checked without looking at the host.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field and what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        check_id(&self.id)?;
        check_name("hostname", &self.hostname, 63)?;
        if !self.fqdn.is_empty() {
            check_name("fqdn", &self.fqdn, 253)?;
        }
        if let Some(search) = &self.search {
            check_name("search", search, 253)?;
        }
        if self.hosts.iter().any(|line| line.contains('\n')) {
            return Err(Error::invalid("hosts", "a line holds a newline"));
        }
        if self.image == Image::Layers && self.layers.is_empty() {
            return Err(Error::invalid("layers", "image `layers` needs at least one"));
        }
        if self.votes.as_ref().is_some_and(|votes| votes.key.len() != 32) {
            return Err(Error::invalid("votes.key", "must have 32 bytes"));
        }
        if self.votes.as_ref().is_some_and(|votes| votes.set.members.len() > VOTERS_MAX) {
            return Err(Error::invalid("votes.set", "more than 101 members"));
        }
        if self.layers.len() > 40 {
            return Err(Error::invalid("layers", "more than 40"));
        }
        if self.isolation == Isolation::Host {
            self.check_places()?;
        }
        self.check_paths()
    }

    /// What is put elsewhere would lie on the host, and stay there.
    fn check_places(&self) -> Result<(), Error> {
        if self.image != Image::Host {
            return Err(Error::invalid("image", "isolation `host` has the host's own files"));
        }
        let is_own = |path: &Path| OWN_PLACES.iter().any(|own| path.starts_with(own));
        if let Some(file) = self.files.iter().find(|file| !is_own(&file.path)) {
            let text =
                format!("{} is the host's: only /app and /run/lace are the node's", file.path.display());
            return Err(Error::invalid("files.path", text));
        }
        if let Some(volume) = self.volumes.iter().find(|volume| !volume.target.starts_with(OWN_PLACES[0])) {
            let text = format!("{} is the host's: only /app is the node's", volume.target.display());
            return Err(Error::invalid("volumes.target", text));
        }
        Ok(())
    }

    fn check_paths(&self) -> Result<(), Error> {
        for file in &self.files {
            check_path("files.path", &file.path)?;
            if file.tmpfs && !file.path.starts_with("/run") {
                return Err(Error::invalid("files.path", "a tmpfs file must be below /run"));
            }
        }
        let bytes: usize = self.files.iter().map(|f| f.content.len()).sum();
        if bytes > FILES_BYTES_MAX {
            return Err(Error::invalid("files", "more than 16 MiB in sum"));
        }
        for layer in &self.layers {
            check_path("layers", layer)?;
        }
        for volume in &self.volumes {
            check_path("volumes.source", &volume.source)?;
            check_path("volumes.target", &volume.target)?;
            if volume.target == Path::new("/") {
                return Err(Error::invalid("volumes.target", "must not be /"));
            }
        }
        Ok(())
    }
}

/// Ids become directory and cgroup names: `[a-z0-9-]`, 1 to 64 bytes.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if id.is_empty() || id.len() > 64 || id.starts_with('-') || !id.bytes().all(good) {
        return Err(Error::invalid("id", "use 1 to 64 of a-z, 0-9 and -"));
    }
    Ok(())
}

fn check_name(field: &'static str, name: &str, bytes_max: usize) -> Result<(), Error> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_';
    if name.is_empty() || name.len() > bytes_max || !name.bytes().all(good) {
        return Err(Error::invalid(field, "not a host name"));
    }
    Ok(())
}

fn check_path(field: &'static str, path: &Path) -> Result<(), Error> {
    let plain = |c| matches!(c, Component::RootDir | Component::Normal(_));
    if !path.is_absolute() || !path.components().all(plain) {
        return Err(Error::invalid(field, "must be absolute, without `..`"));
    }
    Ok(())
}

/// Bytes as hexadecimal text, for JSON.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            text.push(DIGITS[usize::from(byte >> 4)].into());
            text.push(DIGITS[usize::from(byte & 15)].into());
        }
        s.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        let digit = |b: u8| (b as char).to_digit(16);
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        bytes.ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}
