//! `bucket rewrite`: writes blocks anew without some of their series or samples, or with other labels.
//!
//! What was rewritten must not come back (BC-15, P18): the original is kept out of compactions before the new block is committed,
//! and looked at again afterwards. *Otherwise:* the two overlap, vertical compaction makes one block of them, and what was deleted
//! is there again; or the original is compacted while it is rewritten, and lives on in the output.

mod config;

use std::collections::BTreeSet;
use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use rutile_block::{BlockId, MarkKind, Meta};
use rutile_fetcher::View;
use rutile_lifecycle::{HashFunc, Marked, Standing};
use rutile_merge::{Change, Effect, Merged, Merger, Progress, Rules, Survey};
use rutile_runtime::{SystemEntropy, TaskGroup};
use rutile_server::PathOrContent;
use serde_json::json;

use super::source::{DEFAULT_TIMEOUT, Source};
use crate::flags::{ToDeleteConfig, ToRelabelConfig};
use crate::output::screen::Screen;
use crate::output::table::{Column, Table};
use config::Rewriting;

/// What labels and buffers may take, bytes.
const MEMORY: u64 = 4 << 30;
/// The reason of the mark that keeps an original out of compactions.
const REASON: &str = "rewritten";

/// Write blocks anew without some series or samples, or with other labels. By default only shows what would change.
///
/// A new block stands beside each of them, with sources of its own. The original is kept out of compactions, so that nothing that
/// was deleted comes back; it is deleted with --delete-blocks, and answers queries until then. What was downsampled of a block stays
/// as it is: rewrite it too, or mark it for deletion and have it made anew.
#[derive(Debug, Args)]
pub(crate) struct RewriteArgs {
    /// ULID of a block; repeatable.
    #[arg(long = "id", required = true, value_name = "ULID")]
    ids: Vec<BlockId>,
    /// Only show what would change. --no-dry-run does it.
    #[arg(long = "dry-run", default_value_t = true)]
    dry_run: bool,
    /// Mark the originals for deletion, each when its new block is there.
    #[arg(long = "delete-blocks")]
    delete_blocks: bool,
    #[command(flatten)]
    to_delete: PathOrContent<ToDeleteConfig>,
    #[command(flatten)]
    to_relabel: PathOrContent<ToRelabelConfig>,
    /// Write each change to change.log, in a folder of --tmp.dir with the ULID of the new block as its name.
    #[arg(long = "rewrite.add-change-log", default_value_t = true)]
    add_change_log: bool,
    /// The blocks are Prometheus's own, and need no external labels.
    #[arg(long = "prom-blocks")]
    prom_blocks: bool,
    /// Hash that the files of new blocks are recorded with.
    #[arg(long, default_value = "", value_parser = ["", "SHA256"], value_name = "FUNC")]
    hash_func: String,
    /// Folder for change logs, and for what does not fit into memory. By default one below the system's own.
    #[arg(long = "tmp.dir", value_name = "DIR")]
    tmp_dir: Option<PathBuf>,
    /// How to show what changes.
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// What became of a block.
struct Outcome {
    block: BlockId,
    effect: Effect,
    /// The new block, if there is one.
    output: Option<BlockId>,
}

pub(super) async fn run(
    args: RewriteArgs,
    source: &Source,
    screen: Screen,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let rewriting = Rewriting::new(&args.to_delete, &args.to_relabel)?;
    let view = source.view(DEFAULT_TIMEOUT).await?;
    // Each once, however often it is named: a second time would make a second block.
    let ids: BTreeSet<BlockId> = args.ids.iter().copied().collect();
    let metas = ids
        .into_iter()
        .map(|id| wanted(&view, id, args.prom_blocks));
    let metas = metas.collect::<Result<Vec<Arc<Meta>>>>()?;
    let tasks = TaskGroup::new("rewrite");
    let folder = args.tmp_dir.clone();
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("rutile-rewrite"));
    create_dir_all(&folder).with_context(|| format!("--tmp.dir={}", folder.display()))?;
    let bucket = source.writable("rewrite").await?;
    let hash = match args.hash_func.as_str() {
        "SHA256" => HashFunc::Sha256,
        _ => HashFunc::None,
    };
    let job = Job {
        merger: source.merger(bucket, (&folder, MEMORY), hash, &tasks)?,
        rewriting,
        folder,
        args,
    };
    let mut outcomes = Vec::new();
    let mut failed = None;
    for meta in &metas {
        let before = job.made_before(&view, meta)?;
        match job.rewrite(meta, before, source).await {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                failed = Some(error.context(format!("rewrite block {}", meta.id)));
                break;
            }
        }
        tell_of_downsampled(&view, meta, &job.args.ids);
    }
    if !outcomes.is_empty() {
        show(&outcomes, job.args.output, screen, out)?;
    }
    failed.map_or(Ok(()), Err)
}

