//! `bucket replicate`: copies blocks to another bucket, and goes on doing so.
//!
//! Each copy is an upload as any other: its `meta.json` goes last, nothing that is marked there comes back, and it is read back
//! (BC-2, BC-6, BC-15). What a block of the target holds already is not copied: its compactor may have merged what was copied before.
//! *Otherwise:* it merges and deletes copies, and they are copied again, for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::{FutureExt, StreamExt, stream};
use rutile_block::{BlockId, CHUNKS_DIR, INDEX_FILE, MarkKind, Meta, Part, file_key, parse_key};
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_fetcher::{Fetcher, View};
use rutile_lifecycle::{HashFunc, Lifecycle, Upload, UploadCopy};
use rutile_model::{GoDuration, Matcher, TimeOrDuration};
use rutile_objstore::{Bucket, BucketReader, Depth, PutMode, probe};
use rutile_runtime::{Entropy, SystemEntropy};
use rutile_server::PathOrContent;

use super::source::{DEFAULT_TIMEOUT, Source, within};
use crate::flags::ToConfig;

/// Time between two rounds.
const INTERVAL: Duration = Duration::from_mins(1);
/// Files of a block that are copied at a time.
const FILES: usize = 4;
/// Bytes that are read at a time.
const PIECE: u64 = 8 << 20;

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
}

/// What a round came to.
#[derive(Debug, Default)]
struct Round {
    copied: usize,
    there: usize,
    failed: Vec<anyhow::Error>,
}

