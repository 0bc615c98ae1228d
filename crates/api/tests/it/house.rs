//! A house to knock at: router, store, tokens, and fakes for what lies beyond.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use lace_api::{ApiState, Config, CountedIds, FixedLiveness, NewToken, Passwords, Turns, mint_token, router};
use lace_model::application::{ApplicationSpec, ApplyRequest, FamilySpec, ServiceSpec};
use lace_model::host::{Block, Capacity, Host, Liveness};
use lace_model::machine::{Machine, MachineState};
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::target::{PlannedNode, Target, Want};
use lace_model::token::{Role, Token};
use lace_model::{
    AppName, ByteSize, CpuMillis, FamilyPath, Generation, HostId, Name, NodeId, Object, Problem,
};
use lace_store::{Batch, Expect, FixedGauge, ManualClock, MasterKey, Options, Store};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tower::ServiceExt;

pub const NOW: u64 = 1_700_000_000_000;

pub struct House {
    pub state: ApiState,
    pub router: Router,
    pub clock: Arc<ManualClock>,
    pub gauge: Arc<FixedGauge>,
    pub admin: String,
    pub viewer: String,
    /// A deployer of `shop` alone.
    pub shop: String,
    _scratch: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub body: Bytes,
}

impl Got {
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {} {:?}", self.status, self.body))
    }
    #[track_caller]
    pub fn ok<T: DeserializeOwned>(&self) -> T {
        assert!((200..300).contains(&self.status), "{} {:?}", self.status, self.body);
        self.json()
    }
    #[track_caller]
    pub fn problem(&self, status: u16) -> Problem {
        assert_eq!(self.status, status, "{:?}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        self.json()
    }
}

impl House {
    pub fn new() -> Self {
        Self::with(FixedLiveness::default(), |key, clock, options, _| {
            Store::open_in_memory_with(key, clock, options).expect("a store")
        })
    }

    pub fn on_disk() -> Self {
        Self::with(FixedLiveness::default(), |key, clock, options, dir| {
            Store::open_with(&dir.join("state"), key, clock, options).expect("a store")
        })
    }

    pub fn with_liveness(liveness: FixedLiveness) -> Self {
        Self::with(liveness, |key, clock, options, _| {
            Store::open_in_memory_with(key, clock, options).expect("a store")
        })
    }

