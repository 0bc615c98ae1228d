//! A world that tries to break Lace, simulated: the real planner, engine, fleet, store and API of a controller, with hosts,
//! links and people of its own, and a clock that nobody waits for.
//!
//! One seed is one run, the same to the byte each time: what people and misfortune do is a [`Plan`] made from the
//! seed beforehand, and everything else that is left to chance is drawn from it too. After each step and at the end,
//! when everything is whole again, checkers look at what must always be so ([`check`]). A run that fails is shrunk to the
//! acts that it needs.
//!
//! The model is TigerBeetle's simulator (VOPR). What is not real here: processes, their namespaces and the agent's
//! actors (a host of the world does what an agent's document says), TLS and sockets (frames are handed over), and providers.

mod check;
mod controller;
mod host;
mod link;
mod people;
mod plan;
mod run;
mod shrink;
mod trace;

pub use plan::{Act, Plan};
pub use run::{Outcome, run};
pub use shrink::shrink;