/// A block that may be rewritten.
fn wanted(view: &View, id: BlockId, prom_blocks: bool) -> Result<Arc<Meta>> {
    let Some(info) = view.blocks.get(&id) else {
        match view.bad.get(&id) {
            Some(bad) => bail!("--id={id}: its meta.json cannot be used: {}", bad.message),
            None => bail!("--id={id} is no block of the bucket"),
        }
    };
    if info.marks.get(MarkKind::Deletion).is_there() {
        bail!("--id={id} is marked for deletion: rewrite the block that holds its samples now");
    }
    if info.meta.thanos.labels.is_empty() && !prom_blocks {
        bail!(
            "--id={id} has no external labels: is it a block of Prometheus itself? Then set --prom-blocks"
        );
    }
    Ok(Arc::clone(&info.meta))
}

struct Job {
    merger: Merger,
    rewriting: Rewriting,
    folder: PathBuf,
    args: RewriteArgs,
}

impl Job {
    /// The block that an earlier run, which may have been cut off, made of this one by the same rules.
    fn made_before(&self, view: &View, meta: &Meta) -> Result<Option<BlockId>> {
        let record = self.rewriting.record(meta)?;
        let made = view.blocks.values().find(|info| {
            let other = &info.meta;
            !info.marks.get(MarkKind::Deletion).is_there()
                && other.group_key() == meta.group_key()
                && (other.min_time, other.max_time) == (meta.min_time, meta.max_time)
                && config::is_same(other.thanos.rewrites.as_ref(), &record)
        });
        Ok(made.map(|info| info.meta.id))
    }

    async fn rewrite(
        &self,
        meta: &Meta,
        before: Option<BlockId>,
        source: &Source,
    ) -> Result<Outcome> {
        let new = || BlockId::generate(source.clock().now_ms(), &SystemEntropy);
        let output = before.unwrap_or_else(new);
        let survey = self.survey(meta, output).await?;
        let effect = survey.effect();
        let mut outcome = Outcome {
            block: meta.id,
            effect,
            output: None,
        };
        if self.args.dry_run {
            tracing::info!(block = %meta.id, "a dry run: nothing was written; --no-dry-run does it");
        } else if effect.is_none() {
            tracing::info!(block = %meta.id, "nothing in it changes: it stays as it is");
        } else if effect.is_all() {
            self.delete_whole(meta.id).await?;
        } else {
            if before.is_some() {
                tracing::info!(block = %meta.id, new = %output, "it was rewritten so before");
            } else {
                self.replace(meta, output, survey).await?;
            }
            self.finish(meta.id, output).await?;
            outcome.output = Some(output);
        }
        Ok(outcome)
    }

    async fn survey(&self, meta: &Meta, output: BlockId) -> Result<Survey> {
        let rules: &Arc<Rules> = &self.rewriting.rules;
        let bucket = Arc::clone(&self.merger.bucket);
        if !self.args.add_change_log {
            return Ok(self
                .merger
                .survey(bucket, meta, rules, &mut |_| Ok(()))
                .await?);
        }
        let folder = self.folder.join(output.to_string());
        let path = folder.join("change.log");
        let open = create_dir_all(&folder).and_then(|()| File::create(&path));
        let open = open.with_context(|| format!("--tmp.dir: {}", path.display()))?;
        let mut file = BufWriter::new(open);
        let mut log = |change: &Change| writeln!(file, "{}", line(change));
        let survey = self.merger.survey(bucket, meta, rules, &mut log).await?;
        file.flush()?;
        tracing::info!(file = %path.display(), "changelog is available");
        Ok(survey)
    }

    /// Nothing of the block is left.
    async fn delete_whole(&self, block: BlockId) -> Result<()> {
        if !self.args.delete_blocks {
            bail!(
                "nothing would be left of it: set --delete-blocks to have it marked for deletion"
            );
        }
        let details = "rewritten: nothing is left of it";
        self.merger.lifecycle.mark_deletion(block, details).await?;
        tracing::info!(%block, "nothing is left of it: marked for deletion");
        Ok(())
    }

