//! `bucket cleanup`, `bucket retention` and `bucket downsample`: one step of a compactor's iteration.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use rutile_block::Contract;
use rutile_compact::{CompactConfig, Compactor, Parts, Planner, Report, Retention};
use rutile_disk::OsDisk;
use rutile_fetcher::FetcherConfig;
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_lifecycle::HashFunc;
use rutile_model::{GoDuration, PromDuration};
use rutile_runtime::{CpuPool, Ledger, SystemEntropy, TaskGroup};
use rutile_server::{HttpArgs, PathOrContent};
use rutile_telemetry::Registry;

use super::listener::listen;
use super::source::{Source, scope};
use crate::flags::SelectorConfig;

/// The largest index of a merge, as the compactor has it by default, bytes.
pub(super) const MAX_INDEX_BYTES: u64 = 64 << 30;
/// What opening the blocks that replace others may take, bytes.
const MEMORY: u64 = 1 << 30;

/// Delete what was marked long enough ago and what uploads left behind; mark what another block replaces.
#[derive(Debug, Args)]
pub(crate) struct CleanupArgs {
    #[command(flatten)]
    common: CommonArgs,
}

/// Mark for deletion what has outlived its retention.
#[derive(Debug, Args)]
pub(crate) struct RetentionArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    keep: KeepArgs,
}

/// Make blocks of five minutes and of one hour of those that are long enough, again and again.
#[derive(Debug, Args)]
pub(crate) struct DownsampleArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Blocks that are downsampled at a time.
    #[arg(long = "downsample.concurrency", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    downsample_concurrency: u16,
    /// Time between two rounds; 0s: one is all.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    wait_interval: GoDuration,
    /// Folder for what does not fit into memory; nothing in it is needed later. By default a temporary one.
    #[arg(long, value_name = "PATH", default_value = "")]
    data_dir: String,
    /// Accepted for compatibility: blocks are not copied.
    #[arg(long, default_value_t = 1, value_name = "N")]
    block_files_concurrency: usize,
    /// Hash that the files of new blocks are recorded with.
    #[arg(long, default_value = "", value_parser = ["", "SHA256"], value_name = "FUNC")]
    hash_func: String,
    #[command(flatten)]
    http: HttpArgs,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// How long after its mark a block is deleted; readers must have let go of it by then.
    #[arg(long = "delete-delay", value_name = "DURATION", default_value = "48h")]
    delete_delay: PromDuration,
    /// Minimum age of a block before it counts, unless a compactor made it.
    #[arg(
        long = "consistency-delay",
        value_name = "DURATION",
        default_value = "30m"
    )]
    consistency_delay: GoDuration,
    /// Metadata that are fetched at a time.
    #[arg(long = "block-sync-concurrency", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    #[command(flatten)]
    selector: PathOrContent<SelectorConfig>,
}

/// How long samples are kept.
#[derive(Debug, Clone, Args)]
pub(super) struct KeepArgs {
    /// How long raw samples are kept; 0d: for ever.
    #[arg(
        long = "retention.resolution-raw",
        value_name = "DURATION",
        default_value = "0d"
    )]
    raw: PromDuration,
    /// How long samples of five minutes are kept; 0d: for ever.
    #[arg(
        long = "retention.resolution-5m",
        value_name = "DURATION",
        default_value = "0d"
    )]
    five_minutes: PromDuration,
    /// How long samples of one hour are kept; 0d: for ever.
    #[arg(
        long = "retention.resolution-1h",
        value_name = "DURATION",
        default_value = "0d"
    )]
    one_hour: PromDuration,
    /// Nobody downsamples the blocks of this bucket: retention waits for nothing.
    #[arg(long = "downsampling.disable")]
    downsampling_disable: bool,
}

impl KeepArgs {
    pub(super) fn retention(&self) -> Retention {
        let kept = |kept: PromDuration| Some(kept.as_ms()).filter(|ms| *ms > 0);
        Retention {
            raw: kept(self.raw),
            five_minutes: kept(self.five_minutes),
            one_hour: kept(self.one_hour),
            downsampling: !self.downsampling_disable,
        }
    }
}

