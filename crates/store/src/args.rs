//! The flags of the store gateway: names, defaults and meaning are Thanos's.

use std::time::Duration;

use clap::{Args, ValueEnum};
use rutile_block::{Contract, MarkKind};
use rutile_cache::CachingBucketConfig;
use rutile_fetcher::filter::label_shard::LabelShard;
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_fetcher::{FetcherConfig, ListStrategy, Scope};
use rutile_model::{ByteSize, GoDuration, PromDuration, TimeOrDuration};
use rutile_server::{Failure, GrpcArgs, HttpArgs, PathOrContent, RequestLogging, config_flag};

use crate::{CallLimits, GatewayConfig, HeaderDownload, StoreConfig, SyncConfig};

/// All flags of `rutile-store` but those that every component has.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
    #[command(flatten)]
    pub(crate) bucket: BucketArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) sync: SyncArgs,
    #[command(flatten)]
    pub(crate) header: HeaderArgs,
    #[command(flatten)]
    pub(crate) web: WebArgs,
}

config_flag!(
    /// The bucket.
    Objstore, "objstore.config", "the bucket, with $(VAR) from the environment", REQUIRED
);
config_flag!(
    /// Not supported yet.
    ParquetObjstore, "objstore-parquet.config", "a bucket with Parquet blocks (not supported yet)"
);
config_flag!(
    /// The index cache.
    IndexCache, "index-cache.config", "the index cache"
);
config_flag!(
    /// The bucket cache.
    CachingBucket, "store.caching-bucket.config", "the bucket cache", HIDDEN
);
config_flag!(
    /// The shard.
    Selector, "selector.relabel-config",
    "relabelling (keep, drop, hashmod) of external labels and __block_id: blocks without a label \
     left belong to another shard"
);
/// Where the data are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct BucketArgs {
    #[command(flatten)]
    pub(crate) objstore: PathOrContent<Objstore>,
    #[command(flatten)]
    pub(crate) parquet: PathOrContent<ParquetObjstore>,
    /// Local folder for caches: index-headers and metadata. What is lost is made again.
    #[arg(long, default_value = "./data", value_name = "PATH")]
    pub(crate) data_dir: String,
    /// Keep index-headers and metadata in --data-dir; without it they stay in memory.
    #[arg(long, default_value_t = true)]
    pub(crate) cache_index_header: bool,
    /// Size of the index cache in memory, unless --index-cache.config is given.
    #[arg(long, default_value = "250MB", value_name = "SIZE")]
    pub(crate) index_cache_size: ByteSize,
    #[command(flatten)]
    pub(crate) index_cache: PathOrContent<IndexCache>,
    #[command(flatten)]
    pub(crate) caching_bucket: PathOrContent<CachingBucket>,
    /// Accepted for compatibility: memory is bounded by --memory.limit.
    #[arg(long, default_value = "2GB", value_name = "SIZE")]
    pub(crate) chunk_pool_size: ByteSize,
    /// Accepted for compatibility: matchers are compiled in microseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) matcher_cache_size: u64,
    #[command(flatten)]
    pub(crate) request_logging: PathOrContent<RequestLogging>,
}

/// What a call may take.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of a call")]
pub(crate) struct LimitArgs {
    /// Series of a call; 0: no limit.
    #[arg(
        long = "store.limits.request-series",
        alias = "store.grpc.touched-series-limit",
        default_value_t = 0,
        value_name = "N"
    )]
    pub(crate) series: u64,
    /// Samples of a call, counted as chunks of 120; 0: no limit.
    #[arg(
        long = "store.limits.request-samples",
        alias = "store.grpc.series-sample-limit",
        default_value_t = 0,
        value_name = "N"
    )]
    pub(crate) samples: u64,
    /// Bytes that a call reads; 0: no limit.
    #[arg(
        long = "store.grpc.downloaded-bytes-limit",
        default_value = "0",
        value_name = "SIZE"
    )]
    pub(crate) bytes: ByteSize,
    /// Series calls that run at a time; the others wait. 0: no limit.
    #[arg(
        long = "store.grpc.series-max-concurrency",
        default_value_t = 20,
        value_name = "N"
    )]
    pub(crate) concurrency: usize,
    /// Series that are decoded at a time in each block.
    #[arg(
        long = "debug.series-batch-size",
        default_value_t = 10_000,
        hide = true
    )]
    pub(crate) series_batch: usize,
    /// The most that is read for a series entry of unknown length, bytes.
    #[arg(
        long = "debug.estimated-max-series-size",
        default_value_t = 65_536,
        hide = true
    )]
    pub(crate) max_series_size: u64,
    /// The most that is read for a chunk of unknown length, bytes.
    #[arg(
        long = "debug.estimated-max-chunk-size",
        default_value_t = 16_000,
        hide = true
    )]
    pub(crate) max_chunk_size: u64,
    /// Accepted for compatibility: postings are always expanded lazily where that reads less.
    #[arg(long = "store.enable-lazy-expanded-postings")]
    pub(crate) lazy_postings: bool,
    /// Accepted for compatibility, see --store.enable-lazy-expanded-postings.
    #[arg(
        long = "store.posting-group-max-key-series-ratio",
        default_value_t = 100.0,
        value_name = "R"
    )]
    pub(crate) posting_group_ratio: f64,
}

