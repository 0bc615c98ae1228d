//! Jobs: work that ends.

use crate::revision::RevisionSpec;
use crate::{AppName, HostId, JobId, Millis, ServicePath};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Ended jobs of each kind whose logs stay on their hosts: of each task of a service, of its `before` steps, of what people
/// ran in it, and of an application's builds.
pub const LOGS_KEPT: usize = 10;
/// How long they stay, in milliseconds.
pub const LOGS_KEPT_MS: Millis = 24 * 3_600_000;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Waits for room.
    Queued,
    /// Sent to a host.
    Running,
    /// Ended with status 0.
    Done,
    /// Ended otherwise.
    Failed,
    /// Cancelled.
    Cancelled,
}

/// Why the job exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum JobOrigin {
    /// `lace run`.
    Person,
    /// A `before` job of a revision.
    Before {
        /// Which revision.
        revision: u64,
        /// Its place in the list.
        step: u32,
    },
    /// A scheduled task.
    Task {
        /// Its name.
        name: String,
        /// The planned moment.
        due: Millis,
    },
}

/// A job as stored: key = its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The application whose network it runs in.
    pub app: AppName,
    /// The service whose release and environment it uses.
    pub service: Option<ServicePath>,
    /// What runs; `start` is the command.
    pub spec: RevisionSpec,
    /// Why.
    pub origin: JobOrigin,
    /// Where it stands.
    pub state: JobState,
    /// Its host, once it has one.
    pub host: Option<HostId>,
    /// Its address, once it has one.
    pub address: Option<Ipv4Addr>,
    /// Exit status.
    pub exit: Option<i32>,
    /// What went wrong, in words.
    #[serde(default)]
    pub detail: Option<String>,
    /// No host has had room for it since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_room_since: Option<Millis>,
    /// The last lines of its output.
    #[serde(default)]
    pub last_lines: Vec<String>,
    /// Who asked.
    pub actor: String,
    /// When it was asked for.
    pub created_at: Millis,
    /// When it started.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// A person wants it to end.
    #[serde(default)]
    pub cancel: bool,
}

/// What a job is made of; the rest follows.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// The application whose network it runs in.
    pub app: AppName,
    /// The service whose release and environment it uses.
    pub service: Option<ServicePath>,
    /// What runs.
    pub spec: RevisionSpec,
    /// Why.
    pub origin: JobOrigin,
    /// Who asks.
    pub actor: String,
}

impl NewJob {
    /// The job, waiting for room.
    pub fn queued(self, now: Millis) -> Job {
        let Self { id, app, service, spec, origin, actor } = self;
        Job {
            id,
            app,
            service,
            spec,
            origin,
            state: JobState::Queued,
            host: None,
            address: None,
            exit: None,
            detail: None,
            no_room_since: None,
            last_lines: Vec::new(),
            actor,
            created_at: now,
            started_at: None,
            ended_at: None,
            cancel: false,
        }
    }
}
