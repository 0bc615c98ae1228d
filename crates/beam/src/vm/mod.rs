//! What a runtime says about itself: numbers, its largest processes, its applications and connections.
//!
//! Questions that one function cannot answer are small scripts. The runtime itself turns each into its own abstract form
//! once per link ([`Script::prepare`]); after that a question is one call of `erl_eval`, which is part of every release.

pub mod alarm;
mod report;
mod sample;
mod script;
mod top;

pub use report::{Report, report};
pub use sample::Sampler;
pub use script::Script;
pub use top::{Ranker, TOP_MAX};
