//! A small estate: the application shop with the services game and web.

use crate::fake::NOW;
use lace_model::document::Verb;
use lace_model::host::{Block, Capacity, Host, Liveness};
use lace_model::node::{Exit, NodePhase, NodeStatus};
use lace_model::operation::{Operation, OperationState};
use lace_model::release::{Release, ReleaseKind};
use lace_model::revision::Limits;
use lace_model::rollout::{Phase, Rollout};
use lace_model::task::{NewTask, NodeTask, TaskState};
use lace_model::{
    ByteSize, Code, CpuMillis, Digest, FamilyPath, Generation, HostId, NodeId, OperationId, Span,
};
use lace_wire::api::{
    Accepted, AppStatus, AppSummary, FamilyStatus, Health, HostView, NodeView, Status, UsageView,
};
use std::collections::BTreeMap;

/// An id that ends in a number.
pub fn uuid(n: u32) -> String {
    format!("019aa9d6-2d4e-8000-8000-{n:012}")
}

/// Operation number 1.
pub fn op() -> OperationId {
    uuid(1).parse().expect("id")
}

/// Taken on, as operation number 1.
pub fn accepted() -> Accepted {
    Accepted { operation: Some(op()), message: "taken on".into() }
}

/// Operation number 1 in a state.
pub fn operation(state: OperationState, code: Option<Code>, message: &str) -> Operation {
    Operation {
        id: op(),
        verb: "scale".into(),
        subject: "shop/game".into(),
        actor: "anna".into(),
        waits: Vec::new(),
        state,
        code,
        message: message.into(),
        details: Vec::new(),
        started_at: NOW - 5000,
        ended_at: (state != OperationState::Running).then_some(NOW),
        held_until: None,
    }
}

/// A node of a family.
pub fn node(family: &str, index: u32) -> NodeView {
    let family: FamilyPath = family.parse().expect("family");
    let path = family.node(index);
    NodeView {
        fqdn: path.fqdn(),
        status: NodeStatus {
            id: uuid(10 + index).parse::<NodeId>().expect("id"),
            path,
            revision: 3,
            host: uuid(90).parse::<HostId>().expect("id"),
            address: [10, 192, 0, 10 + index as u8].into(),
            generation: Generation { epoch: 1, number: 7 },
            phase: NodePhase::Running,
            ready: true,
            since: NOW - 90_000,
            started_at: Some(NOW - 91_000),
            restarts: 0,
            exit: None,
            detail: None,
            alarms: Vec::new(),
            votes_seen: None,
            holds: false,
            joined: false,
        },
        host: "alpha".into(),
        host_connected: true,
        host_seen: NOW - 500,
    }
}

/// Three nodes of shop/game.
pub fn nodes() -> Vec<NodeView> {
    (1..=3).map(|index| node("shop/game/game", index)).collect()
}

/// A node that crashed.
pub fn crashed() -> NodeView {
    let mut node = node("shop/web/backend", 1);
    node.status.phase = NodePhase::Backoff;
    node.status.ready = false;
    node.status.restarts = 4;
    node.status.exit = Some(Exit {
        cause: None,
        code: Some(1),
        signal: None,
        oom: false,
        at: NOW - 2000,
        last_lines: vec!["boom".into()],
    });
    node
}

/// A family.
pub fn family(path: &str, health: Health, nodes: Vec<NodeView>) -> FamilyStatus {
    FamilyStatus {
        running: None,
        path: path.parse().expect("family"),
        health,
        message: if health == Health::Healthy { "as wanted" } else { "1 of 1 nodes crashed" }.into(),
        wanted: nodes.len() as u32,
        ready: nodes.iter().filter(|node| node.status.ready).count() as u32,
        revision: 3,
        release: "game@1.2.0".into(),
        since: NOW - 3_600_000 * 3,
        rollout: None,
        nodes,
        drift: Vec::new(),
    }
}

