//! Keeps what is served in step with the bucket.
//!
//! One sync: look at the bucket, decide which blocks count, load what is new, and replace the set
//! that requests pin in one step. A block that another one replaces stays until the other is really
//! loaded (BC-7), and both are never served together (BC-8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use rutile_block::{BlockId, InvariantId, Meta};
use rutile_blockio::{BlockEnv, BlockReader};
use rutile_fetcher::filter::deletion_mark::{is_given_up, may_replace};
use rutile_fetcher::{BlockInfo, Exclusion, Fetcher, FilterChain, Selection, View};
use rutile_model::ErrorKind;
use rutile_runtime::{Clock, Moment};
use tokio::time::Instant;
use xxhash_rust::xxh64::xxh64;

use crate::Result;
use crate::block::{Block, BlockSet};
use crate::gateway::Serving;
use crate::metrics::{HeaderMetrics, Metrics};

/// When index-headers are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderDownload {
    /// When a block is added: a block whose index cannot be read is never served.
    Eager,
    /// When a query first needs it.
    Lazy,
}

/// The settings of a [`Syncer`].
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// Blocks that are loaded at a time.
    pub concurrency: usize,
    /// When index-headers are fetched.
    pub header_download: HeaderDownload,
    /// After how long without a query an index-header is closed; none: never.
    pub close_idle_after: Option<Duration>,
}

/// Loads and drops blocks.
#[derive(Debug)]
pub struct Syncer {
    pub(crate) fetcher: Fetcher,
    pub(crate) chain: FilterChain,
    pub(crate) env: Arc<BlockEnv>,
    pub(crate) config: SyncConfig,
    pub(crate) serving: Arc<ArcSwap<Serving>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) header_metrics: Arc<HeaderMetrics>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Blocks that are too fresh by the wall's clock, and when they were first seen so.
    pub(crate) fresh_since: Mutex<BTreeMap<BlockId, Instant>>,
}

/// What a sync did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Synced {
    /// Blocks that are served now.
    pub served: usize,
    /// Blocks that were loaded.
    pub loaded: usize,
    /// Blocks that could not be loaded.
    pub failed: usize,
    /// Blocks that were dropped.
    pub dropped: usize,
}

type Blocks = BTreeMap<BlockId, Arc<Block>>;
type Metas = BTreeMap<BlockId, Arc<Meta>>;

impl Syncer {
    /// Brings what is served in step with the bucket.
    ///
    /// # Errors
    /// When the bucket cannot be listed: what is served stays as it is. A block that cannot be
    /// loaded is no error: what it replaces stays served, and the next sync tries again.
    pub async fn sync(&self) -> Result<Synced> {
        let before = self.serving.load_full();
        let relied_on = |id| before.set.blocks.contains_key(&id) || self.is_settled(id);
        let (view, selection) = self.fetcher.sync_relying(&self.chain, relied_on).await?;
        self.remember_fresh(&before, &view, &selection);
        let mut known: Blocks = before.set.blocks.clone();
        let replaced = self.take_replaced(&mut known, &selection).await;
        let (fresh, failed) = self.load(&view, &selection, &mut known).await;
        // What cannot be loaded anew for now stays as it was: better than not at all (BC-7).
        for (id, block) in replaced {
            known.entry(id).or_insert(block);
        }
        let loaded: BTreeSet<BlockId> = known.keys().copied().collect();
        let serve = selection.serving(&loaded);
        known.retain(|id, _| serve.contains(id));
        let dropped: Vec<BlockId> = before
            .set
            .blocks
            .keys()
            .filter(|id| !known.contains_key(id))
            .copied()
            .collect();
        let served = known.len();
        let whole = view.complete && self.was_quick(&view);
        let looked = (&*view, whole);
        let uncovered = selection.uncovered(&loaded);
        let mut lacking = lacking(&before, &dropped, &known, looked, &selection, &failed);
        // Once these are gone from the bucket, too, nothing but this tells of them.
        let told = { uncovered.iter() }
            .filter_map(|id| Some((*id, Arc::clone(&view.blocks.get(id)?.meta))));
        lacking.extend(told);
        self.publish(known, view, &uncovered, lacking);
        self.drop_folders(&dropped, before.view.is_none()).await;
        self.metrics.blocks_loaded.set(served as i64);
        if let Err(error) = self.fetcher.save_cache().await {
            tracing::warn!(%error, "the metadata are not kept for the next start");
        }
        Ok(Synced {
            served,
            loaded: fresh,
            failed: failed.len(),
            dropped: dropped.len(),
        })
    }

