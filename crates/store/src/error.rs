//! The error of the store gateway.

use rutile_model::ErrorKind;

/// Why a call or a sync failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A block could not be read.
    #[error(transparent)]
    Block(#[from] rutile_blockio::Error),
    /// The answer could not be written, or the request is wrong.
    #[error(transparent)]
    Api(#[from] rutile_storeapi::Error),
    /// The bucket could not be listed.
    #[error(transparent)]
    Fetch(#[from] rutile_fetcher::Error),
    /// A setting is wrong.
    #[error("{0}")]
    Setting(String),
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Block(error) => error.kind(),
            Self::Api(error) => error.kind(),
            Self::Fetch(error) => error.kind(),
            Self::Setting(_) => ErrorKind::Invalid,
        }
    }
}

impl From<Error> for rutile_storeapi::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(error) => error,
            other => Self::new(other.kind(), other.to_string()).with_source(other),
        }
    }
}

/// The result of the store gateway's work.
pub type Result<T, E = Error> = std::result::Result<T, E>;
