//! The loop: look, collect garbage, merge until there is nothing to merge, downsample, apply retention, sweep.
//!
//! Several compactors on one bucket lose no data, since each reads its inputs again around a merge; leases keep them from doing
//! the same work twice (BC-14).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use rutile_block::{BlockId, Contract, GroupKey, Work};
use rutile_dedup::Function;
use rutile_fetcher::{Fetcher, FilterChain, Selection, View};
use rutile_lifecycle::{Leased, Leases, Lifecycle};
use rutile_merge::Merger;
use rutile_model::ErrorKind;
use rutile_objstore::Bucket;
use rutile_runtime::{Clock, Entropy};
use rutile_telemetry::root_span;
use tokio::time::Instant;
use tracing::field::Empty;

use crate::group::{Group, Groups};
use crate::loadable::Loadable;
use crate::metrics::Metrics;
use crate::plan::Planner;
use crate::progress::Tracker;
use crate::retention::{Retention, due_downsamples};
use crate::times::Acquitted;
use crate::web::Seen;
use crate::work::Outcome;
use crate::workers::Turn;
use crate::{Error, Result};

/// The first wait after an iteration that failed; doubled for each further one, up to the interval.
const FIRST_RETRY: Duration = Duration::from_secs(10);

/// Keeps one bucket in order.
#[derive(Debug)]
pub struct Compactor {
    pub(crate) fetcher: Fetcher,
    pub(crate) chain: FilterChain,
    pub(crate) bucket: Arc<dyn Bucket>,
    pub(crate) lifecycle: Lifecycle,
    /// By which it shares the work with others, if it does.
    pub(crate) leases: Option<Leases>,
    pub(crate) merger: Merger,
    pub(crate) loadable: Loadable,
    pub(crate) acquitted: Acquitted,
    pub(crate) planner: Planner,
    /// How blocks that overlap are merged, if they are.
    pub(crate) vertical: Option<Function>,
    pub(crate) retention: Retention,
    pub(crate) contract: Contract,
    /// Groups that are worked on at a time.
    pub(crate) concurrency: usize,
    /// Blocks that are downsampled at a time.
    pub(crate) downsample_concurrency: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) seen: Seen,
    /// Held by who deletes: two at once would take each other's half-deleted blocks for damaged.
    pub(crate) sweeping: tokio::sync::Mutex<()>,
}

/// What an iteration did.
#[derive(Debug, Default)]
pub struct Report {
    /// Merges that yielded a block.
    pub merged: usize,
    /// Blocks that were downsampled.
    pub downsampled: usize,
    /// Blocks that were marked no-compact because they are damaged or would become too large.
    pub quarantined: usize,
    /// Blocks that were marked for deletion: sources, outdated ones, expired ones.
    pub marked: usize,
    /// Blocks, and what was left of some, that were deleted.
    pub deleted: usize,
    /// Merges and downsampling that other compactors were at.
    pub held: usize,
    /// What failed. The rest was done all the same; the next iteration tries again.
    pub errors: Vec<Error>,
}

/// One look at the bucket.
pub(crate) struct Look {
    pub(crate) view: Arc<View>,
    pub(crate) selection: Selection,
    /// The leases before it, if work is shared.
    pub(crate) leased: Option<Leased>,
}

/// What an iteration remembers from look to look.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Groups that are not as they should be: retention waits for what they may become.
    pub(crate) unsettled: BTreeSet<GroupKey>,
    /// Work that failed: it is left alone for the rest of the iteration.
    pub(crate) failed: BTreeSet<Work>,
    /// The same of blocks that are to be downsampled.
    pub(crate) not_downsampled: BTreeSet<BlockId>,
    /// What others were at when it was last claimed.
    pub(crate) held: BTreeSet<Work>,
}

impl Compactor {
    /// One iteration: all there is to do now. What fails is in the report, and keeps nothing else
    /// from being done.
    pub async fn iterate(&self) -> Report {
        let (mut report, mut left) = (Report::default(), Left::default());
        let mut first = true;
        loop {
            let look = match self.look().await {
                Ok(look) => look,
                Err(error) => {
                    report.errors.push(error);
                    return report;
                }
            };
            let Look {
                view, selection, ..
            } = &look;
            // Not between the merges: what is outstanding costs a plan for each merge to come.
            let is_first = std::mem::take(&mut first);
            if is_first {
                self.show(view, selection);
            }
            self.collect_garbage(view, selection, &mut report).await;
            let groups = Groups::of(view, selection, self.planner.is_vertical());
            if is_first {
                tell_of_conflicts(&groups);
            }
            left.held.clear();
            if self
                .compact(groups, look.leased.as_ref(), &mut left, &mut report)
                .await
                || self.downsample(&look, &mut left, &mut report).await
            {
                continue;
            }
            self.show(view, selection);
            if !view.complete {
                let unread = selection.unread.len();
                report.errors.push(Error::Incomplete(unread));
            }
            self.retain(view, selection, &left.unsettled, &mut report)
                .await;
            self.sweep(view, selection, &mut report).await;
            break;
        }
        report.held = left.held.len();
        if report.errors.is_empty() {
            self.metrics.iterations.inc();
        }
        report
    }

