//! The controller's loop: from wanted and observed to targets, from targets to documents, from reports to statuses.
//!
//! [`Engine::step`] is the whole logic, without a socket, a clock or a thread: what happened goes in, what shall be
//! written and told comes out. [`run`] drives it with the real store and the real hosts. Deciding is the planner's
//! business; this room reads, calls it, commits, and passes on.

pub mod certificate;
mod documents;
mod expiry;
mod heard;
mod job;
mod keep_house;
mod machine;
mod money;
mod neighbours;
mod operation;
mod order;
mod plan;
mod remove;
mod run;
mod scale;
mod schedule;
mod step;
mod task;
mod witness;
mod world;

pub use documents::Delta;
pub use expiry::warn_of_certificates;
pub use heard::{Heard, JobEnded, JobNews};
pub use keep_house::keep_house;
pub use machine::{Accounts, Machines, keep_machines};
pub use run::{Hosts, run};
pub use step::{Engine, Told};
pub use witness::Witness;
