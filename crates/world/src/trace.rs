//! What happened, line by line: two runs of a seed must say the same.

use lace_model::{Digest, Millis};

/// A run's story.
#[derive(Default)]
pub struct Trace(Vec<String>);

impl Trace {
    /// Something happened.
    pub fn say(&mut self, at: Millis, text: impl std::fmt::Display) {
        self.0.push(format!("{:>6}.{:03} {text}", at / 1000 % 1_000_000, at % 1000));
    }

    /// All of it, and what it amounts to.
    pub fn end(self) -> (Vec<String>, Digest) {
        let digest = Digest::of(self.0.join("\n").as_bytes());
        (self.0, digest)
    }
}