    /// Iterates for ever, `interval` after the last iteration ended, sooner after one that failed.
    pub async fn run(&self, interval: Duration) {
        let mut failures = 0;
        loop {
            let report = self.iterate().await;
            let wait = if report.errors.is_empty() {
                failures = 0;
                interval
            } else {
                self.metrics.retries.inc();
                failures += 1;
                retry_after(failures, interval)
            };
            report.log();
            tokio::time::sleep(wait).await;
        }
    }

    /// Looks at the bucket.
    pub(crate) async fn look(&self) -> Result<Look> {
        let leased = self.look_at_leases().await?;
        // Not one that the clean-up began before: work that was done since would be done again (BC-14).
        let (view, selection) = match leased {
            Some(_) => self.fetcher.sync_anew(&self.chain).await?,
            None => self.fetcher.sync(&self.chain).await?,
        };
        self.seen.set_loaded(&view, &selection);
        self.seen.set_global(&view);
        self.loadable.retain(|id| view.blocks.contains_key(id));
        self.acquitted.retain(|id| view.blocks.contains_key(id));
        if let Err(error) = self.fetcher.save_cache().await {
            tracing::warn!(%error, "the metadata are not kept for the next start");
        }
        Ok(Look {
            view,
            selection,
            leased,
        })
    }

    /// Looks at the bucket again and again, only to show what is outstanding.
    pub async fn watch(&self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            self.watch_once().await;
        }
    }

    /// Looks at the bucket, only to show what is outstanding.
    pub async fn watch_once(&self) {
        match self.fetcher.fetch().await {
            Ok(view) => self.show(&view, &self.chain.apply(&view, self.clock.now_ms())),
            Err(error) => tracing::warn!(%error, "the progress cannot be told"),
        }
    }

    fn show(&self, view: &View, selection: &Selection) {
        let groups = Groups::of(view, selection, self.planner.is_vertical()).groups;
        let todo = &self.metrics.todo;
        let (mut compactions, mut blocks, mut overlapping) = (0, 0, 0);
        for group in &groups {
            let outstanding = self.planner.outstanding(group);
            compactions += outstanding.compactions;
            blocks += outstanding.blocks;
            overlapping += group.conflicts().count();
        }
        let now_ms = self.clock.now_ms();
        let verdict = self
            .retention
            .apply(view, selection, &BTreeSet::new(), now_ms);
        let downsamples = match self.retention.downsampling {
            true => due_downsamples(selection).len(),
            false => 0,
        };
        todo.compactions.set(compactions as i64);
        todo.blocks.set(blocks as i64);
        todo.downsamples.set(downsamples as i64);
        todo.deletions.set(verdict.expired.len() as i64);
        self.metrics.overlapping.set(overlapping as i64);
        self.metrics
            .retention_waiting
            .set(verdict.waiting.len() as i64);
        self.metrics.show_quarantined(view);
    }

    /// Takes every window of every group one step further; whether any was, or has been by others, so that the bucket is to be
    /// looked at again. What fails is left alone for the rest of the iteration.
    async fn compact(
        &self,
        groups: Groups,
        leased: Option<&Leased>,
        left: &mut Left,
        report: &mut Report,
    ) -> bool {
        let anywhere = !groups.unplaced.is_empty();
        let mut ready = Vec::new();
        for group in groups.groups {
            if anywhere || group.unread {
                left.unsettled.insert(group.key);
                continue;
            }
            let windows = group.windows().into_iter();
            ready.extend(
                windows.filter(|window| {
                    window.blocks.len() > 1 && !left.failed.contains(&window.work())
                }),
            );
        }
        let steps = ready.into_iter().map(|window| async move {
            let (key, work) = (window.key.clone(), window.work());
            // Held and not entered: a merge reads thousands of ranges, and each would be a span.
            let span = root_span!("compaction_group", group = %key, otel.status_code = Empty);
            let turn = self.step_in_turn(window, &work, leased).await;
            if turn.is_err() {
                span.record("otel.status_code", "ERROR");
            }
            (key, work, turn)
        });
        let mut steps = stream::iter(steps).buffer_unordered(self.concurrency);
        let mut progressed = false;
        while let Some((key, work, turn)) = steps.next().await {
            match turn {
                Ok(Turn::Taken(Outcome::Settled)) => {}
                Ok(Turn::Taken(Outcome::Merged { sources })) => {
                    report.merged += 1;
                    report.marked += sources;
                    progressed = true;
                }
                Ok(Turn::Taken(Outcome::Emptied { sources })) => {
                    report.marked += sources;
                    progressed = true;
                }
                Ok(Turn::Taken(Outcome::Quarantined { blocks })) => {
                    report.quarantined += blocks;
                    progressed = true;
                }
                Ok(Turn::Outdated) => progressed = true,
                Ok(Turn::Held) => {
                    left.unsettled.insert(key);
                    left.held.insert(work);
                }
                Err(error) => {
                    tracing::warn!(group = %key, %error, "a group could not be compacted; the others go on");
                    left.unsettled.insert(key);
                    left.failed.insert(work);
                    report.errors.push(error);
                }
            }
        }
        progressed
    }

    /// One step, claimed if there is anything to be done.
    async fn step_in_turn(
        &self,
        window: Group,
        work: &Work,
        leased: Option<&Leased>,
    ) -> Result<Turn<Outcome>> {
        let leased = leased.filter(|_| self.has_work(&window));
        self.take_turn(work, leased, Box::pin(self.step(window)))
            .await
    }

    pub(crate) fn seconds_since(started: Instant) -> f64 {
        started.elapsed().as_secs_f64()
    }
}

