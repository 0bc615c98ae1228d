//! Long lives of larger families, by chance. A failure names its seed.

use crate::world::World;
use lace_vote::{Message, Seat, Settled, Terms, VoteSet, next_set};
use std::collections::{BTreeSet, HashMap};

/// A lease of ten questions, as in life. Clocks differ by two units, a stop comes up to two late.
const TERMS: Terms = Terms { lease_ms: 20, promise_ms: 27, ask_ms: 2 };
const LAG_MAX: u64 = 2;
const STALL_MAX: u64 = 2;

/// xorshift64* (Vigna, 2016).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A life: the world, its network, and the controller that changes the vote set.
struct Life {
    chance: Chance,
    world: World,
    /// Links that are cut, one way.
    cut: BTreeSet<(Seat, Seat)>,
    /// One message in so many is lost; none at 0.
    loses: u64,
    late: Vec<(u64, Seat, Message)>,
    stalled: HashMap<Seat, u64>,
    set: VoteSet,
    wanted: VoteSet,
    /// The last seat is a controller: it votes where the nodes are even.
    has_witness: bool,
    /// Since when a majority is known to have heard of the set.
    settles_at: Option<u64>,
    /// At which time each held last.
    held: HashMap<Seat, u64>,
    changes: u64,
}

/// So many nodes; beside an even number the last seat is the witness.
fn wanted(nodes: Seat, has_witness: bool) -> VoteSet {
    let set = VoteSet::first(1..=nodes);
    if has_witness && nodes.is_multiple_of(2) { set.with_witness(5) } else { set }
}

impl Life {
    fn begin(seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let seats = 5;
        let has_witness = chance.one_in(3);
        let voters = if has_witness { 2 } else { 3 } + chance.below(3) as Seat;
        // Some stand aside, as witnesses do.
        let mut stands = |seat| seat == 1 || !(chance.one_in(4) || has_witness && seat == seats);
        let preferences: Vec<_> =
            (1..=seats).map(|seat| stands(seat).then_some(u64::from(seat == 1))).collect();
        let mut world = World::new(TERMS, &preferences);
        let set = wanted(voters, has_witness);
        (1..=seats).for_each(|seat| world.order(seat, &set));
        let wanted = set.clone();
        Self {
            has_witness,
            chance,
            world,
            cut: BTreeSet::new(),
            loses: 0,
            late: Vec::new(),
            stalled: HashMap::new(),
            set,
            wanted,
            settles_at: None,
            held: HashMap::new(),
            changes: 0,
        }
    }

    fn unit(&mut self, seed: u64) {
        self.world.now += 1;
        let now = self.world.now;
        for seat in self.world.seats() {
            self.drift(seat);
            let is_stalled = self.stalled.get(&seat).is_some_and(|until| *until > now);
            if !is_stalled {
                self.world.tick(seat);
            }
            if self.world.node(seat).yields && self.chance.one_in(3) {
                self.world.stop_in_order(seat);
            }
        }
        self.exchange();
        assert!(self.world.copies() <= 1, "seed {seed}: two copies at {now}");
        for seat in self.world.seats().filter(|seat| self.world.node(*seat).copy) {
            self.held.insert(seat, now);
        }
        self.control();
    }

    fn drift(&mut self, seat: Seat) {
        if self.chance.one_in(40) {
            let lag = self.chance.below(LAG_MAX + 1);
            // A clock never goes back.
            let node = self.world.node_mut(seat);
            node.lag = lag.min(node.lag + 1);
        }
    }

    fn exchange(&mut self) {
        let now = self.world.now;
        for _ in 0..4 {
            for (to, message) in std::mem::take(&mut self.world.flight) {
                if self.cut.contains(&(message.from, to))
                    || (self.loses > 0 && self.chance.one_in(self.loses))
                {
                    continue;
                }
                if self.loses > 0 && self.chance.one_in(5) {
                    let late = now + 1 + self.chance.below(60);
                    self.late.push((late, to, message));
                }
                // Some come twice.
                if self.loses == 0 || !self.chance.one_in(5) {
                    self.world.deliver(to, message);
                }
            }
        }
        let (come, late) = self.late.drain(..).partition(|(at, ..)| *at <= now);
        self.late = late;
        let come: Vec<_> = come;
        come.into_iter().for_each(|(_, to, message)| self.world.deliver(to, message));
    }