    /// Whether a block was seen for as long as the consistency delay, whatever the wall's clock says: by one that is behind the
    /// bucket's the block would be too fresh until it has caught up (BC-4).
    fn is_settled(&self, id: BlockId) -> bool {
        let delay_ms = self.chain.contract().consistency_delay_ms;
        let since = self.fresh_since.lock().get(&id).copied();
        since
            .is_some_and(|since| since.elapsed().as_millis() >= u128::from(delay_ms.unsigned_abs()))
    }

    fn remember_fresh(&self, before: &Serving, view: &View, selection: &Selection) {
        let mut since = self.fresh_since.lock();
        since.retain(|id, _| view.blocks.contains_key(id) && !before.set.blocks.contains_key(id));
        for (id, exclusion) in &selection.excluded {
            if matches!(exclusion, Exclusion::TooFresh { .. }) {
                since.entry(*id).or_insert_with(Instant::now);
            }
        }
    }

    /// Whether a look took no longer than looks are apart. One in the middle of which the process stood
    /// still lists what was there before, finds that it is gone, and knows nothing of what replaced it.
    fn was_quick(&self, view: &View) -> bool {
        let most_ms = self.chain.contract().sync_interval_ms;
        view.fetched_at.age_ms(Moment::now(&*self.clock)) <= most_ms
    }

    /// Takes out the blocks whose metadata changed under their names: they are other blocks, to be
    /// loaded anew (P16).
    async fn take_replaced(&self, known: &mut Blocks, selection: &Selection) -> Blocks {
        let changed = |id: &BlockId, block: &mut Arc<Block>| {
            let meta = selection.wanted.get(id);
            meta.is_some_and(|meta| is_another_block(&block.meta, meta))
        };
        let replaced: Blocks = known.extract_if(.., changed).collect();
        for id in replaced.keys() {
            tracing::warn!(block = %id, "meta.json was replaced under the same name: loading the block anew");
        }
        let folders: Vec<BlockId> = replaced.keys().copied().collect();
        self.remove_folders(&folders).await;
        replaced
    }

    /// Loads what is wanted; in place of a block that cannot be loaded, what it would replace (P1).
    async fn load(
        &self,
        view: &View,
        selection: &Selection,
        known: &mut Blocks,
    ) -> (usize, BTreeSet<BlockId>) {
        let (mut loaded, mut failed) = (0, BTreeSet::new());
        loop {
            let missing: Vec<Arc<Meta>> = selection
                .to_load(&failed)
                .iter()
                .filter(|id| !known.contains_key(id) && !failed.contains(id))
                .filter_map(|id| view.blocks.get(id))
                .map(|info| Arc::clone(&info.meta))
                .collect();
            if missing.is_empty() {
                return (loaded, failed);
            }
            let loads = missing.into_iter().map(|meta| {
                // What others are dropped for must be readable for certain (BC-7).
                let needed = selection.superseded.values().any(|id| *id == meta.id);
                self.load_block(meta, needed)
            });
            let mut loads = stream::iter(loads).buffer_unordered(self.config.concurrency);
            while let Some((id, block)) = loads.next().await {
                match block {
                    Some(block) => {
                        loaded += 1;
                        known.insert(id, Arc::new(block));
                    }
                    None => {
                        failed.insert(id);
                    }
                }
            }
        }
    }

