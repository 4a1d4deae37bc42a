//! Downsampling what has become long enough: raw blocks to five minutes, these to an hour.
//!
//! Nothing is marked: a downsampled block stands beside the block that it was made of, names the same sources, and is what
//! retention of that block waits for (BC-12). What a crash interrupts is a partial upload; what two compactors make at the same
//! time is one block and one duplicate of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use rutile_block::{BlockId, MarkKind, Meta, Work};
use rutile_fetcher::{Selection, View};
use rutile_merge::Merged;
use rutile_telemetry::root_span;
use tokio::time::Instant;
use tracing::field::Empty;

use crate::compactor::{Left, Look};
use crate::retention::due_downsamples;
use crate::workers::Turn;
use crate::{Compactor, Error, Report, Result};

/// The reason of a no-downsample mark, and its details.
const EMPTY: (&str, &str) = (
    "no-samples",
    "nothing is left of the block at a lower resolution: its samples are stale markers or NaN",
);

/// A block that is due, and the resolution that it is to have next, ms.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub(crate) meta: Arc<Meta>,
    pub(crate) target: i64,
}

impl Compactor {
    /// Downsamples all that is due; whether there is anything new, so that the bucket is to be looked at again. Blocks that
    /// failed before are left alone.
    pub(crate) async fn downsample(
        &self,
        look: &Look,
        left: &mut Left,
        report: &mut Report,
    ) -> bool {
        let Look {
            view,
            selection,
            leased,
        } = look;
        // A block that could not be read may be just the one that is missing (BC-11).
        if !self.retention.downsampling || !selection.unread.is_empty() {
            return false;
        }
        // What is merged with others is not downsampled by itself: both have the same lease.
        let mut by_work: BTreeMap<Work, Vec<Due>> = BTreeMap::new();
        for due in due(view, selection) {
            if !left.not_downsampled.contains(&due.meta.id) {
                let work = Work::new(&due.meta.group_key(), due.meta.min_time);
                by_work.entry(work).or_default().push(due);
            }
        }
        let turns = by_work.into_iter().map(|(work, due)| async move {
            let all = Box::pin(async { Ok(self.turns(&due).await) });
            let turn = self.take_turn(&work, leased.as_ref(), all).await;
            (work, due.len(), turn)
        });
        let turns: Vec<_> = turns.collect();
        let mut turns = stream::iter(turns).buffer_unordered(self.downsample_concurrency);
        let mut progressed = false;
        while let Some((work, count, turn)) = turns.next().await {
            match turn {
                Ok(Turn::Taken(failed)) => {
                    report.downsampled += count - failed.len();
                    progressed |= failed.len() < count;
                    for (block, error) in failed {
                        tracing::warn!(%block, %error, "a block could not be downsampled; the others go on");
                        left.not_downsampled.insert(block);
                        report.errors.push(error);
                    }
                }
                Ok(Turn::Outdated) => progressed = true,
                Ok(Turn::Held) => {
                    left.held.insert(work);
                }
                Err(error) => {
                    tracing::warn!(%work, %error, "nothing of it could be downsampled; the others go on");
                    report.errors.push(error);
                }
            }
        }
        progressed
    }

    /// One block after the other; gives those that failed.
    async fn turns(&self, due: &[Due]) -> Vec<(BlockId, Error)> {
        let mut failed = Vec::new();
        for due in due {
            if let Err(error) = self.turn(due).await {
                failed.push((due.meta.id, error));
            }
        }
        failed
    }

    async fn turn(&self, due: &Due) -> Result<()> {
        let from = due.meta.thanos.downsample.resolution.to_string();
        let span = root_span!("downsample_block", block = %due.meta.id, resolution = due.target, otel.status_code = Empty);
        let begun = Instant::now();
        let outcome = self.make(due).await;
        let metrics = &self.metrics.downsampling;
        metrics.blocks.with_label_values(&[&from]).inc();
        match &outcome {
            Ok(()) => {
                let seconds = Self::seconds_since(begun);
                metrics.seconds.with_label_values(&[&from]).observe(seconds);
            }
            Err(_) => {
                span.record("otel.status_code", "ERROR");
                metrics.failures.with_label_values(&[&from]).inc();
            }
        }
        outcome
    }

    /// Makes the block, and makes sure that what it was made of is still wanted.
    async fn make(&self, due: &Due) -> Result<()> {
        let inputs = std::slice::from_ref(&due.meta);
        self.require_live(inputs).await?;
        let made = match self.try_merge(inputs, Some(due.target)).await {
            // What a bad line or a proxy damaged is well when it is read again.
            Err((_, Some(_))) => self.try_merge(inputs, Some(due.target)).await,
            other => other,
        };
        let Merged::Block(output) = made.map_err(|(error, _)| error)? else {
            let (reason, details) = EMPTY;
            let marked = self
                .lifecycle
                .mark_no_downsample(due.meta.id, reason, details);
            marked.await?;
            self.metrics.count_mark(MarkKind::NoDownsample, reason);
            return Ok(());
        };
        self.keep_wanted(inputs, Some(output.id), true).await
    }
}

/// What is due, in order of the blocks' ULIDs, as in the reference. A block that is to be deleted lives on in nothing (BC-15).
pub(crate) fn due(view: &View, selection: &Selection) -> Vec<Due> {
    let is_marked = |id| {
        let info = view.blocks.get(&id);
        info.is_some_and(|info| info.marks.get(MarkKind::Deletion).is_there())
    };
    let due = due_downsamples(selection).into_iter();
    let due = due.filter(|(id, _, _)| !is_marked(*id));
    due.filter_map(|(id, target, _)| {
        let meta = Arc::clone(selection.wanted.get(&id)?);
        Some(Due { meta, target })
    })
    .collect()
}