/// How everything is.
pub fn status() -> Status {
    let mut web = family("shop/web/backend", Health::Failed, vec![crashed()]);
    web.rollout = Some(Rollout {
        from: Some(2),
        to: 3,
        phase: Phase::Reverting { cause: "exit status 1 after 0.2s".into() },
        started_at: NOW - 9000,
        moved_at: NOW - 2000,
        last_lines: vec!["boom".into()],
        split: None,
        mesh: None,
    });
    web.drift = vec!["count: 1, applied 2".into()];
    let families = vec![family("shop/game/game", Health::Healthy, nodes()), web];
    estate(Health::Failed, families)
}

/// How shop/game is.
pub fn game() -> Status {
    estate(Health::Healthy, vec![family("shop/game/game", Health::Healthy, nodes())])
}

/// An application with these families.
pub fn estate(health: Health, families: Vec<FamilyStatus>) -> Status {
    let app = AppStatus { name: "shop".parse().expect("name"), health, families };
    Status { now: NOW, apps: vec![app], hosts_connected: 1, hosts: 2, adopt: false }
}

/// Applications.
pub fn apps() -> Vec<AppSummary> {
    vec![AppSummary {
        name: "shop".parse().expect("name"),
        health: Health::Healthy,
        services: 2,
        ready: 4,
        wanted: 4,
        created_at: NOW - 86_400_000 * 3,
    }]
}

/// Hosts.
pub fn hosts() -> Vec<HostView> {
    let host = |name: &str, n: u32| Host {
        id: uuid(n).parse().expect("id"),
        name: name.parse().expect("name"),
        capacity: Capacity { cpu: CpuMillis(8000), memory: ByteSize(16 << 30), slots: 250 },
        attributes: BTreeMap::from([("arch".into(), "x86_64".into())]),
        blocks: vec![Block { base: [10, 192, 0, 0].into() }],
        draining: false,
        agent_version: "0.1.0".into(),
        joined_at: NOW - 86_400_000,
        underlay: None,
        pool: None,
        removing: false,
    };
    let view = |host, connected, permille| HostView {
        host,
        liveness: Liveness { connected, last_seen: NOW - 1500, disk_used_permille: permille },
        nodes: 4,
        cpu_used: 1250,
        memory_used: 1 << 30,
    };
    vec![view(host("alpha", 90), true, 420), view(host("beta", 91), false, 930)]
}

/// A release.
pub fn release(version: &str) -> Release {
    Release {
        name: "game".parse().expect("name"),
        version: version.into(),
        tree: Digest::of(version.as_bytes()),
        kind: ReleaseKind::Relx,
        start: vec!["bin/game".into(), "foreground".into()],
        stop: None,
        templates: Vec::new(),
        needs: Default::default(),
        bytes: 12_345_678,
        uploaded_at: NOW - 60_000,
        pushed: None,
    }
}

/// What nodes use.
pub fn usage() -> Vec<UsageView> {
    let one = |index: u32, cpu_millis, age_ms| {
        let view = node("shop/game/game", index);
        UsageView {
            path: view.status.path,
            node: view.status.id,
            host: "alpha".into(),
            cpu_millis,
            memory: u64::from(index) * (60 << 20),
            pids: 31,
            restarts: 0,
            limits: Limits::default(),
            age_ms,
        }
    };
    vec![one(1, 12, 800), one(2, 240, 900), one(3, 5, 31_000)]
}

/// A restart in place that did not come about.
pub fn task() -> NodeTask {
    let node = nodes().remove(0).status;
    let asked = NewTask {
        id: uuid(7).parse().expect("an id"),
        path: node.path,
        node: node.id,
        host: node.host,
        verb: Verb::Restart,
        within: Span::secs(60),
        restarts: 0,
        actor: "anna".into(),
    };
    let mut task = asked.queued(NOW);
    task.give_up(TaskState::Expired, "its host did not answer before the deadline", NOW);
    task
}
