//! Why a query has no answer.

use rutile_model::ErrorKind;

use crate::{ParseErrors, SourceError};

/// Why a query has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It is not a query.
    #[error(transparent)]
    Parse(#[from] ParseErrors),
    /// The source did not give what was asked for.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It cannot be evaluated; the text is Prometheus's.
    #[error("{0}")]
    Execution(String),
    /// The request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// It would hold more than it may.
    #[error("{0}")]
    TooMany(String),
    /// Nobody wants the answer any more.
    #[error("the query was canceled")]
    Canceled,
}

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Parse(errors) => errors.kind(),
            Self::Source(error) => error.kind,
            Self::Execution(_) | Self::Invalid(_) => ErrorKind::Invalid,
            Self::TooMany(_) => ErrorKind::Exhausted,
            Self::Canceled => ErrorKind::Canceled,
        }
    }
}
