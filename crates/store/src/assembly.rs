//! Puts the store gateway together from its settings and from what the process gives it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rutile_blockio::{BlockEnv, HeaderBudget, IndexCache};
use rutile_disk::{AsyncDisk, Disk};
use rutile_fetcher::{Fetcher, FetcherConfig, FilterChain, Parts as FetcherParts, Scope};
use rutile_objstore::BucketReader;
use rutile_runtime::{Clock, CpuPool, Ledger, TaskGroup};
use rutile_telemetry::Registry;

use crate::gateway::{Gateway, GatewayConfig, Serving};
use crate::metrics::{HeaderMetrics, Metrics};
use crate::sync::{SyncConfig, Syncer};
use crate::{Error, Result};

/// Heap that open index-headers may take; mapped ones hardly count.
const OPEN_HEADER_BYTES: u64 = 64 * 1024 * 1024;

/// The settings of a store gateway.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// How blocks are found.
    pub fetcher: FetcherConfig,
    /// Which part of the bucket it serves.
    pub scope: Scope,
    /// How blocks are loaded.
    pub sync: SyncConfig,
    /// How calls are answered.
    pub gateway: GatewayConfig,
    /// Every how manieth label value of an index-header is kept resident.
    pub header_sampling: usize,
    /// The most that is read for a series entry of unknown length, bytes.
    pub max_series_bytes: u64,
    /// The most that is read for a chunk of unknown length, bytes.
    pub max_chunk_bytes: u64,
}

/// What a store gateway works with.
#[derive(Debug)]
pub struct Parts {
    /// The bucket; the store cannot write to it.
    pub bucket: Arc<dyn BucketReader>,
    /// Its folder, if index-headers and metadata are to survive a restart.
    pub disk: Option<Arc<dyn Disk>>,
    /// The index cache.
    pub index_cache: Arc<dyn IndexCache>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// CPU-bound and blocking work.
    pub cpu: CpuPool,
    /// The memory of the process.
    pub ledger: Ledger,
    /// Metrics.
    pub registry: Registry,
}

/// A store gateway, ready to sync and to answer.
#[derive(Debug)]
pub struct Store {
    /// Answers calls.
    pub gateway: Arc<Gateway>,
    /// Keeps what is served in step with the bucket.
    pub syncer: Arc<Syncer>,
}

impl Store {
    /// Puts it together; nothing is read yet. Its tasks run in `tasks`.
    ///
    /// # Errors
    /// `Invalid` for settings that contradict each other.
    pub fn build(parts: Parts, config: StoreConfig, tasks: &TaskGroup) -> Result<Self> {
        if config.sync.concurrency == 0 {
            let message = "--block-sync-concurrency must be at least 1";
            return Err(Error::Setting(message.to_owned()));
        }
        let metrics = Arc::new(Metrics::new(&parts.registry));
        let header_metrics = Arc::new(HeaderMetrics::new(&parts.registry));
        let contract = config.gateway.contract;
        let fetcher_parts = FetcherParts {
            bucket: Arc::clone(&parts.bucket),
            clock: Arc::clone(&parts.clock),
            disk: parts
                .disk
                .clone()
                .map(|disk| AsyncDisk::new(disk, parts.cpu.clone())),
        };
        let fetcher = Fetcher::new(fetcher_parts, config.fetcher, &parts.registry)?;
        fetcher.metrics().show_delays(&contract);
        let env = Arc::new(BlockEnv {
            bucket: parts.bucket,
            disk: parts.disk,
            cache: parts.index_cache,
            cpu: parts.cpu.clone(),
            header_budget: Arc::new(HeaderBudget::new(OPEN_HEADER_BYTES)),
            sampling: config.header_sampling,
            max_series_bytes: config.max_series_bytes,
            max_chunk_bytes: config.max_chunk_bytes,
            observer: Arc::clone(&header_metrics) as _,
        });
        let serving = Arc::new(ArcSwap::from_pointee(Serving::default()));
        let gateway = Gateway::new(
            Arc::clone(&serving),
            config.gateway,
            Arc::clone(&metrics),
            parts.ledger,
            parts.cpu,
            Arc::clone(&parts.clock),
            tasks.spawner(),
        );
        let syncer = Syncer {
            fetcher,
            chain: FilterChain::for_store(config.scope, contract),
            env,
            config: config.sync,
            serving,
            metrics,
            header_metrics,
            clock: parts.clock,
            fresh_since: Mutex::default(),
        };
        Ok(Self {
            gateway: Arc::new(gateway),
            syncer: Arc::new(syncer),
        })
    }
}

impl Syncer {
    /// Syncs again and again, `interval` after the last one ended, and closes idle headers between.
    /// Runs until it is dropped. A failed sync is logged and counted; what is served stays.
    pub async fn run(&self, interval: Duration) {
        let idle_check = self
            .config
            .close_idle_after
            .map_or(interval, |idle| idle / 10);
        let mut since_sync = Duration::ZERO;
        loop {
            let wait =
                idle_check.clamp(Duration::from_secs(1), interval.max(Duration::from_secs(1)));
            tokio::time::sleep(wait).await;
            self.close_idle_headers();
            since_sync += wait;
            if since_sync < interval {
                continue;
            }
            since_sync = Duration::ZERO;
            if let Err(error) = self.sync().await {
                tracing::warn!(%error, "syncing blocks failed: what is served stays as it is");
            }
        }
    }
}
