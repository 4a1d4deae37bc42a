//! Puts a block that was rewritten in the place of the one that it was made of.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rutile_block::{BlockId, MarkKind, Meta};
use rutile_fetcher::filter::deletion_mark::may_replace;
use rutile_fetcher::{Fetcher, View};
use rutile_lifecycle::{Marked, Standing};
use rutile_merge::{ChangeLog, Merged, Merger, Progress, Survey};

use super::config::{Rewriting, is_same};
use crate::bucket::source::require_complete;

/// The reason of the mark that keeps an original out of compactions.
pub(in crate::bucket) const REASON: &str = "rewritten";

/// Rewrites blocks of a bucket, one after the other.
#[derive(Debug)]
pub struct Rewriter {
    /// Reads and writes the blocks.
    pub merger: Merger,
    /// What is to change.
    pub rewriting: Rewriting,
    /// Looks at the bucket, with the marks of all kinds.
    pub fetcher: Fetcher,
    /// Whether originals are marked for deletion when their new blocks are there.
    pub delete_blocks: bool,
}

/// A block that may be rewritten.
///
/// # Errors
/// Why it may not: that it is not there, is marked, has no external labels unless `prom_blocks`, or shares samples with a block
/// that is to go and is not marked yet: in one of the two they would be left. That some block could not be read.
pub fn find(view: &View, id: BlockId, prom_blocks: bool) -> Result<Arc<Meta>> {
    let Some(info) = view.blocks.get(&id) else {
        match view.bad.get(&id) {
            Some(bad) => bail!("its meta.json cannot be used: {}", bad.message),
            None => bail!("it is no block of the bucket"),
        }
    };
    if info.marks.get(MarkKind::Deletion).is_there() {
        bail!("it is marked for deletion: rewrite the block that holds its samples now");
    }
    require_complete(view)?;
    let meta = &info.meta;
    if meta.thanos.labels.is_empty() && !prom_blocks {
        bail!(
            "it has no external labels: is it a block of Prometheus itself? Then set --prom-blocks"
        );
    }
    for other in unmarked(view) {
        let id = other.id;
        // An earlier run's own block is its own source: this run goes on with it.
        if is_the_rest_of(other, meta) && !other.sources().contains(&id) {
            bail!(
                "it was rewritten before, and the result went into block {id}: mark this one for deletion, and rewrite that one"
            );
        }
        if holds(other, meta) {
            bail!(
                "block {id} holds its samples too: rewrite that one, when a compactor has marked this one"
            );
        }
        if holds(meta, other) {
            bail!(
                "block {id}, which went into it, would count again: wait until a compactor has marked that one"
            );
        }
    }
    Ok(Arc::clone(meta))
}

fn unmarked(view: &View) -> impl Iterator<Item = &Arc<Meta>> {
    let infos = view.blocks.values();
    let unmarked = infos.filter(|info| !info.marks.get(MarkKind::Deletion).is_there());
    unmarked.map(|info| &info.meta)
}

/// Whether a block is all that is left of another one after a rewrite.
fn is_the_rest_of(new: &Meta, old: &Meta) -> bool {
    may_replace(new, old) && !new.holds_sources_of(old)
}

/// Whether a block holds all samples of another one.
fn holds(new: &Meta, old: &Meta) -> bool {
    may_replace(new, old) && new.holds_sources_of(old)
}

impl Rewriter {
    /// The block that an earlier run, which may have been cut off, made of this one by the same rules.
    ///
    /// # Errors
    /// That the history of the block cannot be read.
    pub fn made_before(&self, view: &View, meta: &Meta) -> Result<Option<BlockId>> {
        let record = self.rewriting.record(meta)?;
        let made = view.blocks.values().find(|info| {
            let other = &info.meta;
            !info.marks.get(MarkKind::Deletion).is_there()
                && other.group_key() == meta.group_key()
                && (other.min_time, other.max_time) == (meta.min_time, meta.max_time)
                && is_same(other.thanos.rewrites.as_ref(), &record)
        });
        Ok(made.map(|info| info.meta.id))
    }

    /// Finds out what changes in a block, and tells `log` of each change.
    ///
    /// # Errors
    /// As [`Merger::survey`].
    pub async fn survey(&self, meta: &Meta, log: &mut ChangeLog<'_>) -> Result<Survey> {
        let bucket = Arc::clone(&self.merger.bucket);
        let rules = &self.rewriting.rules;
        Ok(self.merger.survey(bucket, meta, rules, log).await?)
    }

    /// Writes what a survey found as block `output`, unless it `is_there` from an earlier run. The new block, if there is one.
    ///
    /// # Errors
    /// What keeps the block from being written. That the original was compacted or marked meanwhile: then the new one is marked.
    pub async fn replace(
        &self,
        meta: &Meta,
        survey: Survey,
        output: BlockId,
        is_there: bool,
    ) -> Result<Option<BlockId>> {
        let effect = survey.effect();
        if effect.is_none() {
            tracing::info!(block = %meta.id, "nothing in it changes: it stays as it is");
            return Ok(None);
        }
        if effect.is_all() {
            self.delete_whole(meta).await?;
            return Ok(None);
        }
        if is_there {
            tracing::info!(block = %meta.id, new = %output, "it was rewritten so before");
            // It may have been damaged since.
            self.merger.lifecycle.verify(output).await?;
        } else {
            self.write(meta, output, survey).await?;
        }
        self.finish(meta, output, is_there).await?;
        Ok(Some(output))
    }

