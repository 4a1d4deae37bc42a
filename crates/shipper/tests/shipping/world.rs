//! A local database, a bucket that misbehaves on demand, and the shipper between them.

use std::sync::Arc;

use rutile_block::{BlockId, Contract, Mark, MarkKind, Meta, Source, details, mark_key, meta_key};
use rutile_disk::{AsyncDisk, Disk, Durability, FaultRates, FaultyDisk, MemoryDisk};
use rutile_lifecycle::Lifecycle;
use rutile_model::{ErrorKind, Labels};
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, FaultyBucket, MemoryBucket, Rule};
use rutile_runtime::{Clock, CpuPool, ManualClock, SeededEntropy};
use rutile_shipper::{Config, Parts, Shipper, Synced};
use rutile_telemetry::Registry;
use tokio::sync::watch;

pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const START: i64 = 1_767_250_000_000;
pub(crate) const LIST: &str = "thanos.shipper.json";
/// The calls that change the bucket.
pub(crate) const CHANGES: [Operation; 2] = [Operation::Put, Operation::Delete];

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) memory: MemoryBucket,
    pub(crate) bucket: FaultyBucket,
    pub(crate) disk: MemoryDisk,
    pub(crate) faulty: FaultyDisk,
    pub(crate) labels: watch::Sender<Labels>,
    pub(crate) registry: Registry,
    pub(crate) config: Config,
}

impl World {
    /// With these local blocks; see [`World::add`].
    pub(crate) fn new(blocks: &[u8]) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let memory = MemoryBucket::new(clock.clone());
        let disk = MemoryDisk::new();
        let world = Self {
            clock,
            bucket: FaultyBucket::new(Arc::new(memory.clone())),
            memory,
            faulty: faulty(&disk),
            disk,
            labels: watch::channel(Labels::from([("cluster", "eu1")])).0,
            registry: Registry::new(),
            config: Config::new(Source::Sidecar),
        };
        for n in blocks {
            world.add(block(*n));
        }
        world
    }

    /// A process that was just started.
    pub(crate) fn shipper(&self) -> Shipper {
        Shipper::new(self.parts(), self.config.clone(), &self.registry)
    }

    pub(crate) fn parts(&self) -> Parts {
        Parts {
            lifecycle: self.lifecycle(),
            bucket: Arc::new(self.bucket.clone()),
            clock: self.clock.clone(),
            disk: AsyncDisk::new(Arc::new(self.faulty.clone()), CpuPool::inline()),
            labels: self.labels.subscribe(),
        }
    }

    pub(crate) fn lifecycle(&self) -> Lifecycle {
        let (bucket, clock) = (Arc::new(self.bucket.clone()), self.clock.clone());
        Lifecycle::new(bucket, clock, Contract::default(), &self.registry)
    }

    /// One sync of a new process.
    pub(crate) async fn sync(&self) -> Synced {
        self.shipper().sync().await.unwrap()
    }

    /// From now on nothing fails any more.
    pub(crate) fn heal(&mut self) {
        self.bucket.heal();
        self.faulty = faulty(&self.disk);
    }

    /// Puts a block into the local database, with two segments and an index.
    pub(crate) fn add(&self, meta: Meta) {
        let id = meta.id;
        self.write(&format!("{id}/meta.json"), &meta.to_prometheus_json());
        for (path, size) in [("chunks/000001", 100), ("chunks/000002", 50), ("index", 30)] {
            self.write(&format!("{id}/{path}"), &vec![7; size]);
        }
    }

    pub(crate) fn write(&self, path: &str, data: &[u8]) {
        self.disk.write(path, data, Durability::Cached).unwrap();
    }

    /// What the database does when a block is too old, or was compacted.
    pub(crate) fn remove_local(&self, n: u8) {
        let (folder, going) = (id(n).to_string(), format!("{}.tmp-for-deletion", id(n)));
        self.disk.rename(&folder, &going).unwrap();
        self.disk.remove_tree(&going).unwrap();
    }

    /// A block of somebody else in the bucket: metadata alone.
    pub(crate) fn put_remote(&self, meta: &Meta) {
        let index = format!("{}/index", meta.id);
        self.memory.insert(index, "index", START);
        self.memory.insert(meta_key(meta.id), meta.to_json(), START);
    }

    pub(crate) fn mark(&self, n: u8) {
        let mark = Mark::new(MarkKind::Deletion, id(n), "", details::OUTDATED, START);
        self.memory
            .insert(mark_key(id(n), MarkKind::Deletion), mark.to_json(), START);
    }

    /// What a compactor does to a block in the end.
    pub(crate) fn remove_remote(&self, n: u8) {
        for key in self.keys(n) {
            self.memory.remove(&format!("{}/{key}", id(n)));
        }
    }

    pub(crate) fn keys(&self, n: u8) -> Vec<String> {
        let prefix = format!("{}/", id(n));
        let keys = self.memory.keys().into_iter();
        keys.filter_map(|key| key.strip_prefix(&prefix).map(str::to_owned))
            .collect()
    }

    /// The metadata in the bucket.
    pub(crate) fn remote(&self, n: u8) -> Option<Meta> {
        let body = self.memory.body(&meta_key(id(n)))?;
        Some(Meta::parse(id(n), &body).unwrap())
    }

    /// The list, as it is on disk.
    pub(crate) fn listed(&self) -> Vec<u8> {
        let Ok(list) = self.disk.read(LIST) else {
            return Vec::new();
        };
        let text = str::from_utf8(&list).unwrap();
        let ids = text.lines().filter_map(|line| {
            let id = line.trim().trim_matches([',', '"']);
            id.parse::<BlockId>().ok()
        });
        ids.map(number).collect()
    }

    /// Puts reach the bucket no more, from the `n`-th on (from 0).
    pub(crate) fn puts_fail_after(&self, n: u64) {
        let fault = Fault::FailBefore(ErrorKind::Unavailable);
        self.bucket
            .add(Rule::new(fault).on([Operation::Put]).after(n));
    }

    pub(crate) fn metric(&self, name: &str) -> u64 {
        let name = format!("thanos_shipper_{name} ");
        let page = self.registry.render();
        let value = page.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap().parse().unwrap()
    }

    /// Whether links of an upload lie about.
    pub(crate) fn has_links(&self) -> bool {
        !self.disk.list("thanos/upload").unwrap().is_empty()
    }
}

