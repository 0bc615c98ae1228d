//! What a call ends with when it does not end well, and what that is for whoever asked a provider.

use super::limit;
use super::query::Repeat;
use crate::provider::Error;
use std::fmt;

/// Why a question has no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service said no.
    Said {
        /// What was asked.
        action: &'static str,
        /// The status of the answer.
        status: u16,
        /// Its code of error.
        code: String,
        /// Its words.
        message: String,
    },
    /// No answer, or none that can be read: whether anything was done is not known.
    Silent {
        /// What was asked.
        action: &'static str,
        /// In words.
        why: String,
    },
    /// There is nobody to ask as, or the question cannot be put.
    Unasked(Error),
}

/// Codes of error that mean: not now, and nothing was done.
const THROTTLED: [&str; 6] = [
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "RequestThrottled",
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
];
/// Codes that a broken service gives.
const BROKEN: [&str; 6] = [
    "InternalError",
    "InternalFailure",
    "Unavailable",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "RequestTimeout",
];
const NO_ROOM: [&str; 9] = [
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "InsufficientCapacity",
    "InsufficientFreeAddressesInSubnet",
    "InsufficientAddressCapacity",
    "InsufficientVolumeCapacity",
    "SpotMaxPriceTooLow",
    // A kind that this zone does not have.
    "Unsupported",
];
const IN_USE: [&str; 8] = [
    "DependencyViolation",
    "VolumeInUse",
    "IncorrectState",
    "IncorrectInstanceState",
    "InvalidIPAddress.InUse",
    "Resource.AlreadyAssociated",
    "InvalidNetworkInterface.InUse",
    "InvalidGroup.InUse",
];
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

impl Fault {
    /// The code of error that the service gave.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Said { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Was it refused with this code?
    pub fn is(&self, code: &str) -> bool {
        self.code() == Some(code)
    }

    /// Is what the call is about not there?
    pub fn is_not_found(&self) -> bool {
        self.code().is_some_and(|code| {
            code.ends_with(".NotFound")
                || code.ends_with("NotFoundException")
                || code == "InvalidGateway.NotAttached"
        })
    }

    /// May it be asked again, and do better?
    pub(super) fn may_repeat(&self, repeat: Repeat) -> bool {
        match self {
            Self::Said { code, .. } if THROTTLED.contains(&code.as_str()) => true,
            Self::Said { .. } => self.is_broken() && repeat == Repeat::Always,
            Self::Silent { .. } => repeat == Repeat::Always,
            Self::Unasked(_) => false,
        }
    }

    /// Are the credentials too old?
    pub(super) fn is_expired(&self) -> bool {
        self.code().is_some_and(|code| EXPIRED.contains(&code))
    }

