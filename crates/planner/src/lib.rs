//! Every decision of Lace, pure: which nodes shall be where, how a revision rolls and goes back, what a
//! manifest changes, when an operation is done, and why something is not (yet) as wanted.
//!
//! Wanted + observed + now + seed go in; a target with its reasons comes out. This room reads no clock, no random
//! source and no environment, waits for nothing and logs nothing; it acts on nothing either.

pub mod apply;
mod certificate;
pub mod condition;
pub mod document;
pub mod edit;
pub mod explain;
pub mod family;
mod forecast;
pub mod goal;
pub mod health;
pub mod money;
mod obtain;
mod scale;
pub mod verb;

pub use apply::{ApplyFacts, ApplyOutcome, Choice, LiveApplication, LiveService, apply};
pub use certificate::{certificates_for, days_left, warning_due};
pub use document::{entries, topic, usual_port};
pub use edit::{Doer, Edit};
pub use explain::{World, explain};
pub use family::{
    AWAY_AFTER, Answered, FamilyInput, FamilyOutcome, Gates, HostView, JobGate, Offer, Order, RESTART_WITHIN,
    Used, plan, ports_taken,
};
pub use forecast::{Estate, forecast};
pub use goal::{GoalFacts, GoalProgress, goal_state};
pub use health::{Health, HealthLine, application_line, status_line};
pub use obtain::{Errands, errands, renew_at, told as obtaining_told, try_again_at, wishes};
pub use scale::{ScaleInput, ScaleMemory, ScaleOutcome, scale};
