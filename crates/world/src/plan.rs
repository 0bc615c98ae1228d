//! What people and misfortune do, made from the seed before the run begins: so a run can be told again with fewer acts.

use lace_model::Millis;
use std::ops::Range;

/// So long the troubles last.
const TROUBLE_MS: Millis = 300_000;
/// Applications that people speak of.
pub const APPS: [&str; 3] = ["shop", "forum", "mail"];

/// One act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A manifest is applied; its shape is drawn from the number.
    Apply {
        /// Which application.
        app: usize,
        /// What it says.
        shape: u64,
    },
    /// Another count of the first family.
    Scale {
        /// Which application.
        app: usize,
        /// How many.
        count: u32,
    },
    /// A verb of the application as a whole.
    Verb {
        /// Which application.
        app: usize,
        /// `start`, `stop`, `restart`, `rollback`, `replace`, `abort`, `pause`, `resume`.
        verb: &'static str,
    },
    /// It is deleted, with its data.
    Delete {
        /// Which application.
        app: usize,
        /// Without waiting for hosts that do not answer.
        force: bool,
    },
    /// A host gets no further nodes, and loses those that it has.
    Drain(usize),
    /// It is as before.
    Undrain(usize),
    /// The controller dies, at a place of its turn: before it has stored what it decided, or before it has told.
    CrashController {
        /// Which turns of it from now on; 0 is at once.
        turns: u32,
        /// After the commit.
        stored: bool,
        /// Until the next one begins.
        away: Millis,
    },
    /// An agent dies and comes back; its nodes go on.
    CrashAgent {
        /// Which host.
        host: usize,
        /// Until it is back.
        away: Millis,
    },
    /// A host dies with everything on it, and boots again.
    Reboot {
        /// Which host.
        host: usize,
        /// Until it has booted.
        away: Millis,
    },
    /// A process of a host ends by itself.
    Kill {
        /// Which host.
        host: usize,
        /// Which of its nodes.
        nth: usize,
    },
    /// What a host says, or what is said to it, is lost on the way.
    Cut {
        /// Which host.
        host: usize,
        /// What it says.
        out: bool,
        /// What is said to it.
        back: bool,
        /// For so long.
        lasts: Millis,
    },
    /// Frames of a host take so long.
    Slow {
        /// Which host.
        host: usize,
        /// At most.
        ms: Millis,
    },
    /// A host says that its disk is nearly full.
    FullDisk {
        /// Which host.
        host: usize,
        /// For so long.
        lasts: Millis,
    },
}

/// A run before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// So many hosts there are.
    pub hosts: usize,
    /// Who does what when, in milliseconds from the beginning.
    pub acts: Vec<(Millis, Act)>,
    /// When troubles are over.
    pub calm_at: Millis,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let hosts = chance.usize(2..=6);
        let count = chance.usize(20..80);
        let mut acts: Vec<_> =
            (0..count).map(|_| (chance.u64(0..TROUBLE_MS), act(&mut chance, hosts))).collect();
        // Somebody wants something before anything goes wrong.
        acts.push((0, Act::Apply { app: 0, shape: chance.u64(..) }));
        acts.sort_by_key(|(at, _)| *at);
        Self { seed, hosts, acts, calm_at: TROUBLE_MS }
    }

    /// The same with the acts of these places only.
    #[must_use]
    pub fn only(&self, kept: &[usize]) -> Self {
        let acts = kept.iter().filter_map(|place| self.acts.get(*place).cloned()).collect();
        Self { acts, ..self.clone() }
    }
}

const VERBS: [&str; 8] = ["start", "stop", "restart", "rollback", "replace", "abort", "pause", "resume"];
/// Short and long absences: shorter than a silence that is noticed, and longer than what waits for it.
const AWAY: [Range<Millis>; 3] = [100..1_500, 3_000..8_000, 15_000..60_000];

fn away(chance: &mut fastrand::Rng) -> Millis {
    let range = AWAY[chance.usize(..AWAY.len())].clone();
    chance.u64(range)
}

fn act(chance: &mut fastrand::Rng, hosts: usize) -> Act {
    let (app, host) = (chance.usize(..APPS.len()), chance.usize(..hosts));
    match chance.u32(0..100) {
        0..18 => Act::Apply { app, shape: chance.u64(..) },
        18..28 => Act::Scale { app, count: chance.u32(0..8) },
        28..40 => Act::Verb { app, verb: VERBS[chance.usize(..VERBS.len())] },
        40..45 => Act::Delete { app, force: chance.u32(0..4) == 0 },
        45..49 => Act::Drain(host),
        49..53 => Act::Undrain(host),
        53..63 => Act::CrashController { turns: chance.u32(0..6), stored: chance.bool(), away: away(chance) },
        63..70 => Act::CrashAgent { host, away: away(chance) },
        70..75 => Act::Reboot { host, away: away(chance) },
        75..85 => Act::Kill { host, nth: chance.usize(0..6) },
        85..94 => cut(chance, host),
        94..98 => Act::Slow { host, ms: chance.u64(1..2_000) },
        _ => Act::FullDisk { host, lasts: away(chance) },
    }
}

fn cut(chance: &mut fastrand::Rng, host: usize) -> Act {
    let (out, back) = [(true, true), (true, false), (false, true)][chance.usize(..3)];
    Act::Cut { host, out, back, lasts: away(chance) }
}
