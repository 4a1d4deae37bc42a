//! Copies what one bucket has and another one lacks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures::{FutureExt, StreamExt, stream};
use rutile_block::{
    BlockId, CHUNKS_DIR, INDEX_FILE, Mark, MarkKind, Meta, Part, file_key, parse_key,
};
use rutile_fetcher::{Fetcher, MarkState, View};
use rutile_lifecycle::{HashFunc, Lifecycle, Upload, UploadCopy};
use rutile_objstore::{BucketReader, Depth};
use rutile_runtime::Clock;
use tokio::time::Instant;

use super::wanted::Wanted;
use crate::bucket::source::{DEFAULT_TIMEOUT, within};
use crate::bucket::{rewrite, source};

/// Files of a block that are copied at a time.
const FILES: usize = 4;
/// Bytes that are read at a time.
const PIECE: u64 = 8 << 20;
/// For how long a look at the buckets is good. *Otherwise:* who stood still since it, for as long as the delete delay, copies a block
/// that was rewritten in the target, marked and deleted meanwhile.
const LOOK_AGE: Duration = Duration::from_mins(10);

/// Copies blocks from one bucket to another, in rounds.
#[derive(Debug)]
pub struct Replicator {
    /// Where blocks are read.
    pub from: Arc<dyn BucketReader>,
    /// Looks at that bucket, with no-compact marks.
    pub looks: Fetcher,
    /// What changes the other one.
    pub lifecycle: Lifecycle,
    /// Looks at that.
    pub looks_there: Fetcher,
    /// Which blocks.
    pub wanted: Wanted,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
}

/// What a round came to.
#[derive(Debug, Default)]
pub struct Round {
    /// Blocks that were copied.
    pub copied: usize,
    /// Blocks that were there, or whose samples were.
    pub there: usize,
    /// Blocks of which some samples were deleted there, by rewriting.
    pub rewritten: usize,
    /// Objects that were copied.
    pub objects: u64,
    /// What kept blocks from being copied.
    pub failed: Vec<anyhow::Error>,
}

impl Replicator {
    /// Copies what is wanted and not there, oldest first.
    ///
    /// # Errors
    /// What keeps one of the buckets from being looked at. What concerns a block is in the round.
    pub async fn round(&self) -> Result<Round> {
        let view = look(&self.looks).await?;
        let mut round = Round::default();
        for (id, bad) in &view.bad {
            tracing::warn!(block = %id, reason = %bad.reason, "it is damaged, and is not copied");
        }
        let ids = &self.wanted.ids;
        if let Some(missing) = ids.iter().find(|id| !view.blocks.contains_key(id)) {
            let error = anyhow!("--id={missing} is no block of the bucket");
            round.failed.push(error);
        }
        let mut there = self.target().await?;
        for meta in self.wanted.of(&view, self.clock.now_ms()) {
            if there.at.elapsed() > LOOK_AGE {
                there = self.target().await?;
            }
            if let Some(holder) = there.holder(&meta) {
                tracing::debug!(block = %meta.id, holder = %holder.id, "the target holds its samples");
                round.there += 1;
                continue;
            }
            let rewritten = there.rewritten(&meta);
            let stays = there.has(meta.id) || is_kept(&view, meta.id);
            if let Some(new) = rewritten.filter(|_| !stays) {
                round.rewritten += 1;
                if ids.contains(&meta.id) {
                    round.failed.push(anyhow!(
                        "--id={}: block {new} of the target was rewritten from what it is made of; a copy would bring back what was deleted",
                        meta.id
                    ));
                }
                tracing::debug!(block = %meta.id, rewritten = %new, "some of its samples were deleted there: it is not copied");
                continue;
            }
            match copy(&self.from, &self.lifecycle, &meta).await {
                Ok(Some(objects)) => {
                    tracing::info!(block = %meta.id, "copied");
                    round.copied += 1;
                    round.objects += objects;
                    there.add(&meta);
                }
                Ok(None) => round.there += 1,
                Err(error) => {
                    let error = error.context(format!("copy block {}", meta.id));
                    round.failed.push(error);
                }
            }
        }
        Ok(round)
    }