    /// Nothing of the block is left.
    async fn delete_whole(&self, meta: &Meta) -> Result<()> {
        if !self.delete_blocks {
            bail!(
                "nothing would be left of it: set --delete-blocks to have it marked for deletion"
            );
        }
        let (lifecycle, block) = (&self.merger.lifecycle, meta.id);
        let details = "rewritten: nothing is left of it";
        lifecycle.mark_deletion(block, details).await?;
        if let Some(holder) = self.compacted_into(meta).await? {
            lifecycle.unmark(block, MarkKind::Deletion).await?;
            bail!("it was compacted meanwhile: rewrite block {holder}");
        }
        tracing::info!(%block, "nothing is left of it: marked for deletion");
        Ok(())
    }

    /// Writes the new block.
    async fn write(&self, meta: &Meta, output: BlockId, survey: Survey) -> Result<()> {
        let lifecycle = &self.merger.lifecycle;
        let details = format!("rewritten into {output}, which must not be merged with it");
        let marked = lifecycle.mark_no_compact(meta.id, REASON, &details).await?;
        let rewrites = self.rewriting.record(meta)?;
        let progress = Arc::new(Progress::default());
        let rewriting = self.merger.rewrite(survey, output, rewrites, &progress);
        let merged = rewriting.await;
        if let Ok(Merged::Block(_)) = merged {
            tracing::info!(block = %meta.id, new = %output, "rewritten");
            return Ok(());
        }
        // Unless it may have been committed all the same.
        if marked == Marked::Written && lifecycle.standing(output).await? == Standing::Gone {
            lifecycle.unmark(meta.id, MarkKind::NoCompact).await?;
        }
        merged?;
        bail!("nothing was left of it, which its index did not show: nothing was written");
    }

    /// The new block is there.
    ///
    /// A compactor that had begun before it could see the mark may have made another block of the original: all is in that, and what
    /// was written here must not stand beside it.
    async fn finish(&self, meta: &Meta, output: BlockId, was_there: bool) -> Result<()> {
        let lifecycle = &self.merger.lifecycle;
        let block = meta.id;
        match lifecycle.standing(block).await? {
            Standing::Unmarked => {}
            // By the earlier run: then the new block is all that is left of it.
            Standing::Marked | Standing::Gone if was_there => return Ok(()),
            _ => return self.take_back(block, output, None).await,
        }
        if !self.delete_blocks {
            tracing::warn!(
                %block,
                "it stays, and queries go on showing what was deleted: mark it for deletion when the new block is as you want it"
            );
            return Ok(());
        }
        // Not "block rewritten", by which nothing may go that a later compaction of the new block leaves without a replacement.
        let details = format!("rewritten into {output}: what that lacks is to go");
        lifecycle.mark_deletion(block, &details).await?;
        // Not if it seems to be unmarked: an answer that lags is no reason to give up the only block that holds what is to stay.
        if lifecycle.standing(block).await? == Standing::Replaced {
            return self.take_back(block, output, None).await;
        }
        let Some(holder) = self.compacted_into(meta).await? else {
            return Ok(());
        };
        // First that. *Otherwise:* its compactor, which looks at its inputs again, takes that block back because of this mark, and
        // nothing holds what is to stay.
        lifecycle.unmark(block, MarkKind::Deletion).await?;
        self.take_back(block, output, Some(holder)).await
    }

    /// A block that was made of a marked one before it was marked, and that stays: what is committed after the mark is taken
    /// back by its compactor (BC-15).
    async fn compacted_into(&self, meta: &Meta) -> Result<Option<BlockId>> {
        let not_known = || {
            format!(
                "block {} is marked; whether it was compacted before that is not known: see bucket inspect",
                meta.id
            )
        };
        let view = self.fetcher.fetch().await.with_context(not_known)?;
        require_complete(&view).with_context(not_known)?;
        let holder = unmarked(&view).find(|other| holds(other, meta));
        Ok(holder.map(|holder| holder.id))
    }

    /// Gives up the new block, for another one holds all that the original does.
    async fn take_back(
        &self,
        block: BlockId,
        output: BlockId,
        holder: Option<BlockId>,
    ) -> Result<()> {
        let details = format!("block {block}, which it was rewritten from, was replaced meanwhile");
        self.merger
            .lifecycle
            .mark_deletion(output, &details)
            .await?;
        let holder = holder.map_or("the block that holds its samples now".to_owned(), |id| {
            format!("block {id}")
        });
        bail!(
            "it was compacted or marked meanwhile, so the new block {output} is marked for deletion: rewrite {holder}"
        );
    }
}
