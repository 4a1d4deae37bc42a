//! Repairing what was found: first a copy in another bucket, then what replaces the block, then the mark.
//!
//! Only marks are written, never anything removed: readers and the compactor do the rest in their own time (BC-4 to BC-7).

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rutile_block::{BlockId, MarkKind, Meta, details};
use rutile_fetcher::View;
use rutile_lifecycle::{Lifecycle, Standing};
use rutile_merge::{Merged, Merger, Progress, Rules};
use rutile_objstore::BucketReader;
use rutile_runtime::{SystemEntropy, TaskGroup};

use super::{Finding, Issue, differs, merger};
use crate::bucket::replicate::{copy, require_apart};
use crate::bucket::source::Source;

/// Repairs what can be. How many findings are left.
pub(super) async fn run(
    findings: &[Finding],
    view: &View,
    source: &Source,
    backup: &str,
) -> Result<usize> {
    let tasks = TaskGroup::new("repair");
    let scratch = tempfile::tempdir()?;
    let backup = source.beside(backup.to_owned());
    let bucket = backup
        .created("verify")
        .await
        .context("--objstore-backup.config")?;
    let merger = merger(source, &tasks, scratch.path()).await?;
    require_apart(&merger.bucket, &bucket)
        .await
        .context("--objstore-backup.config")?;
    let repair = Repair {
        merger,
        backup: backup.lifecycle(bucket),
        source,
    };
    let mut left = 0;
    for finding in findings {
        let (block, issue) = (finding.block, finding.issue.name());
        match repair.one(finding, view).await {
            Ok(Some(by)) => tracing::info!(%block, issue, "repaired: {by}"),
            Ok(None) => {
                left += 1;
                tracing::warn!(%block, issue, "there is no repair for this: {}", advice(finding.issue));
            }
            Err(error) => {
                left += 1;
                tracing::error!(%block, issue, "not repaired: {error:#}");
            }
        }
    }
    Ok(left)
}

struct Repair<'a> {
    merger: Merger,
    backup: Lifecycle,
    source: &'a Source,
}

impl Repair<'_> {
    /// What was done; none where nothing can be.
    async fn one(&self, finding: &Finding, view: &View) -> Result<Option<String>> {
        let Some(info) = view.blocks.get(&finding.block) else {
            return Ok(None);
        };
        if info.marks.get(MarkKind::Deletion).is_there() {
            // What replaced it, if anything did, stands: its samples must not come back by a repair (BC-15).
            return Ok(Some("it is marked for deletion already".to_owned()));
        }
        match finding.issue {
            Issue::IndexKnownIssues => self.mend(&info.meta).await,
            Issue::DuplicatedCompaction => {
                let Some(kept) = finding.kept else {
                    return Ok(None);
                };
                self.require_whole(kept, view).await?;
                self.keep_copy(&info.meta).await?;
                // The compactor deletes it only while a block that holds its sources is whole.
                self.mark(info.meta.id, details::OUTDATED).await?;
                Ok(Some(format!(
                    "marked for deletion, {kept} holds its samples"
                )))
            }
            Issue::OverlappedBlocks => Ok(None),
        }
    }

    /// What is kept in place of others must hold all that it says, and still be wanted.
    async fn require_whole(&self, kept: BlockId, view: &View) -> Result<()> {
        let info = view.blocks.get(&kept).context("it is gone")?;
        let contents = self.merger.check(&info.meta, &Arc::default()).await;
        let contents = contents.with_context(|| {
            format!("block {kept} would be kept, and is damaged: repair it first")
        })?;
        if let Some(wrong) = differs(&info.meta, contents) {
            bail!("block {kept} would be kept: {wrong}: repair it first");
        }
        if self.merger.lifecycle.standing(kept).await? != Standing::Unmarked {
            bail!("block {kept}, which would be kept, was marked or removed meanwhile");
        }
        Ok(())
    }

    /// Writes the block anew, with its chunks in order.
    async fn mend(&self, meta: &Meta) -> Result<Option<String>> {
        let rules = Arc::new(Rules {
            mend: true,
            ..Rules::default()
        });
        let bucket: Arc<dyn BucketReader> = Arc::clone(&self.merger.bucket);
        let survey = self
            .merger
            .survey(bucket, meta, &rules, &mut |_| Ok(()))
            .await?;
        let mended = survey.effect().mended;
        self.keep_copy(meta).await?;
        let output = BlockId::generate(self.source.clock().now_ms(), &SystemEntropy);
        let progress = Arc::new(Progress::default());
        match self.merger.mend(survey, output, &progress).await? {
            Merged::Empty => {
                self.mark(meta.id, "verify: no samples are left of it")
                    .await?;
                Ok(Some(
                    "no samples are left of it: marked for deletion".to_owned(),
                ))
            }
            Merged::Block(_) => {
                self.mark(meta.id, details::REPAIRED).await?;
                Ok(Some(format!(
                    "{mended} series were mended in block {output}"
                )))
            }
        }
    }

    async fn keep_copy(&self, meta: &Meta) -> Result<()> {
        let copied = copy(&self.merger.bucket, &self.backup, meta).await;
        copied.context("copy it to --objstore-backup.config")?;
        Ok(())
    }

    async fn mark(&self, block: BlockId, details: &str) -> Result<()> {
        self.merger.lifecycle.mark_deletion(block, details).await?;
        Ok(())
    }
}

fn advice(issue: Issue) -> &'static str {
    match issue {
        Issue::OverlappedBlocks => {
            "a compactor with --compact.enable-vertical-compaction or --deduplication.replica-label merges such blocks"
        }
        Issue::DuplicatedCompaction => {
            "the blocks share only a part of their sources: mark one for deletion by hand"
        }
        Issue::IndexKnownIssues => "restore the block from a copy, or mark it for deletion",
    }
}
