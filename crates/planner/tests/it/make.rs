//! Families, revisions and hosts to test with.

use lace_model::family::{Family, StateKind};
use lace_model::host::{Block, Capacity, Host, Liveness};
use lace_model::release::ReleaseKind;
use lace_model::revision::{Backoff, Limits, Revision, RevisionSpec, StopSpec};
use lace_model::rollout::RolloutPolicy;
use lace_model::{ByteSize, CpuMillis, Digest, FamilyPath, HostId, Name};
use lace_planner::{HostView, Used};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

pub const SEED: [u8; 32] = [7; 32];

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn path() -> FamilyPath {
    "shop/game/game".parse().unwrap()
}

pub fn family(count: u32) -> Family {
    Family {
        path: path(),
        count,
        running: true,
        revision: 1,
        restart: 0,
        replace: BTreeMap::new(),
        rollout: RolloutPolicy::default(),
        paused: false,
        aborted: None,
        promoted: None,
        promoted_step: None,
        hot: None,
        select: lace_model::family::Select::Spread,
        per_host: None,
        pools: Vec::new(),
        condition: None,
        scale: None,
        state: StateKind::Replaceable,
        needs: BTreeSet::new(),
        hosts: BTreeSet::new(),
        deleting: false,
        force_at: None,
    }
}

pub fn spec() -> RevisionSpec {
    RevisionSpec {
        release: "game@1".into(),
        tree: None,
        package: None,
        links: BTreeMap::new(),
        kind: ReleaseKind::Generic,
        start: vec!["bin/game".into()],
        stop_command: None,
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        files: BTreeMap::new(),
        templates: Vec::new(),
        limits: Limits::default(),
        family_limits: Default::default(),
        isolation: Default::default(),
        beam: None,
        check: None,
        live: None,
        stop: StopSpec::default(),
        restart: Backoff::default(),
        volumes: Vec::new(),
        firewall: Vec::new(),
        bootstrap: None,
        bootstrap_with: None,
        bootstrap_each_start: false,
        before: Vec::new(),
    }
}

pub fn revision(number: u64) -> Revision {
    let mut spec = spec();
    spec.env.insert("NUMBER".into(), number.to_string());
    Revision {
        service: path().service_path(),
        number,
        digest: Digest::of_value(&spec),
        spec,
        created_at: 0,
        created_by: "test".into(),
        note: "test".into(),
        bad: None,
    }
}

pub fn host(number: u8) -> HostView {
    HostView {
        host: Host {
            id: format!("{number:02x}000000-0000-8000-8000-000000000000").parse::<HostId>().unwrap(),
            name: name(&format!("h{number}")),
            capacity: Capacity { cpu: CpuMillis(4000), memory: ByteSize::mib(1024), slots: 100 },
            attributes: BTreeMap::new(),
            blocks: vec![Block { base: Ipv4Addr::new(10, 192, number, 0) }],
            draining: false,
            agent_version: "0.1.0".into(),
            joined_at: u64::from(number),
            underlay: None,
            pool: None,
            removing: false,
        },
        liveness: Liveness { connected: true, last_seen: 1, disk_used_permille: 100 },
        used: Used::default(),
        taken: BTreeSet::new(),
        ports: BTreeSet::new(),
        missing: Vec::new(),
        pool: None,
    }
}
