//! The coarse kind of an error (what its receiver can do about it), and this crate's own error.

use std::fmt;

/// What a caller can do about an error, whatever its cause.
///
/// Every library crate has one `Error` type with a message, a source, and a `kind()` that returns
/// one of these. Only `rutile_server` turns a kind into a gRPC code, an HTTP code or an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The object, block, label or file does not exist. Asking again does not help.
    NotFound,
    /// Somebody else created it first (conditional create).
    AlreadyExists,
    /// A passing failure (network, throttling, a server that is down): try again later.
    Unavailable,
    /// The credentials are missing, wrong or not sufficient: the operator must act.
    Denied,
    /// The request or the setting is wrong: change it.
    Invalid,
    /// The bytes are damaged: this object is lost for its reader, others are not concerned.
    Corrupt,
    /// A limit (memory, series, samples, bytes, size, time) was reached.
    Exhausted,
    /// The caller went away or its deadline passed.
    Canceled,
    /// Known and deliberately not supported.
    Unsupported,
    /// A bug of ours.
    Internal,
    /// Going on would risk data: a person must look (compactor only).
    Halt,
}

impl ErrorKind {
    /// Short lower-case name, as used in logs and as a metric label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Corrupt => "corrupt",
            Self::Exhausted => "exhausted",
            Self::Canceled => "canceled",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
            Self::Halt => "halt",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What this crate refuses: a text that is not a regular expression, selector, relabel rule,
/// duration, size or time. The message quotes the text and says what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// An error of kind [`ErrorKind::Invalid`].
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Invalid,
            message: message.into(),
        }
    }

    /// An error of kind [`ErrorKind::Exhausted`]: well formed, but too large for our limits.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Exhausted,
            message: message.into(),
        }
    }

    /// The same error, with what it is about in front of its message.
    pub(crate) fn within(mut self, context: &str) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// What the caller can do: [`ErrorKind::Invalid`], or [`ErrorKind::Exhausted`] for a regular
    /// expression whose program exceeds the size limit.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
