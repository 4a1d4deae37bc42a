//! A bucket that misbehaves on demand, and what changes it.

use std::sync::Arc;

use rutile_block::{BlockId, Contract, MarkKind, Meta, mark_key, meta_key};
use rutile_lifecycle::{Cleaned, Deleted, HashFunc, Lifecycle, Removal, Result, Upload};
use rutile_model::{ErrorKind, Labels};
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, FaultyBucket, MemoryBucket, Rule};
use rutile_runtime::{Clock, ManualClock};
use rutile_telemetry::Registry;

pub(crate) const HOUR: i64 = 3_600_000;
/// When every test begins.
pub(crate) const START: i64 = 1_767_250_000_000;
/// The calls that change the bucket.
pub(crate) const CHANGES: [Operation; 5] = [
    Operation::Put,
    Operation::StartMultipart,
    Operation::PutPart,
    Operation::CompleteMultipart,
    Operation::Delete,
];

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) memory: MemoryBucket,
    pub(crate) bucket: FaultyBucket,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) registry: Registry,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(START));
        Self::on(MemoryBucket::new(clock.clone()), clock)
    }

    /// On a provider whose listings tell no times.
    pub(crate) fn without_listed_times() -> Self {
        let clock = Arc::new(ManualClock::new(START));
        Self::on(
            MemoryBucket::new(clock.clone()).without_listed_attributes(),
            clock,
        )
    }

    fn on(memory: MemoryBucket, clock: Arc<ManualClock>) -> Self {
        let (bucket, registry) = (FaultyBucket::new(Arc::new(memory.clone())), Registry::new());
        let contract = Contract::default();
        let lifecycle =
            Lifecycle::new(Arc::new(bucket.clone()), clock.clone(), contract, &registry);
        Self {
            clock,
            memory,
            bucket,
            lifecycle,
            registry,
        }
    }

    /// Uploads a whole block, past every fault.
    pub(crate) async fn add(&self, meta: &Meta) {
        let sane = Lifecycle::new(
            Arc::new(self.memory.clone()),
            self.clock.clone(),
            Contract::default(),
            &Registry::new(),
        );
        upload(&sane, meta.clone()).await.unwrap();
    }

    /// Marks a block as compacted into another one, past every fault.
    pub(crate) fn mark(&self, id: BlockId, details: &str) {
        let mark = rutile_block::Mark::new(MarkKind::Deletion, id, "", details, self.now());
        self.memory
            .insert(mark_key(id, MarkKind::Deletion), mark.to_json(), self.now());
    }

    /// Announces, deletes, and ends what it announced.
    pub(crate) async fn delete(&self, id: BlockId, successor: Option<BlockId>) -> Result<Deleted> {
        delete(&self.lifecycle, id, successor).await
    }

    /// Announces, cleans, and ends what it announced.
    pub(crate) async fn clean_partial(&self, id: BlockId) -> Result<Cleaned> {
        let removal = announce(&self.lifecycle, id).await?;
        let cleaned = removal.clean_partial(id).await;
        removal.end().await?;
        cleaned
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(crate) fn keys(&self, id: BlockId) -> Vec<String> {
        let prefix = format!("{id}/");
        let keys = self.memory.keys().into_iter();
        keys.filter_map(|key| key.strip_prefix(&prefix).map(str::to_owned))
            .collect()
    }

    pub(crate) fn is_block(&self, id: BlockId) -> bool {
        self.memory.body(&meta_key(id)).is_some()
    }

    /// From its `n`-th change on (from 0) the process is as good as dead: with or without that
    /// change taking effect.
    pub(crate) fn dies_at_change(&self, n: u64, after_effect: bool) {
        let kind = ErrorKind::Unavailable;
        let fault = if after_effect {
            Fault::FailAfter(kind)
        } else {
            Fault::FailBefore(kind)
        };
        self.bucket
            .add(Rule::new(fault).on(CHANGES).after(n).times(1));
        self.bucket
            .add(Rule::new(Fault::FailBefore(kind)).on(CHANGES).after(n));
    }

    pub(crate) fn events(&self, clause: &str) -> u64 {
        let series = format!("rutile_contract_events_total{{clause=\"{clause}\"}} ");
        let page = self.registry.render();
        page.lines()
            .find_map(|line| line.strip_prefix(&series)?.parse().ok())
            .unwrap_or(0)
    }
}

pub(crate) fn id(n: u8) -> BlockId {
    BlockId::from_parts(1_767_200_000_000 + u64::from(n), [n; 10])
}

/// The notice of a removal, named like the block itself.
pub(crate) async fn announce(lifecycle: &Lifecycle, id: BlockId) -> Result<Removal> {
    lifecycle.announce_removal(id, [id].into()).await
}

pub(crate) async fn delete(
    lifecycle: &Lifecycle,
    id: BlockId,
    successor: Option<BlockId>,
) -> Result<Deleted> {
    let removal = announce(lifecycle, id).await?;
    let deleted = removal.delete(id, successor).await;
    removal.end().await?;
    deleted
}

pub(crate) fn block(n: u8, sources: &[u8]) -> Meta {
    let mut meta = Meta::new(id(n));
    (meta.min_time, meta.max_time) = (0, 7_200_000);
    meta.compaction.sources = sources.iter().map(|n| id(*n)).collect();
    meta.thanos.labels = Labels::from([("cluster", "eu1")]);
    meta
}

/// Two segments and an index.
pub(crate) async fn put_files(upload: &mut Upload) -> Result<()> {
    for (path, size) in [("chunks/000001", 100), ("chunks/000002", 50), ("index", 30)] {
        let mut file = upload.file(path)?;
        file.write(&vec![7; size]).await?;
        file.finish().await?;
    }
    Ok(())
}

pub(crate) async fn upload(lifecycle: &Lifecycle, meta: Meta) -> Result<Meta> {
    let mut upload = lifecycle.upload(meta.id, HashFunc::None).await?;
    put_files(&mut upload).await?;
    upload.commit(meta).await
}
