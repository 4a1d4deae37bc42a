//! Killing a rewrite and a replication at every request to the bucket: the next run ends as one that nobody killed (BC-10).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rutile_block::{BlockId, Contract, MarkKind, Meta, chunk_key, index_key, mark_key, meta_key};
use rutile_disk::{AsyncDisk, MemoryDisk};
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_fetcher::{Fetcher, FetcherConfig, Parts};
use rutile_lifecycle::{HashFunc, Lifecycle};
use rutile_merge::Merger;
use rutile_objstore::fake::{FaultyBucket, MemoryBucket, Rule};
use rutile_objstore::{Bucket, BucketReader};
use rutile_runtime::{Clock, CpuPool, Ledger, ManualClock, SystemEntropy, TaskGroup};
use rutile_telemetry::Registry;
use rutile_testkit::golden;
use rutile_tools::replicate::{Replicator, Wanted};
use rutile_tools::rewrite::{Rewriter, Rewriting, find};

const NOW_MS: i64 = 1_767_700_000_000;
/// Two blocks of two hours, not compacted.
const BLOCKS: [&str; 2] = ["01M820PDYWZG3SENBFJ0F29G26", "01M820PDZMK3SZGA9JJPRVBEKA"];

/// A bucket with two blocks, and a way to it that can be cut.
struct World {
    clock: Arc<ManualClock>,
    memory: MemoryBucket,
    bucket: FaultyBucket,
}

impl World {
    fn empty() -> Self {
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let memory = MemoryBucket::new(Arc::<ManualClock>::clone(&clock));
        let bucket = FaultyBucket::new(Arc::new(memory.clone()));
        Self {
            clock,
            memory,
            bucket,
        }
    }

    fn new() -> Self {
        let world = Self::empty();
        for id in BLOCKS {
            for path in ["meta.json", "index", "chunks/000001"] {
                let body = std::fs::read(golden().join("raw").join(id).join(path)).unwrap();
                world.memory.insert(format!("{id}/{path}"), body, NOW_MS);
            }
        }
        world
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::<ManualClock>::clone(&self.clock)
    }

    fn writable(&self) -> Arc<dyn Bucket> {
        Arc::new(self.bucket.clone())
    }

    fn readable(&self) -> Arc<dyn BucketReader> {
        Arc::new(self.bucket.clone())
    }

    fn lifecycle(&self) -> Lifecycle {
        Lifecycle::new(
            self.writable(),
            self.clock(),
            Contract::default(),
            &Registry::new(),
        )
    }

    fn fetcher(&self) -> Fetcher {
        let parts = Parts {
            bucket: self.readable(),
            clock: self.clock(),
            disk: None,
        };
        let config = FetcherConfig {
            more_marks: vec![MarkKind::NoCompact],
            ..FetcherConfig::default()
        };
        Fetcher::new(parts, config, &Registry::new()).unwrap()
    }

    /// The blocks that are there and carry no deletion mark, with their files.
    fn live(&self) -> BTreeMap<BlockId, Meta> {
        let keys: BTreeSet<String> = self.memory.keys().into_iter().collect();
        let ids = keys
            .iter()
            .filter_map(|key| key.strip_suffix("/meta.json")?.parse().ok());
        let unmarked = ids.filter(|id| !keys.contains(&mark_key(*id, MarkKind::Deletion)));
        let metas = unmarked.map(|id: BlockId| {
            assert!(
                keys.contains(&index_key(id)) && keys.contains(&chunk_key(id, 1)),
                "{id} is not whole"
            );
            (
                id,
                Meta::parse(id, &self.memory.body(&meta_key(id)).unwrap()).unwrap(),
            )
        });
        metas.collect()
    }

    /// Does something until it makes its `n`-th request (from 0), which takes no effect. Whether it made so many.
    async fn until_request(&self, n: u64, work: impl Future<Output = anyhow::Result<()>>) -> bool {
        let gate = self.bucket.pause(|fault| Rule::new(fault).after(n));
        let killed = tokio::select! {
            biased;
            () = gate.reached() => true,
            done = work => {
                done.unwrap();
                false
            }
        };
        self.bucket.heal();
        killed
    }
}

