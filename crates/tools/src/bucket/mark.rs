//! `bucket mark`: puts a mark beside blocks, or removes it.

use anyhow::{Context, Result, bail};
use clap::Args;
use rutile_block::{BlockId, MarkKind, reason};
use rutile_lifecycle::Marked;

use super::source::Source;

/// Mark blocks for deletion, or to be left out of compaction or downsampling; or remove such a mark.
///
/// A compaction that is already under way does not see the mark.
#[derive(Debug, Args)]
pub(crate) struct MarkArgs {
    /// ULID of a block; repeatable.
    #[arg(long = "id", required = true, value_name = "ULID")]
    ids: Vec<String>,
    /// The mark.
    #[arg(long = "marker", required = true, value_name = "FILE", value_parser = MARKERS)]
    marker: String,
    /// Why, for people; required unless --remove is given.
    #[arg(long = "details", value_name = "TEXT")]
    details: Option<String>,
    /// Remove the mark instead.
    #[arg(long = "remove")]
    remove: bool,
}

/// What `--marker` takes.
const MARKERS: [&str; 3] = [
    MarkKind::Deletion.file_name(),
    MarkKind::NoCompact.file_name(),
    MarkKind::NoDownsample.file_name(),
];

pub(super) async fn run(args: MarkArgs, source: &Source) -> Result<()> {
    let kind = MarkKind::from_file_name(&args.marker)
        .with_context(|| format!("unknown marker {:?}", args.marker))?;
    let ids = args
        .ids
        .iter()
        .map(|id| {
            id.parse::<BlockId>()
                .with_context(|| format!("--id={id} is not the ULID of a block"))
        })
        .collect::<Result<Vec<_>>>()?;
    let details = args.details.unwrap_or_default();
    if details.is_empty() && !args.remove {
        bail!("--details is missing: say why the blocks are marked");
    }

    let bucket = source.writable("mark").await?;
    let lifecycle = source.lifecycle(bucket);
    for id in ids {
        if args.remove {
            let found = lifecycle.unmark(id, kind).await?;
            let message = if found {
                "mark removed"
            } else {
                "there was no mark to remove"
            };
            tracing::info!(block = %id, marker = kind.file_name(), "{message}");
            continue;
        }
        let marked = match kind {
            MarkKind::Deletion => lifecycle.mark_deletion(id, &details).await?,
            MarkKind::NoCompact => {
                lifecycle
                    .mark_no_compact(id, reason::MANUAL, &details)
                    .await?
            }
            MarkKind::NoDownsample => {
                lifecycle
                    .mark_no_downsample(id, reason::MANUAL, &details)
                    .await?
            }
        };
        match marked {
            Marked::Written => tracing::info!(block = %id, marker = kind.file_name(), "marked"),
            Marked::Already => {
                tracing::warn!(block = %id, marker = kind.file_name(), "was marked already, its mark stays as it is");
            }
            Marked::Repaired => {
                tracing::warn!(block = %id, marker = kind.file_name(), "its mark was damaged and is written anew");
            }
        }
    }
    Ok(())
}
