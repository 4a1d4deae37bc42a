//! The error of the compactor.

use rutile_block::BlockId;
use rutile_model::ErrorKind;

/// Why a step of the compactor failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bucket could not be looked at.
    #[error(transparent)]
    Fetch(#[from] rutile_fetcher::Error),
    /// A block could not be marked, deleted or cleaned up.
    #[error(transparent)]
    Lifecycle(#[from] rutile_lifecycle::Error),
    /// Blocks could not be merged.
    #[error(transparent)]
    Merge(#[from] rutile_merge::Error),
    /// A block that replaces others could not be read.
    #[error(transparent)]
    Block(#[from] rutile_blockio::Error),
    /// A request to the bucket failed.
    #[error(transparent)]
    Bucket(#[from] rutile_objstore::Error),
    /// Some blocks could not be read, so that nothing could be planned that may concern them.
    #[error("{0} blocks could not be read: what may concern them waits")]
    Incomplete(usize),
    /// Somebody marked or removed an input between the look at the bucket and the merge, or during
    /// the merge.
    #[error("block {0} was marked for deletion or removed meanwhile")]
    InputGone(BlockId),
    /// Another compactor may be at the same work by now: this one stood still, or could not reach the bucket.
    #[error("the lease of {0} is lost: another compactor goes on with it")]
    LeaseLost(String),
    /// A setting is wrong.
    #[error("{0}")]
    Setting(String),
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Fetch(error) => error.kind(),
            Self::Lifecycle(error) => error.kind(),
            Self::Merge(error) => error.kind(),
            Self::Block(error) => error.kind(),
            Self::Bucket(error) => error.kind(),
            Self::Incomplete(_) | Self::InputGone(_) | Self::LeaseLost(_) => ErrorKind::Unavailable,
            Self::Setting(_) => ErrorKind::Invalid,
        }
    }
}

/// The result of the compactor's work.
pub type Result<T, E = Error> = std::result::Result<T, E>;