/// The delays of a compactor with this delete delay.
pub(super) fn contract(delete_delay: PromDuration, consistency_delay: GoDuration) -> Contract {
    let delete_delay_ms = delete_delay.as_ms();
    Contract {
        consistency_delay_ms: consistency_delay.as_ms(),
        ignore_delay_ms: delete_delay_ms / 2,
        delete_delay_ms,
        ..Contract::default()
    }
}

pub(super) async fn cleanup(args: CleanupArgs, source: &Source) -> Result<()> {
    let tasks = TaskGroup::new("cleanup");
    let scratch = tempfile::tempdir()?;
    let compactor = args
        .common
        .compactor(source, &scratch, &tasks, Retention::default());
    told(compactor.await?.clean_up_once().await)
}

pub(super) async fn retention(args: RetentionArgs, source: &Source) -> Result<()> {
    let tasks = TaskGroup::new("retention");
    let scratch = tempfile::tempdir()?;
    let retention = args.keep.retention();
    let compactor = args.common.compactor(source, &scratch, &tasks, retention);
    told(compactor.await?.retain_once().await)
}

pub(super) async fn downsample(args: DownsampleArgs, source: &Source) -> Result<()> {
    let tasks = TaskGroup::new("downsample");
    let temporary = tempfile::tempdir()?;
    let scratch = match args.data_dir.as_str() {
        "" => temporary.path(),
        folder => Path::new(folder),
    };
    let retention = Retention {
        downsampling: true,
        ..Retention::default()
    };
    let mut config = args.common.config(retention)?;
    config.downsample_concurrency = args.downsample_concurrency.into();
    if args.hash_func == "SHA256" {
        config.hash = HashFunc::Sha256;
    }
    let ledger = Ledger::new(MEMORY);
    let registry = listen(&args.http, "downsample", ledger, &tasks).await?;
    let source = &source.measured(registry.clone());
    let compactor = build(source, scratch, &tasks, (config, registry)).await?;
    let interval = args.wait_interval.to_std();
    loop {
        let report = compactor.downsample_once().await;
        if interval.is_zero() {
            return told(report);
        }
        // The next round tries again.
        if let Err(error) = told(report) {
            tracing::warn!(%error, "some blocks could not be downsampled");
        }
        tokio::time::sleep(interval).await;
    }
}

impl CommonArgs {
    async fn compactor(
        &self,
        source: &Source,
        scratch: &tempfile::TempDir,
        tasks: &TaskGroup,
        retention: Retention,
    ) -> Result<Compactor> {
        let config = (self.config(retention)?, Registry::new());
        build(source, scratch.path(), tasks, config).await
    }

    fn config(&self, retention: Retention) -> Result<CompactConfig> {
        let all = TimePartition::default();
        Ok(CompactConfig {
            fetcher: FetcherConfig {
                concurrency: self.concurrency.into(),
                ..FetcherConfig::default()
            },
            scope: scope(all.min_time, all.max_time, &self.selector)?,
            contract: contract(self.delete_delay, self.consistency_delay),
            planner: Planner::new(Planner::MAX_LEVEL, MAX_INDEX_BYTES),
            vertical: None,
            replica_labels: Vec::new(),
            retention,
            concurrency: 1,
            downsample_concurrency: 1,
            hash: HashFunc::None,
            // Tools are run beside one compactor at most.
            lease: None,
        })
    }
}

async fn build(
    source: &Source,
    scratch: &Path,
    tasks: &TaskGroup,
    (config, registry): (CompactConfig, Registry),
) -> Result<Compactor> {
    let cpu = CpuPool::for_this_machine();
    let parts = Parts {
        bucket: source.writable("bucket").await?,
        disk: Arc::new(OsDisk::open(scratch)?),
        clock: source.clock(),
        entropy: Arc::new(SystemEntropy),
        files: cpu.clone(),
        cpu,
        ledger: Ledger::new(MEMORY),
        tasks: tasks.spawner(),
        registry,
    };
    Ok(Compactor::build(parts, config)?)
}

/// Says what was done, and fails if something could not be.
fn told(report: Report) -> Result<()> {
    let Report {
        marked,
        deleted,
        downsampled,
        errors,
        ..
    } = report;
    tracing::info!(marked, deleted, downsampled, failed = errors.len(), "done");
    let failed = errors.len();
    match errors.into_iter().next() {
        None => Ok(()),
        Some(error) if failed == 1 => Err(error.into()),
        Some(first) => bail!("{failed} blocks could not be dealt with, the first: {first}"),
    }
}
