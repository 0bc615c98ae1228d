//! How many nodes a family shall have, by what the doors carry to it.
//!
//! Up at once by as much as the numbers say, at most to the double; down slowly, one node at a time, and only where the
//! numbers would hold with room to spare. Between the two lies a band in which nothing happens.

use lace_model::family::Family;
use lace_model::scale::{Load, Metric, ScalePolicy, ScaleTarget};
use lace_model::{Millis, Span};

/// Numbers that call for more nodes do so for this long before some come.
pub const UP_AFTER: Span = Span::secs(10);
/// Numbers that call for fewer nodes do so for this long before one goes.
pub const DOWN_AFTER: Span = Span::secs(60);
/// Fewer nodes must hold the target with this part of it, in hundredths.
const DOWN_BELOW: f64 = 70.0;

/// What a family's scaling remembers from one decision to the next. It is not stored: a controller that comes back
/// begins to count anew, which only delays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScaleMemory {
    high_since: Option<Millis>,
    low_since: Option<Millis>,
    idle_since: Option<Millis>,
}

/// What the decision is made from.
pub struct ScaleInput<'a> {
    /// The family.
    pub family: &'a Family,
    /// Its nodes that are ready.
    pub ready: u32,
    /// No rollout is under way.
    pub is_quiet: bool,
    /// What it carries.
    pub load: Load,
    /// What was remembered.
    pub memory: ScaleMemory,
    /// Now.
    pub now: Millis,
}

/// The decision.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleOutcome {
    /// The wanted count, and why it changed; none where it stays.
    pub count: Option<(u32, String)>,
    /// To be handed in the next time.
    pub memory: ScaleMemory,
    /// When time alone changes the answer.
    pub wake_at: Option<Millis>,
}

/// Decides for one family that has rules of scaling; others stay.
pub fn scale(input: &ScaleInput) -> ScaleOutcome {
    let mut outcome = ScaleOutcome { count: None, memory: input.memory, wake_at: None };
    let Some(policy) = input.family.scale.filter(|_| input.family.running && !input.family.deleting) else {
        return ScaleOutcome { memory: ScaleMemory::default(), ..outcome };
    };
    outcome.count = bounds(input, &policy)
        .or_else(|| wake(input, &policy))
        .or_else(|| idle(input, &policy, &mut outcome))
        .or_else(|| by_target(input, &policy, &mut outcome));
    if outcome.count.is_some() {
        // Who asks has nothing to do with how many answer.
        outcome.memory = ScaleMemory { idle_since: outcome.memory.idle_since, ..ScaleMemory::default() };
    }
    outcome
}

/// What people say holds at once. A family that sleeps is below its bounds on purpose.
fn bounds(input: &ScaleInput, policy: &ScalePolicy) -> Option<(u32, String)> {
    let count = input.family.count;
    if count > policy.max {
        return Some((policy.max, format!("at most {} are allowed", policy.max)));
    }
    (count < policy.min).then(|| (policy.min, format!("at least {} are wanted", policy.min)))
}

/// Somebody waits at the door of a family that sleeps.
fn wake(input: &ScaleInput, policy: &ScalePolicy) -> Option<(u32, String)> {
    let asleep = input.family.count == 0 && policy.min == 0;
    let waiting = input.load.waiting;
    (asleep && waiting > 0)
        .then(|| (1_u32.min(policy.max), format!("{waiting} requests wait for the first node")))
}

/// Nobody has asked for long.
fn idle(input: &ScaleInput, policy: &ScalePolicy, outcome: &mut ScaleOutcome) -> Option<(u32, String)> {
    let may_sleep = policy.min == 0 && input.family.count > 0 && input.is_quiet;
    if !may_sleep || input.load.span_ms == 0 || !input.load.is_idle() {
        outcome.memory.idle_since = None;
        return None;
    }
    let since = *outcome.memory.idle_since.get_or_insert(input.now);
    let at = since + policy.idle.ms();
    if input.now < at {
        outcome.wake_at = Some(at);
        return None;
    }
    Some((0, format!("nobody has asked for {}", policy.idle)))
}

fn by_target(input: &ScaleInput, policy: &ScalePolicy, outcome: &mut ScaleOutcome) -> Option<(u32, String)> {
    let target = policy.target?;
    let count = input.family.count;
    let number = input.load.number(target.metric, input.ready);
    // Nodes that are on their way change the numbers: nothing is decided before they are there.
    let (Some(number), true) = (number.filter(|_| count > 0), input.ready >= count) else {
        (outcome.memory.high_since, outcome.memory.low_since) = (None, None);
        return None;
    };
    let more = more(&target, number, count).min(policy.max);
    if more > count {
        outcome.memory.low_since = None;
        let since = *outcome.memory.high_since.get_or_insert(input.now);
        let why = format!("{} is {number:.1}, and shall be below {}", target.metric, target.below);
        return held(input.now, since, UP_AFTER, outcome).then_some((more, why));
    }
    outcome.memory.high_since = None;
    let fewer = count - 1;
    if fewer >= policy.min.max(1) && input.is_quiet && would_hold(&target, number, count) {
        let since = *outcome.memory.low_since.get_or_insert(input.now);
        let why = format!("{} is {number:.1}: fewer nodes hold it below {} too", target.metric, target.below);
        return held(input.now, since, DOWN_AFTER, outcome).then_some((fewer, why));
    }
    outcome.memory.low_since = None;
    None
}

/// Has it been so for long enough?
fn held(now: Millis, since: Millis, span: Span, outcome: &mut ScaleOutcome) -> bool {
    let at = since + span.ms();
    if now < at {
        outcome.wake_at = Some(outcome.wake_at.map_or(at, |wake| wake.min(at)));
    }
    now >= at
}

/// So many nodes would be needed if the number fell as they come; at most the double.
fn more(target: &ScaleTarget, number: f64, count: u32) -> u32 {
    let times = number / f64::from(target.below);
    if times < 1.0 {
        return count;
    }
    // Exactly at the bound is one too few.
    let wanted = (f64::from(count) * times).floor() as u32 + 1;
    wanted.clamp(count + 1, count.saturating_mul(2).max(1))
}

/// Would one node fewer hold the target, with room to spare?
fn would_hold(target: &ScaleTarget, number: f64, count: u32) -> bool {
    let after = match target.metric {
        // How a response time grows with fewer nodes is nobody's guess: half is taken for enough.
        Metric::ResponseTimeMs => number * 1.4,
        Metric::RequestsPerNode | Metric::OpenPerNode => number * f64::from(count) / f64::from(count - 1),
    };
    after < f64::from(target.below) * DOWN_BELOW / 100.0
}
