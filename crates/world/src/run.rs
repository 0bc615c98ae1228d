//! One run: events in the order of their time, one after the other, until the world is whole and quiet again.

use crate::check::{self, Watch};
use crate::controller::{Controller, Crash};
use crate::host::{Host, Timer};
use crate::link::{KEEPALIVE_MS, Link, Session};
use crate::people;
use crate::plan::{Act, Plan};
use crate::trace::Trace;
use lace_api::CountedIds;
use lace_model::host::{Block, Capacity};
use lace_model::{ByteSize, CpuMillis, Digest, HostId, Millis, Name};
use lace_store::{Batch, Clock, Expect, ManualClock, MasterKey, Store};
use lace_wire::link::frame::ToController;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

/// When the world begins, Unix time.
pub const START: Millis = 1_800_000_000_000;
/// So long after the troubles it may take until everything is as it should be, the longest deadline of a rollout and its way
/// back included.
const WHOLE_WITHIN_MS: Millis = 1_800_000;
/// Between two looks whether it is.
const LOOK_MS: Millis = 10_000;
/// Between two signs of life of a host.
const BEAT_MS: Millis = 1_000;
/// A turn without a reason.
const PERIOD_MS: Millis = 30_000;

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Act(usize),
    Turn,
    Silence,
    Beat(usize),
    Pump(usize),
    Connect(usize),
    Timer(usize, Timer),
    AgentBack(usize),
    HostBack(usize),
    ControllerBack,
    Mend(usize, bool, bool),
    DiskFree(usize),
    Calm,
    Look,
}

/// How a run ended.
pub struct Outcome {
    /// What must not be, or nothing.
    pub broken: Option<String>,
    /// What the story amounts to: the same for each run of a plan.
    pub digest: Digest,
    /// Events that happened.
    pub steps: u64,
    /// Misfortunes among them.
    pub faults: u64,
    /// A line for each that changed something.
    pub story: Vec<String>,
}

struct World<'p> {
    plan: &'p Plan,
    clock: Arc<ManualClock>,
    store: Store,
    ids: Arc<CountedIds>,
    scratch: tempfile::TempDir,
    way: tokio::runtime::Runtime,
    chance: fastrand::Rng,
    controller: Option<Controller>,
    life: u64,
    crash: Option<(u32, Crash, Millis)>,
    hosts: Vec<Host>,
    links: Vec<Link>,
    queue: BinaryHeap<Reverse<(Millis, u64)>>,
    coming: BTreeMap<u64, What>,
    sequence: u64,
    turn_at: Option<Millis>,
    watch: Watch,
    trace: Trace,
    steps: u64,
    faults: u64,
    is_calm: bool,
    is_whole: bool,
}

/// Runs a plan to its end, or to the first thing that must not be.
pub fn run(plan: &Plan) -> Outcome {
    let mut world = World::new(plan);
    let broken = world.lives().err();
    if let Some(broken) = &broken {
        world.trace.say(world.now(), format!("BROKEN: {broken}"));
    }
    let (steps, faults) = (world.steps, world.faults);
    let (story, digest) = world.trace.end();
    Outcome { broken, digest, steps, faults, story }
}

/// The id of a host by its place.
fn host_id(n: usize) -> HostId {
    HostId::derive(&[n as u8; 32], "host")
}