/// Once for each group, not once for each block: an HA pair has as many as it has blocks.
fn tell_of_conflicts(groups: &Groups) {
    for group in &groups.groups {
        let mut conflicts = group.conflicts();
        let Some((member, hold)) = conflicts.next() else {
            continue;
        };
        let (block, blocks) = (member.meta.id, conflicts.count() + 1);
        tracing::warn!(group = %group.key, blocks, "blocks are left alone: {block} {hold}; `rutile-tools bucket inspect` shows all of them, and what each says of its times");
    }
}

/// How long to wait after so many failures in a row.
fn retry_after(failures: u32, interval: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST_RETRY.saturating_mul(1 << doublings).min(interval)
}

impl Report {
    pub(crate) fn log(&self) {
        let Self {
            merged,
            downsampled,
            quarantined,
            marked,
            deleted,
            held,
            errors,
        } = self;
        let failed = errors.len();
        tracing::info!(
            merged,
            downsampled,
            quarantined,
            marked,
            deleted,
            held,
            failed,
            "iteration ended"
        );
        for error in errors.iter().filter(|error| !is_refusal(error)) {
            tracing::warn!(%error, "to be tried again");
        }
        self.log_refusals();
    }

    /// Notes that nothing could be done about a block. What the bucket refuses it refuses for every
    /// block, so that is told of once, by [`Report::log_refusals`].
    pub(crate) fn fail(&mut self, block: BlockId, error: Error, consequence: &str) {
        if !is_refusal(&error) {
            tracing::warn!(%block, %error, "{consequence}");
        }
        self.errors.push(error);
    }

    /// Tells of what the bucket refused, such as one that may only be read.
    pub(crate) fn log_refusals(&self) {
        if let Some(text) = self.refusals() {
            tracing::warn!("{text}");
        }
    }

    fn refusals(&self) -> Option<String> {
        let mut refused = self.errors.iter().filter(|error| is_refusal(error));
        let first = refused.next()?;
        let more = match refused.count() {
            0 => String::new(),
            more => format!(", and {more} more times"),
        };
        Some(format!(
            "the bucket refused it: {first}{more}; a compactor must be allowed to read, write and delete"
        ))
    }
}

fn is_refusal(error: &Error) -> bool {
    error.kind() == ErrorKind::Denied
}

#[cfg(test)]
mod tests {
    use rutile_objstore::Operation;

    use super::*;

    #[test]
    fn a_bucket_that_may_only_be_read_is_told_of_once() {
        let mut report = Report::default();
        let error = |kind, key| {
            let error = rutile_objstore::Error::new(kind, Operation::Put, "b", key, "it says no");
            Error::from(error)
        };
        report.fail(BlockId::default(), error(ErrorKind::Unavailable, "x"), "");
        assert_eq!(report.refusals(), None);
        for key in ["one", "two", "three"] {
            report.fail(BlockId::default(), error(ErrorKind::Denied, key), "");
        }
        let text = report.refusals().unwrap();
        for part in [
            "one",
            "it says no",
            ", and 2 more times; a compactor must be allowed",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(!text.contains("two"), "{text}");
        assert_eq!(report.errors.len(), 4);
    }

    #[test]
    fn failures_are_retried_ever_later_up_to_the_interval() {
        let interval = Duration::from_secs(300);
        let waits = [1, 2, 3, 5, 6, 60].map(|n| retry_after(n, interval).as_secs());
        assert_eq!(waits, [10, 20, 40, 160, 300, 300]);
        assert_eq!(retry_after(1, Duration::from_secs(1)).as_secs(), 1);
    }
}
