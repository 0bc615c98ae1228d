//! Why a request gets no answer from a node: what it is called, what to say, how to mend it.

use http::StatusCode;
use std::sync::Arc;

/// Each is a page; none says anything of our inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    BadRequest { cause: &'static str },
    UnknownHost { host: String },
    NoRoute { host: String },
    TooLarge { bytes_max: u64 },
    UploadStalled,
    Unsupported { cause: &'static str },
    Maintenance { target: String, page: Arc<str> },
    NoNode { target: String },
    NoHealthyNode { target: String },
    Busy { target: String },
    Unreachable,
    BrokenOff,
    Timeout { seconds: u64 },
}

impl Fault {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::UnknownHost { .. } | Self::NoRoute { .. } => StatusCode::NOT_FOUND,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UploadStalled => StatusCode::REQUEST_TIMEOUT,
            Self::Unsupported { .. } => StatusCode::NOT_IMPLEMENTED,
            Self::Maintenance { .. }
            | Self::NoNode { .. }
            | Self::NoHealthyNode { .. }
            | Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable | Self::BrokenOff => StatusCode::BAD_GATEWAY,
            Self::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest { .. } => "bad-request",
            Self::UnknownHost { .. } => "unknown-host",
            Self::NoRoute { .. } => "no-route",
            Self::TooLarge { .. } => "too-large",
            Self::UploadStalled => "upload-stalled",
            Self::Unsupported { .. } => "not-supported",
            Self::Maintenance { .. } => "maintenance",
            Self::NoNode { .. } => "no-node",
            Self::NoHealthyNode { .. } => "no-healthy-node",
            Self::Busy { .. } => "busy",
            Self::Unreachable => "unreachable",
            Self::BrokenOff => "broken-off",
            Self::Timeout { .. } => "timeout",
        }
    }

    /// What is so.
    pub fn what(&self) -> String {
        match self {
            Self::BadRequest { cause } => format!("this request cannot be understood: {cause}"),
            Self::UnknownHost { host } => format!("nothing is served under the name {host:?} here"),
            Self::NoRoute { host } => format!("{host:?} is served here, but not this path"),
            Self::TooLarge { bytes_max } => format!("the request's body is larger than {bytes_max} bytes"),
            Self::UploadStalled => "the request's body did not go on".to_owned(),
            Self::Unsupported { cause } => format!("this is not done here: {cause}"),
            Self::Maintenance { target, .. } => format!("{target} is under maintenance"),
            Self::NoNode { target } => format!("no node of {target} is wanted to run"),
            Self::NoHealthyNode { target } => format!("no node of {target} is ready"),
            Self::Busy { target } => format!("every node of {target} has as many requests as it takes"),
            Self::Unreachable => "no node could be reached".to_owned(),
            Self::BrokenOff => "the node broke off before it answered".to_owned(),
            Self::Timeout { seconds } => format!("the node did not begin its answer within {seconds} s"),
        }
    }

    /// How to mend it.
    pub fn hint(&self) -> String {
        match self {
            Self::BadRequest { .. } | Self::Unsupported { .. } => "ask in another way".to_owned(),
            Self::UnknownHost { .. } | Self::NoRoute { .. } => {
                "`lace route list` shows what is served".to_owned()
            }
            Self::TooLarge { .. } => "send less, or in parts".to_owned(),
            Self::UploadStalled => "send it again".to_owned(),
            Self::Maintenance { .. } => "come back a little later".to_owned(),
            Self::NoNode { target } => {
                format!("start some: `lace scale {target} 1`, or `lace start {target}`")
            }
            Self::NoHealthyNode { target } => format!("`lace why {target}` says what they wait for"),
            Self::Busy { target } => {
                format!("try again a little later; more nodes: `lace scale {target} +1`")
            }
            Self::Unreachable | Self::BrokenOff => {
                "try again; `lace status` and `lace logs` tell more".to_owned()
            }
            Self::Timeout { .. } => {
                "try again; `lace logs` and `lace top` show what the node does".to_owned()
            }
        }
    }

    /// Seconds after which it is worth trying again.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Maintenance { .. } => Some(60),
            Self::NoNode { .. } | Self::NoHealthyNode { .. } | Self::Busy { .. } | Self::Unreachable => {
                Some(2)
            }
            _ => None,
        }
    }
}
