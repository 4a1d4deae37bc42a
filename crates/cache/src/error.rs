//! Why a cache cannot be opened.

use rutile_model::ErrorKind;

/// A configuration that is refused: where, what, and what to change.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {message}")]
pub struct Error {
    kind: ErrorKind,
    /// The flag that the configuration came with.
    origin: &'static str,
    message: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, origin: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            origin,
            message: message.into(),
        }
    }

    /// What the caller can do about it: `Invalid` or `Unsupported`.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// The result of opening a cache.
pub type Result<T, E = Error> = std::result::Result<T, E>;
