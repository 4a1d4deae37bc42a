//! The real store gateway: it syncs, restarts with its caches, and answers; every answer is checked.

use std::sync::Arc;

use parking_lot::Mutex;
use rutile_block::{BlockId, resolution};
use rutile_blockio::NoCache;
use rutile_cache::{CacheParts, open_caching_bucket};
use rutile_disk::{Disk, MemoryDisk};
use rutile_fetcher::Scope;
use rutile_fetcher::filter::label_shard::LabelShard;
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_model::TimeOrDuration;
use rutile_objstore::BucketReader;
use rutile_runtime::{CpuPool, Ledger, TaskGroup};
use rutile_store::{
    CallLimits, GatewayConfig, HeaderDownload, Parts, Store, StoreConfig, SyncConfig,
};
use rutile_telemetry::Registry;

use crate::actor::Process;
use crate::actor::compactor::strategy;
use crate::cells::Cells;
use crate::objects::Objects;
use crate::oracle::Oracle;
use crate::scenario::{CONTRACT, SYNC_MS, Scenario, Split};

mod answer;
mod check;

use answer::{Question, ask};
use check::{Served, check_age, check_answer, check_in_place};

/// A caching bucket that hides what is new for no longer than the contract of the runs says.
const CACHE: &str = "type: IN-MEMORY
metafile_exists_ttl: 2m
metafile_doesnt_exist_ttl: 1m
metafile_content_ttl: 2m
blocks_iter_ttl: 1m
";

/// Where two readers divide time: within a window of the first compaction.
fn border_ms(scenario: &Scenario) -> i64 {
    scenario.first_block_ms() + 3 * scenario.block_ms
}

/// What a reader last answered when all was well.
#[derive(Debug, Default)]
pub(crate) struct Last {
    /// The cells of the answer.
    pub(crate) cells: Cells,
    /// When, ms since the start.
    pub(crate) at_ms: i64,
}

/// What of the bucket a store gateway serves.
struct Share {
    scope: Scope,
    /// Whether no block is outside of it.
    is_all: bool,
    /// Whether the shards have changed places.
    turned: bool,
}

impl Share {
    fn new(process: &Process, number: usize) -> Self {
        let scenario = &process.world.scenario;
        let turned = scenario.split == Some(Split::Shards)
            && process.world.elapsed_ms() > scenario.chaos_ms / 2;
        let shard = (number + usize::from(turned)) % 2;
        let scope = match scenario.split {
            None => Scope::default(),
            Some(Split::Shards) => {
                let rules = format!(
                    "- {{action: hashmod, source_labels: [__block_id], target_label: shard, modulus: 2}}\n\
                     - {{action: keep, source_labels: [shard], regex: '{shard}'}}"
                );
                Scope {
                    shard: LabelShard::from_yaml(&rules, Vec::new()).expect("rules that can be"),
                    ..Scope::default()
                }
            }
            Some(Split::Times) => {
                let border = TimeOrDuration::Time(border_ms(scenario));
                let mut time = TimePartition::default();
                match number {
                    0 => time.max_time = border,
                    _ => time.min_time = border,
                }
                Scope {
                    time,
                    ..Scope::default()
                }
            }
        };
        Self {
            scope,
            is_all: scenario.split.is_none(),
            turned,
        }
    }

    /// The cells that blocks outside of it hold.
    fn elsewhere(&self, oracle: &Oracle, objects: &Objects) -> Cells {
        if self.is_all {
            return 0;
        }
        let blocks = oracle.ever_committed().into_iter();
        let others = blocks.filter(|id| {
            let meta = objects.meta(*id);
            meta.is_some_and(|meta| {
                !self.scope.shard.keeps(*id, &meta) || !self.scope.time.keeps(&meta, 0)
            })
        });
        others.fold(0, |all, id| all | oracle.held_by(id))
    }
}

pub(crate) async fn run(
    process: Process,
    number: usize,
    disk: Arc<MemoryDisk>,
    last: Arc<Mutex<Last>>,
) {
    loop {
        let share = Share::new(&process, number);
        if share.turned {
            process.world.reach("S28");
        }
        serve(&process, number, &disk, &last, share).await;
        process.note("starts with another shard");
        process.world.reach("S56");
    }
}

