//! The error of a merge, and what it says about a block.

use std::error::Error as StdError;
use std::fmt;

use rutile_block::BlockId;
use rutile_model::ErrorKind;

/// Why blocks could not be merged.
#[derive(Debug, thiserror::Error)]
#[error("merge {}: {message}", blocks(.fault.as_ref(), *.output))]
pub struct Error {
    kind: ErrorKind,
    output: BlockId,
    fault: Option<Fault>,
    message: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of a merge.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A block that cannot be merged, however often one tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The block.
    pub block: BlockId,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a block: the reason of its no-compact mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It has no index.
    IndexMissing,
    /// Its index is damaged, or contradicts itself.
    IndexCorrupt,
    /// The format of its index is not known.
    UnsupportedVersion,
    /// Series are not in the order of their labels, one is twice, or the labels of one are out of
    /// order.
    OutOfOrderSeries,
    /// The chunks of a series are not in order of time, or overlap, within the block.
    OutOfOrderChunks,
    /// A chunk lies outside of the times that `meta.json` names.
    OutsideTimes,
    /// A chunk segment that the index refers to is missing.
    ChunkMissing,
    /// A chunk segment ends before a chunk that the index refers to.
    ChunkTruncated,
    /// A chunk does not match its checksum, or is damaged otherwise.
    ChunkChecksum,
    /// A chunk overlaps with one of the same series in another block of the merge.
    OverlappingChunks,
    /// The tombstones are damaged.
    TombstonesCorrupt,
    /// The output would exceed what the index format can address; named is the largest input.
    IndexTooLarge,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 12] = [
        Self::IndexMissing,
        Self::IndexCorrupt,
        Self::UnsupportedVersion,
        Self::OutOfOrderSeries,
        Self::OutOfOrderChunks,
        Self::OutsideTimes,
        Self::ChunkMissing,
        Self::ChunkTruncated,
        Self::ChunkChecksum,
        Self::OverlappingChunks,
        Self::TombstonesCorrupt,
        Self::IndexTooLarge,
    ];

    /// The stable name, for marks and metrics. Where the reference has one for it, it is that.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IndexMissing => "index-missing",
            Self::IndexCorrupt => "index-corrupt",
            Self::UnsupportedVersion => "unsupported-version",
            Self::OutOfOrderSeries => "out-of-order-series",
            Self::OutOfOrderChunks => "block-index-out-of-order-chunk",
            Self::OutsideTimes => "outside-times",
            Self::ChunkMissing => "chunk-missing",
            Self::ChunkTruncated => "chunk-truncated",
            Self::ChunkChecksum => "chunk-checksum",
            Self::OverlappingChunks => "overlapping-chunks",
            Self::TombstonesCorrupt => "tombstones-corrupt",
            Self::IndexTooLarge => "index-size-exceeding",
        }
    }

    fn kind(self) -> ErrorKind {
        match self {
            Self::UnsupportedVersion => ErrorKind::Unsupported,
            Self::IndexTooLarge => ErrorKind::Exhausted,
            _ => ErrorKind::Corrupt,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The block that is at fault and stays so. `None` for what may pass (a bucket that does not
    /// answer, memory that is short, the end of the process) and for a fault of our own.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// A block at fault.
    pub(crate) fn bad(fault: Fault, message: impl Into<String>) -> Self {
        Self {
            kind: fault.reason.kind(),
            output: fault.block,
            fault: Some(fault),
            message: message.into(),
            source: None,
        }
    }

    /// What is no block's fault.
    pub(crate) fn passing(output: BlockId, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            output,
            fault: None,
            message: message.into(),
            source: None,
        }
    }

    /// The same error with its cause.
    pub(crate) fn because(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    pub(crate) fn lifecycle(output: BlockId, source: rutile_lifecycle::Error) -> Self {
        Self::passing(output, source.kind(), source.to_string()).because(source)
    }

    pub(crate) fn exhausted(output: BlockId, source: rutile_runtime::Exhausted) -> Self {
        Self::passing(output, ErrorKind::Exhausted, source.to_string()).because(source)
    }
}

fn blocks(fault: Option<&Fault>, output: BlockId) -> String {
    match fault {
        Some(Fault { block, reason }) => format!("block {block} is at fault ({reason})"),
        None => format!("into block {output}"),
    }
}
