//! What the actors of nodes and jobs may use: the machine, the held state, the way to the controller.

use crate::beam::line::Lines;
use crate::config::{AgentConfig, AgentError};
use crate::doors::Elsewhere;
use crate::excess::Verdicts;
use crate::figures::Figures;
use crate::held::{Held, Record};
use crate::identity::Identity;
use crate::images::Images;
use crate::node::claim::Claims;
use crate::outbox::Outbox;
use crate::refresh::Refresh;
use crate::tree::Trees;
use crate::volume::Volumes;
use crate::wall::Wall;
use lace_machine::{Cidr, Machine, MachineConfig, NodeState};
use lace_model::document::{EntryBody, Topic};
use lace_model::host::Block;
use lace_model::traffic::Traffic;
use lace_model::{AppName, HostId, NodePath};
use lace_wire::link::dial::Link;
use lace_wire::link::frame::ToController;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, mpsc, watch};

/// `lace net` hears so many callers at least.
const DRAINS_MAX: usize = 64;
/// As many as the controller asks of a host at a time.
const DRAINS_FOR_OTHERS_MAX: usize = 256;

/// All topics, cheap to hand around.
pub type Topics = Arc<BTreeMap<AppName, Arc<Topic>>>;
/// The link of the session that is open now.
pub type LinkNow = watch::Receiver<Option<Link>>;

