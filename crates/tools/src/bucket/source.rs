//! The bucket of the command line, and a look at its blocks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use rutile_block::{BlockId, CHUNKS_DIR, Contract, META_FILE, MarkKind, Part, parse_key};
use rutile_disk::{AsyncDisk, OsDisk};
use rutile_fetcher::filter::label_shard::LabelShard;
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_fetcher::{Fetcher, FetcherConfig, Parts, Scope, View};
use rutile_lifecycle::{Damage, HashFunc, Lifecycle, damage};
use rutile_merge::Merger;
use rutile_model::TimeOrDuration;
use rutile_objstore::{
    Bucket, BucketReader, Depth, OpenContext, check_reachable, create, open, open_reader,
};
use rutile_runtime::{Clock, CpuPool, Ledger, TaskGroup};
use rutile_server::PathOrContent;
use rutile_telemetry::Registry;

use crate::flags::{ObjstoreConfig, SelectorConfig};

/// How long a command that has no flag for it may read metadata.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);

/// Opens the bucket in the way that a command needs it.
#[derive(Debug)]
pub(super) struct Source {
    flags: PathOrContent<ObjstoreConfig>,
    clock: Arc<dyn Clock>,
    /// Where the requests to the bucket are counted.
    registry: Registry,
}

impl Source {
    pub(super) fn new(flags: PathOrContent<ObjstoreConfig>, clock: Arc<dyn Clock>) -> Self {
        Self {
            flags,
            clock,
            registry: Registry::new(),
        }
    }

    /// The same, with its requests among these metrics.
    pub(super) fn measured(&self, registry: Registry) -> Self {
        Self {
            flags: self.flags.clone(),
            clock: self.clock(),
            registry,
        }
    }

    /// Another bucket, by its configuration.
    pub(super) fn beside(&self, yaml: String) -> Self {
        Self::new(PathOrContent::from_content(yaml), self.clock())
    }

    /// What writes blocks anew from a bucket into itself, with a folder for what does not fit into `memory`, bytes.
    pub(super) fn merger(
        &self,
        bucket: Arc<dyn Bucket>,
        (folder, memory): (&Path, u64),
        hash: HashFunc,
        tasks: &TaskGroup,
    ) -> Result<Merger> {
        let pool = CpuPool::for_this_machine();
        let reader: Arc<dyn BucketReader> = Arc::<dyn Bucket>::clone(&bucket);
        Ok(Merger {
            bucket: reader,
            lifecycle: self.lifecycle(bucket),
            scratch: AsyncDisk::new(Arc::new(OsDisk::open(folder)?), pool.clone()),
            pool,
            spawner: tasks.spawner(),
            ledger: Ledger::new(memory),
            hash,
        })
    }

    /// Wall time.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The bucket for reading and writing, by a command that the provider sees as `component`.
    pub(super) async fn writable(&self, component: &str) -> Result<Arc<dyn Bucket>> {
        let bucket = open(&self.yaml()?, &self.context(component))?;
        check_reachable(&*bucket).await?;
        Ok(bucket)
    }

    /// As [`Source::writable`], for a command that may begin the bucket.
    pub(super) async fn created(&self, component: &str) -> Result<Arc<dyn Bucket>> {
        let bucket = create(&self.yaml()?, &self.context(component))?;
        check_reachable(&*bucket).await?;
        Ok(bucket)
    }

    /// What changes the blocks of the bucket.
    pub(super) fn lifecycle(&self, bucket: Arc<dyn Bucket>) -> Lifecycle {
        let clock = Arc::clone(&self.clock);
        Lifecycle::new(bucket, clock, Contract::default(), &Registry::new())
    }

    /// The bucket for reading.
    pub(super) async fn readable(&self) -> Result<Arc<dyn BucketReader>> {
        let bucket = open_reader(&self.yaml()?, &self.context("bucket"))?;
        check_reachable(&*bucket).await?;
        Ok(bucket)
    }

