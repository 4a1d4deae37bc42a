//! Why something was not uploaded.

use rutile_block::BlockId;
use rutile_model::ErrorKind;

/// A failed sync, or a block that a sync could not upload.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody could tell whose the blocks are.
    #[error(
        "blocks without external labels are not uploaded: set external_labels in the configuration of \
         Prometheus, or --label where a receiver or ruler makes the blocks"
    )]
    NoLabels,
    /// The folder of the database could not be looked at.
    #[error("cannot look for local blocks: {0}")]
    Disk(#[source] rutile_disk::Error),
    /// The list of uploaded blocks could not be read or written.
    #[error(
        "cannot {action} the list of uploaded blocks (--shipper.meta-file-name={path}): {source}"
    )]
    List {
        /// `read` or `write`.
        action: &'static str,
        /// The list.
        path: String,
        /// What the disk said.
        source: rutile_disk::Error,
    },
    /// A local block has no metadata that can be read.
    #[error("{0}; mend or remove the folder, or leave it out with --shipper.skip-corrupted-blocks")]
    Unreadable(#[source] rutile_lifecycle::Error),
    /// A local block lacks files.
    #[error("local block {block} is damaged: {message}")]
    Damaged {
        /// The block.
        block: BlockId,
        /// Which file, and what is wrong.
        message: String,
    },
    /// The files of a local block could not be linked.
    #[error("cannot get hold of the files of block {block}: {source}")]
    Link {
        /// The block.
        block: BlockId,
        /// What the disk said.
        source: rutile_disk::Error,
    },
    /// A compacted block covers time that the bucket has.
    #[error(
        "compacted block {block} overlaps block {other}, which the bucket has with the same labels; \
         --shipper.allow-out-of-order-uploads uploads it all the same"
    )]
    Overlap {
        /// The local block.
        block: BlockId,
        /// The one in the bucket.
        other: BlockId,
    },
    /// Whether a compacted block overlaps others cannot be told now.
    #[error(
        "whether compacted block {block} overlaps others cannot be told: block {other} in the bucket could \
         not be read for now ({message})"
    )]
    Unclear {
        /// The local block.
        block: BlockId,
        /// One that could not be read.
        other: BlockId,
        /// Why.
        message: String,
    },
    /// The bucket could not be looked at.
    #[error(transparent)]
    Fetch(#[from] rutile_fetcher::Error),
    /// The upload failed.
    #[error(transparent)]
    Upload(#[from] rutile_lifecycle::Error),
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoLabels | Self::Overlap { .. } => ErrorKind::Invalid,
            Self::Disk(source) | Self::List { source, .. } | Self::Link { source, .. } => {
                source.kind()
            }
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Unclear { .. } => ErrorKind::Unavailable,
            Self::Fetch(error) => error.kind(),
            Self::Unreadable(error) | Self::Upload(error) => error.kind(),
        }
    }
}

/// The result of the shipper's work.
pub type Result<T, E = Error> = std::result::Result<T, E>;
