//! How the agent tells this process what is true: frames of JSON over a unix stream socket.
//!
//! A frame is its length (four bytes, big end first) and that many bytes of JSON. The caller sends a
//! [`Request`], and gets one [`Answer`] before the next. Requests may be repeated.

mod client;
mod frame;
mod server;

pub use client::{ClientError, NetClient, Put};
pub(crate) use server::Control;

use crate::proxy::GivenCertificate;
use lace_model::document::Topic;
use lace_model::traffic::Traffic;
use lace_model::{AppName, Generation, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest frame: a topic of 10,000 members takes about half of it.
pub const FRAME_BYTES_MAX: usize = 4 << 20;

/// What a caller may say.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// The names of an application: `{"topic": {...}}`.
    Topic(Topic),
    /// This host carries the application no longer: `{"gone": "shop"}`.
    Gone(AppName),
    /// Which topics are held? `{"hello": {}}`.
    Hello {},
    /// A certificate for routes: `{"certificate": {...}}`.
    Certificate(GivenCertificate),
    /// It is used no more: `{"certificate-gone": "shop/tls:shop.example.com@1"}`.
    CertificateGone(String),
    /// Which certificates are held? `{"certificates": {}}`.
    Certificates {},
    /// What did the door carry? `{"traffic": {}}`.
    Traffic {},
    /// How many requests wait for a node? `{"waiting": {}}`.
    Waiting {},
    /// No more requests for this node; answered when it has ended those that it has, or when the time is over:
    /// `{"drain": {"node": "...", "within_ms": 30000}}`.
    Drain {
        /// Which node.
        node: NodeId,
        /// How long may be waited.
        within_ms: u64,
    },
}

/// What it hears.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The topic holds, and is on disk.
    Taken(Generation),
    /// An older topic than the one that holds.
    Older {
        /// What holds.
        held: Generation,
    },
    /// The application is forgotten.
    Forgotten {},
    /// What holds.
    Held(Vec<(AppName, Generation)>),
    /// The node gets no more requests.
    Drained {
        /// It has none any more.
        all: bool,
    },
    /// Certificates that are held, and for which host names.
    Certificates(BTreeMap<String, Vec<String>>),
    /// What the door carried.
    Traffic(Box<Traffic>),
    /// So many requests wait for a node.
    Waiting(u64),
    /// Not done, and why.
    Refused {
        /// Why.
        cause: String,
    },
}