    /// The blocks of a view of which one listing of the whole bucket shows that an object is missing
    /// or of another size than it should be. None where the listing tells no sizes.
    pub(super) async fn damaged(
        &self,
        view: &View,
        timeout: Duration,
    ) -> Result<BTreeMap<BlockId, Damage>> {
        let bucket = self.readable().await?;
        let mut sizes: BTreeMap<BlockId, BTreeMap<String, u64>> = BTreeMap::new();
        let listing = bucket.list("", Depth::Recursive).try_for_each(|entry| {
            let place = parse_key(&entry.key).zip(entry.key.split_once('/'));
            if let (Some(((id, part), (_, path))), Some(found)) = (place, entry.attributes) {
                let objects = sizes.entry(id).or_default();
                objects.insert(path.to_owned(), found.size);
                if matches!(part, Part::Chunks(_)) {
                    objects.insert(CHUNKS_DIR.to_owned(), 0);
                }
            }
            std::future::ready(Ok(()))
        });
        within(timeout, listing).await??;
        let damaged = view.blocks.iter().filter_map(|(id, info)| {
            let objects = sizes.get(id)?;
            // Without it the block was deleted since, and there is no damage.
            objects.get(META_FILE)?;
            let damage = damage(&info.meta, |path| objects.get(path).copied())?;
            Some((*id, damage))
        });
        Ok(damaged.collect())
    }

    /// All blocks with their marks.
    pub(super) async fn view(&self, timeout: Duration) -> Result<Arc<View>> {
        let fetcher = self.fetcher(self.readable().await?)?;
        Ok(within(timeout, fetcher.fetch()).await??)
    }

    /// Looks at all blocks of a bucket with their marks, and remembers their metadata from look to look.
    pub(super) fn fetcher(&self, bucket: Arc<dyn BucketReader>) -> Result<Fetcher> {
        let parts = Parts {
            bucket,
            clock: Arc::clone(&self.clock),
            disk: None,
        };
        let config = FetcherConfig {
            more_marks: vec![MarkKind::NoCompact, MarkKind::NoDownsample],
            ..FetcherConfig::default()
        };
        Ok(Fetcher::new(parts, config, &Registry::new())?)
    }

    fn yaml(&self) -> Result<String> {
        Ok(self.flags.content()?.unwrap_or_default())
    }

    fn context(&self, component: &str) -> OpenContext {
        OpenContext {
            clock: Arc::clone(&self.clock),
            registry: self.registry.clone(),
            component: component.to_owned(),
        }
    }
}

/// Refuses a look that lacks what could not be read for now: it may hold what matters.
pub(super) fn require_complete(view: &View) -> Result<()> {
    if view.complete {
        return Ok(());
    }
    let mut unread = view.bad.iter().filter(|(_, bad)| bad.reason.is_passing());
    match unread.next() {
        Some((id, bad)) => bail!(
            "block {id} could not be read for now, try again: {}",
            bad.message
        ),
        None => bail!("not all of it could be read for now: try again"),
    }
}

pub(super) async fn within<T>(timeout: Duration, reading: impl Future<Output = T>) -> Result<T> {
    let read = tokio::time::timeout(timeout, reading).await;
    read.with_context(|| format!("reading the metadata took longer than --timeout {timeout:?}"))
}

/// The part of the bucket that the flags ask for.
pub(super) fn scope(
    min_time: TimeOrDuration,
    max_time: TimeOrDuration,
    selector: &PathOrContent<SelectorConfig>,
) -> Result<Scope> {
    let shard = match selector.expanded_content()? {
        Some(yaml) => {
            LabelShard::from_yaml(&yaml, Vec::new()).context("--selector.relabel-config")?
        }
        None => LabelShard::default(),
    };
    let time = TimePartition { min_time, max_time };
    Ok(Scope { time, shard })
}
