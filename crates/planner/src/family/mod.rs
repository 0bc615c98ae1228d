//! One family: from its wanted state and what is observed to its next target.
//!
//! A decision is made in rounds until nothing changes any more, so that planning its result again with the same
//! observation gives nothing new. Each round reads like the body of [`round`]; the rooms beside it are its verbs.

mod beside;
mod canary;
mod draft;
mod fill;
mod forget;
mod gate;
mod hot;
mod input;
mod judge;
mod market;
mod mesh;
mod order;
mod place;
mod progress;
mod repair;
mod replace;
mod restart;
mod room;
mod settle;
mod shrink;
mod silence;
mod slot;
mod votes;
mod wish;

pub use input::{
    AWAY_AFTER, Answered, FamilyInput, FamilyOutcome, Gates, HostView, JobGate, Offer, Order, Used,
};

pub(crate) use order::size;
pub use place::ports_taken;
pub use restart::RESTART_WITHIN;

pub(crate) use judge::has_crashed;

use draft::Draft;
use lace_model::Reason;

/// Rounds after which a decision must stand still. Real ones take two or three; the bound is there for the day on
/// which two rules contradict each other: the property tests look for that day.
const ROUNDS_MAX: usize = 8;

/// The next target of a family, or the statement that the present one stays.
pub fn plan(input: &FamilyInput) -> FamilyOutcome {
    let mut draft = Draft::new(input);
    for _ in 0..ROUNDS_MAX {
        let before = draft.shape();
        draft.begin_round();
        round(&mut draft);
        if draft.shape() == before {
            break;
        }
    }
    order::order(&mut draft);
    draft.finish()
}

fn round(draft: &mut Draft) {
    forget::removed(draft);
    forget::strays(draft);
    if draft.family().deleting {
        return shrink::everything(draft);
    }
    if !draft.family().running {
        draft.reason(Reason::Stopped);
        return shrink::everything(draft);
    }
    shrink::beyond_count(draft);
    hot::believe(draft);
    settle::settle(draft);
    judge::judge(draft);
    repair::vanished(draft);
    repair::silent_hosts(draft);
    repair::cannot_be_made(draft);
    fill::missing(draft);
    replace::outdated(draft);
    votes::keep(draft);
    progress::progress(draft);
    forget::replaced(draft);
}