    fn reader(&self, id: BlockId, meta: &Meta) -> BlockReader {
        // Of a block that took the place of another one under its name, the cache may know the other one, also when
        // it outlives this process (P16).
        let generation = xxh64(&meta.to_json(), 0);
        BlockReader::new(Arc::clone(&self.env), id, meta).of_generation(generation)
    }

    async fn load_block(&self, meta: Arc<Meta>, needed: bool) -> (BlockId, Option<Block>) {
        let id = meta.id;
        self.metrics.block_loads.inc();
        let started = Instant::now();
        let block = Block {
            reader: self.reader(id, &meta),
            meta,
        };
        let prepared = match self.config.header_download {
            HeaderDownload::Eager => block.reader.prepare_header().await,
            HeaderDownload::Lazy if needed => block.reader.prepare_header().await,
            HeaderDownload::Lazy => Ok(()),
        };
        match prepared {
            Ok(()) => {
                self.metrics
                    .block_load_duration
                    .observe(started.elapsed().as_secs_f64());
                self.metrics.last_loaded.set(self.clock.now_ms() / 1000);
                (id, Some(block))
            }
            Err(error) => {
                self.metrics.block_load_failures.inc();
                tracing::warn!(block = %id, %error, "block cannot be loaded; the next sync tries again");
                if error.kind() == ErrorKind::Corrupt {
                    self.remove_folders(&[id]).await;
                }
                (id, None)
            }
        }
    }

    fn publish(
        &self,
        blocks: Blocks,
        view: Arc<View>,
        uncovered: &BTreeSet<BlockId>,
        lacking: Metas,
    ) {
        self.fetcher
            .metrics()
            .contract_event(InvariantId::Bc7, lacking.len());
        let warn = |id: &BlockId| {
            if uncovered.contains(id) {
                format!(
                    "block {id} was marked for deletion longer than the delete delay ago, and nothing \
                     that replaces it is loaded: the answer may lack its samples"
                )
            } else {
                format!(
                    "block {id} is not served, and what takes its place could not be read: \
                     the answer may lack its samples"
                )
            }
        };
        self.serving.store(Arc::new(Serving {
            warnings: lacking.keys().map(warn).collect(),
            set: BlockSet::new(blocks),
            lacking,
            view: Some(view),
        }));
    }

    /// Removes the local folders of dropped blocks; at the start also those of blocks that are not
    /// there any more.
    async fn drop_folders(&self, dropped: &[BlockId], first_sync: bool) {
        self.metrics.block_drops.inc_by(dropped.len() as u64);
        self.remove_folders(dropped).await;
        let Some(disk) = self.env.disk.clone().filter(|_| first_sync) else {
            return;
        };
        let listed = self.env.cpu.run(move || disk.list("")).await;
        let serving = self.serving.load();
        let stale: Vec<BlockId> = listed
            .unwrap_or_default()
            .iter()
            .filter(|entry| entry.is_folder)
            .filter_map(|entry| entry.name.parse().ok())
            .filter(|id| !serving.set.blocks.contains_key(id))
            .collect();
        self.remove_folders(&stale).await;
    }

    async fn remove_folders(&self, blocks: &[BlockId]) {
        let Some(disk) = self.env.disk.clone().filter(|_| !blocks.is_empty()) else {
            return;
        };
        let blocks = blocks.to_vec();
        let failures = self.env.cpu.run(move || {
            let remove = |id: &BlockId| disk.remove_tree(&id.to_string()).err();
            blocks.iter().filter_map(remove).collect::<Vec<_>>()
        });
        for error in failures.await {
            self.metrics.block_drop_failures.inc();
            tracing::warn!(%error, "the local folder of a dropped block stays");
        }
    }

    /// Closes the index-headers that no query asked for in a while.
    pub fn close_idle_headers(&self) {
        let Some(idle) = self.config.close_idle_after else {
            return;
        };
        for block in self.serving.load().set.blocks.values() {
            if block.reader.close_idle_header(idle) {
                self.header_metrics.unloads.inc();
            }
        }
    }
}

