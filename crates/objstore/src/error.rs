//! The error of every bucket operation.

use std::error::Error as StdError;

use rutile_model::ErrorKind;

/// A failed bucket operation: what was tried, on which key, why it failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {key:?} in bucket {bucket:?}: {message}")]
pub struct Error {
    /// What the caller can do about it.
    pub kind: ErrorKind,
    /// `get`, `get_range`, `exists`, …: the names that the metrics use.
    pub operation: &'static str,
    /// Name of the bucket.
    pub bucket: String,
    /// The key asked for, relative to the configured prefix.
    pub key: String,
    /// What was wrong, and where it helps, what to change.
    pub message: String,
    /// The library's own error.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the object was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }
}

/// The result of a bucket operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
