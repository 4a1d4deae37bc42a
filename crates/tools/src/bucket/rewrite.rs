//! `bucket rewrite`: writes blocks anew without some of their series or samples, or with other labels.
//!
//! What was rewritten must not come back (BC-15, P18): the original is kept out of compactions before the new block is committed,
//! and looked at again afterwards. *Otherwise:* the two overlap, vertical compaction makes one block of them, and what was deleted
//! is there again; or the original is compacted while it is rewritten, and lives on in the output.

mod config;
mod rewriter;

use std::collections::BTreeSet;
use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use rutile_block::{BlockId, Meta};
use rutile_fetcher::View;
use rutile_lifecycle::HashFunc;
use rutile_merge::{Change, Effect, Survey};
use rutile_runtime::{SystemEntropy, TaskGroup};
use rutile_server::{ConfigFlag, PathOrContent};
use serde_json::json;

use super::source::{DEFAULT_TIMEOUT, Source, within};
use crate::flags::{ToDeleteConfig, ToRelabelConfig};
use crate::output::screen::Screen;
use crate::output::table::{Column, Table};
pub use config::Rewriting;
pub(super) use rewriter::REASON;
pub use rewriter::{Rewriter, find};

/// What labels and buffers may take, bytes.
const MEMORY: u64 = 4 << 30;

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
    let rewriting = rewriting(&args)?;
    let fetcher = source.fetcher(source.readable().await?)?;
    let view = within(DEFAULT_TIMEOUT, fetcher.fetch()).await??;
    // Each once, however often it is named: a second time would make a second block.
    let ids: BTreeSet<BlockId> = args.ids.iter().copied().collect();
    let metas = ids.iter().map(|id| {
        let found = find(&view, *id, args.prom_blocks);
        found.with_context(|| format!("--id={id}"))
    });
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
    let rewriter = Rewriter {
        merger: source.merger(bucket, (&folder, MEMORY), hash, &tasks)?,
        rewriting,
        fetcher,
        delete_blocks: args.delete_blocks,
    };
    let mut outcomes = Vec::new();
    let mut failed = None;
    for meta in &metas {
        let new = || BlockId::generate(source.clock().now_ms(), &SystemEntropy);
        let before = rewriter.made_before(&view, meta)?;
        let output = before.unwrap_or_else(new);
        let log = args.add_change_log.then(|| folder.join(output.to_string()));
        let rewritten = async {
            let survey = survey(&rewriter, meta, log.as_deref()).await?;
            let effect = survey.effect();
            let output = if args.dry_run {
                tracing::info!(block = %meta.id, "a dry run: nothing was written; --no-dry-run does it");
                None
            } else {
                rewriter
                    .replace(meta, survey, output, before.is_some())
                    .await?
            };
            Ok(Outcome {
                block: meta.id,
                effect,
                output,
            })
        };
        match rewritten.await {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                let error: anyhow::Error = error;
                failed = Some(error.context(format!("rewrite block {}", meta.id)));
                break;
            }
        }
        tell_of_downsampled(&view, meta, &ids);
    }
    if !outcomes.is_empty() {
        show(&outcomes, args.output, screen, out)?;
    }
    failed.map_or(Ok(()), Err)
}

/// What the flags say.
fn rewriting(args: &RewriteArgs) -> Result<Rewriting> {
    let deletions = args.to_delete.expanded_content()?;
    let relabels = args.to_relabel.expanded_content()?;
    let names = (ToDeleteConfig::NAME, ToRelabelConfig::NAME);
    Rewriting::parse(
        (names.0, deletions.as_deref()),
        (names.1, relabels.as_deref()),
    )
}

/// Finds out what changes, and writes it to a change log in a folder, if there is to be one.
async fn survey(rewriter: &Rewriter, meta: &Meta, folder: Option<&Path>) -> Result<Survey> {
    let Some(folder) = folder else {
        return rewriter.survey(meta, &mut |_| Ok(())).await;
    };
    let path = folder.join("change.log");
    let open = create_dir_all(folder).and_then(|()| File::create(&path));
    let open = open.with_context(|| format!("--tmp.dir: {}", path.display()))?;
    let mut file = BufWriter::new(open);
    let mut log = |change: &Change| writeln!(file, "{}", line(change));
    let survey = rewriter.survey(meta, &mut log).await?;
    file.flush()?;
    tracing::info!(file = %path.display(), "changelog is available");
    Ok(survey)
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
fn tell_of_downsampled(view: &View, meta: &Meta, rewritten: &BTreeSet<BlockId>) {
    let of_same = view.blocks.values().map(|info| &info.meta).filter(|other| {
        other.thanos.labels == meta.thanos.labels
            && other.thanos.downsample.resolution > meta.thanos.downsample.resolution
            && { other.sources().iter() }.any(|source| meta.sources().contains(source))
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
