//! The flags of the compactor: names, defaults and meaning are Thanos's.

use std::time::Duration;

use clap::{Args, ValueEnum};
use rutile_block::{Contract, InvariantId};
use rutile_dedup::Function;
use rutile_fetcher::filter::label_shard::LabelShard;
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_fetcher::{FetcherConfig, ListStrategy, Scope};
use rutile_lifecycle::HashFunc;
use rutile_model::{ByteSize, GoDuration, PromDuration, TimeOrDuration};
use rutile_server::{Failure, HttpArgs, PathOrContent, config_flag};

use crate::CompactConfig;
use crate::component::Pace;
use crate::plan::Planner;
use crate::retention::{DOWNSAMPLE_FIVE_MINUTES_MS, DOWNSAMPLE_RAW_MS, Retention};

/// All flags of `rutile-compact` but those that every component has.
#[derive(Debug, Clone, Args)]
pub struct CompactArgs {
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    blocks: BlockArgs,
    #[command(flatten)]
    merge: MergeArgs,
    #[command(flatten)]
    keep: KeepArgs,
    #[command(flatten)]
    web: WebArgs,
}

/// A lease is renewed four times in its length, each a few requests.
const MIN_LEASE_MS: i64 = 1000;

config_flag!(
    /// The bucket.
    Objstore, "objstore.config", "the bucket, with $(VAR) from the environment", REQUIRED
);
config_flag!(
    /// The shard.
    Selector, "selector.relabel-config",
    "relabelling (keep, drop, hashmod) of external labels and __block_id: blocks without a label left belong to another shard"
);

/// Where the data are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
struct DataArgs {
    #[command(flatten)]
    objstore: PathOrContent<Objstore>,
    /// Local folder for metadata and for what does not fit into memory. What is lost is made again;
    /// blocks are never copied to it.
    #[arg(long, default_value = "./data", value_name = "PATH")]
    data_dir: String,
    /// Hash that the files of new blocks are recorded with.
    #[arg(long, default_value = "", value_parser = ["", "SHA256"], value_name = "FUNC")]
    hash_func: String,
}

/// How often things are done.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Loop")]
struct PaceArgs {
    /// Go on for ever; without it one iteration is all, and the process ends with what failed in it.
    #[arg(long, short = 'w')]
    wait: bool,
    /// Time between two iterations.
    #[arg(long, default_value = "5m", value_name = "DURATION")]
    wait_interval: GoDuration,
    /// Time between two clean-ups beside the iterations, with --wait; 0: none.
    #[arg(
        long = "compact.cleanup-interval",
        default_value = "5m",
        value_name = "DURATION"
    )]
    cleanup_interval: GoDuration,
    /// Time between two looks at the bucket for the thanos_compact_todo metrics beside the
    /// iterations, with --wait; 0: none.
    #[arg(
        long = "compact.progress-interval",
        default_value = "5m",
        value_name = "DURATION"
    )]
    progress_interval: GoDuration,
}

/// How blocks are found, and which of them count.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Blocks")]
struct BlockArgs {
    /// Minimum age of a block before it is compacted, unless a compactor made it.
    #[arg(long, default_value = "30m", value_name = "DURATION")]
    consistency_delay: PromDuration,
    /// concurrent: list the root, then ask for each block; recursive: list everything at once.
    #[arg(long, value_enum, default_value_t = Discovery::Concurrent, value_name = "STRATEGY")]
    block_discovery_strategy: Discovery,
    /// Metadata that are fetched at a time.
    #[arg(long, default_value_t = 32, value_name = "N")]
    block_meta_fetch_concurrency: usize,
    /// Accepted for compatibility: blocks are not copied, reads and writes overlap by themselves.
    #[arg(long, default_value_t = 1, value_name = "N")]
    block_files_concurrency: usize,
    /// Start of the time that is looked after: RFC 3339, or relative to now such as -6w.
    #[arg(
        long,
        default_value = "0000-01-01T00:00:00Z",
        allow_hyphen_values = true,
        value_name = "TIME"
    )]
    min_time: TimeOrDuration,
    /// End of the time that is looked after: RFC 3339, or relative to now such as -2h.
    #[arg(
        long,
        default_value = "9999-12-31T23:59:59Z",
        allow_hyphen_values = true,
        value_name = "TIME"
    )]
    max_time: TimeOrDuration,
    #[command(flatten)]
    selector: PathOrContent<Selector>,
}

/// How blocks are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Discovery {
    Concurrent,
    Recursive,
}