/// The blocks of which answers must say that they lack them (BC-7), beside those that are left out for the age of their mark.
///
/// A process that stood still for longer than the delete delay finds that what it serves is gone, and
/// may fail to read the replacement, which it has never seen. Nothing in the view then ties the one to
/// the other, so until a look at the `whole` bucket has read everything that may be the replacement,
/// answers say so. So they do where a block goes because it should not have been made, and one of those
/// that it had replaced, which count again, cannot be read. And where retention took raw samples, and what was made of
/// them at a lower resolution is not served yet.
fn lacking(
    before: &Serving,
    dropped: &[BlockId],
    serving: &Blocks,
    (view, whole): (&View, bool),
    selection: &Selection,
    failed: &BTreeSet<BlockId>,
) -> Metas {
    let dropped = dropped.iter().filter_map(|id| {
        let block = before.set.blocks.get(id)?;
        Some((*id, Arc::clone(&block.meta)))
    });
    let mut lacking = before.lacking.clone();
    lacking.extend(dropped);
    lacking.retain(|id, old| {
        let covers = |block: &Arc<Block>| block.meta.id == *id || may_replace(&block.meta, old);
        let failed = || failed.iter().filter_map(|id| view.blocks.get(id));
        let counts_again = failed().any(|info| may_replace(old, &info.meta))
            || inputs(old).any(|id| selection.unread.contains(&id));
        let excluded = selection.excluded.contains_key(id);
        let given_up = { before.view.as_ref() }
            .and_then(|view| view.blocks.get(id))
            .is_some_and(is_given_up);
        // Or it counts again itself.
        let fails = |info: &BlockInfo| info.meta.id == *id || may_replace(&info.meta, old);
        let settled = whole && !failed().any(fails);
        let is_over = !counts_again && (settled || excluded || given_up);
        let lacks = !is_over || lacks_coarser(old, serving, (view, whole), selection);
        lacks && !serving.values().any(covers)
    });
    lacking
}

/// Whether something was made of a block at a lower resolution that is not served, or may have been and was not read yet,
/// in a bucket where such blocks are known. Not if a person marked it, or if it should not have been made.
fn lacks_coarser(
    old: &Meta,
    serving: &Blocks,
    (view, whole): (&View, bool),
    selection: &Selection,
) -> bool {
    let mark = { view.blocks.get(&old.id) }.and_then(|info| info.marks.deletion_mark());
    if mark.is_some_and(|mark| !mark.is_by_retention()) {
        return false;
    }
    let coarser = |meta: &Meta| {
        meta.thanos.downsample.resolution > old.thanos.downsample.resolution
            && meta.thanos.labels == old.thanos.labels
    };
    let holders = serving.values().map(|block| &*block.meta);
    let held: BTreeSet<&BlockId> = { holders.filter(|meta| coarser(meta)) }
        .flat_map(|meta| meta.sources())
        .collect();
    let missing = |source: &BlockId| !held.contains(source);
    let known = view.blocks.iter().any(|(id, info)| {
        let holds = |source: &BlockId| missing(source) && old.sources().contains(source);
        let counts = !selection.excluded.contains_key(id) && !serving.contains_key(id);
        counts && coarser(&info.meta) && info.meta.sources().iter().any(holds)
    });
    let downsampled = { view.blocks.values() }.any(|info| coarser(&info.meta));
    known || (!whole && downsampled && old.sources().iter().any(missing))
}

/// The blocks that went into one, as far as its metadata name them.
fn inputs(meta: &Meta) -> impl Iterator<Item = BlockId> {
    let parents = meta.compaction.parents.iter().map(|parent| parent.id);
    let sources = meta.compaction.sources.iter().copied();
    parents.chain(sources).filter(|id| *id != meta.id)
}

/// Whether two versions of a `meta.json` describe different objects.
fn is_another_block(loaded: &Meta, now: &Meta) -> bool {
    loaded != now
}