    /// Writes the new block.
    async fn replace(&self, meta: &Meta, output: BlockId, survey: Survey) -> Result<()> {
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
    async fn finish(&self, block: BlockId, output: BlockId) -> Result<()> {
        self.require(block, Standing::Unmarked, output).await?;
        if self.args.delete_blocks {
            // Not "block rewritten", by which nothing may go that a later compaction of the new block leaves without a replacement.
            let details = format!("rewritten into {output}: what that lacks is to go");
            let lifecycle = &self.merger.lifecycle;
            lifecycle.mark_deletion(block, &details).await?;
            self.require(block, Standing::Marked, output).await?;
        } else {
            tracing::warn!(
                %block,
                "it stays, and queries go on showing what was deleted: mark it for deletion when the new block is as you want it"
            );
        }
        Ok(())
    }

    /// A compactor that had begun before it could see the mark may have made another block of the original: all is in that, and what
    /// was written here must not stand beside it.
    async fn require(&self, block: BlockId, expected: Standing, output: BlockId) -> Result<()> {
        let lifecycle = &self.merger.lifecycle;
        let standing = lifecycle.standing(block).await?;
        if standing == expected {
            return Ok(());
        }
        let details = format!("block {block}, which it was rewritten from, was replaced meanwhile");
        lifecycle.mark_deletion(output, &details).await?;
        bail!(
            "it was compacted or marked meanwhile, so the new block {output} is marked for deletion: rewrite the block that \
             holds its samples now"
        );
    }
}

/// As the reference's change log has it.
fn line(change: &Change) -> String {
    match change {
        Change::Deleted { labels, intervals } => {
            let intervals = intervals
                .iter()
                .map(|i| format!("{{{} {}}}", i.start(), i.end()));
            format!(
                "Deleted {labels} [{}]",
                intervals.collect::<Vec<_>>().join(" ")
            )
        }
        Change::Relabelled { old, new } => format!("Relabelled {old} {new}"),
    }
}

/// Downsampled blocks keep what was deleted from the block that they were made of.
fn tell_of_downsampled(view: &View, meta: &Meta, rewritten: &[BlockId]) {
    let of_same = view.blocks.values().map(|info| &info.meta).filter(|other| {
        other.thanos.labels == meta.thanos.labels
            && other.thanos.downsample.resolution > meta.thanos.downsample.resolution
            && other
                .compaction
                .sources
                .iter()
                .any(|source| meta.compaction.sources.contains(source))
            && !rewritten.contains(&other.id)
    });
    for other in of_same {
        tracing::warn!(
            block = %other.id,
            resolution_ms = other.thanos.downsample.resolution,
            made_of = %meta.id,
            "it was downsampled from the same samples and is not rewritten: rewrite it too, or mark it for deletion"
        );
    }
}

fn show(
    outcomes: &[Outcome],
    output: Output,
    screen: Screen,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let new = |outcome: &Outcome| outcome.output.map(|id| id.to_string());
    if output == Output::Json {
        let all = outcomes.iter().map(|outcome| {
            let Effect { series, deleted, cut, relabelled, joined, .. } = outcome.effect;
            json!({ "id": outcome.block.to_string(), "new": new(outcome), "series": series, "deleted": deleted,
                    "cut": cut, "relabelled": relabelled, "joined": joined })
        });
        writeln!(out, "{:#}", all.collect::<serde_json::Value>())?;
        return Ok(());
    }
    let [id, new_id] = ["ULID", "NEW"].map(|title| Column::left(title, 0));
    let counts =
        ["SERIES", "DELETED", "CUT", "RELABELLED", "JOINED"].map(|title| Column::right(title, 0));
    let mut table = Table::new([&[id][..], &counts[..], &[new_id][..]].concat());
    for outcome in outcomes {
        let Effect {
            series,
            deleted,
            cut,
            relabelled,
            joined,
            ..
        } = outcome.effect;
        let counts =
            [series, deleted, cut, relabelled, joined].map(|count| count.to_string().into());
        let mut cells = vec![outcome.block.to_string().into()];
        cells.extend(counts);
        cells.push(new(outcome).unwrap_or_default().into());
        table.row(cells);
    }
    out.write_all(table.render(screen).as_bytes())?;
    Ok(())
}