    /// No room is told with status 500, and is an answer.
    fn is_broken(&self) -> bool {
        let Self::Said { status, code, .. } = self else { return false };
        let code = code.as_str();
        BROKEN.contains(&code)
            || (*status >= 500 && !NO_ROOM.contains(&code) && !code.ends_with("LimitExceeded"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { action, code, message, .. } => write!(f, "EC2 refused {action}: {message} ({code})"),
            Self::Silent { action, why } => write!(f, "EC2 did not answer {action}: {why}"),
            Self::Unasked(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let Fault::Said { code, message, .. } = &fault else {
            return match fault {
                Fault::Unasked(error) => error,
                other => Self::temporary(other),
            };
        };
        let (code, what) = (code.as_str(), fault.to_string());
        if THROTTLED.contains(&code) {
            return Self::Throttled { what };
        }
        if let Some(hint) = refusal(code, message) {
            return Self::refused(what, hint);
        }
        if NO_ROOM.contains(&code) {
            return Self::NoCapacity { what };
        }
        if let Some(limit) = limit::reached(code) {
            return limit;
        }
        if fault.is_broken() {
            return Self::Temporary { what };
        }
        if IN_USE.contains(&code) {
            return Self::InUse { what };
        }
        let wrong = ["InvalidAMIID", "InvalidInstanceType", "InvalidKeyPair"];
        match fault.is_not_found() && !wrong.iter().any(|of| code.starts_with(of)) {
            true => Self::NotFound { what },
            false => Self::Invalid { what },
        }
    }
}

/// What to change, where a person is not let in or not allowed.
fn refusal(code: &str, message: &str) -> Option<String> {
    let hint = match code {
        "AuthFailure" if message.contains("clock") || message.contains("expired") => {
            "set the clock of this machine: signatures are good for five minutes"
        }
        "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "UnrecognizedClient" => {
            "is the access key right, and active? give another with lace provider set NAME --stdin"
        }
        "SignatureDoesNotMatch" | "IncompleteSignature" | "MissingAuthenticationToken" => {
            "is the secret access key right (lace provider set NAME --stdin), and the clock of this machine?"
        }
        "ExpiredToken" | "ExpiredTokenException" => {
            "the session has ended: give a new session token with lace provider set NAME --stdin"
        }
        "RequestExpired" | "RequestTimeTooSkewed" => "set the clock of this machine",
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            "let this user do it in IAM: the policy that Lace needs is in decisions/0035"
        }
        "OptInRequired" => "subscribe to this service or region in the account",
        "PendingVerification" => "the account is being verified: wait for the mail, or write to AWS Support",
        "Blocked" => "the account is blocked: write to AWS Support",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Fault, Repeat};
    use crate::provider::Error;

    fn said(status: u16, code: &str) -> Fault {
        Fault::Said { action: "RunInstances", status, code: code.into(), message: "because".into() }
    }

    #[test]
    fn codes_are_told_apart_by_what_to_do_next() {
        type Is = fn(&Error) -> bool;
        let cases: [(u16, &str, Is); 17] = [
            (401, "AuthFailure", |e| matches!(e, Error::Refused { .. })),
            (403, "UnauthorizedOperation", |e| matches!(e, Error::Refused { .. })),
            (400, "RequestExpired", |e| e.hint().is_some_and(|hint| hint.contains("clock"))),
            (503, "RequestLimitExceeded", |e| matches!(e, Error::Throttled { .. })),
            (500, "InternalError", |e| matches!(e, Error::Temporary { .. })),
            (503, "Unavailable", |e| matches!(e, Error::Temporary { .. })),
            (500, "InsufficientInstanceCapacity", |e| matches!(e, Error::NoCapacity { .. })),
            (400, "Unsupported", |e| matches!(e, Error::NoCapacity { .. })),
            (400, "VpcLimitExceeded", |e| matches!(e, Error::LimitReached { .. })),
            (400, "VcpuLimitExceeded", |e| matches!(e, Error::LimitReached { .. })),
            (400, "SomethingNewLimitExceeded", |e| matches!(e, Error::LimitReached { .. })),
            (400, "DependencyViolation", |e| matches!(e, Error::InUse { .. })),
            (400, "IncorrectState", |e| e.may_pass()),
            (400, "InvalidInstanceID.NotFound", |e| matches!(e, Error::NotFound { .. })),
            (400, "InvalidAMIID.NotFound", |e| matches!(e, Error::Invalid { .. })),
            (400, "InvalidParameterValue", |e| matches!(e, Error::Invalid { .. })),
            (400, "InvalidSubnet.Range", |e| matches!(e, Error::Invalid { .. })),
        ];
        for (status, code, good) in cases {
            let error = Error::from(said(status, code));
            assert!(good(&error), "{code}: {error:?}");
        }
        let told = Error::from(said(401, "AuthFailure")).to_string();
        assert_eq!(told, "EC2 refused RunInstances: because (AuthFailure)");
    }

    #[test]
    fn what_makes_something_is_asked_again_only_when_nothing_was_done() {
        let silent = Fault::Silent { action: "CreateVpc", why: "no answer within 10 s".into() };
        let cases = [
            (said(503, "RequestLimitExceeded"), true, true),
            (said(500, "InternalError"), true, false),
            (said(500, "InsufficientInstanceCapacity"), false, false),
            (said(503, "NeverHeardOf"), true, false),
            (said(400, "DependencyViolation"), false, false),
            (silent, true, false),
        ];
        for (fault, always, never) in cases {
            assert_eq!(fault.may_repeat(Repeat::Always), always, "{fault}");
            assert_eq!(fault.may_repeat(Repeat::Never), never, "{fault}");
        }
    }
}
