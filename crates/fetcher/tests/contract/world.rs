//! A bucket that misbehaves on demand, with a fetcher before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use rutile_block::{
    BlockId, Contract, Mark, MarkKind, Meta, Source, UploadTime, file_key, mark_key, meta_key,
};
use rutile_disk::{AsyncDisk, MemoryDisk};
use rutile_fetcher::{
    Fetcher, FetcherConfig, FilterChain, ListStrategy, Parts, Scope, Selection, View,
};
use rutile_model::Labels;
use rutile_objstore::fake::{FaultyBucket, MemoryBucket};
use rutile_runtime::{CpuPool, ManualClock};
use rutile_telemetry::Registry;

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// When every test begins.
pub(crate) const START: i64 = 1_767_250_000_000;
pub(crate) const STRATEGIES: [ListStrategy; 2] =
    [ListStrategy::Concurrent, ListStrategy::Recursive];

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) memory: MemoryBucket,
    pub(crate) bucket: FaultyBucket,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) registry: Registry,
    pub(crate) disk: MemoryDisk,
    strategy: ListStrategy,
}

impl World {
    pub(crate) fn new(strategy: ListStrategy) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let memory = MemoryBucket::new(clock.clone());
        let (registry, disk) = (Registry::new(), MemoryDisk::new());
        let bucket = FaultyBucket::new(Arc::new(memory.clone()));
        let fetcher = Arc::new(fetcher(strategy, &bucket, &clock, &disk, &registry));
        Self {
            clock,
            memory,
            bucket,
            fetcher,
            registry,
            disk,
            strategy,
        }
    }

    /// The same bucket and disk, a new process.
    pub(crate) fn restart(&mut self) {
        self.registry = Registry::new();
        self.fetcher = Arc::new(fetcher(
            self.strategy,
            &self.bucket,
            &self.clock,
            &self.disk,
            &self.registry,
        ));
    }

    /// Puts a whole block into the bucket.
    pub(crate) fn add(&self, meta: &Meta) {
        let now = self.now();
        self.memory
            .insert(file_key(meta.id, "chunks/000001"), vec![1; 10], now);
        self.memory
            .insert(file_key(meta.id, "index"), vec![2; 10], now);
        self.memory.insert(meta_key(meta.id), meta.to_json(), now);
    }

    pub(crate) fn mark(&self, id: BlockId, details: &str) {
        let mark = Mark::new(MarkKind::Deletion, id, "", details, self.now());
        self.memory
            .insert(mark_key(id, MarkKind::Deletion), mark.to_json(), self.now());
    }

    pub(crate) fn remove(&self, id: BlockId) {
        let prefix = format!("{id}/");
        for key in self
            .memory
            .keys()
            .iter()
            .filter(|key| key.starts_with(&prefix))
        {
            self.memory.remove(key);
        }
    }

    pub(crate) fn now(&self) -> i64 {
        rutile_runtime::Clock::now_ms(&*self.clock)
    }

    pub(crate) async fn view(&self) -> Arc<View> {
        self.fetcher.fetch().await.unwrap()
    }

    /// What a store gateway with default settings makes of the bucket now.
    pub(crate) async fn sync(&self) -> Selection {
        let chain = FilterChain::for_store(Scope::default(), Contract::default());
        self.fetcher.sync(&chain).await.unwrap().1
    }

    /// The value of a metric, as it is scraped.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let page = self.registry.render();
        let line = page.lines().find(|line| {
            line.strip_prefix(series)
                .is_some_and(|v| v.starts_with(' '))
        });
        line.map_or(0.0, |line| {
            line.rsplit(' ').next().unwrap().parse().unwrap()
        })
    }

    pub(crate) fn events(&self, clause: &str) -> f64 {
        self.metric(&format!(
            "rutile_contract_events_total{{clause=\"{clause}\"}}"
        ))
    }
}

fn fetcher(
    strategy: ListStrategy,
    bucket: &FaultyBucket,
    clock: &Arc<ManualClock>,
    disk: &MemoryDisk,
    registry: &Registry,
) -> Fetcher {
    let parts = Parts {
        bucket: Arc::new(bucket.clone()),
        clock: clock.clone(),
        disk: Some(AsyncDisk::new(Arc::new(disk.clone()), CpuPool::inline())),
    };
    let config = FetcherConfig {
        strategy,
        more_marks: vec![MarkKind::NoCompact, MarkKind::NoDownsample],
        ..FetcherConfig::default()
    };
    Fetcher::new(parts, config, registry).unwrap()
}

pub(crate) fn id(n: u8) -> BlockId {
    BlockId::from_parts(
        u64::try_from(START - 10 * HOUR).unwrap() + u64::from(n),
        [n; 10],
    )
}

pub(crate) fn ids(numbers: &[u8]) -> BTreeSet<BlockId> {
    numbers.iter().map(|n| id(*n)).collect()
}

/// A block of the sidecar (one source: itself) or of the compactor.
pub(crate) fn block(n: u8, sources: &[u8]) -> Meta {
    let mut meta = Meta::new(id(n));
    (meta.min_time, meta.max_time) = (0, 7_200_000);
    meta.compaction.sources = sources.iter().map(|n| id(*n)).collect();
    meta.thanos.labels = Labels::from([("cluster", "eu1"), ("replica", "a")]);
    meta.thanos.source = if sources.len() > 1 {
        Source::Compactor
    } else {
        Source::Sidecar
    };
    meta.thanos.upload_time = UploadTime::from_ms(START - HOUR);
    meta
}
