//! `bucket replicate`: copies blocks to another bucket, and goes on doing so.
//!
//! Each copy is an upload as any other: its `meta.json` goes last, nothing that is marked there comes back, and it is read back
//! (BC-2, BC-6, BC-15). What a block of the target holds already is not copied: its compactor may have merged what was copied before.
//! *Otherwise:* it merges and deletes copies, and they are copied again, for ever.

mod metrics;
mod replicator;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use rutile_block::{BlockId, resolution};
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_model::{GoDuration, Matcher, TimeOrDuration};
use rutile_objstore::{Bucket, BucketReader, PutMode, probe};
use rutile_runtime::{Entropy, Ledger, SystemEntropy, TaskGroup};
use rutile_server::{HttpArgs, PathOrContent};
use tokio::time::Instant;

use super::listener::listen;
use super::source::Source;
use crate::flags::ToConfig;
use metrics::Metrics;

pub(super) use replicator::copy;
pub use replicator::{Replicator, Round};
pub use wanted::Wanted;

/// What is known as the memory of the process, bytes: pieces of a few files.
const MEMORY: u64 = 1 << 30;
/// Time between two rounds.
const INTERVAL: Duration = Duration::from_mins(1);

/// Copy blocks to another bucket, oldest first, again every minute.
#[derive(Debug, Args)]
pub(crate) struct ReplicateArgs {
    #[command(flatten)]
    to: PathOrContent<ToConfig>,
    /// Only blocks of this resolution; repeatable.
    #[arg(long, value_name = "DURATION", default_values = ["0s", "5m", "1h"])]
    resolution: Vec<GoDuration>,
    /// Only blocks of at least this compaction level.
    #[arg(long, value_name = "LEVEL", default_value_t = 1)]
    compaction_min: i64,
    /// Only blocks of at most this compaction level.
    #[arg(long, value_name = "LEVEL", default_value_t = 4)]
    compaction_max: i64,
    /// Only blocks of this compaction level, instead of the two above; repeatable.
    #[arg(long, value_name = "LEVEL")]
    compaction: Vec<i64>,
    /// Only blocks whose external labels match, such as cluster="eu1",replica=~"a|b".
    #[arg(long, value_name = "MATCHERS", default_value = "")]
    matcher: String,
    /// Only once.
    #[arg(long)]
    single_run: bool,
    /// Only blocks that end after this; RFC 3339, or relative such as -1d.
    #[arg(long, value_name = "TIME", default_value = "0000-01-01T00:00:00Z")]
    min_time: TimeOrDuration,
    /// Only blocks that begin before this.
    #[arg(long, value_name = "TIME", default_value = "9999-12-31T23:59:59Z")]
    max_time: TimeOrDuration,
    /// Only this block, whatever else is set, and only once; repeatable.
    #[arg(long = "id", value_name = "ULID")]
    ids: Vec<BlockId>,
    /// Leave out blocks that are marked for deletion.
    #[arg(long)]
    ignore_marked_for_deletion: bool,
    #[command(flatten)]
    http: HttpArgs,
}

pub(super) async fn run(args: ReplicateArgs, source: &Source) -> Result<()> {
    let wanted = wanted(&args)?;
    let to = args.to.content()?.unwrap_or_default();
    let tasks = TaskGroup::new("replicate");
    let registry = listen(&args.http, "replicate", Ledger::new(MEMORY), &tasks).await?;
    let metrics = Metrics::new(&registry);
    let source = &source.measured(registry.with_label("replicate", "from"));
    let target = source
        .beside(to)
        .measured(registry.with_label("replicate", "to"));
    let from = source.readable().await?;
    let looks = source.fetcher(Arc::clone(&from))?;
    let bucket = target
        .created("replicate")
        .await
        .context("--objstore-to.config")?;
    require_apart(&from, &bucket)
        .await
        .context("--objstore-to.config")?;
    let reader: Arc<dyn BucketReader> = Arc::<dyn Bucket>::clone(&bucket);
    let looks_there = target.fetcher(reader)?;
    let replicator = Replicator {
        from,
        looks,
        lifecycle: target.lifecycle(bucket),
        looks_there,
        wanted,
        clock: source.clock(),
    };
    loop {
        let began = Instant::now();
        let round = replicator.round().await.unwrap_or_else(|error| Round {
            failed: vec![error],
            ..Round::default()
        });
        metrics.count(&round, began.elapsed());
        let (copied, there, failed) = (round.copied, round.there, round.failed.len());
        tracing::info!(
            copied,
            already_there = there,
            failed,
            rewritten_there = round.rewritten,
            "replicated"
        );
        let first = round.failed.into_iter().next();
        match first {
            None if args.single_run || !args.ids.is_empty() => return Ok(()),
            Some(first) if args.single_run || !args.ids.is_empty() => {
                return Err(first.context(format!("{failed} blocks were not copied, the first")));
            }
            // The next round tries again.
            Some(error) => tracing::warn!(%error, failed, "some blocks were not copied"),
            None => {}
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// What the flags ask for.
fn wanted(args: &ReplicateArgs) -> Result<Wanted> {
    if args.compaction_min > args.compaction_max {
        bail!(
            "--compaction-min={} is more than --compaction-max={}",
            args.compaction_min,
            args.compaction_max
        );
    }
    let mut resolutions = args.resolution.iter();
    if let Some(other) = resolutions.find(|r| !resolution::ALL.contains(&r.as_ms())) {
        bail!("--resolution={other}: no block has it; blocks have 0s (raw), 5m or 1h");
    }
    let matchers = match args.matcher.trim() {
        "" => Vec::new(),
        text if text.starts_with('{') => Matcher::parse_selector(text).context("--matcher")?,
        text => Matcher::parse_selector(&format!("{{{text}}}")).context("--matcher")?,
    };
    Ok(Wanted {
        resolutions: args.resolution.iter().map(|r| r.as_ms()).collect(),
        levels: args.compaction.iter().copied().collect(),
        level_range: args.compaction_min..=args.compaction_max,
        matchers,
        time: TimePartition {
            min_time: args.min_time,
            max_time: args.max_time,
        },
        ids: args.ids.clone(),
        leave_marked: args.ignore_marked_for_deletion,
    })
}

/// Refuses a second bucket that is the first one: what is written to it must not show there.
///
/// # Errors
/// That it is; whatever keeps one of them from answering.
pub(super) async fn require_apart(
    from: &Arc<dyn BucketReader>,
    other: &Arc<dyn Bucket>,
) -> Result<()> {
    let key = format!("{}/{:016x}", probe::FOLDER, SystemEntropy.next_u64());
    other.put(&key, "apart".into(), PutMode::Overwrite).await?;
    let is_seen = from.exists(&key).await;
    other.delete(&key).await?;
    if is_seen? {
        bail!("it is the bucket itself: name another one");
    }
    Ok(())
}