    async fn target(&self) -> Result<Target> {
        let at = Instant::now();
        let view = look(&self.looks_there).await?;
        // *Otherwise:* a block that was rewritten is among them, and what it lost comes back.
        source::require_complete(&view).context("the target")?;
        let mut target = Target {
            at,
            view: Arc::clone(&view),
            by_source: BTreeMap::new(),
            rewritten: BTreeMap::new(),
        };
        for info in view.blocks.values() {
            target.add(&info.meta);
        }
        Ok(target)
    }
}

async fn look(fetcher: &Fetcher) -> Result<Arc<View>> {
    Ok(within(DEFAULT_TIMEOUT, fetcher.fetch()).await??)
}

/// Whether a block was rewritten in its own bucket, and stays there all the same.
fn is_kept(view: &View, id: BlockId) -> bool {
    let mark = view
        .blocks
        .get(&id)
        .map(|info| info.marks.get(MarkKind::NoCompact));
    let mark = mark
        .and_then(MarkState::present)
        .map(|present| &present.mark);
    matches!(mark, Some(Mark::NoCompact(mark)) if mark.reason == rewrite::REASON)
}

/// A look at the target.
struct Target {
    /// When it began.
    at: Instant,
    view: Arc<View>,
    /// The blocks by each source that they were made of, with those that were copied since.
    by_source: BTreeMap<BlockId, Vec<Arc<Meta>>>,
    /// By each source of what they were rewritten from, and their resolutions, ms.
    rewritten: BTreeMap<(BlockId, i64), BlockId>,
}

impl Target {
    /// Whether it has a block that is not to go.
    fn has(&self, id: BlockId) -> bool {
        let info = self.view.blocks.get(&id);
        info.is_some_and(|info| !info.marks.get(MarkKind::Deletion).is_there())
    }

    fn add(&mut self, meta: &Arc<Meta>) {
        for source in meta.sources() {
            let of_source = self.by_source.entry(*source);
            of_source.or_default().push(Arc::clone(meta));
        }
        for source in meta.rewritten_sources() {
            let resolution = meta.thanos.downsample.resolution;
            self.rewritten.insert((source, resolution), meta.id);
        }
    }

    /// A block that holds the samples of another one.
    fn holder(&self, meta: &Meta) -> Option<&Arc<Meta>> {
        let first = meta.sources().first()?;
        let mut of_first = self.by_source.get(first)?.iter();
        of_first.find(|other| holds(other, meta))
    }

    /// A block of the target that was rewritten from something that this one was made of: what that lost is in this one.
    /// *Otherwise:* what was deleted from a bucket comes back with what is restored from its replica (S53).
    fn rewritten(&self, meta: &Meta) -> Option<BlockId> {
        let resolution = meta.thanos.downsample.resolution;
        let mut sources = meta.sources().iter();
        sources.find_map(|source| self.rewritten.get(&(*source, resolution)).copied())
    }
}

/// Whether a block of the target was made of all that this one was made of.
fn holds(other: &Meta, meta: &Meta) -> bool {
    let alike = other.thanos.labels == meta.thanos.labels
        && other.thanos.downsample == meta.thanos.downsample;
    other.id != meta.id && alike && other.holds_sources_of(meta)
}

/// Copies a block, unless it is there and whole. How many objects that were.
pub(in crate::bucket) async fn copy(
    from: &Arc<dyn BucketReader>,
    lifecycle: &Lifecycle,
    meta: &Meta,
) -> Result<Option<u64>> {
    let mut upload = match lifecycle.upload_copy(meta.id, HashFunc::None).await? {
        UploadCopy::There(_) => return Ok(None),
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
    let mut copies = Vec::new();
    for path in &paths {
        copies.push(copy_file(from, &upload, meta, path).boxed());
    }
    let copied: Vec<Result<()>> = stream::iter(copies).buffer_unordered(FILES).collect().await;
    if let Some(error) = copied.into_iter().find_map(Result::err) {
        // What is left is a partial block, which the next try replaces.
        if let Err(error) = upload.abandon().await {
            tracing::warn!(block = %meta.id, %error, "what was copied of it is left behind");
        }
        return Err(error);
    }
    upload.commit(meta.clone()).await?;
    // With its meta.json.
    Ok(Some(paths.len() as u64 + 1))
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