/// Serves its share, until it becomes another one.
async fn serve(
    process: &Process,
    number: usize,
    disk: &Arc<MemoryDisk>,
    last: &Mutex<Last>,
    share: Share,
) {
    let tasks = TaskGroup::new("store");
    let disk = process.disk(disk);
    let store = build(process, disk, &tasks, share.scope.clone());
    let mut served = Served::default();
    let mut before: Vec<BlockId> = Vec::new();
    let mut looked_ms = process.world.elapsed_ms();
    // Whether the last look was by a clock that is right: others make marks look older than they are.
    let mut told_right = true;
    while Share::new(process, number).turned == share.turned {
        let begun_ms = process.world.elapsed_ms();
        let was_right = is_right(process);
        match store.syncer.sync().await {
            Ok(_) => {
                looked_ms = begun_ms;
                told_right = was_right && is_right(process);
            }
            Err(error) => process.note(format!("sync fails: {error}")),
        }
        for _ in 0..2 {
            let age_ms = process.world.elapsed_ms() - looked_ms;
            let slow = process.world.is_chaos() && process.roll(100) == 0;
            // A slow answer is of the time when the question was asked.
            let (others, owed) = {
                let shared = process.world.lock();
                let oracle = &shared.oracle;
                let owed = oracle.acknowledged & !oracle.given_up;
                (share.elsewhere(oracle, &shared.objects), owed)
            };
            let question = Question {
                max_resolution: wanted_resolution(process),
                slow,
                others,
                owed,
            };
            let asked = ask(process, &store, &question).await;
            if let Ok(answer) = &asked {
                check_age(process, age_ms);
                if told_right && is_right(process) {
                    check_in_place(process, &share, &before, &answer.blocks);
                }
                before.clone_from(&answer.blocks);
            }
            match asked {
                Ok(answer) if answer.warnings.is_empty() => {
                    check_answer(process, &share, &question, &answer, (&mut served, last));
                }
                Ok(answer) => {
                    excuse(process, format!("warns: {}", answer.warnings.join("; ")));
                }
                Err(error) => excuse(process, format!("answers with an error: {error}")),
            }
            process.sleep(SYNC_MS * 4 / 10).await;
        }
    }
}

/// The coarsest resolution that a question allows, ms.
fn wanted_resolution(process: &Process) -> i64 {
    match process.world.scenario.retention.downsampling {
        true => resolution::ALL[process.roll(resolution::ALL.len() as u64) as usize],
        false => resolution::RAW,
    }
}

fn excuse(process: &Process, note: String) {
    process.note(note);
    process.world.lock().counts.excused += 1;
}

fn build(process: &Process, disk: Arc<dyn Disk>, tasks: &TaskGroup, scope: Scope) -> Store {
    let parts = Parts {
        bucket: bucket(process, tasks),
        disk: Some(disk),
        index_cache: Arc::new(NoCache),
        clock: process.clock(),
        cpu: CpuPool::inline(),
        ledger: Ledger::new(1 << 30),
        registry: Registry::new(),
    };
    let scenario = &process.world.scenario;
    let header_download = match scenario.seed % 2 {
        _ if scenario.bad_block => HeaderDownload::Eager,
        0 => HeaderDownload::Eager,
        _ => HeaderDownload::Lazy,
    };
    let config = StoreConfig {
        fetcher: strategy(&process.world.scenario),
        scope,
        sync: SyncConfig {
            concurrency: 4,
            header_download,
            close_idle_after: None,
        },
        gateway: GatewayConfig {
            limits: CallLimits::default(),
            max_concurrency: 20,
            series_batch: 10_000,
            min_time: "0000-01-01T00:00:00Z".parse().expect("a time"),
            max_time: "9999-12-31T23:59:59Z".parse().expect("a time"),
            contract: CONTRACT,
        },
        header_sampling: 32,
        max_series_bytes: 64 * 1024,
        max_chunk_bytes: 16_000,
    };
    Store::build(parts, config, tasks).expect("settings that can be")
}

/// The bucket, behind a cache in some runs.
fn bucket(process: &Process, tasks: &TaskGroup) -> Arc<dyn BucketReader> {
    if !process.world.scenario.caching {
        return process.reader();
    }
    let parts = CacheParts {
        clock: process.clock(),
        registry: Registry::new(),
        tasks: tasks.spawner(),
    };
    let cached = open_caching_bucket(Some(CACHE), process.reader(), "", &parts);
    cached.expect("settings that can be")
}

fn is_right(process: &Process) -> bool {
    let off_ms = process.clock().now_ms().abs_diff(process.world.now_ms());
    off_ms <= CONTRACT.clock_bound_ms.unsigned_abs()
}
