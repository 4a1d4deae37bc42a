//! What is answered instead of a result.

use http::StatusCode;

/// What went wrong, by the names of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// The request is wrong.
    BadData,
    /// The query cannot be evaluated.
    Execution,
    /// The client went away.
    Canceled,
    /// The time was up.
    Timeout,
    /// There is no such thing.
    NotFound,
    /// The body of the request is in a form that nobody reads here.
    Unsupported,
    /// Anything else.
    Internal,
}

impl ErrorType {
    /// Its name in the answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadData | Self::Unsupported => "bad_data",
            Self::Execution => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::NotFound => "not_found",
            Self::Internal => "internal",
        }
    }

    /// Its HTTP code. That of `Canceled` is Thanos's, Prometheus has 499; that of `Unsupported` is ours.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Canceled | Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// What went wrong.
    pub kind: ErrorType,
    /// What exactly, and where.
    pub message: String,
}

/// A result, or why there is none.
pub type Result<T, E = Failed> = std::result::Result<T, E>;

impl Failed {
    /// A failure of this type.
    #[must_use]
    pub fn new(kind: ErrorType, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The request is wrong.
    #[must_use]
    pub fn bad_data(message: impl Into<String>) -> Self {
        Self::new(ErrorType::BadData, message)
    }

    /// The request is right, and cannot be answered.
    #[must_use]
    pub fn execution(error: &impl std::fmt::Display) -> Self {
        Self::new(ErrorType::Execution, error.to_string())
    }

    /// A parameter is wrong.
    #[must_use]
    pub fn parameter(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {problem}"))
    }
}
