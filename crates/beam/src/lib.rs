//! Speaks with Erlang and Elixir runtimes: the distribution protocol as a hidden node, terms and their text.
//!
//! Nothing is installed in the user's release and no application of Lace's is known here. [`Link`] is one long-lived
//! connection to one runtime that carries many calls at a time; [`term`] is what goes over it; [`vm`] is what a runtime
//! says about itself. Not here: when to connect, what a readiness is, who may call (agent and api decide).
//!
//! What a runtime sends is input from outside: sizes, depth and time are bounded everywhere.

pub mod epmd;
pub mod link;
pub mod term;
pub mod vm;

pub use link::{Call, CallError, Identity, Link, LinkError, Peer};
pub use term::{Atom, Term};
