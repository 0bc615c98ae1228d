//! What can go wrong with a release, in words for people.

use lace_model::release::CHUNK_BYTES_MAX;
use lace_model::{Code, Digest, Problem};
use std::io;
use std::path::Path;

/// The result of this room's deeds.
pub type Result<T> = std::result::Result<T, ReleaseError>;

/// Why a release cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Something that no release may contain.
    #[error("{path:?}: {why}")]
    Unsafe {
        /// The path in the release, cut where it is very long.
        path: String,
        /// The reason.
        why: String,
    },
    /// Beyond a limit.
    #[error("the release is too large: {0}")]
    TooLarge(String),
    /// No archive of a known kind, or a damaged one.
    #[error("{0}")]
    NotArchive(String),
    /// A chunk that is not what its digest says.
    #[error("chunk {}: {why}", digest.short())]
    Chunk {
        /// Its digest.
        digest: Digest,
        /// What is wrong with it.
        why: String,
    },
    /// The file system said no.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried, with the path.
        doing: String,
        /// The answer.
        source: io::Error,
    },
}

impl ReleaseError {
    /// A refusal with its reason.
    pub(crate) fn refused(path: &str, why: impl Into<String>) -> Self {
        let path = path.chars().take(200).collect();
        Self::Unsafe { path, why: why.into() }
    }

    /// A chunk that is wrong.
    pub(crate) fn chunk(digest: &Digest, why: impl Into<String>) -> Self {
        Self::Chunk { digest: *digest, why: why.into() }
    }

    /// Adds what was tried to an error of the file system.
    pub(crate) fn io(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let doing = format!("{doing} {}", path.display());
        |source| Self::Io { doing, source }
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        match self {
            Self::Unsafe { .. } => Code::UnsafeArchive,
            Self::TooLarge(_) => Code::TooLarge,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Code::DiskFull,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Code::NotFound,
            Self::NotArchive(_) | Self::Chunk { .. } | Self::Io { .. } => Code::Error,
        }
    }

    /// As a problem for people.
    pub fn problem(&self) -> Problem {
        let problem = Problem::new(self.code(), self.to_string());
        match self {
            Self::Unsafe { .. } => problem.hint("take it out of the release and try again; nothing was kept"),
            Self::NotArchive(_) => {
                problem.hint("give a directory, or an archive: tar, tar.gz, tar.bz2, tar.xz, tar.zst or zip")
            }
            _ => problem,
        }
    }
}

/// Checks that bytes are the chunk that a digest names.
pub(crate) fn check_chunk(digest: &Digest, bytes: &[u8]) -> Result<()> {
    if bytes.len() as u64 > CHUNK_BYTES_MAX {
        return Err(ReleaseError::chunk(digest, format!("it has {} bytes", bytes.len())));
    }
    if Digest::of(bytes) != *digest {
        return Err(ReleaseError::chunk(digest, "its bytes have another digest"));
    }
    Ok(())
}
