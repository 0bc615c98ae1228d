//! The controller of the world: the real rooms, put together without sockets and threads, that can die at any step.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use lace_api::{ApiState, Config, CountedIds, LivenessView, NewToken, NoAdopted, UsageSample};
use lace_engine::{Engine, Heard, JobEnded, JobNews};
use lace_fleet::{Fleet, FleetEvent, Support};
use lace_model::document::EntryId;
use lace_model::host::{Block, Host, Liveness};
use lace_model::token::{Role, Token};
use lace_model::traffic::{Flows, Traffic};
use lace_model::vm::VmSample;
use lace_model::{Code, Digest, FamilyPath, HostId, Millis, Name, NodeId, Problem};
use lace_store::{Batch, Clock, Expect, ManualClock, Store, StoreError};
use lace_wire::api::UsagePoint;
use lace_wire::link::frame::{JobReport, JoinReply, JoinRequest};
use lace_wire::stream::{StreamOpener, StreamPair, StreamRequest};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::mpsc;
use tower::ServiceExt;

/// Once more after a conflict, so often.
const TRIES: usize = 5;

/// Where a turn is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It decided, and stored nothing.
    BeforeCommit,
    /// It stored, and told nobody.
    BeforeTold,
}

/// One life of a controller.
pub struct Controller {
    store: Store,
    clock: Arc<ManualClock>,
    engine: Engine,
    /// Its hosts.
    pub fleet: Fleet,
    said: mpsc::UnboundedReceiver<FleetEvent>,
    heard: Vec<Heard>,
    router: Router,
    token: String,
}

impl Controller {
    /// A life begins with what is stored.
    pub fn begin(
        store: &Store,
        clock: &Arc<ManualClock>,
        ids: &Arc<CountedIds>,
        scratch: &std::path::Path,
    ) -> Self {
        let support = Arc::new(House { store: store.clone(), clock: clock.clone() });
        let (fleet, said) = Fleet::new(support);
        let engine = Engine::load(store, clock.now_ms()).expect("what it stored itself is readable");
        let state = ApiState {
            store: store.clone(),
            liveness: Arc::new(View(fleet.clone())),
            streams: Arc::new(NoStreams),
            adopted: Arc::new(NoAdopted),
            clock: clock.clone(),
            ids: ids.clone(),
            passwords: lace_api::Passwords::default(),
            turns: lace_api::Turns::default(),
            config: Arc::new(Config {
                loopback_http: true,
                public_url: "http://127.0.0.1:7440".into(),
                version: "simulated".into(),
                door: None,
                door_tls: None,
                pushes: None,
                agent_address: "127.0.0.1:7441".into(),
                authority: String::new(),
                scratch: scratch.to_owned(),
            }),
        };
        let (token, text) =
            lace_api::mint_token(ids.as_ref(), clock.now_ms(), NewToken::new("people", Role::Admin))
                .expect("the world's ids never fail");
        let mut batch = Batch::new(None);
        batch.put::<Token>(&token, Expect::Any);
        store.commit(batch).expect("a store in memory takes it");
        let router = lace_api::router(state);
        let (store, clock) = (store.clone(), clock.clone());
        Self { store, clock, engine, fleet, said, heard: Vec::new(), router, token: text }
    }

    /// Takes in what hosts said. Is there anything to think about?
    pub fn listens(&mut self) -> bool {
        while let Ok(event) = self.said.try_recv() {
            self.heard.push(heard(event));
        }
        !self.heard.is_empty()
    }

    /// When time alone is a reason for a turn.
    pub fn wake_at(&self) -> Option<Millis> {
        self.engine.wake_at()
    }

    /// One turn. False: it died in it.
    pub fn turn(&mut self, crash: Option<Crash>) -> Result<bool, StoreError> {
        self.listens();
        self.engine.refresh(&self.store)?;
        let heard = std::mem::take(&mut self.heard);
        for _ in 0..TRIES {
            let liveness: HashMap<_, _> = self.engine.hosts().map(|h| (h, self.fleet.liveness(h))).collect();
            let batch = self.engine.step(heard.clone(), liveness, self.clock.now_ms());
            if crash == Some(Crash::BeforeCommit) {
                return Ok(false);
            }
            if batch.is_empty() {
                break;
            }
            match self.store.commit(batch) {
                Ok(committed) => {
                    self.engine.wrote(&committed);
                    self.engine.refresh(&self.store)?;
                    break;
                }
                Err(StoreError::Conflict { .. }) => self.engine.reload(&self.store)?,
                Err(other) => return Err(other),
            }
        }
        if crash.is_some() {
            return Ok(false);
        }
        self.tell();
        Ok(true)
    }