/// What is merged, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Compaction")]
struct MergeArgs {
    /// Groups of blocks that are compacted at a time.
    #[arg(long = "compact.concurrency", default_value_t = 1, value_name = "N")]
    concurrency: usize,
    /// Length of the leases by which compactors on one bucket share the work: what one holds is taken over when it has not renewed
    /// its lease for so long; 0: there is one compactor only.
    #[arg(
        long = "compact.lease-duration",
        default_value = "1m",
        value_name = "DURATION"
    )]
    lease_duration: GoDuration,
    /// Accepted for compatibility: blocks are not downloaded.
    #[arg(
        long = "compact.blocks-fetch-concurrency",
        default_value_t = 1,
        value_name = "N"
    )]
    fetch_concurrency: usize,
    /// Merge blocks that overlap. With --deduplication.replica-label they are merged anyway.
    #[arg(long = "compact.enable-vertical-compaction", hide = true)]
    vertical: bool,
    /// Largest index that a compaction may yield; a block with which it would is marked no-compact.
    #[arg(
        long = "compact.block-max-index-size",
        default_value = "64GB",
        hide = true,
        value_name = "SIZE"
    )]
    max_index_size: ByteSize,
    /// Accepted for compatibility: such blocks are always marked no-compact.
    #[arg(long = "compact.skip-block-with-out-of-order-chunks", hide = true)]
    skip_out_of_order: bool,
    /// How blocks that overlap are merged: empty: all samples of all of them; penalty, replica: those of one
    /// replica at a time (see docs/deduplication.md).
    #[arg(
        long = "deduplication.func",
        default_value = "",
        value_parser = ["", "penalty", "replica"],
        value_name = "FUNC"
    )]
    dedup_func: String,
    /// Label that tells replicas apart, repeatable, with commas: blocks that differ only there are merged, and
    /// lose it. What was merged cannot be taken apart again.
    #[arg(long = "deduplication.replica-label", value_name = "NAME")]
    replica_label: Vec<String>,
    /// Downsample nothing, and do not expect that anybody does: retention waits for nothing.
    #[arg(long = "downsampling.disable")]
    downsampling_disable: bool,
    /// Blocks that are downsampled at a time.
    #[arg(long = "downsample.concurrency", default_value_t = 1, value_name = "N")]
    downsample_concurrency: usize,
    /// Accepted for compatibility: nothing halts.
    #[arg(long = "debug.halt-on-error", default_value_t = true, hide = true)]
    halt_on_error: bool,
    /// Accept labels that are out of order (not supported yet).
    #[arg(long = "debug.accept-malformed-index", hide = true)]
    accept_malformed_index: bool,
    /// Up to which of the ranges 2h, 8h, 2d, 14d blocks are merged: 1 to 4; 0: not at all.
    #[arg(
        long = "debug.max-compaction-level",
        default_value_t = Planner::MAX_LEVEL,
        hide = true,
        value_name = "LEVEL"
    )]
    max_level: usize,
}

impl MergeArgs {
    /// How blocks that overlap are merged, if they are.
    fn vertical(&self) -> Option<Function> {
        let vertical = self.vertical || !self.replica_labels().is_empty();
        let function = match self.dedup_func.as_str() {
            "penalty" => Function::Penalty,
            "replica" => Function::Replica,
            _ => Function::Chain,
        };
        vertical.then_some(function)
    }

    fn replica_labels(&self) -> Vec<String> {
        replica_labels(&self.replica_label)
    }
}

/// The names of replica labels that stand in the values of a flag, separated by commas.
#[must_use]
pub fn replica_labels(values: &[String]) -> Vec<String> {
    let names = values.iter().flat_map(|text| text.split(','));
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// How long things are kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retention and deletion")]
struct KeepArgs {
    /// How long raw samples are kept; 0d: for ever.
    #[arg(
        long = "retention.resolution-raw",
        default_value = "0d",
        value_name = "DURATION"
    )]
    raw: PromDuration,
    /// How long samples of five minutes are kept; 0d: for ever.
    #[arg(
        long = "retention.resolution-5m",
        default_value = "0d",
        value_name = "DURATION"
    )]
    five_minutes: PromDuration,
    /// How long samples of one hour are kept; 0d: for ever.
    #[arg(
        long = "retention.resolution-1h",
        default_value = "0d",
        value_name = "DURATION"
    )]
    one_hour: PromDuration,
    /// How long after its mark a block is deleted; readers must have let go of it by then.
    #[arg(long, default_value = "48h", value_name = "DURATION")]
    delete_delay: PromDuration,
    /// How old the newest object of an upload must be before it counts as abandoned.
    #[arg(
        long = "debug.partial-upload-age",
        default_value = "48h",
        hide = true,
        value_name = "DURATION"
    )]
    partial_age: PromDuration,
    /// Refuse to start with delays that do not fit together.
    #[arg(long = "contract.strict")]
    contract_strict: bool,
}