/// How blocks are found, and which of them count.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Blocks")]
pub(crate) struct SyncArgs {
    /// How often the bucket is looked at.
    #[arg(long, default_value = "15m", value_name = "DURATION")]
    pub(crate) sync_block_duration: GoDuration,
    /// concurrent: list the root, then ask for each block; recursive: list everything at once.
    #[arg(long, value_enum, default_value_t = Discovery::Concurrent, value_name = "STRATEGY")]
    pub(crate) block_discovery_strategy: Discovery,
    /// Blocks that are loaded at a time.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) block_sync_concurrency: usize,
    /// Metadata that are fetched at a time.
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub(crate) block_meta_fetch_concurrency: usize,
    /// Minimum age of a block before it is served.
    #[arg(long, default_value = "0s", value_name = "DURATION")]
    pub(crate) consistency_delay: PromDuration,
    /// How long a block that is marked for deletion is still served, at the least.
    #[arg(long, default_value = "24h", value_name = "DURATION")]
    pub(crate) ignore_deletion_marks_delay: PromDuration,
    /// The compactor's --delete-delay; it only serves to check that the delays fit together.
    #[arg(long, default_value = "48h", value_name = "DURATION")]
    pub(crate) delete_delay: PromDuration,
    /// Refuse to start with delays that do not fit together.
    #[arg(long = "contract.strict")]
    pub(crate) contract_strict: bool,
    /// Start of the time that is served: RFC 3339, or relative to now such as -6w.
    #[arg(
        long,
        default_value = "0000-01-01T00:00:00Z",
        allow_hyphen_values = true,
        value_name = "TIME"
    )]
    pub(crate) min_time: TimeOrDuration,
    /// End of the time that is served: RFC 3339, or relative to now such as -2h.
    #[arg(
        long,
        default_value = "9999-12-31T23:59:59Z",
        allow_hyphen_values = true,
        value_name = "TIME"
    )]
    pub(crate) max_time: TimeOrDuration,
    #[command(flatten)]
    pub(crate) selector: PathOrContent<Selector>,
}

/// How blocks are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Discovery {
    Concurrent,
    Recursive,
}

/// When index-headers are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Download {
    Eager,
    Lazy,
}

/// Index-headers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Index-headers")]
pub(crate) struct HeaderArgs {
    /// Close index-headers that no query asked for in a while. They are always opened when needed.
    #[arg(long = "store.enable-index-header-lazy-reader")]
    pub(crate) lazy_reader: bool,
    /// After how long without a query an index-header is closed.
    #[arg(
        long = "store.index-header-lazy-reader-idle-timeout",
        default_value = "5m",
        hide = true
    )]
    pub(crate) idle_timeout: GoDuration,
    /// Fetch index-headers when a block is added (eager) or when a query needs them (lazy).
    #[arg(
        long = "store.index-header-lazy-download-strategy",
        value_enum,
        default_value_t = Download::Eager,
        value_name = "STRATEGY"
    )]
    pub(crate) download: Download,
    /// Every how manieth label value of an index-header is kept resident.
    #[arg(
        long = "store.index-header-posting-offsets-in-mem-sampling",
        default_value_t = 32,
        hide = true
    )]
    pub(crate) sampling: usize,
}

/// The pages.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Web")]
pub(crate) struct WebArgs {
    /// No pages and no HTTP API.
    #[arg(long = "web.disable")]
    pub(crate) disable: bool,
    /// Prefix of all links of the pages.
    #[arg(
        long = "web.external-prefix",
        default_value = "",
        value_name = "PREFIX"
    )]
    pub(crate) external_prefix: String,
    /// Request header that holds the prefix of all links.
    #[arg(long = "web.prefix-header", default_value = "", value_name = "HEADER")]
    pub(crate) prefix_header: String,
    /// No CORS headers.
    #[arg(long = "web.disable-cors")]
    pub(crate) disable_cors: bool,
    /// External label that serves as the title of a group of blocks.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) bucket_web_label: String,
    /// Accepted for compatibility: the store cannot write to the bucket.
    #[arg(long)]
    pub(crate) disable_admin_operations: bool,
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::usage(message)
}

