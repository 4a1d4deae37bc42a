//! The streaming merge of blocks: from range reads to a multipart upload, without a local copy.
//!
//! Owns the pipeline that reads blocks, checks every series and chunk, puts the chunks of equal series
//! one behind the other undecoded, or makes one series of those that overlap ([`Overlapping`]), or changes
//! the series of one block ([`Rules`]), writes
//! one block, and reads it back before it commits it. Promises: what is committed holds exactly what the inputs hold (BC-13);
//! memory is bounded by the buffers, which the ledger knows; a damaged input is an error that names
//! the block and the reason; a merge that is dropped leaves nothing that anybody takes for a block.
//! Never marks or deletes a block, never decides what to merge.

mod batch;
mod choose;
mod combine;
mod digest;
mod downsample;
mod edit;
mod entries;
mod error;
mod find;
mod frames;
mod function;
mod input;
mod layout;
mod output;
mod overlap;
mod plan;
mod postings;
mod progress;
mod rewrite;
mod run;
mod source;
mod spill;
mod symbols;
mod verify;

use std::ops::RangeInclusive;
use std::sync::Arc;

use rutile_block::{BlockId, Meta, RawJson};
use rutile_disk::AsyncDisk;
use rutile_lifecycle::{HashFunc, Lifecycle};
use rutile_objstore::BucketReader;
use rutile_runtime::{CpuPool, Ledger, Spawner};

pub use edit::{Change, ChangeLog, Deletion, Effect, Rules, Survey};
pub use error::{Error, Fault, Reason, Result};
pub use function::{ChunkSink, Concatenate, MergeFunction, Piece, Refusal};
pub use overlap::Overlapping;
pub use progress::{Progress, ProgressSnapshot};
pub use verify::Contents;

/// Merges blocks of one bucket. Clones share what they use.
#[derive(Debug, Clone)]
pub struct Merger {
    /// Where the inputs are read.
    pub bucket: Arc<dyn BucketReader>,
    /// Where the output is written, and read back.
    pub lifecycle: Lifecycle,
    /// Where bytes are checked, decoded and put together.
    pub pool: CpuPool,
    /// Where the stages of the pipeline run.
    pub spawner: Spawner,
    /// Each merge opens an account here.
    pub ledger: Ledger,
    /// Where postings go that exceed their bound, below `merge/`.
    pub scratch: AsyncDisk,
    /// The hashes that the output's metadata records.
    pub hash: HashFunc,
}

/// What to merge into what.
#[derive(Debug, Clone)]
pub struct MergePlan<'a> {
    /// The inputs, in any order: one at least, of one group, not overlapping in time unless the
    /// function takes overlaps.
    pub inputs: &'a [Meta],
    /// The output.
    pub output: BlockId,
    /// The resolution that the only input is downsampled to, ms; none: the output has that of the inputs.
    pub downsample_to: Option<i64>,
    /// What becomes of the chunks of a series.
    pub function: Arc<dyn MergeFunction>,
    /// What the output's metadata says under `extensions`.
    pub extensions: Option<RawJson>,
}

/// What a merge came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Merged {
    /// A block: verified, then committed.
    Block(Box<Meta>),
    /// No series was left. Nothing was uploaded.
    Empty,
}

impl Merger {
    /// Merges blocks. Dropping the future ends all work; objects that were uploaded by then have no
    /// `meta.json` and are cleaned up as any partial upload.
    ///
    /// # Errors
    /// See [`Error::fault`] for what is wrong with an input. `Exhausted` when memory or the age of
    /// the upload is, `AlreadyExists` when the output is committed, `Invalid` for a plan that cannot
    /// be, `Internal` when the output read back is not what the inputs hold; the bucket's own.
    pub async fn merge(&self, plan: MergePlan<'_>, progress: &Arc<Progress>) -> Result<Merged> {
        run::merge(self, plan, progress).await
    }

    /// Reads all of a block, as a merge would, and writes nothing.
    ///
    /// # Errors
    /// See [`Error::fault`] for what is wrong with the block; the bucket's own.
    pub async fn check(&self, meta: &Meta, progress: &Arc<Progress>) -> Result<Contents> {
        verify::contents(self, meta, progress).await
    }

    /// From when to when the samples of a block are, as its index tells it, whatever its metadata
    /// say; none when it holds none. Reads symbols and series, no chunk.
    ///
    /// # Errors
    /// As [`Merger::check`].
    pub async fn times(&self, meta: &Meta) -> Result<Option<RangeInclusive<i64>>> {
        verify::times(self, meta).await
    }
}
