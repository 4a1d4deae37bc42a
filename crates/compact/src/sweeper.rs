//! Marking what is superseded or too old, deleting what was marked, cleaning up what was left behind.
//!
//! Each block is looked at again by `lifecycle` before anything happens to it; a failure concerns that
//! block only.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use rutile_block::{BlockId, GroupKey, MarkKind, details};
use rutile_fetcher::{Selection, View};
use rutile_lifecycle::{Cleaned, Deleted, Removal, Standing};
use rutile_model::ErrorKind;
use tokio::time::Instant;

use crate::retention::Expired;
use crate::sweep::{self, Deletion, Outdated};
use crate::{Compactor, Error, Report, Result};

/// Blocks that are deleted at a time.
const PARALLEL_DELETIONS: usize = 8;

impl Compactor {
    /// Marks blocks that another one replaces: what a crash between a commit and the marks left.
    pub(crate) async fn collect_garbage(
        &self,
        view: &View,
        selection: &Selection,
        report: &mut Report,
    ) {
        let garbage = &self.metrics.garbage;
        garbage.runs.inc();
        let started = Instant::now();
        let failed_before = report.errors.len();
        for bereaved in sweep::bereaved(view) {
            let details = bereaved.details.as_deref();
            if details.is_some() && !view.complete {
                // *Otherwise:* it is marked for good, though a compaction that holds it could not be read: nothing is left
                // if that turns out to be damaged.
                continue;
            }
            match self.lifecycle.bereave(bereaved.id, details).await {
                Ok(true) => {
                    tracing::warn!(block = %bereaved.id, ?details, "what replaced it goes: it goes too, or counts again");
                    report.marked += 1;
                }
                Ok(false) => {}
                Err(error) => report.errors.push(error.into()),
            }
        }
        let tainted = sweep::tainted(view, selection);
        for &block in &tainted {
            tracing::warn!(%block, "it holds a block that was marked before it was committed: it goes again");
            match self.mark(block, details::TAINTED).await {
                Ok(()) => report.marked += 1,
                Err(error) => report.errors.push(error),
            }
        }
        for outdated in sweep::outdated(view, selection, &tainted) {
            match self.mark_outdated(view, outdated).await {
                Ok(()) => {
                    garbage.blocks.inc();
                    report.marked += 1;
                }
                Err(error) => {
                    let Outdated { id, winner } = outdated;
                    let consequence = format!("it stays unmarked, although {winner} replaces it");
                    report.fail(id, error, &consequence);
                }
            }
        }
        if report.errors.len() > failed_before {
            garbage.failures.inc();
        }
        garbage.seconds.observe(Self::seconds_since(started));
    }

    /// Nothing is superseded by a block that is not whole or cannot be loaded (BC-2, BC-7), or that goes itself: it may have been marked
    /// since the look at the bucket. *Otherwise:* it is gone soon after, and the other one is marked for the sake of nothing.
    async fn mark_outdated(&self, view: &View, outdated: Outdated) -> Result<()> {
        self.check_successor(view, outdated.winner).await?;
        if self.lifecycle.standing(outdated.winner).await? != Standing::Unmarked {
            return Err(Error::InputGone(outdated.winner));
        }
        self.mark(outdated.id, details::OUTDATED).await
    }

    async fn check_successor(&self, view: &View, id: BlockId) -> Result<()> {
        let meta = self.lifecycle.verify(id).await?;
        let seen = view.blocks.get(&id).map(|info| &*info.meta);
        self.loadable.check(seen.unwrap_or(&meta)).await
    }

    /// Marks what has outlived its retention.
    pub(crate) async fn retain(
        &self,
        view: &View,
        selection: &Selection,
        unsettled: &BTreeSet<GroupKey>,
        report: &mut Report,
    ) {
        let expired = || {
            let now_ms = self.clock.now_ms();
            let verdict = self.retention.apply(view, selection, unsettled, now_ms);
            verdict.expired
        };
        if expired().is_empty() {
            return;
        }
        if let Err(error) = self.lifecycle.require_right_clock().await {
            tracing::warn!(%error, "nothing is marked by retention this time");
            report.errors.push(error.into());
            return;
        }
        // Anew, by the clock that is known to be right: it may just have been set (BC-18).
        for expired in expired() {
            match self.expire(view, &expired).await {
                Ok(marked) => report.marked += usize::from(marked),
                Err(error) => report.errors.push(error),
            }
        }
    }

