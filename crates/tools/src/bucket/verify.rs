//! `bucket verify`: looks for what is wrong with the blocks of a bucket, and repairs it if it is told to. Reads all of them.

mod repair;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use rutile_block::{BlockId, GroupKey, MarkKind, Meta};
use rutile_compact::Hold;
use rutile_compact::group::Groups;
use rutile_fetcher::{FilterChain, Scope, View};
use rutile_lifecycle::HashFunc;
use rutile_merge::{Contents, Merger, Progress};
use rutile_model::{GoDuration, PromDuration};
use rutile_runtime::TaskGroup;
use rutile_server::PathOrContent;
use serde_json::json;

use super::source::{DEFAULT_TIMEOUT, Source};
use super::tidy::contract;
use crate::flags::BackupConfig;
use crate::output::screen::{Screen, Style};
use crate::output::table::{Cell, Column, Table};

/// What reading the blocks may take, bytes.
const MEMORY: u64 = 1 << 30;

/// Look for damaged, overlapping and duplicate blocks. Reads every block as a whole, and changes nothing without --repair.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Repair what can be: copy the block to --objstore-backup.config, and mark it for deletion when what replaces it is there.
    #[arg(short = 'r', long = "repair")]
    repair: bool,
    #[command(flatten)]
    backup: PathOrContent<BackupConfig>,
    /// What to look for, repeatable.
    #[arg(short = 'i', long = "issues", value_enum, default_values = ["index_known_issues", "overlapped_blocks"])]
    issues: Vec<Issue>,
    /// Only this block, by its ULID; repeatable.
    #[arg(long = "id", value_name = "ULID")]
    ids: Vec<BlockId>,
    /// How to show what is found.
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Output::Table)]
    output: Output,
    /// The compactor's --delete-delay: blocks marked so long ago are not looked at.
    #[arg(long = "delete-delay", value_name = "DURATION", default_value = "48h")]
    delete_delay: PromDuration,
}

/// What may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Issue {
    /// The index or the chunks are damaged, or not what meta.json says.
    IndexKnownIssues,
    /// Blocks of equal external labels and resolution share time.
    OverlappedBlocks,
    /// Several blocks were made of the same sources.
    DuplicatedCompaction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// One thing that is wrong.
struct Finding {
    block: BlockId,
    issue: Issue,
    message: String,
    /// The block that was made of all that this one was made of.
    kept: Option<BlockId>,
}

impl Issue {
    fn name(self) -> &'static str {
        match self {
            Self::IndexKnownIssues => "index_known_issues",
            Self::OverlappedBlocks => "overlapped_blocks",
            Self::DuplicatedCompaction => "duplicated_compaction",
        }
    }
}

pub(super) async fn run(
    args: VerifyArgs,
    source: &Source,
    screen: Screen,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let backup = match (args.repair, args.backup.content()?) {
        (false, _) => None,
        (true, Some(yaml)) => Some(yaml),
        (true, None) => bail!(
            "--repair needs --objstore-backup.config: where blocks are copied to before they are replaced"
        ),
    };
    let view = source.view(DEFAULT_TIMEOUT).await?;
    let asked = |id: &BlockId| args.ids.is_empty() || args.ids.contains(id);
    if let Some(missing) = args.ids.iter().find(|id| !known(&view, id)) {
        bail!("--id={missing} is no block of the bucket");
    }
    let mut findings = Vec::new();
    for (block, bad) in view.bad.iter().filter(|(id, _)| asked(id)) {
        findings.push(Finding {
            block: *block,
            issue: Issue::IndexKnownIssues,
            message: format!("{}: {}", bad.reason, bad.message),
            kept: None,
        });
    }
    if args.issues.contains(&Issue::IndexKnownIssues) {
        let metas: Vec<&Meta> = (view.blocks.values())
            .map(|info| &*info.meta)
            .filter(|meta| asked(&meta.id))
            .collect();
        findings.extend(damaged(&metas, source).await?);
    }
    if args.issues.contains(&Issue::OverlappedBlocks) {
        findings.extend(overlapping(&view, args.delete_delay));
    }
    if args.issues.contains(&Issue::DuplicatedCompaction) {
        findings.extend(duplicates(&view));
    }
    findings.retain(|finding| asked(&finding.block));
    findings.sort_by_key(|finding| (finding.block, finding.issue));
    show(&findings, args.output, screen, out)?;
    let (left, what) = match backup {
        None => (findings.len(), "found"),
        Some(backup) => (
            repair::run(&findings, &view, source, &backup).await?,
            "not repaired",
        ),
    };
    match left {
        0 => Ok(()),
        1 => bail!("1 issue was {what}"),
        count => bail!("{count} issues were {what}"),
    }
}