/// A task that ends with its owner.
pub struct Kept(pub tokio::task::JoinHandle<()>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The tools of one agent.
pub struct Hands {
    /// Who we are.
    pub host: HostId,
    /// The machine.
    pub machine: Arc<Machine>,
    /// What is held.
    pub held: Arc<Held>,
    /// What the controller has to hear.
    pub outbox: Outbox,
    /// Releases laid out.
    pub trees: Trees,
    /// Packages laid out.
    pub packages: Trees,
    /// Debian packages laid out.
    pub images: Images,
    /// Who takes more than its limits.
    pub excess: watch::Sender<Verdicts>,
    /// What running nodes know of their families.
    pub refresh: Refresh,
    /// The lines to running BEAM nodes.
    pub lines: Lines,
    /// What nodes of packages said of themselves.
    pub figures: Figures,
    /// The firewall.
    pub wall: Arc<Wall>,
    /// Who has which address.
    pub addresses: Claims<Ipv4Addr>,
    /// What outlives nodes.
    pub volumes: Volumes,
    /// Topics, for whoever waits for one.
    pub topics: watch::Sender<Topics>,
    /// The open link, if any.
    pub link: watch::Sender<Option<Link>>,
    /// Where frames of the open session go.
    pub session: watch::Sender<Option<mpsc::Sender<ToController>>>,
    /// Starts and removals at once: they are mostly kernel work.
    pub starts: Semaphore,
    /// The control socket of `lace net`.
    pub net_socket: PathBuf,
    /// What the door carried, until it is told.
    pub traffic: watch::Sender<Option<Traffic>>,
    /// Nodes that wait at once for the door to let go of them.
    pub drains: Semaphore,
    /// The same for nodes of other hosts: theirs do not wait for ours.
    pub drains_for_others: Semaphore,
    /// Nodes that wait for the doors of other hosts.
    pub elsewhere: Elsewhere,
    /// This host's address in the network between hosts, as last looked at.
    underlay: Mutex<Option<Ipv4Addr>>,
    /// Blocks at the join.
    blocks: Vec<Block>,
}

impl Hands {
    /// Opens the machine and what was held before.
    pub async fn open(config: &AgentConfig, identity: &Identity) -> Result<Arc<Self>, AgentError> {
        let held = Arc::new(Held::open(&config.state_dir)?);
        held.drop_unused_secrets();
        let machine = open_machine(config, identity).await?;
        let (link, link_now) = watch::channel(None);
        let topics = held.read(|state| {
            let shared = state.topics.iter().map(|(app, topic)| (app.clone(), Arc::new(topic.clone())));
            Topics::new(shared.collect())
        });
        let alive: Vec<_> = machine.list().into_iter().filter(|node| node.alive).collect();
        let addresses = alive.iter().filter_map(|node| Some((node.address?, node.id.clone()))).collect();
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        let (trees, packages) = Trees::open(&config.state_dir, link_now)?;
        let hands = Self {
            host: identity.host,
            trees,
            packages,
            images: Images::open(&config.state_dir)?,
            addresses,
            volumes: Volumes::open(machine.volumes_dir(), places(&held, &alive))?,
            machine: Arc::new(machine),
            held,
            outbox: Outbox::default(),
            excess: watch::Sender::default(),
            refresh: Refresh::default(),
            lines: Lines::default(),
            figures: Figures::default(),
            wall: Arc::default(),
            topics: watch::Sender::new(topics),
            link,
            session: watch::Sender::default(),
            starts: Semaphore::new(processors * 2 + 2),
            net_socket: config.net_socket.clone(),
            traffic: watch::Sender::default(),
            drains: Semaphore::new(DRAINS_MAX),
            drains_for_others: Semaphore::new(DRAINS_FOR_OTHERS_MAX),
            elsewhere: Elsewhere::default(),
            underlay: Mutex::default(),
            blocks: identity.blocks.clone(),
        };
        hands.wall.nudge();
        let hands = Arc::new(hands);
        let thawed = hands.clone();
        tokio::task::spawn_blocking(move || thawed.volumes.thaw());
        Ok(hands)
    }

    /// The topic of an application.
    pub fn topic(&self, app: &AppName) -> Option<Arc<Topic>> {
        self.topics.borrow().get(app).cloned()
    }

    /// This host's address in the network between hosts.
    pub fn underlay(&self) -> Option<Ipv4Addr> {
        *self.underlay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It may have another address now.
    pub fn moved(&self, underlay: Option<Ipv4Addr>) {
        let former =
            std::mem::replace(&mut *self.underlay.lock().unwrap_or_else(PoisonError::into_inner), underlay);
        if former != underlay {
            self.held.commit(vec![Record::Moved]);
            self.wall.nudge();
        }
    }

    /// Says something to the controller now or never: there may be no session.
    pub fn say(&self, frame: ToController) {
        if let Some(session) = &*self.session.borrow() {
            let _ = session.try_send(frame);
        }
    }

    /// Is the address one of this host's?
    pub fn owns(&self, address: Ipv4Addr) -> bool {
        let within = |block: &Block| u32::from(block.base) >> 8 == u32::from(address) >> 8;
        self.held.read(|state| state.blocks.iter().any(within)) || self.blocks.iter().any(within)
    }
}

/// The places of the nodes that are there. Of a stray, which no entry names, none is known.
fn places(held: &Held, nodes: &[NodeState]) -> Claims<NodePath> {
    held.read(|state| {
        let named = state.entries.values().filter_map(|entry| match &entry.body {
            EntryBody::Node(node) => Some((node.path.clone(), node.id.to_string())),
            _ => None,
        });
        named.filter(|(_, name)| nodes.iter().any(|node| node.id == *name)).collect()
    })
}

async fn open_machine(config: &AgentConfig, identity: &Identity) -> Result<Machine, AgentError> {
    let space = if identity.space.is_empty() { &config.space } else { &identity.space };
    let space: Cidr = space.parse()?;
    let block = identity.blocks.first().ok_or_else(|| AgentError::Answer("no block of addresses".into()))?;
    let first = Cidr::new(block.base, 24)?;
    Machine::ensure_free(&config.installation_label, &[first])?;
    let label = &config.installation_label;
    let mut machine = MachineConfig::new(config.state_dir.join("machine"), label, space, first);
    // Blocks come later too; whether an address is ours is asked of the held ones, see `owns`.
    machine.blocks.push(space);
    machine.executable = Some(config.exe.clone());
    let opened = tokio::task::spawn_blocking(move || Machine::open(machine)).await;
    Ok(opened.map_err(|_| AgentError::Stopped("opening the machine"))??)
}
