//! One block with its series changed: some deleted, some relabelled, in the order of their new labels.
//!
//! Two passes. The first reads the index alone (`survey`): what becomes of each series, which is also
//! all that a dry run does. The second reads the chunks in the order of the output (`lane`), and hands
//! them to the stages that merge blocks, so that the output is laid out, verified and committed as
//! theirs is. Series that get equal labels come in different lanes, and meet as those of several blocks do.
//!
//! In memory are the labels of the series and the symbols, in the ledger; never chunks beyond a few batches.

mod lane;
mod mend;
mod rules;
mod run;
mod survey;
mod table;

pub use rules::{Change, Deletion, Rules};
pub use survey::{Effect, Survey};

use std::sync::Arc;

use rutile_block::{BlockId, Meta, RawJson};
use rutile_objstore::BucketReader;

use crate::{Merged, Merger, Progress, Result};

/// Takes each change that a survey finds, as it finds it.
pub type ChangeLog<'a> = dyn FnMut(&Change) -> std::io::Result<()> + Send + 'a;

impl Merger {
    /// Reads the index of a block and finds what `rules` change. Writes nothing.
    ///
    /// `source` is where the block is read: the bucket, or a copy of the block. Where series are
    /// relabelled, their chunks are read in another order than they lie in, for which a local copy is better.
    ///
    /// # Errors
    /// See [`crate::Error::fault`] for what is wrong with the block. `Invalid` when an interval cuts a
    /// chunk of aggregates, or too many series become one; `Exhausted` when memory is short; what
    /// `log` and the bucket say.
    pub async fn survey(
        &self,
        source: Arc<dyn BucketReader>,
        meta: &Meta,
        rules: &Arc<Rules>,
        log: &mut ChangeLog<'_>,
    ) -> Result<Survey> {
        survey::survey(self, source, meta, rules, log).await
    }

    /// Writes what a survey found as the block `output`, reads it back and commits it. Its metadata are
    /// those of the block, with sources of its own, and with `rewrites` as its history.
    ///
    /// # Errors
    /// As [`Merger::merge`].
    pub async fn rewrite(
        &self,
        survey: Survey,
        output: BlockId,
        rewrites: RawJson,
        progress: &Arc<Progress>,
    ) -> Result<Merged> {
        run::write(self, survey, output, Some(rewrites), progress).await
    }

    /// Likewise of a survey that mends, and nothing else. The output is the same data: it has the sources of the block, and replaces it.
    ///
    /// # Errors
    /// As [`Merger::merge`].
    pub async fn mend(
        &self,
        survey: Survey,
        output: BlockId,
        progress: &Arc<Progress>,
    ) -> Result<Merged> {
        run::write(self, survey, output, None, progress).await
    }
}