fn founded(plan: &Plan, store: &Store) -> Vec<Host> {
    let capacity = Capacity { cpu: CpuMillis(4_000), memory: ByteSize::mib(2_048), slots: 50 };
    let mut batch = Batch::new(None);
    for n in 0..plan.hosts {
        batch.put(
            &lace_model::host::Host {
                id: host_id(n),
                name: Name::new(format!("h{n}")).expect("a name"),
                capacity: capacity.clone(),
                attributes: BTreeMap::new(),
                blocks: vec![Block { base: [10, 192, n as u8, 0].into() }],
                draining: false,
                agent_version: "simulated".into(),
                joined_at: START,
                underlay: None,
                pool: None,
                removing: false,
            },
            Expect::Absent,
        );
    }
    store.commit(batch).expect("a store in memory takes it");
    (0..plan.hosts).map(|n| Host::new(host_id(n), capacity.clone())).collect()
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let mut key = [7; 32];
        key[..8].copy_from_slice(&plan.seed.to_be_bytes());
        let store = Store::open_in_memory(MasterKey::from_bytes(key), clock.clone()).expect("a store");
        let hosts = founded(plan, &store);
        let mut world = Self {
            plan,
            clock,
            ids: Arc::default(),
            scratch: tempfile::tempdir().expect("a directory"),
            way: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
            chance: fastrand::Rng::with_seed(plan.seed ^ 0x5eed),
            controller: None,
            life: 0,
            crash: None,
            links: hosts.iter().map(|_| Link::default()).collect(),
            hosts,
            store,
            queue: BinaryHeap::new(),
            coming: BTreeMap::new(),
            sequence: 0,
            turn_at: None,
            watch: Watch::default(),
            trace: Trace::default(),
            steps: 0,
            faults: 0,
            is_calm: false,
            is_whole: false,
        };
        world.begins();
        world
    }

    fn begins(&mut self) {
        self.at(0, What::ControllerBack);
        self.at(0, What::Silence);
        for n in 0..self.hosts.len() {
            self.at(10, What::Connect(n));
            self.at(500, What::Beat(n));
        }
        for (n, (after, _)) in self.plan.acts.iter().enumerate() {
            self.at(1_000 + after, What::Act(n));
        }
        self.at(1_000 + self.plan.calm_at, What::Calm);
    }

    fn now(&self) -> Millis {
        self.clock.now_ms()
    }

    fn at(&mut self, after: Millis, what: What) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now() + after, self.sequence)));
        self.coming.insert(self.sequence, what);
    }

    fn lives(&mut self) -> Result<(), String> {
        while let Some(Reverse((at, number))) = self.queue.pop() {
            let Some(what) = self.coming.remove(&number) else { continue };
            self.clock.advance(at.saturating_sub(self.now()));
            self.steps += 1;
            self.happens(what)?;
            self.passes_on();
            self.watch.look(&self.hosts)?;
            if self.is_whole {
                return Ok(());
            }
        }
        Err("nothing is to come any more".into())
    }

    /// Is everything as it should be? If it is not for too long, it never will be.
    fn looks(&mut self) -> Result<(), String> {
        match check::at_the_end(&self.store, &self.hosts) {
            Ok(()) => self.is_whole = true,
            Err(why) if self.now() > START + self.plan.calm_at + WHOLE_WITHIN_MS => return Err(why),
            Err(_) => self.at(LOOK_MS, What::Look),
        }
        Ok(())
    }

    fn happens(&mut self, what: What) -> Result<(), String> {
        let now = self.now();
        match what {
            What::Act(n) => self.acts(n),
            What::Turn => self.turns()?,
            What::Silence => {
                self.controller.iter().for_each(|controller| controller.fleet.check_silence());
                self.at(1_000, What::Silence);
            }
            What::Beat(n) => self.beats(n),
            What::Pump(n) => self.pump(n),
            What::Connect(n) => self.connects(n),
            What::Timer(n, timer) => {
                self.trace.say(now, format!("h{n} {timer:?}"));
                self.hosts[n].due(timer, now);
            }
            What::AgentBack(n) if self.hosts[n].up.0 && !self.hosts[n].up.1 => {
                self.trace.say(now, format!("h{n} agent back"));
                self.hosts[n].up.1 = true;
                self.at(50, What::Connect(n));
            }
            What::AgentBack(_) => {}
            What::HostBack(n) if !self.hosts[n].up.0 => {
                self.trace.say(now, format!("h{n} booted"));
                self.hosts[n].boots(now);
                self.at(50, What::Connect(n));
            }
            What::HostBack(_) => {}
            What::ControllerBack => self.controller_begins(),
            What::Mend(n, out, back) => {
                self.links[n].mend((out, back));
                self.at(0, What::Pump(n));
            }
            What::DiskFree(n) => self.hosts[n].full = false,
            What::Calm => self.calms(),
            What::Look => self.looks()?,
        }
        Ok(())
    }

    fn controller_begins(&mut self) {
        if self.controller.is_some() {
            return;
        }
        self.life += 1;
        self.trace.say(self.now(), format!("controller begins its life {}", self.life));
        let scratch = self.scratch.path().to_owned();
        self.controller = Some(Controller::begin(&self.store, &self.clock, &self.ids, &scratch));
        self.turn_soon(0);
    }

    fn turn_soon(&mut self, after: Millis) {
        let at = self.now() + after;
        if self.turn_at.is_none_or(|known| at < known) {
            self.turn_at = Some(at);
            self.at(after, What::Turn);
        }
    }

    fn turns(&mut self) -> Result<(), String> {
        // Of several that were wished for the first is the one.
        if self.turn_at.is_none_or(|at| self.now() < at) {
            return Ok(());
        }
        self.turn_at = None;
        let now = self.now();
        let Some(controller) = &mut self.controller else { return Ok(()) };
        let due = match &mut self.crash {
            Some((0, crash, away)) => Some((*crash, *away)),
            Some((turns, ..)) => {
                *turns -= 1;
                None
            }
            None => None,
        };
        let lives =
            controller.turn(due.map(|(crash, _)| crash)).map_err(|error| format!("a turn: {error}"))?;
        let rev = self.store.watch().borrow().0;
        self.trace.say(now, format!("turn to {rev}"));
        if lives {
            let wake =
                controller.wake_at().map_or(PERIOD_MS, |at| at.saturating_sub(now).clamp(1, PERIOD_MS));
            self.turn_soon(wake);
        } else if let Some((crash, away)) = due {
            self.trace.say(now, format!("controller dies: {crash:?}"));
            (self.controller, self.crash, self.turn_at) = (None, None, None);
            self.at(away, What::ControllerBack);
        }
        Ok(())
    }

    /// What is said goes on its way, in both directions.
    fn passes_on(&mut self) {
        let now = self.now();
        if let Some(controller) = &mut self.controller
            && controller.listens()
        {
            self.turn_soon(2);
        }
        for n in 0..self.hosts.len() {
            for (after, timer) in std::mem::take(&mut self.hosts[n].timers) {
                let after = after / 2 + self.chance.u64(0..=after);
                self.at(after, What::Timer(n, timer));
            }
            let delay = self.chance.u64(1..=self.links[n].slow);
            let mut due = Vec::new();
            for frame in std::mem::take(&mut self.hosts[n].says) {
                // Without a session nobody says it; the next first words are about everything.
                due.extend(self.links[n].say(now + delay, frame));
            }
            due.extend(self.links[n].take_over(now + delay));
            for at in due {
                self.at(at.saturating_sub(now), What::Pump(n));
            }
        }
    }

    fn beats(&mut self, n: usize) {
        if self.hosts[n].up.1 {
            let disk_used_permille = if self.hosts[n].full { 990 } else { 100 };
            let beat = ToController::Beat {
                disk_used_permille,
                usage: Vec::new(),
                vms: Vec::new(),
                figures: Vec::new(),
                traffic: None,
            };
            self.hosts[n].says.push(beat);
        }
        if self.links[n].session.is_some() && self.links[n].is_given_up(self.now()) {
            self.trace.say(self.now(), format!("h{n} gives its session up"));
            self.ends_session(n);
        }
        self.at(BEAT_MS, What::Beat(n));
    }

    fn pump(&mut self, n: usize) {
        let now = self.now();
        let id = self.hosts[n].id;
        let is_same = self.links[n].session.as_ref().is_some_and(|session| session.life == self.life);
        while let Some(frame) = self.links[n].arrived(now) {
            if let Some(controller) = self.controller.as_ref().filter(|_| is_same) {
                controller.fleet.heard(id, frame);
            }
        }
        while let Some(frame) = self.links[n].came(now) {
            if self.hosts[n].up.1 && !self.hosts[n].hear(frame, now) {
                self.ends_session(n);
                return;
            }
        }
        let is_gone = self.links[n].hears() && (self.controller.is_none() || !is_same);
        if self.links[n].session.is_some() && (is_gone || self.links[n].is_ended()) {
            self.ends_session(n);
        }
    }

    /// The agent's end of a session: the controller hears of it where anything gets through.
    fn ends_session(&mut self, n: usize) {
        let Some(session) = self.links[n].session.take() else { return };
        let is_told = self.links[n].speaks() && session.life == self.life;
        if let Some(controller) = self.controller.as_ref().filter(|_| is_told) {
            controller.fleet.lost(self.hosts[n].id, session.number);
        }
        let wait = self.chance.u64(100..3_000);
        self.at(wait, What::Connect(n));
    }

    fn connects(&mut self, n: usize) {
        let host = &mut self.hosts[n];
        if !host.up.1 || self.links[n].session.is_some() {
            return;
        }
        let row = self.store.get::<lace_model::host::Host>(&host.id.to_string()).ok().flatten();
        let (Some(controller), Some(row), true) = (&self.controller, row, self.links[n].is_whole()) else {
            let wait = self.chance.u64(100..KEEPALIVE_MS / 2);
            return self.at(wait, What::Connect(n));
        };
        let (number, frames) = controller.fleet.connected(host.id, row.value.blocks, host.hello());
        self.links[n].session = Some(Session::new(number, self.life, frames));
        host.says_again();
        self.trace.say(self.now(), format!("h{n} has session {number}"));
    }
}