    /// The controller: tells the set to whom it reaches, and makes the next one when the last has settled.
    fn control(&mut self) {
        let now = self.world.now;
        for seat in self.world.seats() {
            if self.chance.one_in(10) {
                let set = self.set.clone();
                self.world.order(seat, &set);
            }
        }
        let clock = |seat| self.world.clock(seat);
        let sees = |seat: &&Seat| {
            self.world.node(**seat).elector.standing(clock(**seat)).seen >= self.set.generation
        };
        let seen = self.set.members.iter().filter(sees).count();
        if seen >= self.set.majority() {
            self.settles_at.get_or_insert(now + TERMS.promise_ms);
        }
        let whole = self.settles_at.is_some_and(|at| at <= now);
        let settled = if whole { Settled::Whole } else { Settled::Seen(seen) };
        if let Some(next) = next_set(&self.set, &self.wanted, settled) {
            (self.set, self.settles_at) = (next, None);
            self.changes += 1;
        }
    }

    fn misfortune(&mut self) {
        let seat = 1 + self.chance.below(5) as Seat;
        let other = 1 + self.chance.below(5) as Seat;
        match self.chance.below(9) {
            0 => self.cut.extend([(seat, other), (other, seat)]),
            1 => drop(self.cut.insert((seat, other))),
            2 => self.cut.extend((1..=5).flat_map(|n| [(seat, n), (n, seat)])),
            3 => self.cut.clear(),
            4 => self.loses = self.chance.below(6),
            5 => self.world.crash(seat),
            6 => {
                let set = self.set.clone();
                self.world.restart(seat, &set, false);
            }
            7 => {
                let until = self.world.now + self.chance.below(STALL_MAX) + 1;
                self.stalled.entry(seat).or_insert(until);
            }
            _ => {
                let (least, ways) = if self.has_witness { (1, 4) } else { (3, 3) };
                self.wanted = wanted(least + self.chance.below(ways) as Seat, self.has_witness);
            }
        }
    }

    fn heal(&mut self) {
        self.cut.clear();
        self.loses = 0;
        self.stalled.clear();
    }
}

fn live(seed: u64, units: u64) -> u64 {
    let mut life = Life::begin(seed);
    for _ in 0..units {
        if life.chance.one_in(15) {
            life.misfortune();
        }
        let now = life.world.now;
        life.stalled.retain(|_, until| *until + 3 > now);
        life.unit(seed);
    }
    life.heal();
    // Forgotten votes, a lease, the set on its way, some rounds.
    let quiet = TERMS.promise_ms * 8;
    for _ in 0..quiet {
        life.unit(seed);
    }
    let wants = |seat: &Seat| life.world.node(*seat).preference.is_some() && life.set.members.contains(seat);
    let best = life.world.seats().filter(wants).max_by_key(|seat| life.world.node(*seat).preference);
    let holder = life.world.seats().find(|seat| life.world.node(*seat).copy);
    assert_eq!(holder.is_some(), best.is_some(), "seed {seed}: whole again, and nobody holds");
    let preference = |seat: Option<Seat>| seat.and_then(|seat| life.world.node(seat).preference);
    assert_eq!(preference(holder), preference(best), "seed {seed}: who is preferred holds at last");
    assert_eq!(life.set.members, life.wanted.members, "seed {seed}: the set has come to what was wanted");
    life.held.len() as u64 * 1000 + life.changes
}

fn rounds(seeds: std::ops::Range<u64>, units: u64) {
    let (mut held, mut changes) = (0, 0);
    for seed in seeds.clone() {
        let life = live(seed, units);
        held += life / 1000;
        changes += life % 1000;
    }
    let lives = seeds.end - seeds.start;
    eprintln!("{lives} lives: {held} holders, {changes} changes of the set");
    assert!(held > lives && changes > lives, "nothing happened: {held} holders, {changes} changes");
}

#[test]
fn whatever_happens_there_is_one_copy_and_at_last_there_is_one() {
    rounds(1..400, 600);
}

#[test]
#[ignore = "long: more lives, a minute"]
fn many_lives_in_rounds() {
    rounds(10_000..30_000, 1000);
}
