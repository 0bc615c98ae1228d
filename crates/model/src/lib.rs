//! The words of Lace as types: nouns, ids, rules, the vocabulary of plans.
//!
//! Nothing in this room reads a clock, a random source, the environment, a file or a socket; nothing is async.
//! Times are given in milliseconds since the Unix epoch ([`Millis`]), seeds are given as values.

pub mod adopted;
pub mod application;
pub mod authority;
pub mod backup;
pub mod beam;
pub mod certificate;
pub mod change;
pub mod check;
pub mod code;
pub mod digest;
pub mod document;
pub mod event;
pub mod family;
pub mod generation;
pub mod group;
pub mod host;
pub mod id;
pub mod job;
pub mod machine;
pub mod manifest;
pub mod money;
pub mod name;
pub mod node;
pub mod object;
pub mod operation;
pub mod package;
pub mod people;
pub mod pool;
pub mod provider;
pub mod push;
pub mod quantity;
pub mod reason;
pub mod release;
pub mod rendering;
pub mod revision;
pub mod rollout;
pub mod route;
pub mod scale;
pub mod secret;
pub mod signal;
pub mod target;
pub mod task;
pub mod token;
pub mod traffic;
pub mod vm;

pub use code::{Code, Problem};
pub use digest::Digest;
pub use generation::Generation;
pub use id::*;
pub use name::{AppName, FamilyName, FamilyPath, Name, NodePath, ServiceName, ServicePath, TargetPath};
pub use object::Object;
pub use quantity::{ByteSize, CpuMillis, Millis, Span};
pub use reason::Reason;