/// `bucket rewrite --delete-blocks` of the first block; an original that is marked already is left alone, as the command does.
async fn rewrite(world: &World) -> anyhow::Result<()> {
    let tasks = TaskGroup::new("rewrite");
    let request = "[{matchers: http_requests_0_total}]";
    let rewriter = Rewriter {
        merger: Merger {
            bucket: world.readable(),
            lifecycle: world.lifecycle(),
            pool: CpuPool::inline(),
            spawner: tasks.spawner(),
            ledger: Ledger::new(1 << 30),
            scratch: AsyncDisk::new(Arc::new(MemoryDisk::new()), CpuPool::inline()),
            hash: HashFunc::None,
        },
        rewriting: Rewriting::parse(("delete", Some(request)), ("relabel", None))?,
        fetcher: world.fetcher(),
        delete_blocks: true,
    };
    let view = rewriter.fetcher.fetch().await?;
    let original: BlockId = BLOCKS[0].parse()?;
    let Ok(meta) = find(&view, original, false) else {
        return Ok(());
    };
    let before = rewriter.made_before(&view, &meta)?;
    let new = || BlockId::generate(world.clock.now_ms(), &SystemEntropy);
    let survey = rewriter.survey(&meta, &mut |_| Ok(())).await?;
    let output = before.unwrap_or_else(new);
    rewriter
        .replace(&meta, survey, output, before.is_some())
        .await?;
    Ok(())
}

#[tokio::test]
async fn bc_10_bc_15_killed_at_every_request_of_a_rewrite() {
    let whole = World::new();
    rewrite(&whole).await.unwrap();
    let (original, other): (BlockId, BlockId) =
        (BLOCKS[0].parse().unwrap(), BLOCKS[1].parse().unwrap());
    let made = |world: &World| {
        let live = world.live();
        let made = live
            .into_values()
            .find(|meta| ![original, other].contains(&meta.id));
        made.map(|meta| meta.stats)
    };
    let expected = made(&whole).unwrap();
    for n in 0.. {
        let world = World::new();
        let context = format!("killed at request {n}");
        let killed = Box::pin(world.until_request(n, rewrite(&world))).await;
        // At each moment what is to stay is in a block that counts.
        let counts = world.live().contains_key(&original) || made(&world).is_some();
        assert!(counts, "{context}: nothing holds it");
        rewrite(&world).await.unwrap();
        let live = world.live();
        assert_eq!(live.len(), 2, "{context}: {:?}", live.keys());
        assert!(
            live.contains_key(&other) && !live.contains_key(&original),
            "{context}"
        );
        assert_eq!(made(&world), Some(expected), "{context}");
        if !killed {
            assert!(n > 20, "only {n} requests were seen");
            return;
        }
    }
}

fn replicator(from: &World, to: &World) -> Replicator {
    Replicator {
        from: from.readable(),
        looks: from.fetcher(),
        lifecycle: to.lifecycle(),
        looks_there: to.fetcher(),
        wanted: Wanted {
            resolutions: BTreeSet::from([0]),
            levels: BTreeSet::new(),
            level_range: 1..=4,
            matchers: Vec::new(),
            time: TimePartition::default(),
            ids: Vec::new(),
            leave_marked: false,
        },
        clock: from.clock(),
    }
}

async fn replicate(from: &World, to: &World) -> anyhow::Result<()> {
    let round = replicator(from, to).round().await?;
    round.failed.into_iter().next().map_or(Ok(()), Err)
}

#[tokio::test]
async fn bc_10_killed_at_every_request_of_a_replication() {
    let from = World::new();
    for n in 0.. {
        let to = World::empty();
        let context = format!("killed at request {n}");
        let killed = to.until_request(n, replicate(&from, &to)).await;
        // Whatever counts there is whole, and the same.
        let same = || {
            for id in to.live().keys() {
                for key in [index_key(*id), chunk_key(*id, 1)] {
                    assert!(
                        to.memory.body(&key) == from.memory.body(&key),
                        "{context}: {key}"
                    );
                }
            }
        };
        same();
        replicate(&from, &to).await.unwrap();
        same();
        assert_eq!(to.live().len(), 2, "{context}");
        if !killed {
            assert!(n > 10, "only {n} requests were seen");
            return;
        }
    }
}
