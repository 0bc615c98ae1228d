//! Hosts that are made where none has room: ordered by the engine, had from a simulated provider, joined, given back.

use crate::hosts::{FakeHost, START, Scene, name};
use lace_engine::{Accounts, Machines};
use lace_model::family::Family;
use lace_model::host::{Block, Capacity, Host};
use lace_model::machine::{ASK_AGAIN_AFTER, BOOT_WITHIN, Machine, MachineState};
use lace_model::pool::{Pool, Price};
use lace_model::provider::{Provider as Row, ProviderKind};
use lace_model::{ByteSize, CpuMillis, HostId, Name, Reason};
use lace_providers::provider::{
    EPOCH, Error, HostKind, HostWanted, InstanceState, Key, NetworkWanted, Provider,
};
use lace_providers::sim::{Call, Cloud, Remote, Shape};
use lace_store::{Batch, Clock, Expect, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

const SHOP: &str = "shop/web/web";

/// The way to the simulated provider, and the tickets that it booted machines with.
pub struct Sims {
    pub cloud: Cloud,
    tickets: Mutex<BTreeMap<HostId, String>>,
    /// An account that never answers, of the provider `stuck`.
    stuck: Option<String>,
    /// Whose rows become others while their machines are made.
    meddle: Mutex<Option<Store>>,
}

impl Accounts for Sims {
    fn open(&self, provider: &Name, _: Option<&str>) -> Result<Arc<dyn Provider>, Error> {
        if let Some(at) = self.stuck.as_ref().filter(|_| provider.as_str() == "stuck") {
            return Ok(Arc::new(Remote::new(at, "ours", "let me in")?));
        }
        Ok(Arc::new(self.cloud.open("ours", "let me in")))
    }

    fn user_data(&self, machine: &Machine) -> Result<String, Error> {
        if let Some(store) = self.meddle.lock().expect("meddle").take() {
            let mut batch = Batch::new(None);
            batch.put(&machine.clone().now(MachineState::Leaving, START), Expect::Any);
            store.commit(batch).expect("changed");
        }
        let ticket = format!("ticket of {}", machine.name);
        self.tickets.lock().expect("tickets").insert(machine.id, ticket.clone());
        Ok(ticket)
    }

    fn forget(&self, machine: &Machine) {
        self.tickets.lock().expect("tickets").remove(&machine.id);
    }
}

pub struct Estate {
    pub scene: Scene,
    pub sims: Arc<Sims>,
    pub machines: Machines,
    /// Machines come up and join.
    pub boots: bool,
}

fn shape() -> Shape {
    let kind =
        HostKind { name: "small".into(), cpus: 8, memory_mib: 4_096, architectures: vec!["x86_64".into()] };
    Shape {
        secret: "let me in".into(),
        region: "moon".into(),
        zones: vec!["moon-a".into(), "moon-b".into()],
        kinds: vec![kind],
        images: vec!["base".into()],
        boot_ms: 20_000,
        leave_ms: 1_000,
        networks_max: 1,
        hosts_max: 50,
        addresses_max: 0,
        volumes_max: 0,
    }
}

pub fn pool(text: &str, zone: &str, price: &str) -> Pool {
    Pool {
        name: name(text),
        provider: name("moon"),
        region: None,
        zone: Some(zone.into()),
        image: Some("base".into()),
        profile: Some("small".into()),
        attributes: BTreeMap::new(),
        price: Some(Price::said(price, START).expect("a price")),
        hosts_max: None,
        made_at: START,
    }
}

impl Estate {
    /// No host, and two pools: the cheap one is in zone moon-a.
    pub fn new() -> Self {
        let scene = Scene::new(0);
        let clock = Arc::clone(&scene.clock);
        let cloud = Cloud::new(shape(), Arc::new(move || clock.now_ms()));
        let sims = Arc::new(Sims { cloud, tickets: Mutex::default(), stuck: None, meddle: Mutex::default() });
        let (store, clock) = (scene.store.clone(), scene.clock.clone());
        let machines = Machines::new(store, clock, sims.clone());
        let moon = Row {
            name: name("moon"),
            kind: ProviderKind::Ec2,
            region: Some("moon".into()),
            endpoint: None,
            discount: None,
            credentials: Vec::new(),
            made_at: START,
        };
        let mut batch = Batch::new(None);
        batch.put(&moon, Expect::Absent);
        batch.put(&pool("dear", "moon-b", "0.02"), Expect::Absent);
        batch.put(&pool("cheap", "moon-a", "0.01"), Expect::Absent);
        scene.store.commit(batch).expect("pools");
        Self { scene, sims, machines, boots: true }
    }

    pub fn rows(&self) -> Vec<Machine> {
        let rows = self.scene.store.list::<Machine>("").expect("readable");
        rows.into_iter().map(|row| row.value).collect()
    }

    pub fn states(&self) -> Vec<(String, MachineState)> {
        let mut states: Vec<_> = self.rows().into_iter().map(|m| (m.name.to_string(), m.state)).collect();
        states.sort_by(|a, b| a.0.cmp(&b.0));
        states
    }

    fn reasons(&self) -> Vec<Reason> {
        self.scene.target(SHOP).reasons
    }

    /// So many seconds go by, in each of which everybody does something.
    pub async fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            let heard = self.scene.obey();
            self.scene.turn(heard);
            self.machines.turn().await.expect("tended");
            self.join().await;
            self.scene.clock.advance(1_000);
        }
    }

    /// What runs joins by the ticket that it was booted with, as the controller does it: once.
    async fn join(&mut self) {
        let ours = self.sims.cloud.open("ours", "let me in");
        let running = ours.hosts().await.expect("listed").into_iter();
        let running = running.filter(|host| self.boots && host.state == InstanceState::Running);
        let ids: Vec<String> = running.map(|host| host.key.to_string()).collect();
        for machine in self.rows().into_iter().filter(|m| ids.contains(&m.id.to_string()) && m.is_coming()) {
            assert!(self.sims.tickets.lock().expect("tickets").contains_key(&machine.id), "with a ticket");
            let host = Host {
                id: machine.id,
                name: machine.name.clone(),
                capacity: Capacity { cpu: CpuMillis(8_000), memory: ByteSize::mib(4_096), slots: 4 },
                attributes: BTreeMap::new(),
                blocks: vec![Block { base: [10, 192, self.scene.hosts.len() as u8, 0].into() }],
                draining: false,
                agent_version: "test".into(),
                joined_at: self.scene.clock.now_ms(),
                underlay: None,
                pool: Some(machine.pool.clone()),
                removing: false,
            };
            self.scene.hosts.insert(host.id, FakeHost { connected: true, ..Default::default() });
            let mut batch = Batch::new(None);
            batch.put(&host, Expect::Absent);
            batch.put(&machine.now(MachineState::Joined, host.joined_at), Expect::Any);
            self.scene.store.commit(batch).expect("joined");
        }
    }
}