fn known(view: &View, id: &BlockId) -> bool {
    view.blocks.contains_key(id) || view.bad.contains_key(id)
}

/// Reads all of each block.
async fn damaged(metas: &[&Meta], source: &Source) -> Result<Vec<Finding>> {
    let tasks = TaskGroup::new("verify");
    let scratch = tempfile::tempdir()?;
    let merger = merger(source, &tasks, scratch.path()).await?;
    let mut findings = Vec::new();
    for (n, meta) in (1..).zip(metas) {
        let message = match merger.check(meta, &Arc::new(Progress::default())).await {
            Ok(contents) => differs(meta, contents),
            Err(error) if error.fault().is_some() => Some(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        tracing::info!(block = %meta.id, done = n, of = metas.len(), healthy = message.is_none(), "read");
        findings.extend(message.map(|message| Finding {
            block: meta.id,
            issue: Issue::IndexKnownIssues,
            message,
            kept: None,
        }));
    }
    Ok(findings)
}

async fn merger(source: &Source, tasks: &TaskGroup, scratch: &Path) -> Result<Merger> {
    let bucket = source.writable("bucket").await?;
    source.merger(bucket, (scratch, MEMORY), HashFunc::None, tasks)
}

/// What `meta.json` says and the block does not hold.
fn differs(meta: &Meta, found: Contents) -> Option<String> {
    let stats = &meta.stats;
    let raw = meta.thanos.downsample.resolution == 0;
    let wrong = [
        ("series", stats.num_series, found.series, true),
        ("chunks", stats.num_chunks, found.chunks, true),
        // Thanos counts the samples of downsampled blocks in ways of its own.
        ("samples", stats.num_samples, found.samples, raw),
    ];
    let wrong = wrong
        .iter()
        .find(|(_, stated, found, counts)| *counts && stated != found)?;
    let (what, stated, found, _) = wrong;
    Some(format!(
        "meta.json says {stated} {what}, the block has {found}"
    ))
}

fn overlapping(view: &View, delete_delay: PromDuration) -> Vec<Finding> {
    let contract = contract(delete_delay, GoDuration::from_ms(0));
    let chain = FilterChain::for_compact(Scope::default(), contract, Vec::new());
    let selection = chain.apply(view, view.fetched_at_ms());
    let groups = Groups::of(view, &selection, false).groups;
    let conflicts = groups.iter().flat_map(|group| {
        group.conflicts().map(|(member, hold)| Finding {
            block: member.meta.id,
            issue: match hold {
                Hold::SharesSource(_) => Issue::DuplicatedCompaction,
                _ => Issue::OverlappedBlocks,
            },
            message: format!("{hold}, group {}", group.key),
            kept: None,
        })
    });
    conflicts.collect()
}

/// Blocks of one group with equal sources and times, of those that nobody has marked: a block that goes keeps nothing.
fn duplicates(view: &View) -> Vec<Finding> {
    type Made = (GroupKey, Vec<BlockId>, (i64, i64));
    let mut by_sources: BTreeMap<Made, Vec<BlockId>> = BTreeMap::new();
    for info in view.blocks.values() {
        let meta = &info.meta;
        let mut sources = meta.compaction.sources.clone();
        sources.sort_unstable();
        if !sources.is_empty() && !info.marks.get(MarkKind::Deletion).is_there() {
            let key = (meta.group_key(), sources, (meta.min_time, meta.max_time));
            by_sources.entry(key).or_default().push(meta.id);
        }
    }
    let duplicates = by_sources.into_values().flat_map(|blocks| {
        let first = blocks.first().copied().unwrap_or_default();
        blocks.into_iter().skip(1).map(move |block| Finding {
            block,
            issue: Issue::DuplicatedCompaction,
            message: format!("made of the same sources as {first}"),
            kept: Some(first),
        })
    });
    duplicates.collect()
}

fn show(
    findings: &[Finding],
    output: Output,
    screen: Screen,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    if output == Output::Json {
        let found = findings.iter().map(
            |Finding {
                 block,
                 issue,
                 message,
                 ..
             }| {
                json!({ "id": block.to_string(), "issue": issue.name(), "message": message })
            },
        );
        writeln!(out, "{:#}", found.collect::<serde_json::Value>())?;
    } else if findings.is_empty() {
        writeln!(out, "{}", screen.paint(Style::Good, "no issues"))?;
    } else {
        let columns = ["ULID", "ISSUE", "WHAT"].map(|title| Column::left(title, 0));
        let mut table = Table::new(columns);
        for Finding {
            block,
            issue,
            message,
            ..
        } in findings
        {
            table.row([
                block.to_string().into(),
                Cell::styled(issue.name(), Style::Bad),
                message.as_str().into(),
            ]);
        }
        out.write_all(table.render(screen).as_bytes())?;
    }
    Ok(())
}
