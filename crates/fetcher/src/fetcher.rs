//! Looking at the bucket: one immutable view after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{FutureExt, StreamExt, stream};
use parking_lot::Mutex;
use rutile_block::{BlockId, MarkKind};
use rutile_disk::AsyncDisk;
use rutile_objstore::BucketReader;
use rutile_runtime::{Clock, Moment};
use rutile_telemetry::Registry;

use crate::findings::Findings;
use crate::flight::Flight;
use crate::load::{Known, Loaded, Loader};
use crate::{BlockInfo, Error, FetcherMetrics, FilterChain, Result, Selection, View, cache, list};

/// How blocks are found (`--block-discovery-strategy`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ListStrategy {
    /// List the root, then ask for each block's objects, many at a time.
    #[default]
    Concurrent,
    /// List everything at once.
    Recursive,
}

/// The settings of a fetcher.
#[derive(Debug, Clone)]
pub struct FetcherConfig {
    /// How blocks are found.
    pub strategy: ListStrategy,
    /// How many blocks are looked at at a time (`--block-meta-fetch-concurrency`).
    pub concurrency: usize,
    /// Which marks to look for besides deletion marks.
    pub more_marks: Vec<MarkKind>,
}

impl Default for FetcherConfig {
    fn default() -> Self {
        Self {
            strategy: ListStrategy::default(),
            concurrency: 32,
            more_marks: Vec::new(),
        }
    }
}

/// What a fetcher works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The bucket.
    pub bucket: Arc<dyn BucketReader>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The process's folder, if metadata is to survive a restart. The cache lies in `meta-syncer/`.
    pub disk: Option<AsyncDisk>,
}

/// Looks at a bucket and remembers what it saw.
#[derive(Debug)]
pub struct Fetcher {
    inner: Arc<Inner>,
    flight: Flight<Result<Arc<View>>>,
    reported: Mutex<Findings>,
}

#[derive(Debug)]
struct Inner {
    parts: Parts,
    config: FetcherConfig,
    loader: Loader,
    metrics: FetcherMetrics,
    latest: Mutex<Option<Arc<View>>>,
    /// Whether the cache on disk lacks something that the latest view has.
    unsaved: AtomicBool,
}

impl Fetcher {
    /// A fetcher that has not looked yet. Makes its metrics, so once for each registry.
    ///
    /// # Errors
    /// `Invalid` when the concurrency is 0.
    pub fn new(parts: Parts, config: FetcherConfig, registry: &Registry) -> Result<Self> {
        if config.concurrency == 0 {
            let message = "the concurrency of fetching metadata must be at least 1: change --block-meta-fetch-concurrency";
            return Err(Error::setting(message.to_owned()));
        }
        let metrics = FetcherMetrics::new(registry);
        let mut kinds = vec![MarkKind::Deletion];
        kinds.extend(
            config
                .more_marks
                .iter()
                .filter(|kind| **kind != MarkKind::Deletion),
        );
        let loader = Loader {
            bucket: Arc::clone(&parts.bucket),
            kinds,
            cache_busts: metrics.cache_busts.clone(),
            labels: Mutex::default(),
        };
        let inner = Inner {
            parts,
            config,
            loader,
            metrics,
            latest: Mutex::default(),
            unsaved: AtomicBool::new(false),
        };
        Ok(Self {
            inner: Arc::new(inner),
            flight: Flight::new(),
            reported: Mutex::default(),
        })
    }

    /// Looks at the bucket. Calls that come while one is under way share its view.
    ///
    /// # Errors
    /// When the bucket cannot be listed. What concerns single blocks is part of the view.
    pub async fn fetch(&self) -> Result<Arc<View>> {
        let run = self.flight.join(|| Arc::clone(&self.inner).look().boxed());
        run.await
    }

    /// Looks at the bucket, applies the filters, and shows the outcome in the metrics and the log.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub async fn sync(&self, chain: &FilterChain) -> Result<(Arc<View>, Selection)> {
        self.sync_relying(chain, |_| false).await
    }

    /// As [`Fetcher::sync`], of a look that begins after this call. One that is under way may have stood still for long.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub async fn sync_anew(&self, chain: &FilterChain) -> Result<(Arc<View>, Selection)> {
        self.flight.pass().await;
        self.sync(chain).await
    }

    /// As [`Fetcher::sync`], for a reader that relies on some blocks already; see
    /// [`FilterChain::apply_relying`].
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub async fn sync_relying(
        &self,
        chain: &FilterChain,
        relied_on: impl Fn(BlockId) -> bool,
    ) -> Result<(Arc<View>, Selection)> {
        let metrics = &self.inner.metrics;
        metrics.syncs.inc();
        let timer = metrics.sync_duration.start_timer();
        let fetched = self.fetch().await;
        let failed = fetched.as_ref().map_or(true, |view| !view.complete);
        metrics.sync_failures.inc_by(u64::from(failed));
        let view = fetched?;
        let now_ms = self.inner.parts.clock.now_ms();
        let selection = chain.apply_relying(&view, now_ms, relied_on);
        timer.observe_duration();
        metrics.publish(&view, &selection);
        self.report(&view, &selection);
        Ok((view, selection))
    }

    /// The last view, if there is one.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<View>> {
        self.inner.latest.lock().clone()
    }

    /// The metrics, for who applies filters without [`Fetcher::sync`].
    #[must_use]
    pub fn metrics(&self) -> &FetcherMetrics {
        &self.inner.metrics
    }

    /// Writes the metadata of the last view to disk if something changed. Apart from fetching, so
    /// that nobody waits for it who wants to serve.
    ///
    /// # Errors
    /// What the disk says. Nothing is lost but the next start's speed.
    pub async fn save_cache(&self) -> rutile_disk::Result<()> {
        let (Some(disk), Some(view)) = (&self.inner.parts.disk, self.latest()) else {
            return Ok(());
        };
        if !self.inner.unsaved.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let written = disk.run(move |disk| cache::write(disk, &view)).await;
        if written.is_err() {
            self.inner.unsaved.store(true, Ordering::SeqCst);
        }
        written
    }

    /// Counts and logs each finding when it is new, not at every sync.
    fn report(&self, view: &View, selection: &Selection) {
        let now = Findings::of(view, selection);
        let mut reported = self.reported.lock();
        for ((clause, block), message) in now.new_since(&reported) {
            tracing::warn!(%clause, %block, "{message}");
            self.inner.metrics.contract_event(*clause, 1);
        }
        *reported = now;
    }
}