#[tokio::test]
async fn a_family_without_room_gets_a_host_of_the_cheapest_pool_and_gives_it_back() {
    let mut estate = Estate::new();
    estate.scene.serve(SHOP, 2, vec![]);
    estate.pass(3).await;
    assert_eq!(estate.states(), [("cheap-1".to_owned(), MachineState::Made)]);
    let waits = estate.reasons().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(waits.contains("waits for host cheap-1 from pool cheap for 0.01 USD per hour"), "{waits}");
    estate.pass(30).await;
    assert_eq!(estate.scene.running(), [(1, 1), (2, 1)]);
    assert_eq!(estate.states(), [("cheap-1".to_owned(), MachineState::Joined)], "one was enough");
    assert_eq!(estate.reasons(), []);
    // Whoever removes the host has the machine deleted at its provider.
    estate.scene.change::<Family>(SHOP, |family| family.count = 0);
    let host = estate.rows()[0].id.to_string();
    estate.scene.change::<Host>(&host, |host| host.removing = true);
    estate.pass(10).await;
    assert_eq!(estate.states(), []);
    assert_eq!(estate.sims.cloud.things(), 0, "the network goes with its last machine");
    assert!(estate.sims.tickets.lock().expect("tickets").is_empty());
}

#[tokio::test]
async fn the_network_goes_with_machines_that_leave_together() {
    let mut estate = Estate::new();
    estate.scene.serve(SHOP, 2, vec![]);
    estate.scene.change::<Family>(SHOP, |family| family.per_host = Some(1));
    estate.pass(60).await;
    assert_eq!(estate.states().len(), 2);
    estate.scene.change::<Family>(SHOP, |family| family.count = 0);
    for machine in estate.rows() {
        estate.scene.change::<Host>(&machine.id.to_string(), |host| host.removing = true);
    }
    estate.pass(30).await;
    assert_eq!((estate.states(), estate.sims.cloud.things()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_pool_without_room_is_left_for_the_next_and_asked_again_later() {
    let mut estate = Estate::new();
    estate.sims.cloud.room("moon-a", 0);
    estate.scene.serve(SHOP, 1, vec![]);
    estate.pass(4).await;
    let states = estate.states();
    assert_eq!(states[0], ("cheap-1".to_owned(), MachineState::GivenUp));
    assert_eq!(states[1], ("dear-1".to_owned(), MachineState::Made));
    let told = estate.reasons().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(told.contains("from pool dear for 0.02 USD per hour"), "{told}");
    estate.pass(30).await;
    assert_eq!(estate.scene.running(), [(1, 1)]);
    // More is wanted than one host takes, and by now the cheap pool has room again.
    estate.sims.cloud.room("moon-a", 10);
    estate.scene.change::<Family>(SHOP, |family| family.count = 100);
    estate.pass(5).await;
    assert!(estate.states().iter().any(|(name, _)| name == "dear-2"), "{:?}", estate.states());
    estate.pass(60 + ASK_AGAIN_AFTER.ms() / 1_000).await;
    assert!(estate.states().iter().any(|(name, state)| name == "cheap-1" && *state == MachineState::Joined));
}

#[tokio::test]
async fn when_no_pool_gives_a_host_each_says_why() {
    let mut estate = Estate::new();
    estate.sims.cloud.room("moon-a", 0);
    estate.sims.cloud.room("moon-b", 0);
    estate.scene.serve(SHOP, 1, vec![]);
    estate.pass(6).await;
    let told: Vec<String> = estate.reasons().iter().map(ToString::to_string).collect();
    for (pool, zone) in [("cheap", "moon-a"), ("dear", "moon-b")] {
        let why = format!("pool {pool}: zone {zone} has no room for another small");
        assert!(told.iter().any(|reason| reason.starts_with(&why)), "{told:?}");
    }
    assert_eq!(estate.states().len(), 2, "nobody is asked again at once");
}

#[tokio::test]
async fn a_machine_that_never_joins_is_paid_for_no_longer_and_another_pool_is_tried() {
    let mut estate = Estate::new();
    estate.boots = false;
    estate.scene.serve(SHOP, 1, vec![]);
    estate.pass(5).await;
    assert_eq!(estate.sims.cloud.things(), 2, "a network and a machine");
    estate.scene.clock.advance(BOOT_WITHIN.ms());
    estate.boots = true;
    estate.pass(1).await;
    assert_eq!(estate.states()[0], ("cheap-1".to_owned(), MachineState::GivenUp));
    assert_eq!(estate.sims.cloud.things(), 1, "it was deleted");
    estate.pass(30).await;
    assert_eq!(estate.scene.running(), [(1, 1)]);
    let host = estate.scene.target(SHOP).nodes[0].host;
    assert_eq!(estate.rows().iter().find(|m| m.id == host).map(|m| m.pool.as_str()), Some("dear"));
}

#[tokio::test]
async fn lost_answers_and_a_controller_that_dies_order_nothing_twice() {
    let mut estate = Estate::new();
    let lost = Error::temporary("no answer within 20 s");
    estate.sims.cloud.fail_after(Call::EnsureNetwork, lost.clone());
    estate.sims.cloud.fail_after(Call::CreateHost, lost.clone());
    estate.sims.cloud.fail_after(Call::CreateHost, lost.clone());
    estate.scene.serve(SHOP, 1, vec![]);
    for _ in 0..60 {
        estate.pass(1).await;
        estate.scene.restart_controller();
        let (store, clock) = (estate.scene.store.clone(), estate.scene.clock.clone());
        estate.machines = Machines::new(store, clock, estate.sims.clone());
    }
    assert_eq!(estate.states(), [("cheap-1".to_owned(), MachineState::Joined)]);
    assert_eq!(estate.sims.cloud.things(), 2, "a network and a machine");
    assert_eq!(estate.scene.running(), [(1, 1)]);
    // And going: the answer is lost, the machine goes all the same, once.
    estate.sims.cloud.fail_after(Call::DeleteHost, lost);
    estate.scene.change::<Family>(SHOP, |family| family.count = 0);
    let host = estate.rows()[0].id.to_string();
    estate.scene.change::<Host>(&host, |host| host.removing = true);
    estate.pass(20).await;
    assert_eq!((estate.states().len(), estate.sims.cloud.things()), (0, 0));
}

#[tokio::test]
async fn wrong_credentials_are_told_and_order_no_machine() {
    let mut estate = Estate::new();
    let hint = "give another with lace provider set";
    estate
        .sims
        .cloud
        .fail_before(Call::EnsureNetwork, Error::refused("the account does not know this key", hint));
    estate.scene.serve(SHOP, 1, vec![]);
    estate.pass(2).await;
    let given_up = estate.rows().into_iter().find(|m| m.state == MachineState::GivenUp).expect("given up");
    let why = given_up.why.expect("a reason");
    assert!(why.contains("does not know this key") && why.contains(hint), "{why}");
}

#[tokio::test]
async fn what_was_bought_is_deleted_before_it_is_given_up() {
    let mut estate = Estate::new();
    // It is made, nobody hears of it, and then there is no room for it.
    estate.sims.cloud.fail_after(Call::CreateHost, Error::temporary("no answer within 20 s"));
    let full = Error::NoCapacity { what: "zone moon-a has no room".into() };
    estate.sims.cloud.fail_before(Call::CreateHost, full);
    estate.scene.serve(SHOP, 1, vec![]);
    estate.pass(2).await;
    assert_eq!(estate.states(), [("cheap-1".to_owned(), MachineState::Ordered)], "it may be there");
    assert_eq!(estate.sims.cloud.things(), 2);
    estate.pass(10).await;
    assert_eq!(estate.states()[0], ("cheap-1".to_owned(), MachineState::GivenUp));
    assert_eq!(estate.states()[1], ("dear-1".to_owned(), MachineState::Made));
    assert_eq!(estate.sims.cloud.things(), 2, "a network, and the machine of the next pool");
}

#[tokio::test]
async fn machines_that_nobody_ordered_are_deleted_where_they_are_ours_and_left_alone_where_not() {
    let mut estate = Estate::new();
    let mut shape = shape();
    shape.networks_max = 2;
    let clock = Arc::clone(&estate.scene.clock);
    estate.sims = Arc::new(Sims {
        cloud: Cloud::new(shape, Arc::new(move || clock.now_ms())),
        tickets: Mutex::default(),
        stuck: None,
        meddle: Mutex::default(),
    });
    let (store, clock) = (estate.scene.store.clone(), estate.scene.clock.clone());
    estate.machines = Machines::new(store, clock, estate.sims.clone());
    for (installation, epoch) in [("ours", "1"), ("ours", "0"), ("theirs", "1")] {
        let account = estate.sims.cloud.open(installation, "let me in");
        let wanted = NetworkWanted {
            key: Key::new("net").expect("a key"),
            range: "10.80.0.0/16".into(),
            zones: vec!["moon-a".into()],
            adopt: None,
            ports: Vec::new(),
            login: None,
        };
        let network = account.ensure_network(&wanted).await.expect("a network");
        let stray = HostWanted {
            key: Key::new(if epoch == "0" { "older" } else { "stray" }).expect("a key"),
            name: "stray".into(),
            network,
            zone: None,
            kind: "small".into(),
            image: "base".into(),
            user_data: String::new(),
            spot: false,
            disk_gib: None,
            tags: BTreeMap::from([(EPOCH.to_owned(), epoch.to_owned())]),
        };
        account.create_host(&stray).await.expect("a machine");
    }
    estate.scene.serve(SHOP, 1, vec![]);
    estate.pass(3).await;
    let living = |installation: &str| {
        let account = estate.sims.cloud.open(installation, "let me in");
        async move {
            let hosts = account.hosts().await.expect("listed").into_iter();
            hosts
                .filter(|host| host.state != InstanceState::Leaving)
                .map(|host| host.key.to_string())
                .collect::<Vec<_>>()
        }
    };
    let (ours, theirs): (BTreeSet<_>, Vec<_>) =
        (living("ours").await.into_iter().collect(), living("theirs").await);
    let stay = [estate.rows()[0].id.to_string(), "older".to_owned()];
    assert_eq!(ours, stay.into(), "what was ordered stays, by this state or by the one before a restore");
    assert_eq!(theirs, ["stray"]);
    let told = |kind: &str| -> Vec<String> {
        let events = estate.scene.store.events(0, 1_000).expect("readable");
        events.into_iter().filter(|event| event.kind == kind).map(|event| event.message).collect()
    };
    assert!(told("host.stray")[0].starts_with("deleted the machine sim-"), "{:?}", told("host.stray"));
    assert!(told("host.stranger")[0].contains("was ordered before this state was restored"));
    assert!(told("host.stranger")[1].contains("of installation theirs: it is left alone"));
    assert_eq!((told("host.stray").len(), told("host.stranger").len()), (1, 2), "told once");
}

#[tokio::test]
async fn a_machine_that_its_provider_took_away_is_replaced_and_one_that_is_only_not_listed_is_not() {
    let mut estate = Estate::new();
    estate.scene.serve(SHOP, 1, vec![]);
    estate.pass(40).await;
    let first = estate.rows()[0].clone();
    assert_eq!((first.zone.as_deref(), first.kind.as_deref()), (Some("moon-a"), Some("small")));
    assert_eq!((first.network.as_deref(), first.epoch), (Some("moon/moon/net"), Some(1)));
    assert!(first.address.is_some() && first.price.is_some());
    // The list lacks it, and its host is here all the same: another account's keys, say.
    estate.sims.cloud.lose(&Key::new(&first.id.to_string()).expect("a key"));
    estate.pass(700).await;
    assert_eq!(estate.states(), [("cheap-1".to_owned(), MachineState::Joined)]);
    assert!(estate.rows()[0].taken_at.is_some());
    estate.scene.hosts.get_mut(&first.id).expect("a host").connected = false;
    estate.pass(420).await;
    let rows = estate.rows();
    assert!(rows.iter().all(|machine| machine.id != first.id), "it counts no longer: {rows:?}");
    assert_eq!(rows.iter().filter(|machine| machine.is_host()).count(), 1);
    assert_ne!(estate.scene.target(SHOP).nodes[0].host, first.id);
    let events = estate.scene.store.events(0, 10_000).expect("readable");
    assert_eq!(events.iter().filter(|event| event.kind == "host.taken").count(), 1);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_keeps_no_other_one_waiting() {
    let mut estate = Estate::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = format!("http://{}", silent.local_addr().expect("an address"));
    estate.sims = Arc::new(Sims {
        cloud: estate.sims.cloud.clone(),
        tickets: Mutex::default(),
        stuck: Some(at),
        meddle: Mutex::default(),
    });
    let (store, clock) = (estate.scene.store.clone(), estate.scene.clock.clone());
    estate.machines = Machines::new(store, clock, estate.sims.clone());
    let mut batch = Batch::new(None);
    let row = estate.scene.store.get::<Row>("moon").expect("readable").expect("a provider").value;
    batch.put(&Row { name: name("stuck"), ..row }, Expect::Absent);
    batch.put(&Pool { provider: name("stuck"), ..pool("nowhere", "moon-a", "0.001") }, Expect::Absent);
    estate.scene.store.commit(batch).expect("a provider");
    for (path, pools) in [(SHOP, "nowhere"), ("other/api/api", "cheap")] {
        estate.scene.serve(path, 1, vec![]);
        estate.scene.change::<Family>(path, |family| family.pools = vec![name(pools)]);
    }
    let began = std::time::Instant::now();
    estate.pass(3).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    let expected = [("cheap-1", MachineState::Made), ("nowhere-1", MachineState::Ordered)];
    assert_eq!(estate.states(), expected.map(|(name, state)| (name.to_owned(), state)));
}

#[tokio::test]
async fn what_was_made_while_its_row_changed_is_known_all_the_same() {
    let mut estate = Estate::new();
    *estate.sims.meddle.lock().expect("meddle") = Some(estate.scene.store.clone());
    estate.scene.serve(SHOP, 1, vec![]);
    let heard = estate.scene.obey();
    estate.scene.turn(heard);
    estate.machines.turn().await.expect("tended");
    let machine = estate.rows().remove(0);
    assert_eq!(machine.state, MachineState::Leaving);
    assert!(machine.instance.is_some_and(|instance| instance.starts_with("sim-")), "paid for, and known");
    estate.scene.change::<Family>(SHOP, |family| family.count = 0);
    estate.pass(10).await;
    assert_eq!((estate.states().len(), estate.sims.cloud.things()), (0, 0));
}
