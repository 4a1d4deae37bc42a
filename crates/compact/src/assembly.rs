//! Puts the compactor together from its settings and from what the process gives it.

use std::sync::Arc;
use std::time::Duration;

use rutile_block::{BlockId, Contract, MarkKind};
use rutile_blockio::{BlockEnv, HeaderBudget, NoCache};
use rutile_dedup::Function;
use rutile_disk::{AsyncDisk, Disk};
use rutile_fetcher::{Fetcher, FetcherConfig, FilterChain, Parts as FetcherParts, Scope};
use rutile_lifecycle::{HashFunc, Leases, Lifecycle};
use rutile_merge::Merger;
use rutile_objstore::{Bucket, BucketReader};
use rutile_runtime::{Clock, CpuPool, Entropy, Ledger, Spawner};
use rutile_telemetry::Registry;

use crate::loadable::Loadable;
use crate::metrics::Metrics;
use crate::plan::Planner;
use crate::progress::Tracker;
use crate::retention::Retention;
use crate::times::Acquitted;
use crate::web::Seen;
use crate::{Compactor, Error, Result};

/// Heap that an index-header may take while a block is tried.
const OPEN_HEADER_BYTES: u64 = 64 * 1024 * 1024;
/// Every how manieth label value of it stays resident: as the store gateway has it by default.
const HEADER_SAMPLING: usize = 32;

/// The settings of a compactor.
#[derive(Debug, Clone)]
pub struct CompactConfig {
    /// How blocks are found.
    pub fetcher: FetcherConfig,
    /// Which part of the bucket it looks after.
    pub scope: Scope,
    /// The delays. The ignore delay is half the delete delay.
    pub contract: Contract,
    /// What to merge.
    pub planner: Planner,
    /// How blocks that overlap are merged; none: they are left alone.
    pub vertical: Option<Function>,
    /// Labels that tell replicas apart: blocks of a group have the same others, outputs have only
    /// these.
    pub replica_labels: Vec<String>,
    /// What to keep.
    pub retention: Retention,
    /// Groups that are worked on at a time.
    pub concurrency: usize,
    /// Blocks that are downsampled at a time.
    pub downsample_concurrency: usize,
    /// Which hashes the outputs record.
    pub hash: HashFunc,
    /// Length of the leases by which work is shared with other compactors; none: there are no others. The bucket must create
    /// objects only where there are none, by one writer at a time.
    pub lease: Option<Duration>,
}

impl CompactConfig {
    fn check(&self) -> Result<()> {
        let counts = [
            (self.concurrency, "--compact.concurrency"),
            (self.downsample_concurrency, "--downsample.concurrency"),
        ];
        match counts.iter().find(|(count, _)| *count == 0) {
            Some((_, flag)) => Err(Error::Setting(format!("{flag} must be at least 1"))),
            None => Ok(()),
        }
    }
}

/// What a compactor works with.
#[derive(Debug)]
pub struct Parts {
    /// The bucket.
    pub bucket: Arc<dyn Bucket>,
    /// Its folder, for metadata and postings that spill.
    pub disk: Arc<dyn Disk>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// For the names of blocks.
    pub entropy: Arc<dyn Entropy>,
    /// CPU-bound work.
    pub cpu: CpuPool,
    /// Local files.
    pub files: CpuPool,
    /// The memory of the process.
    pub ledger: Ledger,
    /// Where the stages of a merge run.
    pub tasks: Spawner,
    /// Metrics.
    pub registry: Registry,
}

impl Compactor {
    /// Puts it together; nothing is read yet.
    ///
    /// # Errors
    /// `Invalid` for settings that cannot be.
    pub fn build(parts: Parts, config: CompactConfig) -> Result<Self> {
        config.check()?;
        let reader: Arc<dyn BucketReader> = Arc::<dyn Bucket>::clone(&parts.bucket);
        let files = AsyncDisk::new(Arc::clone(&parts.disk), parts.files.clone());
        let fetcher_parts = FetcherParts {
            bucket: Arc::clone(&reader),
            clock: Arc::clone(&parts.clock),
            disk: Some(files.clone()),
        };
        let fetcher_config = FetcherConfig {
            more_marks: vec![MarkKind::NoCompact, MarkKind::NoDownsample],
            ..config.fetcher
        };
        let lifecycle = Lifecycle::new(
            Arc::clone(&parts.bucket),
            Arc::clone(&parts.clock),
            config.contract,
            &parts.registry,
        );
        let leases = config.lease.map(|length| {
            let name = BlockId::generate(parts.clock.now_ms(), &*parts.entropy);
            Leases::new(lifecycle.clone(), name, length)
        });
        let merger = Merger {
            bucket: Arc::clone(&reader),
            lifecycle: lifecycle.clone(),
            pool: parts.cpu,
            spawner: parts.tasks,
            ledger: parts.ledger,
            scratch: files,
            hash: config.hash,
        };
        let headers = BlockEnv {
            bucket: reader,
            disk: Some(parts.disk),
            cache: Arc::new(NoCache),
            cpu: parts.files,
            header_budget: Arc::new(HeaderBudget::new(OPEN_HEADER_BYTES)),
            sampling: HEADER_SAMPLING,
            max_series_bytes: 0,
            max_chunk_bytes: 0,
            observer: Arc::new(()),
        };
        let fetcher = Fetcher::new(fetcher_parts, fetcher_config, &parts.registry)?;
        fetcher.metrics().show_delays(&config.contract);
        Ok(Self {
            fetcher,
            chain: FilterChain::for_compact(config.scope, config.contract, config.replica_labels),
            bucket: parts.bucket,
            lifecycle,
            leases,
            merger,
            loadable: Loadable::new(headers),
            acquitted: Acquitted::default(),
            planner: config.planner.with_vertical(config.vertical.is_some()),
            vertical: config.vertical,
            retention: config.retention,
            contract: config.contract,
            concurrency: config.concurrency,
            downsample_concurrency: config.downsample_concurrency,
            metrics: Metrics::new(&parts.registry, &config.contract),
            tracker: Tracker::new(&parts.registry),
            seen: Seen::default(),
            clock: parts.clock,
            entropy: parts.entropy,
            sweeping: tokio::sync::Mutex::new(()),
        })
    }
}
