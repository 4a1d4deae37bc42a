//! The error of a fetch as a whole. What concerns one block only is part of the view instead.

use std::sync::Arc;

use rutile_model::ErrorKind;

/// The bucket could not be listed, so there is no new view; or a setting is wrong.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What the caller can do about it.
    pub kind: ErrorKind,
    /// What was tried and what to change.
    pub message: String,
    /// The bucket's own error. Shared, because concurrent fetches share their result.
    #[source]
    pub source: Option<Arc<rutile_objstore::Error>>,
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn listing(source: rutile_objstore::Error) -> Self {
        Self {
            kind: source.kind(),
            message: "list the blocks of the bucket".to_owned(),
            source: Some(Arc::new(source)),
        }
    }

    pub(crate) fn setting(message: String) -> Self {
        Self {
            kind: ErrorKind::Invalid,
            message,
            source: None,
        }
    }
}

/// The result of a fetch.
pub type Result<T, E = Error> = std::result::Result<T, E>;