pub(super) async fn run(args: ReplicateArgs, source: &Source) -> Result<()> {
    let wanted = Wanted::new(&args)?;
    let to = args.to.content()?.unwrap_or_default();
    let target = source.beside(to);
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
    let lifecycle = target.lifecycle(bucket);
    loop {
        let round = match (look(&looks).await, look(&looks_there).await) {
            (Ok(view), Ok(there)) => {
                round(&from, &lifecycle, &wanted, (&view, &there), source).await
            }
            (Err(error), _) | (_, Err(error)) => Round {
                failed: vec![error],
                ..Round::default()
            },
        };
        let (copied, there, failed) = (round.copied, round.there, round.failed.len());
        tracing::info!(copied, already_there = there, failed, "replicated");
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

async fn look(fetcher: &Fetcher) -> Result<Arc<View>> {
    Ok(within(DEFAULT_TIMEOUT, fetcher.fetch()).await??)
}

/// Which blocks are to be copied.
struct Wanted {
    resolutions: BTreeSet<i64>,
    /// Instead of the range, if there are any.
    levels: BTreeSet<i64>,
    level_range: RangeInclusive<i64>,
    matchers: Vec<Matcher>,
    time: TimePartition,
    ids: Vec<BlockId>,
    leave_marked: bool,
}

impl Wanted {
    fn new(args: &ReplicateArgs) -> Result<Self> {
        if args.compaction_min > args.compaction_max {
            bail!(
                "--compaction-min={} is more than --compaction-max={}",
                args.compaction_min,
                args.compaction_max
            );
        }
        let matchers = match args.matcher.trim() {
            "" => Vec::new(),
            text if text.starts_with('{') => Matcher::parse_selector(text).context("--matcher")?,
            text => Matcher::parse_selector(&format!("{{{text}}}")).context("--matcher")?,
        };
        Ok(Self {
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

    /// The blocks to copy, oldest first; of those that begin together the one that holds most, so that what it holds need not follow.
    fn of(&self, view: &View, now_ms: i64) -> Vec<Arc<Meta>> {
        let infos = view.blocks.values().filter(|info| {
            let marked = info.marks.get(MarkKind::Deletion).is_there();
            !(marked && self.leave_marked) && self.is_wanted(&info.meta, now_ms)
        });
        let mut metas: Vec<Arc<Meta>> = infos.map(|info| Arc::clone(&info.meta)).collect();
        metas.sort_by_key(|meta| {
            let held = std::cmp::Reverse(meta.compaction.sources.len());
            (
                meta.min_time,
                held,
                meta.thanos.downsample.resolution,
                meta.id,
            )
        });
        metas
    }

    fn is_wanted(&self, meta: &Meta, now_ms: i64) -> bool {
        if meta.thanos.labels.is_empty() {
            tracing::warn!(block = %meta.id, "it has no external labels, and is not copied");
            return false;
        }
        if !self.ids.is_empty() {
            return self.ids.contains(&meta.id);
        }
        let (labels, level) = (&meta.thanos.labels, meta.compaction.level);
        let of_level = match self.levels.is_empty() {
            true => self.level_range.contains(&level),
            false => self.levels.contains(&level),
        };
        self.resolutions
            .contains(&meta.thanos.downsample.resolution)
            && of_level
            && self.time.keeps(meta, now_ms)
            && self
                .matchers
                .iter()
                .all(|m| m.matches(labels.value(m.name())))
    }
}

async fn round(
    from: &Arc<dyn BucketReader>,
    lifecycle: &Lifecycle,
    wanted: &Wanted,
    (view, there): (&View, &View),
    source: &Source,
) -> Round {
    let mut round = Round::default();
    for (id, bad) in &view.bad {
        tracing::warn!(block = %id, reason = %bad.reason, "it is damaged, and is not copied");
    }
    if let Some(missing) = wanted.ids.iter().find(|id| !view.blocks.contains_key(id)) {
        round
            .failed
            .push(anyhow::anyhow!("--id={missing} is no block of the bucket"));
    }
    let mut held = Held::default();
    for info in there.blocks.values() {
        held.add(&info.meta);
    }
    for meta in wanted.of(view, source.clock().now_ms()) {
        if let Some(holder) = held.holder(&meta) {
            tracing::debug!(block = %meta.id, holder = %holder.id, "the target holds its samples");
            round.there += 1;
            continue;
        }
        match copy(from, lifecycle, &meta).await {
            Ok(true) => {
                tracing::info!(block = %meta.id, "copied");
                round.copied += 1;
                held.add(&meta);
            }
            Ok(false) => round.there += 1,
            Err(error) => round
                .failed
                .push(error.context(format!("copy block {}", meta.id))),
        }
    }
    round
}

/// The blocks of the target, by each source that they were made of.
#[derive(Default)]
struct Held(BTreeMap<BlockId, Vec<Arc<Meta>>>);

impl Held {
    fn add(&mut self, meta: &Arc<Meta>) {
        for source in &meta.compaction.sources {
            self.0.entry(*source).or_default().push(Arc::clone(meta));
        }
    }

    /// A block that holds the samples of another one.
    fn holder(&self, meta: &Meta) -> Option<&Arc<Meta>> {
        let first = meta.compaction.sources.first()?;
        let mut of_first = self.0.get(first)?.iter();
        of_first.find(|other| holds(other, meta))
    }
}

/// Whether a block of the target was made of all that this one was made of.
fn holds(other: &Meta, meta: &Meta) -> bool {
    let sources = &meta.compaction.sources;
    let all = || {
        sources
            .iter()
            .all(|source| other.compaction.sources.contains(source))
    };
    let alike = other.thanos.labels == meta.thanos.labels
        && other.thanos.downsample == meta.thanos.downsample;
    other.id != meta.id && alike && all()
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

/// Copies a block, unless it is there and whole. Whether it did.
pub(super) async fn copy(
    from: &Arc<dyn BucketReader>,
    lifecycle: &Lifecycle,
    meta: &Meta,
) -> Result<bool> {
    let mut upload = match lifecycle.upload_copy(meta.id, HashFunc::None).await? {
        UploadCopy::There(_) => return Ok(false),
        UploadCopy::Needed(upload) => upload,
    };
    let folder = format!("{}/", file_key(meta.id, CHUNKS_DIR));
    let mut paths = vec![INDEX_FILE.to_owned()];
    let mut listed = from.list(&folder, Depth::Shallow);
    while let Some(entry) = listed.next().await {
        let key = entry?.key;
        if let Some((_, Part::Chunks(name))) = parse_key(&key) {
            paths.push(format!("{CHUNKS_DIR}/{name}"));
        }
    }
    if paths.len() == 1 && meta.stats.num_chunks > 0 {
        bail!("{folder} has no segment: the block is damaged");
    }
    let copies = paths
        .iter()
        .map(|path| copy_file(from, &upload, meta, path).boxed());
    let copied: Vec<Result<()>> = stream::iter(copies).buffer_unordered(FILES).collect().await;
    if let Some(error) = copied.into_iter().find_map(Result::err) {
        // What is left is a partial block, which the next try replaces.
        if let Err(error) = upload.abandon().await {
            tracing::warn!(block = %meta.id, %error, "what was copied of it is left behind");
        }
        return Err(error);
    }
    upload.commit(meta.clone()).await?;
    Ok(true)
}

async fn copy_file(
    from: &Arc<dyn BucketReader>,
    upload: &Upload,
    meta: &Meta,
    path: &str,
) -> Result<()> {
    let key = file_key(meta.id, path);
    let size = from.attributes(&key).await?.size;
    let stated = meta.file(path).map(|file| file.size_bytes);
    if let Some(stated) = stated.filter(|stated| *stated != size) {
        bail!("{key} has {size} bytes, and meta.json says {stated}: the block is damaged");
    }
    if size == 0 {
        bail!("{key} is empty: the block is damaged");
    }
    let mut file = upload.file(path)?;
    let mut at = 0;
    while at < size {
        let end = size.min(at + PIECE);
        let piece = from.get_range(&key, at..end).await?;
        at = end;
        if let Err(error) = file.write(&piece).await {
            file.abandon().await;
            return Err(error.into());
        }
    }
    Ok(file.finish().await?)
}