/// The block API.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Web")]
pub(crate) struct WebArgs {
    /// Do not serve the block API. It is served with --wait only.
    #[arg(long = "web.disable")]
    disable: bool,
    /// Prefix of all routes (not supported yet).
    #[arg(long = "web.route-prefix", default_value = "", value_name = "PREFIX")]
    route_prefix: String,
    /// Accepted for compatibility: there are no pages yet.
    #[arg(
        long = "web.external-prefix",
        default_value = "",
        value_name = "PREFIX"
    )]
    external_prefix: String,
    /// Accepted for compatibility: there are no pages yet.
    #[arg(long = "web.prefix-header", default_value = "", value_name = "HEADER")]
    prefix_header: String,
    /// Send no CORS headers.
    #[arg(long = "web.disable-cors")]
    pub(crate) disable_cors: bool,
    /// External label that block viewers group blocks by.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) bucket_web_label: String,
    /// Refuse to mark blocks by HTTP.
    #[arg(long)]
    pub(crate) disable_admin_operations: bool,
    /// Time between two looks for the API's global view.
    #[arg(
        long = "block-viewer.global.sync-block-interval",
        default_value = "1m",
        value_name = "DURATION"
    )]
    viewer_interval: GoDuration,
    /// How long such a look may take.
    #[arg(
        long = "block-viewer.global.sync-block-timeout",
        default_value = "5m",
        value_name = "DURATION"
    )]
    viewer_timeout: GoDuration,
}

impl WebArgs {
    /// How often to look for the global view, and for how long.
    pub(crate) fn viewer(&self) -> (Duration, Duration) {
        let interval = self.viewer_interval.to_std().max(Duration::from_secs(1));
        (interval, self.viewer_timeout.to_std())
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::usage(message)
}

impl CompactArgs {
    /// The settings that the flags make.
    ///
    /// # Errors
    /// A failure that says which flag to change.
    pub(crate) fn config(&self, now_ms: i64) -> Result<CompactConfig, Failure> {
        self.refuse()?;
        self.check(now_ms)?;
        let yaml = self.blocks.selector.expanded_content()?.unwrap_or_default();
        let shard = LabelShard::from_yaml(&yaml, self.merge.replica_labels())
            .map_err(|error| Failure::new(error.kind(), &error))?;
        Ok(CompactConfig {
            fetcher: FetcherConfig {
                strategy: match self.blocks.block_discovery_strategy {
                    Discovery::Concurrent => ListStrategy::Concurrent,
                    Discovery::Recursive => ListStrategy::Recursive,
                },
                concurrency: self.blocks.block_meta_fetch_concurrency,
                ..FetcherConfig::default()
            },
            scope: Scope {
                time: TimePartition {
                    min_time: self.blocks.min_time,
                    max_time: self.blocks.max_time,
                },
                shard,
            },
            contract: self.contract()?,
            planner: Planner::new(self.merge.max_level, self.merge.max_index_size.bytes()),
            vertical: self.merge.vertical(),
            replica_labels: self.merge.replica_labels(),
            retention: self.retention()?,
            concurrency: self.merge.concurrency,
            downsample_concurrency: self.merge.downsample_concurrency,
            hash: match self.data.hash_func.as_str() {
                "SHA256" => HashFunc::Sha256,
                _ => HashFunc::None,
            },
            lease: None,
        })
    }

    /// Refuses what is known and not supported yet.
    fn refuse(&self) -> Result<(), Failure> {
        let merge = &self.merge;
        for (set, flag, instead) in [
            (
                merge.accept_malformed_index,
                "--debug.accept-malformed-index",
                "a block with such an index is marked no-compact, and the others are compacted",
            ),
            (
                !self.web.route_prefix.is_empty(),
                "--web.route-prefix",
                "there are no pages yet",
            ),
        ] {
            if set {
                let message = format!("{flag} is not supported yet: leave it out; {instead}");
                return Err(Failure::usage(message));
            }
        }
        Ok(())
    }

