//! The error of reading a block from a bucket.

use rutile_block::BlockId;
use rutile_model::ErrorKind;

/// What went wrong with which part of which block.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bucket did not answer, or does not have the object.
    #[error("block {block}: {source}")]
    Bucket {
        /// The block that was read.
        block: BlockId,
        /// The failed operation, with its key.
        source: Box<rutile_objstore::Error>,
    },
    /// The index or its header is damaged.
    #[error("block {block}: index: {source}")]
    Index {
        /// The block that was read.
        block: BlockId,
        /// What was expected, and at which offset.
        source: rutile_index::Error,
    },
    /// An object does not hold what the index or the metadata say.
    #[error("block {block}: {object} at offset {offset}: {message}")]
    Corrupt {
        /// The block that was read.
        block: BlockId,
        /// The object below the block's folder.
        object: String,
        /// Bytes from the start of the object.
        offset: u64,
        /// What was expected.
        message: String,
    },
    /// The local folder failed.
    #[error("block {block}: {source}")]
    Disk {
        /// The block that was read.
        block: BlockId,
        /// The failed operation, with its path.
        source: Box<rutile_disk::Error>,
    },
    /// A limit of the request was reached.
    #[error("exceeded {limit} limit: limit {allowed} violated (got {got})")]
    Limit {
        /// `series`, `chunks` or `bytes`.
        limit: &'static str,
        /// What the setting allows.
        allowed: u64,
        /// What the request asked for so far.
        got: u64,
    },
    /// The process has no memory left for this request.
    #[error(transparent)]
    Memory(#[from] rutile_runtime::Exhausted),
    /// A task of ours died.
    #[error("block {block}: {message}")]
    Internal {
        /// The block that was read.
        block: BlockId,
        /// What happened.
        message: String,
    },
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Bucket { source, .. } => match source.kind() {
                // What was asked for lies outside of the object, which is then shorter than its
                // index or its metadata say: nothing that our caller could ask for otherwise.
                ErrorKind::Invalid => ErrorKind::Corrupt,
                kind => kind,
            },
            Self::Index { source, .. } => source.kind(),
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            // Whatever it is, it is not what the caller asked for that is wrong.
            Self::Disk { .. } => ErrorKind::Unavailable,
            Self::Limit { .. } | Self::Memory(_) => ErrorKind::Exhausted,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }
}

/// The result of reading a block.
pub type Result<T, E = Error> = std::result::Result<T, E>;