fn faulty(disk: &MemoryDisk) -> FaultyDisk {
    let entropy = Arc::new(SeededEntropy::new(1));
    FaultyDisk::new(Arc::new(disk.clone()), entropy, FaultRates::default())
}

pub(crate) fn id(n: u8) -> BlockId {
    BlockId::from_parts(1_767_200_000_000 + u64::from(n), [n; 10])
}

pub(crate) fn number(id: BlockId) -> u8 {
    id.as_bytes()[15]
}

pub(crate) fn numbers(ids: &[BlockId]) -> Vec<u8> {
    ids.iter().copied().map(number).collect()
}

/// Two hours of samples, the `n`-th.
pub(crate) fn block(n: u8) -> Meta {
    let mut meta = Meta::new(id(n));
    let start = i64::from(n) * 2 * HOUR;
    (meta.min_time, meta.max_time) = (start, start + 2 * HOUR);
    (meta.stats.num_samples, meta.stats.num_chunks) = (1000, 10);
    meta
}

/// What the database made of the `from`-th to the `to`-th.
pub(crate) fn compacted(n: u8, from: u8, to: u8) -> Meta {
    let mut meta = block(n);
    meta.min_time = i64::from(from) * 2 * HOUR;
    meta.max_time = (i64::from(to) + 1) * 2 * HOUR;
    meta.compaction.level = 2;
    meta.compaction.sources = (from..=to).map(id).collect();
    meta
}

/// As it is in the bucket.
pub(crate) fn labelled(mut meta: Meta, cluster: &str) -> Meta {
    meta.thanos.labels = Labels::from([("cluster", cluster)]);
    meta
}

pub(crate) fn now(world: &World) -> i64 {
    world.clock.now_ms()
}