impl World<'_> {
    fn acts(&mut self, n: usize) {
        let (_, act) = self.plan.acts[n].clone();
        if self.is_calm {
            return;
        }
        if let Some(request) = people::request(&act) {
            return self.asks(&act, request);
        }
        self.faults += 1;
        self.trace.say(self.now(), format!("{act:?}"));
        match act {
            Act::CrashController { turns, stored, away } => {
                let crash = if stored { Crash::BeforeTold } else { Crash::BeforeCommit };
                self.crash = Some((turns, crash, away));
                self.turn_soon(0);
            }
            Act::CrashAgent { host, away } => {
                self.hosts[host].up.1 = false;
                self.ends_session(host);
                self.at(away, What::AgentBack(host));
            }
            Act::Reboot { host, away } if self.hosts[host].up.0 => {
                self.hosts[host].dies();
                // Nobody says good bye: the controller finds out by itself.
                self.links[host].session = None;
                self.at(away, What::HostBack(host));
            }
            Act::Kill { host, nth } => {
                let now = self.now();
                let running = self.hosts[host].nodes.keys().nth(nth).copied();
                running.into_iter().for_each(|id| self.hosts[host].ends(id, now));
            }
            Act::Cut { host, out, back, lasts } => {
                let now = self.now();
                self.links[host].cut(now, (out, back));
                self.at(lasts, What::Mend(host, out, back));
            }
            Act::Slow { host, ms } => self.links[host].slow = ms,
            Act::FullDisk { host, lasts } => {
                self.hosts[host].full = true;
                self.at(lasts, What::DiskFree(host));
            }
            _ => {}
        }
    }

    fn asks(&mut self, act: &Act, (method, path, body): people::Request) {
        let Some(controller) = &self.controller else {
            return self.trace.say(self.now(), format!("{act:?}: nobody answers"));
        };
        let (status, answer) = controller.asked(&self.way, (method, &path), body);
        let answer: String = answer.chars().take(160).collect();
        self.trace.say(self.now(), format!("{act:?}: {status} {answer}"));
        if let (Act::Delete { app, force: true }, 200) = (act, status) {
            self.watch.abandoned(*app);
        }
        self.turn_soon(1);
    }

    /// Everything is whole again, and nobody wants anything more.
    fn calms(&mut self) {
        self.trace.say(self.now(), "calm");
        self.is_calm = true;
        self.crash = None;
        self.controller_begins();
        for n in 0..self.hosts.len() {
            self.links[n].mend_all();
            self.hosts[n].full = false;
            self.at(0, What::HostBack(n));
            self.at(10, What::AgentBack(n));
            self.at(20, What::Pump(n));
            let act = Act::Undrain(n);
            if let Some(request) = people::request(&act) {
                self.asks(&act, request);
            }
        }
        self.at(LOOK_MS, What::Look);
    }
}