    fn with(
        liveness: FixedLiveness,
        open: impl FnOnce(MasterKey, Arc<ManualClock>, Options, &std::path::Path) -> Store,
    ) -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(ManualClock::at(NOW));
        let gauge = Arc::new(FixedGauge::default());
        let options = Options { gauge: Some(gauge.clone()), ..Options::default() };
        let store = open(MasterKey::from_bytes([7; 32]), clock.clone(), options, scratch.path());
        let state = ApiState {
            store,
            liveness: Arc::new(liveness),
            streams: Arc::new(crate::streams::Echo),
            adopted: Arc::new(lace_api::NoAdopted),
            clock: clock.clone(),
            ids: Arc::new(CountedIds::default()),
            passwords: Passwords::default(),
            turns: Turns::default(),
            config: Arc::new(Config {
                loopback_http: true,
                public_url: "http://127.0.0.1:7440".into(),
                version: "0.1.0-test".into(),
                door: Some(([127, 0, 0, 1], 7480).into()),
                door_tls: Some(([127, 0, 0, 1], 7443).into()),
                pushes: None,
                agent_address: "127.0.0.1:7441".into(),
                authority: "a certificate".into(),
                scratch: scratch.path().join("scratch"),
            }),
        };
        let mut house = Self {
            router: router(state.clone()),
            state,
            clock,
            gauge,
            admin: String::new(),
            viewer: String::new(),
            shop: String::new(),
            _scratch: scratch,
        };
        house.admin = house.token(NewToken::new("root", Role::Admin));
        house.viewer = house.token(NewToken::new("looker", Role::Viewer));
        let mut shop = NewToken::new("shopkeeper", Role::Deployer);
        shop.apps = vec![name("shop")];
        house.shop = house.token(shop);
        house
    }

    /// Stores a token, gives its text.
    pub fn token(&self, new: NewToken) -> String {
        let (token, text) = mint_token(self.state.ids.as_ref(), NOW, new).expect("minted");
        self.put::<Token>(&token);
        text
    }

    pub fn put<T: Object>(&self, value: &T) {
        let mut batch = Batch::new(None);
        batch.put(value, Expect::Any);
        self.state.store.commit(batch).expect("committed");
    }

    pub async fn send(&self, request: axum::http::Request<Body>) -> Got {
        let response = self.router.clone().oneshot(request).await.expect("never fails");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        Got { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub async fn call(&self, token: &str, method: &str, path: &str, body: impl Into<Body>) -> Got {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(request.body(body.into()).expect("a request")).await
    }

    pub async fn get(&self, path: &str) -> Got {
        self.call(&self.admin, "GET", path, Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Got {
        self.call(&self.admin, "POST", path, body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Got {
        self.call(&self.admin, "DELETE", path, Body::empty()).await
    }

    pub async fn verb(&self, body: Value) -> Got {
        self.post("/v1/verbs", body).await
    }

    /// Applies `app` with one service `game` of so many nodes that run `sleep`.
    pub async fn apply(&self, app: &str, count: u32) -> Got {
        self.post(&format!("/v1/apps/{app}/apply"), json!(request(app, count))).await
    }

    /// All that the store wrote.
    pub fn everything(&self) -> String {
        let files = std::fs::read_dir(self._scratch.path()).expect("a directory").flatten();
        files
            .filter_map(|file| std::fs::read(file.path()).ok())
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .collect()
    }

    /// The last row of the audit log.
    pub fn last_audit(&self) -> (String, String, String, String) {
        let rows = self.state.store.audit(0, 10_000).expect("rows");
        let row = rows.last().expect("a row").clone();
        (row.actor.unwrap_or_default(), row.action, row.subject, row.outcome)
    }

    pub fn audits(&self) -> usize {
        self.state.store.audit(0, 10_000).expect("rows").len()
    }

    /// A host in the store. Whether it is connected is the liveness view's to say.
    pub fn add_host(&self, n: u8) -> HostId {
        let id = host_id(n);
        self.put(&Host {
            id,
            name: name(&format!("alpha{n}")),
            capacity: Capacity { cpu: CpuMillis(64_000), memory: ByteSize::mib(262_144), slots: 4000 },
            attributes: Default::default(),
            blocks: vec![Block { base: Ipv4Addr::new(10, 192, n, 0) }],
            draining: false,
            agent_version: "0.1.0".into(),
            joined_at: NOW,
            underlay: None,
            pool: None,
            removing: false,
        });
        id
    }

    /// The machine of a host, had from a pool.
    pub fn add_machine(&self, id: HostId, pool: &str) -> Machine {
        let machine = Machine {
            id,
            name: name("alpha1"),
            pool: name(pool),
            provider: name("my-ec2"),
            region: None,
            state: MachineState::Joined,
            instance: Some("i-1".into()),
            network: None,
            zone: None,
            kind: None,
            address: None,
            epoch: None,
            price: None,
            taken_at: None,
            ordered_at: NOW,
            since: NOW,
            why: None,
        };
        self.put(&machine);
        machine
    }

    /// What the engine would write: all nodes of a family placed on a host, and reported ready.
    pub fn place(&self, path: &str, count: u32, host: HostId) {
        let family: FamilyPath = path.parse().expect("a path");
        let mut batch = Batch::new(None);
        let nodes: Vec<_> = (1..=count).map(|index| planned(&family, index, host)).collect();
        for node in &nodes {
            batch.put(&ready(&family, node), Expect::Any);
        }
        batch.put(
            &Target {
                family,
                generation: Generation { epoch: 1, number: 1 },
                parent: None,
                made_at: NOW,
                nodes,
                rollout: None,
                base: 0,
                mesh: 0,
                good: Some(1),
                votes: None,
                reasons: Vec::new(),
            },
            Expect::Any,
        );
        self.state.store.commit(batch).expect("placed");
    }
}

pub fn name(text: &str) -> AppName {
    Name::new(text).expect("a name")
}

pub fn host_id(n: u8) -> HostId {
    HostId::derive(&[n; 32], "host")
}

pub fn node_id(family: &FamilyPath, index: u32) -> NodeId {
    NodeId::derive(&[1; 32], &format!("{family}/{index}"))
}

fn planned(family: &FamilyPath, index: u32, host: HostId) -> PlannedNode {
    PlannedNode {
        id: node_id(family, index),
        index,
        revision: 1,
        restart: 0,
        host,
        address: Ipv4Addr::from(0x0ac0_0002 + index),
        want: Want::Run,
        planned_at: NOW,
        mesh: 0,
    }
}

fn ready(family: &FamilyPath, node: &PlannedNode) -> NodeStatus {
    NodeStatus {
        id: node.id,
        path: family.node(node.index),
        revision: node.revision,
        host: node.host,
        address: node.address,
        generation: Generation { epoch: 1, number: 1 },
        phase: NodePhase::Running,
        ready: true,
        since: NOW + 5,
        started_at: Some(NOW),
        restarts: 0,
        exit: None,
        detail: None,
        alarms: Vec::new(),
        votes_seen: None,
        holds: false,
        joined: false,
    }
}

pub fn connected(hosts: &[u8]) -> FixedLiveness {
    let alive = Liveness { connected: true, last_seen: NOW, disk_used_permille: 100 };
    FixedLiveness { hosts: hosts.iter().map(|n| (host_id(*n), alive)).collect(), ..Default::default() }
}

/// A request for one service `game` that sleeps.
pub fn request(app: &str, count: u32) -> ApplyRequest {
    let family = FamilySpec { count: Some(count), ..Default::default() };
    let service = ServiceSpec {
        start: Some(vec!["sleep".into(), "1000".into()]),
        families: [(name("game"), family)].into(),
        ..Default::default()
    };
    ApplyRequest {
        app: name(app),
        spec: ApplicationSpec { services: [(name("game"), service)].into() },
        prune: false,
        delete_data: false,
        plan: None,
    }
}