    fn tell(&mut self) {
        let told = self.engine.told();
        told.neighbours.iter().for_each(|network| self.fleet.publish_neighbours(network));
        for (topic, carriers) in told.topics {
            self.fleet.publish_topic(&topic, &carriers);
        }
        let mut documents = told.documents;
        for host in self.engine.hosts().collect::<Vec<_>>() {
            let delta = documents.remove(&host).unwrap_or_default();
            self.fleet.publish(host, delta.upserts, delta.removes, true);
        }
        for (host, tasks) in told.acknowledged {
            self.fleet.acknowledge(host, tasks);
        }
        told.forgotten.into_iter().for_each(|host| self.fleet.forget(host));
    }

    /// What a person asks for, and the status of the answer with its text.
    pub fn asked(
        &self,
        way: &tokio::runtime::Runtime,
        (method, path): (&str, &str),
        body: String,
    ) -> (u16, String) {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .body(Body::from(body))
            .expect("a request");
        let router = self.router.clone();
        way.block_on(async move {
            let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            (status, String::from_utf8_lossy(&body).into_owned())
        })
    }
}

/// What fleet needs of the rest.
struct House {
    store: Store,
    clock: Arc<ManualClock>,
}

impl Support for House {
    fn join(&self, _: JoinRequest) -> BoxFuture<'static, Result<JoinReply, Problem>> {
        Box::pin(async {
            Err(Problem::new(Code::NotAllowed, "the world's hosts are there from the beginning"))
        })
    }
    fn blob(&self, digest: Digest) -> BoxFuture<'static, Result<Bytes, Problem>> {
        Box::pin(async move { Err(Problem::not_found(format!("blob {digest}"))) })
    }
    fn secret(&self, app: &str, name: &str, version: u64) -> Result<Bytes, Problem> {
        let app = Name::new(app).map_err(|e| Problem::new(Code::Usage, e.to_string()))?;
        let found = self.store.secret_get(&app, name, Some(version))?;
        let (value, _) = found.ok_or_else(|| Problem::not_found(format!("secret {app}/{name}@{version}")))?;
        Ok(Bytes::copy_from_slice(value.expose()))
    }
    fn epoch(&self) -> u64 {
        self.store.epoch()
    }
    fn adopting(&self) -> bool {
        self.store.meta().is_ok_and(|meta| meta.adopt)
    }
    fn blocks(&self, host: HostId) -> Result<Vec<Block>, Problem> {
        let row = self.store.get::<Host>(&host.to_string())?;
        row.map(|row| row.value.blocks).ok_or_else(|| Problem::new(Code::NotAllowed, "this host was removed"))
    }
    fn witness(
        &self,
        _: HostId,
        _: (NodeId, &FamilyPath),
        _: lace_vote::Message,
    ) -> Option<lace_vote::Message> {
        None
    }
    fn now(&self) -> Millis {
        self.clock.now_ms()
    }
}

/// Nobody of this world opens a shell.
struct NoStreams;

impl StreamOpener for NoStreams {
    fn open(&self, _: HostId, _: StreamRequest) -> BoxFuture<'static, Result<StreamPair, Problem>> {
        Box::pin(async { Err(Problem::new(Code::NodeUnreachable, "no streams in this world")) })
    }
}

/// Fleet as the API sees it; nobody of this world looks at use.
struct View(Fleet);

impl LivenessView for View {
    fn liveness(&self, host: HostId) -> Liveness {
        self.0.liveness(host)
    }
    fn usage(&self, _: NodeId) -> Option<UsageSample> {
        None
    }
    fn vm(&self, node: NodeId) -> Option<VmSample> {
        self.0.vm(node)
    }
    fn usage_history(&self, node: NodeId) -> Vec<UsagePoint> {
        self.0.usage_history(node)
    }
    fn traffic(&self) -> Vec<(HostId, Arc<Traffic>)> {
        self.0.traffic()
    }
    fn flows(&self) -> Flows {
        self.0.flows()
    }
    fn all(&self) -> BTreeMap<HostId, Liveness> {
        self.0.all()
    }
    fn unknown(&self) -> Vec<(HostId, NodeId)> {
        self.0.unknown()
    }
}

fn heard(event: FleetEvent) -> Heard {
    match event {
        FleetEvent::Connected { host, facts, entries, nodes } => Heard::Connected {
            host,
            capacity: facts.capacity,
            attributes: facts.attributes,
            agent_version: facts.agent_version,
            underlay: facts.underlay,
            held: entries.into_iter().filter_map(|(id, _)| node_of(id)).collect(),
            nodes,
        },
        FleetEvent::Report { host, nodes, jobs, tasks } => {
            Heard::Report { host, nodes, jobs: jobs.into_iter().map(news).collect(), tasks }
        }
        FleetEvent::Lost { host } => Heard::Lost { host },
    }
}

fn node_of(id: EntryId) -> Option<NodeId> {
    match id {
        EntryId::Node(node) => Some(node),
        _ => None,
    }
}

fn news(report: JobReport) -> JobNews {
    let ended = report.ended.map(|end| JobEnded {
        at: end.at,
        exit: end.exit,
        detail: end.detail,
        last_lines: end.last_lines,
    });
    JobNews { job: report.job, started_at: report.started_at, ended }
}
