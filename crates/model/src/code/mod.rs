//! The codes of expected failures: each has an exit status and a line that says what to do.

mod words;

use serde::{Deserialize, Serialize};

/// What kind of failure it is. The text form is the same in the API, the command line and the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Anything without a code of its own.
    Error,
    /// The words of the command or the request are off.
    Usage,
    /// A manifest with mistakes.
    InvalidManifest,
    /// A package with mistakes.
    InvalidPackage,
    /// A new revision failed, and the former one is back.
    FailedReverted,
    /// A new revision failed, and the former one is not back.
    FailedNotReverted,
    /// The time was over before the state was reached.
    StillWatching,
    /// No host can take it.
    CannotPlace,
    /// No credentials, or wrong ones.
    NotAuthenticated,
    /// The credentials do not carry the grant.
    NotAllowed,
    /// There is no such thing.
    NotFound,
    /// It changed meanwhile.
    Conflict,
    /// The budget does not allow it.
    Budget,
    /// No controller answers.
    Unreachable,
    /// `plan --exit-code`: something would change.
    ChangesPending,
    /// Larger than the limit.
    TooLarge,
    /// The disk is 90 % full: new work is refused, deleting still works.
    DiskFull,
    /// A release that cannot run on the host (libc, OpenSSL, ERTS).
    Preflight,
    /// An archive or tree with something that is refused.
    UnsafeArchive,
    /// The node does not answer.
    NodeUnreachable,
    /// A server does not answer over SSH.
    ServerUnreachable,
    /// A server does not let us in.
    LoginRefused,
    /// A server shows another host key than before.
    HostKeyChanged,
    /// A server lacks what a host needs.
    ServerUnfit,
}

impl Code {
    /// All codes, for tests and the manual.
    pub const ALL: [Code; 24] = [
        Code::Error,
        Code::Usage,
        Code::InvalidManifest,
        Code::InvalidPackage,
        Code::FailedReverted,
        Code::FailedNotReverted,
        Code::StillWatching,
        Code::CannotPlace,
        Code::NotAuthenticated,
        Code::NotAllowed,
        Code::NotFound,
        Code::Conflict,
        Code::Budget,
        Code::Unreachable,
        Code::ChangesPending,
        Code::TooLarge,
        Code::DiskFull,
        Code::Preflight,
        Code::UnsafeArchive,
        Code::NodeUnreachable,
        Code::ServerUnreachable,
        Code::LoginRefused,
        Code::HostKeyChanged,
        Code::ServerUnfit,
    ];

    /// The exit status of a command that ends with this code.
    pub const fn exit_status(self) -> u8 {
        match self {
            Code::Usage | Code::InvalidManifest | Code::InvalidPackage => 2,
            Code::FailedReverted => 3,
            Code::StillWatching => 4,
            Code::CannotPlace => 5,
            Code::NotAuthenticated | Code::NotAllowed | Code::LoginRefused | Code::HostKeyChanged => 6,
            Code::NotFound => 7,
            Code::Conflict => 8,
            Code::Budget => 9,
            Code::Unreachable => 10,
            Code::ChangesPending => 11,
            Code::FailedNotReverted => 12,
            Code::Error
            | Code::TooLarge
            | Code::DiskFull
            | Code::Preflight
            | Code::UnsafeArchive
            | Code::NodeUnreachable
            | Code::ServerUnreachable
            | Code::ServerUnfit => 1,
        }
    }

    /// The HTTP status of an answer with this code (RFC 9110).
    pub const fn http_status(self) -> u16 {
        match self {
            Code::Usage
            | Code::InvalidManifest
            | Code::InvalidPackage
            | Code::UnsafeArchive
            | Code::Preflight
            | Code::ServerUnfit
            | Code::CannotPlace => 422,
            Code::NotAuthenticated => 401,
            Code::NotAllowed | Code::LoginRefused => 403,
            Code::NotFound => 404,
            Code::Conflict | Code::ChangesPending | Code::HostKeyChanged => 409,
            Code::Budget => 402,
            Code::TooLarge => 413,
            Code::DiskFull => 507,
            Code::NodeUnreachable | Code::ServerUnreachable | Code::Unreachable => 503,
            Code::StillWatching => 504,
            Code::Error | Code::FailedReverted | Code::FailedNotReverted => 500,
        }
    }
}

/// A failure as it travels and is shown: what happened, to which thing, what to do next (after RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The kind.
    pub code: Code,
    /// What happened, to which thing: lower case, no full stop at the end.
    pub message: String,
    /// How to mend it: often the next command to type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// More lines: one mistake each, log lines, reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, details: Vec::new() }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds lines.
    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }

    /// There is no such thing.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {what}"))
    }
}
