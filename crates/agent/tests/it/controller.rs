//! A controller in this process: the real fleet behind a real TLS listener, with a support that is made of maps.

use bytes::Bytes;
use futures::future::BoxFuture;
use lace_fleet::{Fleet, FleetEvent, Support};
use lace_model::document::{Entry, EntryBody, EntryId, NodeEntry, Task, TaskOutcome, Topic};
use lace_model::host::Block;
use lace_model::job::Job;
use lace_model::node::NodeStatus;
use lace_model::{
    Code, Digest, FamilyPath, Generation, HostId, InstallationId, JobId, Millis, NodeId, Problem, TaskId,
};
use lace_vote::Message;
use lace_wire::link::frame::{JobReport, JoinReply, JoinRequest};
use lace_wire::link::serve::LinkServer;
use lace_wire::stream::{StreamOpener, StreamPair, StreamRequest};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

/// What the controller was told.
#[derive(Default)]
pub struct Seen {
    pub nodes: HashMap<NodeId, NodeStatus>,
    pub jobs: HashMap<JobId, JobReport>,
    pub tasks: HashMap<TaskId, Vec<TaskOutcome>>,
    pub connected: u32,
    pub lost: u32,
    /// Every phase of every node, in order, for tests about what was said.
    pub phases: Vec<(NodeId, NodeStatus)>,
}

pub struct Fake {
    pub ca: String,
    issuer: Issuer<'static, KeyPair>,
    pub host: HostId,
    pub block: Block,
    space: String,
    token: Mutex<Option<String>>,
    pub blobs: Mutex<HashMap<Digest, Bytes>>,
    pub secrets: Mutex<HashMap<String, Bytes>>,
    pub epoch: AtomicU64,
}

pub struct Controller {
    pub fake: Arc<Fake>,
    pub fleet: Fleet,
    pub seen: Arc<Mutex<Seen>>,
    pub address: SocketAddr,
    number: AtomicU64,
    /// Its own, so that dropping the controller ends its connections too.
    runtime: Option<tokio::runtime::Runtime>,
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca = params.self_signed(&key).unwrap().pem();
    (ca, Issuer::new(params, key))
}

impl Fake {
    pub fn new(block: Block, space: String) -> Arc<Self> {
        let (ca, issuer) = authority();
        Arc::new(Self {
            ca,
            issuer,
            host: HostId(uuid::Uuid::new_v4()),
            block,
            space,
            token: Mutex::new(Some("once".to_owned())),
            blobs: Mutex::default(),
            secrets: Mutex::default(),
            epoch: AtomicU64::new(1),
        })
    }

    fn join_now(&self, request: &JoinRequest) -> Result<JoinReply, Problem> {
        let mut token = self.token.lock().unwrap();
        if token.as_deref() != Some(request.token.as_str()) {
            return Err(Problem::new(Code::NotAllowed, "the join token is not valid (any more)"));
        }
        *token = None;
        let name = lace_wire::link::host_certificate_name(self.host);
        let mut csr = CertificateSigningRequestParams::from_pem(&request.csr).unwrap();
        csr.params = CertificateParams::new(vec![name]).unwrap();
        Ok(JoinReply {
            host: self.host,
            installation: InstallationId(uuid::Uuid::new_v4()),
            certificate: csr.signed_by(&self.issuer).unwrap().pem(),
            ca: self.ca.clone(),
            space: self.space.clone(),
            blocks: vec![self.block],
        })
    }
}

/// Fleet wants a `Support` of its own type.
struct Shared(Arc<Fake>);

impl Support for Shared {
    fn join(&self, request: JoinRequest) -> BoxFuture<'static, Result<JoinReply, Problem>> {
        let reply = self.0.join_now(&request);
        Box::pin(async move { reply })
    }
    fn blob(&self, digest: Digest) -> BoxFuture<'static, Result<Bytes, Problem>> {
        let found = self.0.blobs.lock().unwrap().get(&digest).cloned();
        Box::pin(async move { found.ok_or_else(|| Problem::not_found("blob")) })
    }
    fn secret(&self, app: &str, name: &str, version: u64) -> Result<Bytes, Problem> {
        let key = format!("{app}/{name}@{version}");
        self.0.secrets.lock().unwrap().get(&key).cloned().ok_or_else(|| Problem::not_found("secret"))
    }
    fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::SeqCst)
    }
    fn adopting(&self) -> bool {
        false
    }
    fn blocks(&self, _: HostId) -> Result<Vec<Block>, Problem> {
        Ok(vec![self.0.block])
    }
    fn witness(&self, _: HostId, _: (NodeId, &FamilyPath), _: Message) -> Option<Message> {
        None
    }
    fn now(&self) -> Millis {
        now()
    }
}

