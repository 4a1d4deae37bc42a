//! The error of every bucket operation.

use std::error::Error as StdError;

use rutile_model::ErrorKind;

use crate::Operation;

/// A failed bucket operation: what was tried, on which key, why it failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
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
    /// An error without a source.
    #[must_use]
    pub fn new(
        kind: ErrorKind,
        operation: Operation,
        bucket: &str,
        key: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            operation: operation.as_str(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            message: message.into(),
            source: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The object is not there.
    #[must_use]
    pub fn not_found(operation: Operation, bucket: &str, key: &str) -> Self {
        Self::new(
            ErrorKind::NotFound,
            operation,
            bucket,
            key,
            "the object does not exist",
        )
    }

    /// Somebody created the object first.
    #[must_use]
    pub fn already_exists(operation: Operation, bucket: &str, key: &str) -> Self {
        Self::new(
            ErrorKind::AlreadyExists,
            operation,
            bucket,
            key,
            "the object exists already",
        )
    }

    /// The object is longer than the caller takes.
    #[must_use]
    pub fn too_long(bucket: &str, key: &str, size: u64, limit: u64) -> Self {
        let message = format!("the object has {size} bytes, at most {limit} are accepted");
        Self::new(ErrorKind::Exhausted, Operation::Get, bucket, key, message)
    }

    /// A bucket that could not be opened has no name yet: then the message says it all.
    fn text(&self) -> String {
        let Self {
            operation,
            bucket,
            key,
            message,
            ..
        } = self;
        match (bucket.is_empty(), key.is_empty()) {
            (true, _) => message.clone(),
            (false, true) => format!("{operation} in bucket {bucket:?}: {message}"),
            (false, false) => format!("{operation} {key:?} in bucket {bucket:?}: {message}"),
        }
    }

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
