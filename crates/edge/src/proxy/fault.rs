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
    LineTooLong { bytes_max: usize },
    HeadTooLarge { bytes_max: usize, headers_max: usize },
    HeadLate { seconds: u64 },
    HeadUnreadable,
    UploadStalled,
    UploadBroken,
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
            Self::BadRequest { .. } | Self::HeadUnreadable | Self::UploadBroken => StatusCode::BAD_REQUEST,
            Self::UnknownHost { .. } | Self::NoRoute { .. } => StatusCode::NOT_FOUND,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::LineTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UploadStalled | Self::HeadLate { .. } => StatusCode::REQUEST_TIMEOUT,
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
            Self::LineTooLong { .. } => "line-too-long",
            Self::HeadTooLarge { .. } => "head-too-large",
            Self::HeadLate { .. } => "head-late",
            Self::HeadUnreadable => "head-unreadable",
            Self::UploadStalled => "upload-stalled",
            Self::UploadBroken => "upload-broken",
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
            Self::LineTooLong { bytes_max } => {
                format!("the address that is asked for is longer than {bytes_max} bytes")
            }
            Self::HeadTooLarge { bytes_max, headers_max } => {
                format!("the request's head has more than {bytes_max} bytes or {headers_max} fields")
            }
            Self::HeadLate { seconds } => format!("the request's head was not there within {seconds} s"),
            Self::HeadUnreadable => "the request's head is not one of HTTP/1.1".to_owned(),
            Self::UploadStalled => "the request's body did not go on".to_owned(),
            Self::UploadBroken => "the request's body ended before its end, or is none".to_owned(),
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
            Self::LineTooLong { .. } => "put what it carries into the request's body".to_owned(),
            Self::HeadTooLarge { .. } => {
                "delete this site's cookies, or put less into the request's fields".to_owned()
            }
            Self::HeadUnreadable => "write it as RFC 9112 says; h2 and TLS are understood too".to_owned(),
            Self::UploadStalled | Self::UploadBroken | Self::HeadLate { .. } => "send it again".to_owned(),
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

    /// Does the connection end with it? More of a request may be on its way that nobody will read.
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. }
                | Self::LineTooLong { .. }
                | Self::HeadTooLarge { .. }
                | Self::HeadLate { .. }
                | Self::HeadUnreadable
                | Self::UploadStalled
                | Self::UploadBroken
        )
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