    /// What is kept of a block at lower resolutions must be there, and readable, before it is marked (BC-12). Whether it was.
    async fn expire(&self, view: &View, expired: &Expired) -> Result<bool> {
        for replacement in &expired.replaced_by {
            // It may have been marked since the look at the bucket, by a person or with what had replaced it.
            if self.lifecycle.standing(*replacement).await? != Standing::Unmarked {
                tracing::debug!(block = %expired.id, %replacement, "what was downsampled of it goes itself");
                return Ok(false);
            }
            self.check_successor(view, *replacement).await?;
        }
        if expired.remark {
            // Its mark waits for a replacement that will never come.
            self.lifecycle
                .remove_mark(expired.id, MarkKind::Deletion)
                .await?;
        }
        match self.mark(expired.id, &expired.details).await {
            // Somebody was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Deletes what was marked long enough ago, and what uploads and deletions left behind.
    pub(crate) async fn sweep(&self, view: &View, selection: &Selection, report: &mut Report) {
        let _alone = self.sweeping.lock().await;
        let now_ms = self.clock.now_ms();
        let due = sweep::deletions(view, selection, &self.contract, now_ms);
        let partials = self.abandoned(view, report).await;
        let due_ids = due.iter().map(|deletion| deletion.id);
        let blocks: BTreeSet<BlockId> = due_ids.chain(partials.iter().copied()).collect();
        if !blocks.is_empty() {
            let name = BlockId::generate(now_ms, &*self.entropy);
            match self.lifecycle.announce_removal(name, blocks).await {
                Ok(removal) => {
                    self.delete_all(view, due, &removal, report).await;
                    self.clean_up(partials, &removal, report).await;
                    if let Err(error) = removal.end().await {
                        report.errors.push(error.into());
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "nothing is deleted this time");
                    report.errors.push(error.into());
                }
            }
        }
        self.give_back(report).await;
    }

    async fn delete_all(
        &self,
        view: &View,
        due: Vec<Deletion>,
        removal: &Removal,
        report: &mut Report,
    ) {
        let deletions = due.into_iter().map(|deletion| async move {
            let deleted = self.delete(view, &deletion, removal).await;
            (deletion.id, deleted)
        });
        let mut deletions = stream::iter(deletions).buffer_unordered(PARALLEL_DELETIONS);
        while let Some((block, deleted)) = deletions.next().await {
            match deleted {
                Ok(true) => {
                    tracing::info!(%block, "deleted");
                    self.metrics.cleaned.inc();
                    report.deleted += 1;
                }
                Ok(false) => {}
                Err(error) => self.cleanup_failed(block, error, report),
            }
        }
    }

    /// Whether the block was deleted; not, if it must stay or was gone already.
    async fn delete(&self, view: &View, deletion: &Deletion, removal: &Removal) -> Result<bool> {
        let id = deletion.id;
        if !deletion.needs_successor {
            return Ok(removal.delete(id, None).await? == Deleted::Now);
        }
        let mut last = None;
        for successor in &deletion.successors {
            let deleted = match self.check_successor(view, *successor).await {
                Ok(()) => {
                    let deleted = removal.delete(id, Some(*successor)).await;
                    deleted.map_err(Error::from)
                }
                Err(error) => Err(error),
            };
            match deleted {
                Ok(deleted) => return Ok(deleted == Deleted::Now),
                Err(error) => last = Some(error),
            }
        }
        // With no replacement at all the block stays; readers say so and retention ends it.
        last.map_or(Ok(false), Err)
    }

    fn cleanup_failed(&self, block: BlockId, error: Error, report: &mut Report) {
        self.metrics.cleanup_failures.inc();
        report.fail(block, error, "it is not deleted");
    }

    /// Folders without `meta.json` that nobody can still be at. Only these are announced, or an upload under
    /// way would wait for the end of a removal that never happens.
    async fn abandoned(&self, view: &View, report: &mut Report) -> Vec<BlockId> {
        let mut abandoned = Vec::new();
        for block in sweep::partials(view, &self.contract, self.clock.now_ms()) {
            match self.lifecycle.keeps_partial(block).await {
                Ok(None) => abandoned.push(block),
                Ok(Some(_)) => {}
                Err(error) => {
                    self.metrics.partial_attempts.inc();
                    self.cleanup_failed(block, error.into(), report);
                }
            }
        }
        abandoned
    }

    /// Removes folders without `meta.json`.
    async fn clean_up(&self, partials: Vec<BlockId>, removal: &Removal, report: &mut Report) {
        for block in partials {
            match removal.clean_partial(block).await {
                Ok(Cleaned::Removed) => {
                    tracing::info!(%block, "removed what was left of it");
                    self.metrics.partial_attempts.inc();
                    self.metrics.cleaned.inc();
                    report.deleted += 1;
                }
                Ok(Cleaned::Kept(_)) => {}
                Err(error) => {
                    self.metrics.partial_attempts.inc();
                    self.cleanup_failed(block, error.into(), report);
                }
            }
        }
    }

    /// Uploads in parts that nobody can still be at, and notices of removals that are over.
    async fn give_back(&self, report: &mut Report) {
        match self.lifecycle.abort_dangling().await {
            Ok(aborted) => self.metrics.aborted_uploads.inc_by(aborted as u64),
            Err(error) => {
                tracing::warn!(%error, "uploads in parts that nobody finished stay");
                report.errors.push(error.into());
            }
        }
        if let Err(error) = self.lifecycle.forget_leases().await {
            tracing::warn!(%error, "leases that are over stay");
            report.errors.push(error.into());
        }
        if let Err(error) = self.lifecycle.forget_removals().await {
            tracing::warn!(%error, "notices of removals that are over stay");
            report.errors.push(error.into());
        }
    }

    /// Sweeps again and again, so that a long merge keeps nothing from being deleted.
    pub async fn sweep_often(&self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            if self.sweeping.try_lock().is_err() {
                // An iteration is at it.
                continue;
            }
            self.metrics.cleanup_loops.inc();
            let mut report = Report::default();
            match self.fetcher.fetch().await {
                Ok(view) => {
                    let selection = self.chain.apply(&view, self.clock.now_ms());
                    self.sweep(&view, &selection, &mut report).await;
                    report.log_refusals();
                }
                Err(error) => tracing::warn!(%error, "nothing is cleaned up this time"),
            }
        }
    }
}