/// A controller that was just dropped may still hold the address for a moment.
async fn bind(listen: SocketAddr) -> std::net::TcpListener {
    for _ in 0..500 {
        if let Ok(listener) = std::net::TcpListener::bind(listen) {
            listener.set_nonblocking(true).unwrap();
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{listen} stays taken");
}

pub fn now() -> Millis {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as Millis
}

impl Controller {
    /// Serves on the address (port 0: a free one).
    pub async fn start(fake: Arc<Fake>, listen: SocketAddr) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![lace_wire::link::CONTROLLER_NAME.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &fake.issuer).unwrap().pem();
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key.serialize_pem()))
            .client_ca_root(Certificate::from_pem(&fake.ca))
            .client_auth_optional(true);
        let (fleet, events) = Fleet::new(Arc::new(Shared(fake.clone())));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = bind(listen).await;
        let address = listener.local_addr().unwrap();
        let inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(LinkServer::new(Arc::new(fleet.link())))
            .serve_with_incoming(incoming);
        let seen = Arc::new(Mutex::new(Seen::default()));
        runtime.spawn(async move { drop(server.await) });
        runtime.spawn(watch(fleet.clone(), seen.clone(), events));
        drop(inside);
        Self { fake, fleet, seen, address, number: AtomicU64::new(0), runtime: Some(runtime) }
    }

    pub fn generation(&self) -> Generation {
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        Generation { epoch: self.fake.epoch(), number: now() * 1000 + number }
    }

    pub fn publish(&self, body: EntryBody) -> Entry {
        let id = match &body {
            EntryBody::Node(node) => EntryId::Node(node.id),
            EntryBody::Job(job) => EntryId::Job(job.id),
            EntryBody::Task(task) => EntryId::Task(task.id),
        };
        let entry = Entry { id, generation: self.generation(), body };
        self.fleet.publish(self.fake.host, vec![entry.clone()], Vec::new(), true);
        entry
    }

    pub fn node(&self, entry: &NodeEntry) -> Entry {
        self.publish(EntryBody::Node(Box::new(entry.clone())))
    }

    pub fn job(&self, job: &Job) -> Entry {
        self.publish(EntryBody::Job(Box::new(job.clone())))
    }

    pub fn task(&self, task: &Task) -> Entry {
        self.publish(EntryBody::Task(task.clone()))
    }

    pub fn remove(&self, entry: &Entry) {
        self.fleet.publish(self.fake.host, Vec::new(), vec![(entry.id, entry.generation)], true);
    }

    pub fn topic(&self, topic: &Topic) {
        self.fleet.publish_topic(topic, &HashSet::from([self.fake.host]));
    }

    pub async fn open(&self, request: StreamRequest) -> StreamPair {
        self.fleet.open(self.fake.host, request).await.unwrap()
    }

    /// Waits until the question about what was seen is answered.
    pub async fn until<T>(&self, what: &str, mut ask: impl FnMut(&Seen) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(answer) = ask(&self.seen.lock().unwrap()) {
                return answer;
            }
            if tokio::time::Instant::now() > deadline {
                let seen = self.seen.lock().unwrap();
                panic!("in vain: {what}; nodes {:#?}, jobs {:?}", seen.nodes.values(), seen.jobs);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for a state of a node.
    pub async fn until_node(
        &self,
        what: &str,
        id: NodeId,
        mut good: impl FnMut(&NodeStatus) -> bool,
    ) -> NodeStatus {
        self.until(what, |seen| seen.nodes.get(&id).filter(|node| good(node)).cloned()).await
    }
}

impl Fake {
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn watch(fleet: Fleet, seen: Arc<Mutex<Seen>>, mut events: mpsc::UnboundedReceiver<FleetEvent>) {
    while let Some(event) = events.recv().await {
        let mut seen = seen.lock().unwrap();
        match event {
            FleetEvent::Connected { nodes, .. } => {
                seen.connected += 1;
                seen.nodes = nodes.into_iter().map(|node| (node.id, node)).collect();
            }
            FleetEvent::Report { host, nodes, jobs, tasks } => {
                seen.phases.extend(nodes.iter().map(|node| (node.id, node.clone())));
                seen.nodes.extend(nodes.into_iter().map(|node| (node.id, node)));
                seen.jobs.extend(jobs.into_iter().map(|job| (job.job, job)));
                for (id, outcome) in &tasks {
                    seen.tasks.entry(*id).or_default().push(outcome.clone());
                }
                if !tasks.is_empty() {
                    fleet.acknowledge(host, tasks.into_iter().map(|(id, _)| id).collect());
                }
            }
            FleetEvent::Lost { .. } => seen.lost += 1,
        }
    }
}