impl StoreArgs {
    /// The settings that the flags make.
    ///
    /// # Errors
    /// A failure that says which flag to change.
    pub(crate) fn config(&self, now_ms: i64) -> Result<StoreConfig, Failure> {
        self.check(now_ms)?;
        let sync = &self.sync;
        let contract = self.contract()?;
        Ok(StoreConfig {
            fetcher: FetcherConfig {
                strategy: match sync.block_discovery_strategy {
                    Discovery::Concurrent => ListStrategy::Concurrent,
                    Discovery::Recursive => ListStrategy::Recursive,
                },
                concurrency: sync.block_meta_fetch_concurrency,
                more_marks: vec![MarkKind::NoCompact],
            },
            scope: Scope {
                time: TimePartition {
                    min_time: sync.min_time,
                    max_time: sync.max_time,
                },
                shard: self.shard()?,
            },
            sync: SyncConfig {
                concurrency: sync.block_sync_concurrency,
                header_download: match self.header.download {
                    Download::Eager => HeaderDownload::Eager,
                    Download::Lazy => HeaderDownload::Lazy,
                },
                close_idle_after: Some(self.header.idle_timeout.to_std())
                    .filter(|idle| self.header.lazy_reader && !idle.is_zero()),
            },
            gateway: GatewayConfig {
                limits: CallLimits {
                    series: self.limits.series,
                    samples: self.limits.samples,
                    bytes: self.limits.bytes.bytes(),
                },
                max_concurrency: self.limits.concurrency,
                series_batch: self.limits.series_batch,
                min_time: sync.min_time,
                max_time: sync.max_time,
                contract,
            },
            header_sampling: self.header.sampling,
            max_series_bytes: self.limits.max_series_size,
            max_chunk_bytes: self.limits.max_chunk_size,
        })
    }

    /// Refuses what is not supported or cannot be.
    fn check(&self, now_ms: i64) -> Result<(), Failure> {
        let sync = &self.sync;
        if self.bucket.parquet.is_set() {
            return Err(Failure::unsupported_flag("--objstore-parquet.config"));
        }
        let at_least_one = [
            (sync.block_sync_concurrency, "--block-sync-concurrency"),
            (
                sync.block_meta_fetch_concurrency,
                "--block-meta-fetch-concurrency",
            ),
            (self.limits.series_batch, "--debug.series-batch-size"),
            (
                self.header.sampling,
                "--store.index-header-posting-offsets-in-mem-sampling",
            ),
        ];
        if let Some((_, flag)) = at_least_one.iter().find(|(value, _)| *value == 0) {
            return Err(invalid(format!("{flag} must be at least 1")));
        }
        if sync.min_time.resolve(now_ms) > sync.max_time.resolve(now_ms) {
            let (min, max) = (&sync.min_time, &sync.max_time);
            return Err(invalid(format!(
                "--min-time {min} is after --max-time {max}: swap them"
            )));
        }
        Ok(())
    }

    /// The delays, checked against each other (BC-9).
    fn contract(&self) -> Result<Contract, Failure> {
        let sync = &self.sync;
        let contract = Contract {
            consistency_delay_ms: sync.consistency_delay.as_ms(),
            ignore_delay_ms: sync.ignore_deletion_marks_delay.as_ms(),
            delete_delay_ms: sync.delete_delay.as_ms(),
            sync_interval_ms: sync.sync_block_duration.as_ms(),
            meta_cache_ttl_ms: self.meta_cache_ttl_ms()?,
            ..Contract::default()
        };
        for violation in contract.check() {
            if sync.contract_strict {
                return Err(invalid(format!("--contract.strict: {violation}")));
            }
            tracing::warn!(
                clause = %violation.clause,
                inequality = violation.inequality,
                values = violation.values,
                advice = violation.advice,
                "the delays do not fit together"
            );
        }
        Ok(contract)
    }

    /// How long the bucket cache may hide that a block came, was marked or went.
    fn meta_cache_ttl_ms(&self) -> Result<i64, Failure> {
        let Some(yaml) = self.bucket.caching_bucket.expanded_content()? else {
            return Ok(0);
        };
        let config = CachingBucketConfig::parse(&yaml).map_err(|error| {
            Failure::new(error.kind(), &error).context("--store.caching-bucket.config")
        })?;
        Ok(config
            .blocks_iter_ttl_ms
            .max(config.metafile_exists_ttl_ms)
            .max(config.metafile_doesnt_exist_ttl_ms))
    }

    fn shard(&self) -> Result<LabelShard, Failure> {
        let yaml = self.sync.selector.expanded_content()?.unwrap_or_default();
        LabelShard::from_yaml(&yaml, Vec::new()).map_err(|error| Failure::new(error.kind(), &error))
    }

    /// How often the bucket is looked at.
    pub(crate) fn sync_interval(&self) -> Duration {
        self.sync.sync_block_duration.to_std()
    }
}