impl Inner {
    async fn look(self: Arc<Self>) -> Result<Arc<View>> {
        self.metrics.base_syncs.inc();
        let fetched_at = Moment::now(&*self.parts.clock);
        let before = self.latest.lock().clone();
        let mut cached = match &before {
            Some(_) => BTreeMap::new(),
            None => self.read_cache().await,
        };
        let bucket = &*self.parts.bucket;
        let mut listed = match self.config.strategy {
            ListStrategy::Concurrent => list::shallow(bucket).await,
            ListStrategy::Recursive => list::deep(bucket).await,
        }
        .map_err(Error::listing)?;
        // What the last view had and the listing lacks is asked for: listings may lag.
        let known = before.iter().flat_map(|view| view.blocks.keys());
        let missing: BTreeSet<BlockId> = known
            .filter(|id| !listed.contains_key(id))
            .copied()
            .collect();
        listed.extend(missing.iter().map(|id| (*id, None)));
        let work: Vec<_> = listed
            .into_iter()
            .map(|(id, seen)| {
                let viewed = before
                    .as_ref()
                    .and_then(|view| view.blocks.get(&id))
                    .cloned();
                (
                    id,
                    seen,
                    Known {
                        viewed,
                        cached: cached.remove(&id),
                    },
                )
            })
            .collect();
        let mut outcomes = stream::iter(work)
            .map(|(id, seen, known)| {
                let this = Arc::clone(&self);
                async move { (id, this.loader.load(id, seen, known).await) }
            })
            .buffer_unordered(self.config.concurrency);
        let mut view = View {
            fetched_at,
            ..View::default()
        };
        while let Some((id, loaded)) = outcomes.next().await {
            match loaded {
                Loaded::Partial(_) if missing.contains(&id) => view.vanished.push(id),
                loaded => insert(&mut view, id, loaded),
            }
        }
        drop(outcomes);
        Ok(self.finish(view, before.as_deref()))
    }

    /// Makes the view the latest one.
    fn finish(&self, mut view: View, before: Option<&View>) -> Arc<View> {
        view.complete = !view.bad.values().any(|bad| bad.reason.is_passing());
        let was_marked = |id: &BlockId| {
            before
                .and_then(|b| b.blocks.get(id))
                .is_some_and(|info| info.marks.deletion.is_there())
        };
        view.vanished.retain(|id| !was_marked(id));
        view.vanished.sort_unstable();
        let same = |a: &BlockInfo, b: &BlockInfo| Arc::ptr_eq(&a.meta, &b.meta);
        let unchanged = before.is_some_and(|before| {
            before.blocks.len() == view.blocks.len()
                && before
                    .blocks
                    .iter()
                    .zip(&view.blocks)
                    .all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        });
        if !unchanged {
            self.unsaved.store(true, Ordering::SeqCst);
            self.forget_labels(&view);
        }
        let view = Arc::new(view);
        *self.latest.lock() = Some(Arc::clone(&view));
        view
    }

    /// Label sets of blocks that are gone go too, once they are the greater part.
    fn forget_labels(&self, view: &View) {
        let mut labels = self.loader.labels.lock();
        if labels.len() > 2 * view.blocks.len() + 1024 {
            *labels = view
                .blocks
                .values()
                .map(|info| info.meta.thanos.labels.clone())
                .collect();
        }
    }

    async fn read_cache(self: &Arc<Self>) -> BTreeMap<BlockId, BlockInfo> {
        let Some(disk) = &self.parts.disk else {
            return BTreeMap::new();
        };
        let this = Arc::clone(self);
        let read = disk.run(move |disk| cache::read(disk, &this.loader)).await;
        read.unwrap_or_else(|error| {
            tracing::warn!(%error, "the metadata cache is not used");
            BTreeMap::new()
        })
    }
}

fn insert(view: &mut View, id: BlockId, loaded: Loaded) {
    match loaded {
        Loaded::Block(info) => {
            view.blocks.insert(id, info);
        }
        Loaded::Partial(partial) => {
            view.partial.insert(id, partial);
        }
        Loaded::Bad(bad, before) => {
            if let Some(info) = before {
                view.blocks.insert(id, info);
            }
            view.bad.insert(id, bad);
        }
    }
}
