//! What can go wrong, and how it is told to people.

use lace_model::{Code, Digest, Problem};

/// Result of the store's calls.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store did not do it. Cheap to clone: all batches of a group may get the same one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A row is not as the batch expects it; nothing of the batch was written.
    #[error("{kind} {key} changed meanwhile")]
    Conflict {
        /// Kind of the row.
        kind: String,
        /// Its key.
        key: String,
    },
    /// The change feed begins later than asked: list everything again.
    #[error("the change feed does not reach back so far")]
    Compacted,
    /// A limit of [`crate::limits`] was passed.
    #[error("{what} has {bytes} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// What.
        what: String,
        /// How large it is, in bytes or pieces.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// New work is refused because the disk is nearly full.
    #[error("the disk of the state directory is {} % full", used_permille / 10)]
    DiskFull {
        /// Used share in thousandths of used/(used + available); 1000 where a write itself met the end.
        used_permille: u32,
    },
    /// The row was written by a newer Lace.
    #[error("{kind} {key} has schema {schema}, which this version of lace does not know")]
    NewerSchema {
        /// Kind of the row.
        kind: String,
        /// Its key.
        key: String,
        /// Its schema number.
        schema: u32,
    },
    /// The database was made by a newer Lace.
    #[error("the state was written by a newer lace (schema {found}, this version knows {known})")]
    NewerDatabase {
        /// Schema number found.
        found: u32,
        /// Highest known.
        known: u32,
    },
    /// A stored value is not what it should be.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// What.
        what: String,
        /// In which way.
        why: String,
    },
    /// A value that cannot be written as JSON: a bug in its type.
    #[error("{kind} {key} has no JSON form: {why}")]
    Unwritable {
        /// Kind of the row.
        kind: String,
        /// Its key.
        key: String,
        /// In which way.
        why: String,
    },
    /// The master key is not the one that sealed this state.
    #[error("the master key does not fit this state")]
    WrongKey,
    /// The master key's file is not usable.
    #[error("the master key {path} is not usable: {why}")]
    BadKey {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// Another process has the state open.
    #[error("the state in {path} is open in another process")]
    InUse {
        /// The directory.
        path: String,
    },
    /// There is something already where a backup is to be restored.
    #[error("{path} has a state already")]
    Exists {
        /// The directory.
        path: String,
    },
    /// Nothing there.
    #[error("there is no {what}")]
    NotFound {
        /// What.
        what: String,
    },
    /// A blob's content is not what its digest says.
    #[error("blob {digest} is damaged")]
    DamagedBlob {
        /// Its name.
        digest: Digest,
    },
    /// The system refused something about a file.
    #[error("cannot {what}: {why}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        why: String,
    },
    /// The database refused. After a failed commit the batch may or may not be there after a restart.
    #[error("the database failed: {0}")]
    Database(String),
    /// The store was closed, or its writer ended.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| match error.kind() {
            std::io::ErrorKind::StorageFull => Self::DiskFull { used_permille: 1000 },
            _ => Self::Io { what, why: error.to_string() },
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Conflict { .. } | Self::Compacted | Self::InUse { .. } | Self::Exists { .. } => {
                Code::Conflict
            }
            Self::TooLarge { .. } => Code::TooLarge,
            Self::DiskFull { .. } => Code::DiskFull,
            Self::NotFound { .. } => Code::NotFound,
            Self::Closed => Code::Unreachable,
            _ => Code::Error,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Conflict { .. } => "read it again and repeat the change",
            Self::Compacted => "list everything and follow from the newest revision",
            Self::DiskFull { .. } => {
                "make room: delete releases, backups or applications; deleting still works"
            }
            Self::NewerSchema { .. } | Self::NewerDatabase { .. } => "start the newer version of lace again",
            Self::WrongKey => "put the master key back that this state was made with",
            Self::BadKey { .. } => "it holds 64 hexadecimal digits and has mode 0600",
            Self::InUse { .. } => "stop the other controller first",
            Self::Exists { .. } => "restore into an empty directory",
            Self::Damaged { .. } | Self::DamagedBlob { .. } => "restore the newest backup",
            _ => return None,
        })
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull { used_permille: 1000 },
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Damaged { what: "the database".into(), why: error.to_string() }
            }
            _ => Self::Database(error.to_string()),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let problem = Problem::new(error.code(), error.to_string());
        match error.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}
