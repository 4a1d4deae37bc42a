//! The real store gateway: it syncs, restarts with its caches, and answers; every answer is checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use parking_lot::Mutex;
use prost::Message;
use rutile_block::{BlockId, InvariantId};
use rutile_blockio::NoCache;
use rutile_cache::{CacheParts, open_caching_bucket};
use rutile_disk::{Disk, MemoryDisk};
use rutile_fetcher::Scope;
use rutile_fetcher::filter::label_shard::LabelShard;
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_model::TimeOrDuration;
use rutile_objstore::BucketReader;
use rutile_proto::hintspb::LabelNamesResponseHints;
use rutile_proto::thanos::{
    LabelMatcher, LabelNamesRequest, SeriesRequest, label_matcher, series_response,
};
use rutile_runtime::{CpuPool, Ledger, TaskGroup};
use rutile_store::{
    CallLimits, GatewayConfig, HeaderDownload, Parts, Store, StoreConfig, SyncConfig,
};
use rutile_storeapi::{RequestContext, StoreApi};
use rutile_telemetry::Registry;

use crate::actor::Process;
use crate::actor::compactor::strategy;
use crate::cell::{Samples, add_samples};
use crate::objects::Objects;
use crate::oracle::{Cells, Oracle, cells_in};
use crate::scenario::{BLOCK_MS, CONTRACT, FIRST_BLOCK_MS, MINUTE, SYNC_MS, Split};

/// A caching bucket that hides what is new for no longer than the contract of the runs says.
const CACHE: &str = "type: IN-MEMORY
metafile_exists_ttl: 2m
metafile_doesnt_exist_ttl: 1m
metafile_content_ttl: 2m
blocks_iter_ttl: 1m
";

/// Where two readers divide time: within a window of the first compaction.
const BORDER_MS: i64 = FIRST_BLOCK_MS + 3 * BLOCK_MS;

/// What a reader last answered when all was well.
#[derive(Debug, Default)]
pub(crate) struct Last {
    /// The cells of the answer.
    pub(crate) cells: Cells,
    /// When, ms since the start.
    pub(crate) at_ms: i64,
}

