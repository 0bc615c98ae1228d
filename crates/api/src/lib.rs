//! The door: the only way in for command line, dashboard and hooks. HTTP, events, streams, tokens.
//!
//! A handler parses what is asked, reads the store, lets the planner decide, and commits: objects, operation, events
//! and audit row in one batch, which holds only if what was read is still so. Nothing here decides about nodes, talks
//! to hosts, or knows who does: the store, a view of who is alive and the power to open streams are handed in with
//! [`ApiState`]. What each door needs of whoever comes in stands in one table, see [`door`].

mod abandon;
mod account;
mod action;
mod adopted;
mod app;
mod apply;
mod archive;
mod ask;
mod audit;
mod authority;
mod backup;
mod beam;
mod blob;
mod caller;
mod certificate;
mod change;
mod cost;
mod deed;
pub mod door;
mod event;
mod failover;
mod figures;
mod flow;
mod history;
mod host;
mod id;
mod introduction;
mod job;
pub mod limit;
mod live;
mod metrics;
mod node;
mod operation;
mod package;
mod page;
mod people;
mod pool;
mod provider;
mod push;
mod reads;
mod refusal;
mod release;
mod rename;
mod room;
mod route;
mod scene;
mod scripts;
mod secret;
mod server;
mod session;
mod state;
mod status;
mod stream;
mod task;
mod token;
mod verb;
mod volume;
mod wait;
mod why;
mod world;

pub use action::Turns;
pub use adopted::{AdoptedHandle, AdoptedNodes, NoAdopted};
pub use door::router;
pub use id::{CountedIds, IdSource, SystemIds};
pub use introduction::Introduction;
pub use live::{FixedLiveness, LivenessView, UsageSample};
pub use package::keep_built_in;
pub use people::Passwords;
pub use push::{PushedCode, Pushes, TakenPush, enable_push, take_push};
pub use refusal::{Answer, PROBLEM_TYPE, Refusal};
pub use session::{CSRF_HEADER, SESSION_COOKIE};
pub use state::{ApiState, Config, PushDoor};
pub use token::{NewToken, is_text_of, mint_token, token_id};