    /// Refuses what cannot be.
    fn check(&self, now_ms: i64) -> Result<(), Failure> {
        let at_least_one = [
            (self.merge.concurrency, "--compact.concurrency"),
            (
                self.blocks.block_meta_fetch_concurrency,
                "--block-meta-fetch-concurrency",
            ),
        ];
        if let Some((_, flag)) = at_least_one.iter().find(|(value, _)| *value == 0) {
            return Err(invalid(format!("{flag} must be at least 1")));
        }
        let func = &self.merge.dedup_func;
        if !func.is_empty() && self.merge.replica_labels().is_empty() {
            return Err(invalid(format!(
                "--deduplication.func={func} needs to know what replicas are: set --deduplication.replica-label"
            )));
        }
        if self.merge.max_level > Planner::MAX_LEVEL {
            let (level, most) = (self.merge.max_level, Planner::MAX_LEVEL);
            let message = format!("--debug.max-compaction-level {level} must be at most {most}");
            return Err(invalid(message));
        }
        let (min, max) = (&self.blocks.min_time, &self.blocks.max_time);
        if min.resolve(now_ms) > max.resolve(now_ms) {
            let message = format!("--min-time {min} is after --max-time {max}: swap them");
            return Err(invalid(message));
        }
        Ok(())
    }

    /// The delays, checked against each other (BC-9).
    fn contract(&self) -> Result<Contract, Failure> {
        let delete_delay_ms = self.keep.delete_delay.as_ms();
        let contract = Contract {
            consistency_delay_ms: self.blocks.consistency_delay.as_ms(),
            // A marked block stays in sight, and out of plans, until well before it is deleted.
            ignore_delay_ms: delete_delay_ms / 2,
            delete_delay_ms,
            sync_interval_ms: self.pace.wait_interval.as_ms(),
            partial_age_ms: self.keep.partial_age.as_ms(),
            ..Contract::default()
        };
        for mut violation in contract.check() {
            if violation.clause == InvariantId::Bc9 {
                let seen_after_ms = contract
                    .sync_interval_ms
                    .saturating_add(contract.load_allowance_ms);
                let least = PromDuration::from_ms(seen_after_ms.saturating_mul(2));
                violation.advice = format!(
                    "set --delete-delay to more than {least}, or --wait-interval to less: a marked \
                     block is left out of sight after half the delete delay, and what replaces it \
                     must have been seen by then"
                );
            }
            if self.keep.contract_strict {
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

    /// What to keep. Raw samples must stay until they can be downsampled (BC-12).
    fn retention(&self) -> Result<Retention, Failure> {
        let downsampling = !self.merge.downsampling_disable;
        let kept = |flag: &str, kept: PromDuration, least_ms: i64| match kept.as_ms() {
            0 => Ok(None),
            ms if downsampling && ms < least_ms => {
                let least = PromDuration::from_ms(least_ms);
                Err(invalid(format!(
                    "{flag} must be 0d or at least {least}, from when on blocks are downsampled; \
                     or set --downsampling.disable"
                )))
            }
            ms => Ok(Some(ms)),
        };
        let keep = &self.keep;
        Ok(Retention {
            raw: kept("--retention.resolution-raw", keep.raw, DOWNSAMPLE_RAW_MS)?,
            five_minutes: kept(
                "--retention.resolution-5m",
                keep.five_minutes,
                DOWNSAMPLE_FIVE_MINUTES_MS,
            )?,
            one_hour: kept("--retention.resolution-1h", keep.one_hour, 0)?,
            downsampling,
        })
    }

    pub(crate) fn pace(&self) -> Pace {
        let some = |interval: GoDuration| Some(interval.to_std()).filter(|i| !i.is_zero());
        Pace {
            wait: self
                .pace
                .wait
                .then(|| self.pace.wait_interval.to_std().max(Duration::from_secs(1))),
            cleanup: some(self.pace.cleanup_interval),
            progress: some(self.pace.progress_interval),
        }
    }

    /// How long leases are to be; 0: there are to be none.
    ///
    /// # Errors
    /// A duration in which no lease can be renewed.
    pub(crate) fn lease_duration(&self) -> Result<Duration, Failure> {
        let ms = self.merge.lease_duration.as_ms();
        if ms != 0 && ms < MIN_LEASE_MS {
            let duration = self.merge.lease_duration;
            return Err(Failure::usage(format!(
                "--compact.lease-duration={duration} is too short for a lease to be renewed in: set 1s at least, or 0s if this is the only compactor"
            )));
        }
        Ok(self.merge.lease_duration.to_std())
    }

    /// What the block API is served with, if it is.
    pub(crate) fn web(&self) -> Option<&WebArgs> {
        let served = self.pace.wait && !self.web.disable;
        served.then_some(&self.web)
    }

    pub(crate) fn http(&self) -> &HttpArgs {
        &self.http
    }

    pub(crate) fn data_dir(&self) -> &str {
        &self.data.data_dir
    }

    pub(crate) fn objstore(&self) -> Result<String, Failure> {
        Ok(self.data.objstore.content()?.unwrap_or_default())
    }
}
