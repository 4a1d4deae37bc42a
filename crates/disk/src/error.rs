//! What can go wrong with a local file.

use std::io;

use rutile_model::ErrorKind;

/// The result of an operation on a disk.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on a local file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused it.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The path below the root of the disk (or the root itself).
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The path would lead out of the root, or names nothing.
    #[error("path {0:?} is not a relative path of plain names")]
    BadPath(String),
    /// Somebody else has the folder.
    #[error("the folder {folder} is in use by {holder}")]
    InUse {
        /// The folder.
        folder: String,
        /// Who has it, as far as that is known.
        holder: String,
    },
}

impl Error {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        let source = match self {
            Self::Io { source, .. } => source,
            Self::BadPath(_) => return ErrorKind::Invalid,
            Self::InUse { .. } => return ErrorKind::Unavailable,
        };
        match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::Denied
            }
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => ErrorKind::Exhausted,
            io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::DirectoryNotEmpty => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        }
    }

    /// What the system said of `operation` (a verb) on the file at `path`.
    #[must_use]
    pub fn io(operation: &'static str, path: &str, source: io::Error) -> Self {
        Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn not_found(operation: &'static str, path: &str) -> Self {
        Self::io(operation, path, io::ErrorKind::NotFound.into())
    }
}