/// An answer: samples by stream, and the blocks that it was read from.
#[derive(Debug, Default)]
struct Answer {
    samples: BTreeMap<String, Samples>,
    blocks: Vec<BlockId>,
    warnings: Vec<String>,
    /// What is wrong with the samples of a series.
    twice: Option<String>,
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
                let border = TimeOrDuration::Time(BORDER_MS);
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
    let mut served: Cells = 0;
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
            // What others served when the question was asked: a slow answer is of that time.
            let others = {
                let shared = process.world.lock();
                share.elsewhere(&shared.oracle, &shared.objects)
            };
            let asked = ask(process, &store, slow).await;
            if let Ok(answer) = &asked {
                check_age(process, age_ms);
                if told_right && is_right(process) {
                    check_in_place(process, &share, &before, &answer.blocks);
                }
                before.clone_from(&answer.blocks);
            }
            match asked {
                Ok(answer) if answer.warnings.is_empty() => {
                    check(
                        process,
                        &share,
                        &answer,
                        (&mut served, last),
                        (others, slow),
                    );
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

/// Asks for everything; a slow client begins to read when the delays are over.
async fn ask(process: &Process, store: &Store, slow: bool) -> Result<Answer, String> {
    let request = SeriesRequest {
        min_time: i64::MIN,
        max_time: i64::MAX,
        matchers: vec![LabelMatcher {
            r#type: label_matcher::Type::Eq as i32,
            name: "__name__".to_owned(),
            value: "m".to_owned(),
        }],
        aggregates: vec![0],
        ..SeriesRequest::default()
    };
    let context = RequestContext::default;
    let mut answer = Answer {
        blocks: blocks(store).await?,
        ..Answer::default()
    };
    let stream = store.gateway.series(context(), request).await;
    let stream = stream.map_err(|e| e.to_string())?;
    if slow {
        process.world.reach("S43");
        process.sleep(2 * CONTRACT.delete_delay_ms).await;
    }
    let frames: Vec<_> = stream.try_collect().await.map_err(|e| e.to_string())?;
    for frame in frames {
        for message in frame.decode().map_err(|e| e.to_string())? {
            match message.result {
                Some(series_response::Result::Series(series)) => add(&mut answer, &series)?,
                Some(series_response::Result::Warning(warning)) => answer.warnings.push(warning),
                _ => {}
            }
        }
    }
    Ok(answer)
}

/// The blocks that are served now. A call that reads the label names of all of them tells.
async fn blocks(store: &Store) -> Result<Vec<BlockId>, String> {
    let request = LabelNamesRequest {
        start: i64::MIN,
        end: i64::MAX,
        ..LabelNamesRequest::default()
    };
    let context = RequestContext::default();
    let names = store.gateway.label_names(context, request).await;
    let hints = names.map_err(|e| e.to_string())?.hints.unwrap_or_default();
    let hints = LabelNamesResponseHints::decode(&*hints.value).map_err(|e| e.to_string())?;
    let blocks = hints.queried_blocks.iter();
    let blocks = blocks.map(|block| block.id.parse::<BlockId>().map_err(|e| e.to_string()));
    blocks.collect()
}

fn add(answer: &mut Answer, series: &rutile_proto::thanos::Series) -> Result<(), String> {
    let label = |name: &str| {
        let label = series.labels.iter().find(|label| label.name == name);
        label.map(|label| label.value.clone()).unwrap_or_default()
    };
    let of_stream = answer.samples.entry(label("stream")).or_default();
    let samples = of_stream.entry(label("series")).or_default();
    for chunk in &series.chunks {
        let raw = chunk.raw.as_ref().ok_or("a chunk without samples")?;
        if let Err(error) = add_samples(&raw.data, samples) {
            answer.twice.get_or_insert(error);
        }
    }
    Ok(())
}

fn is_right(process: &Process) -> bool {
    let off_ms = process.clock().now_ms().abs_diff(process.world.now_ms());
    off_ms <= CONTRACT.clock_bound_ms.unsigned_abs()
}

/// What was seen so long ago that others may have deleted it must not be answered from.
fn check_age(process: &Process, age_ms: i64) {
    if age_ms > CONTRACT.max_view_age_ms() + MINUTE {
        let (name, minutes) = (&process.actor.name, age_ms / MINUTE);
        let what = format!("{name} answers from what it saw {minutes} minutes ago");
        process.world.violate(InvariantId::Bc17, &what);
    }
}

/// What is not served any more, and whole in the bucket, must be replaced: a warning is no excuse.
fn check_in_place(process: &Process, share: &Share, before: &[BlockId], now: &[BlockId]) {
    let world = &process.world;
    let now_ms = world.now_ms();
    world.change(|shared| {
        let (objects, oracle) = (&shared.objects, &mut shared.oracle);
        let covered = now.iter().fold(0, |all, id| all | oracle.held_by(*id));
        let covered = covered | share.elsewhere(oracle, objects);
        for id in before.iter().filter(|id| !now.contains(id)) {
            let lost = oracle.held_by(*id) & !covered & !oracle.given_up;
            if lost != 0 && oracle.is_to_be_served(objects, *id, now_ms) {
                let name = &process.actor.name;
                let what = format!("{name} drops {id}, which is whole, and serves nothing instead");
                oracle.violate(InvariantId::Bc7, what);
            }
        }
    });
}

fn check(
    process: &Process,
    share: &Share,
    answer: &Answer,
    (served, last): (&mut Cells, &Mutex<Last>),
    (others, slow): (Cells, bool),
) {
    let world = &process.world;
    let now_ms = world.now_ms();
    let at_ms = world.elapsed_ms();
    let name = &process.actor.name;
    world.change(|shared| {
        shared.counts.answers += 1;
        let (objects, oracle) = (&shared.objects, &mut shared.oracle);
        let held: Vec<Cells> = answer.blocks.iter().map(|id| oracle.held_by(*id)).collect();
        let all = held.iter().fold(0, |all, cells| all | cells);
        for (at, cells) in held.iter().enumerate() {
            let twice = held.iter().enumerate();
            let mut twice = twice.filter(|(other, more)| *other != at && cells & !*more == 0);
            if let Some((other, _)) = twice.next() {
                let (a, b) = (answer.blocks[at], answer.blocks[other]);
                let what = format!("no double counting: {name} reads {a} and {b}, which holds it");
                oracle.violate(InvariantId::Bc8, what);
            }
        }
        if let Some(error) = &answer.twice {
            let what = format!("no double counting: {name}: {error}");
            oracle.violate(InvariantId::Bc8, what);
        }
        let mut expected: BTreeMap<String, Samples> = BTreeMap::new();
        for cell in cells_in(all) {
            let cell = &oracle.cells[cell];
            let of_stream = expected.entry(cell.stream()).or_default();
            for (series, samples) in &cell.samples {
                of_stream.entry(series.clone()).or_default().extend(samples);
            }
        }
        if expected != answer.samples {
            let what = format!("{name} does not answer with what the blocks that it reads hold");
            oracle.violate(InvariantId::Bc17, what);
        }
        let mut lost = *served & !oracle.given_up & !all;
        let elsewhere = others | share.elsewhere(oracle, objects);
        let spans = |id: &BlockId| {
            let meta = objects.meta(*id);
            meta.is_some_and(|meta| meta.min_time < BORDER_MS && meta.max_time > BORDER_MS)
        };
        match world.scenario.split {
            Some(Split::Shards) if lost & elsewhere != 0 => oracle.reach("S57"),
            Some(Split::Times) if answer.blocks.iter().any(spans) => oracle.reach("S58"),
            _ => {}
        }
        lost &= !elsewhere;
        if let Some(at) = cells_in(lost).next() {
            let id = oracle.cells[at].id;
            let what =
                format!("monotonic coverage: {name} does not say that it lacks {id}, which it had");
            oracle.violate(InvariantId::Bc7, what);
        }
        let bound = 2 * CONTRACT.delete_delay_ms + CONTRACT.ignore_delay_ms + 60 * MINUTE;
        let returned = cells_in(all).find(|cell| {
            let erased = oracle.erased.get(cell);
            !slow && erased.is_some_and(|(since_ms, _)| now_ms - since_ms > bound)
        });
        if let Some(at) = returned {
            let id = oracle.cells[at].id;
            let what = format!("no return: {name} answers with {id}, which was erased long ago");
            oracle.violate(InvariantId::Bc15, what);
        }
        *served = all & !oracle.given_up;
        *last.lock() = Last { cells: all, at_ms };
    });
}
