//! One run from its seed to its verdict.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rutile_block::{BlockId, InvariantId};
use rutile_disk::MemoryDisk;
use rutile_objstore::fake::MemoryBucket;
use rutile_runtime::{Entropy, SeededEntropy, TaskGroup};

use crate::actor::reader::Last;
use crate::actor::uploader::Stream;
use crate::actor::{Process, compactor, eraser, person, reader, replicator, thanos, uploader};
use crate::cell::Cell;
use crate::cells::cells_in;
use crate::oracle::{ERASER, REPLICATOR, Role, Violation};
use crate::scenario::{CALM_MS, CHAOS_MS, MINUTE, SYNC_MS, Scenario};
use crate::world::{Counts, EPOCH_MS, World};

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// What was broken, if anything.
    pub violation: Option<Violation>,
    /// What was done.
    pub counts: Counts,
    /// What happened, in words.
    pub trace: String,
}

/// Runs a scenario, in virtual time on this thread alone. The same scenario gives the same outcome.
///
/// # Panics
/// When the runtime cannot be made, and when code under test panics.
#[must_use]
pub fn run(scenario: &Scenario) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without threads");
    runtime.block_on(play(scenario.clone()))
}

async fn play(scenario: Scenario) -> Outcome {
    let world = World::new(scenario);
    for (is, number) in [
        (
            world.scenario.same_labels && world.scenario.groups > 1,
            "S13",
        ),
        (world.scenario.bad_block, "S26"),
        (world.scenario.directory_markers, "S47"),
    ] {
        if is {
            world.reach(number);
        }
    }
    let streams = streams(&world);
    let tasks = TaskGroup::new("sim");
    let replica = (world.scenario.replicates).then(|| world.second_bucket());
    let lasts = start(&world, &streams, replica.as_ref(), &tasks);
    let end = world.scenario.chaos_ms + CALM_MS;
    tokio::select! {
        biased;
        () = world.broken.notified() => {}
        () = tokio::time::sleep(Duration::from_millis(end as u64)) => settle(&world, &lasts, replica.as_ref()),
    }
    if tasks.panics() + world.effects.panics() > 0 {
        world.violate(InvariantId::Bc11, "a process panicked");
    }
    drop(tasks);
    let violation = world.violation();
    let mut shared = world.lock();
    shared.counts.merges = shared.oracle.merges;
    shared.counts.checks = shared.oracle.checks;
    shared.counts.reached = std::mem::take(&mut shared.oracle.reached);
    Outcome {
        violation,
        counts: shared.counts.clone(),
        trace: shared.trace.render(),
    }
}

/// Makes the blocks of every stream, and says when each turns up.
fn streams(world: &Arc<World>) -> Vec<Stream> {
    let scenario = &world.scenario;
    let entropy = SeededEntropy::new(scenario.seed ^ 0xce11);
    let mut shared = world.lock();
    let mut streams = Vec::new();
    for group in 0..scenario.groups {
        let mut cells = Vec::new();
        let mut born_ms = 0;
        for number in 0..scenario.blocks {
            let id = BlockId::generate(EPOCH_MS + born_ms, &entropy);
            let start = scenario.first_block_ms() + number as i64 * scenario.block_ms;
            let times = start..start + scenario.block_ms;
            let alike = scenario.same_labels && group > 0;
            let mut cell = match &scenario.replicas {
                Some(replicas) => replicas.cell(id, group, (number, times), &entropy),
                None => Cell::make(id, group, (number, times), alike),
            };
            if scenario.bad_block && group == 0 && number == 2 {
                cell.spoil();
            }
            let bad = cell.bad;
            let at = shared.oracle.add_cell(cell);
            if bad {
                // Nothing is promised of what nobody can read.
                shared.oracle.given_up |= 1 << at;
            }
            cells.push((at, born_ms));
            born_ms += (entropy.next_u64() % (25 * MINUTE as u64)) as i64;
        }
        streams.push(Stream {
            cells,
            listed: Arc::default(),
        });
    }
    streams
}

fn start(
    world: &Arc<World>,
    streams: &[Stream],
    replica: Option<&MemoryBucket>,
    tasks: &TaskGroup,
) -> Vec<Arc<Mutex<Last>>> {
    let scenario = &world.scenario;
    let processes = Processes { world, tasks };
    for (group, stream) in streams.iter().enumerate() {
        let twins = 1 + usize::from(scenario.twins);
        for twin in 0..twins {
            let stream = stream.clone();
            if scenario.thanos_sidecar && group == 0 {
                let life = move |process| thanos::sidecar(process, stream.clone());
                processes.start(format!("sidecar-{group}{twin}"), Role::Thanos, life);
            } else {
                let life = move |process| uploader::run(process, stream.clone());
                processes.start(format!("uploader-{group}{twin}"), Role::Uploader, life);
            }
        }
    }
    for number in 0..scenario.compactors {
        let disk = Arc::new(MemoryDisk::new());
        let life = move |process| compactor::run(process, Arc::clone(&disk));
        processes.start(format!("compactor-{number}"), Role::Compactor, life);
    }
    if scenario.person {
        processes.start("person", Role::Person, person::run);
    }
    if let Some(erasure) = scenario.erasure.clone() {
        let life = move |process| eraser::run(process, erasure.clone());
        processes.start(ERASER, Role::Person, life);
    }
    if let Some(replica) = replica.cloned() {
        let life = move |process| replicator::run(process, replica.clone());
        processes.start(REPLICATOR, Role::Uploader, life);
    }
    if scenario.thanos_store {
        processes.start("thanos-store", Role::Thanos, thanos::store);
    }
    let reader = |number| {
        let (disk, last) = (Arc::new(MemoryDisk::new()), Arc::new(Mutex::default()));
        let shown = Arc::clone(&last);
        let life =
            move |process| reader::run(process, number, Arc::clone(&disk), Arc::clone(&last));
        processes.start(format!("reader-{number}"), Role::Reader, life);
        shown
    };
    (0..scenario.readers).map(reader).collect()
}

/// Starts the processes of a run.
struct Processes<'a> {
    world: &'a Arc<World>,
    tasks: &'a TaskGroup,
}

impl Processes<'_> {
    /// Starts a process, and its `life` anew whenever it crashed.
    fn start<F>(
        &self,
        name: impl Into<String>,
        role: Role,
        life: impl Fn(Process) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        let process = Process::new(self.world, name.clone(), role);
        let lives = async move { process.supervise(|| life(process.clone())).await };
        drop(self.tasks.spawn(name, lives));
    }
}

/// What must hold in the end.
fn settle(world: &Arc<World>, lasts: &[Arc<Mutex<Last>>], replica: Option<&MemoryBucket>) {
    let now = world.elapsed_ms();
    let split = world.scenario.split.is_some();
    world.change(|shared| {
        let objects = &shared.objects;
        shared.oracle.at_rest(objects, world.now_ms());
        let oracle = &mut shared.oracle;
        if let Some(replica) = replica {
            oracle.check_replica(&replica.keys());
        }
        let together = lasts.iter().fold(0, |all, last| all | last.lock().cells);
        for (number, last) in lasts.iter().enumerate() {
            let last = last.lock();
            if !oracle.broken.is_empty() {
                // What lacks an object, or its replacement, is answered with an error or a warning, for good.
                continue;
            }
            if now - last.at_ms > 3 * SYNC_MS {
                let what = format!("liveness: reader-{number} has not answered in full for long");
                oracle.violate(InvariantId::Bc7, what);
            }
            let shown = if split { together } else { last.cells };
            let lost = oracle.acknowledged & !oracle.given_up & !shown;
            if let Some(at) = cells_in(lost).next() {
                let id = oracle.name(at);
                let what = format!("durability: reader-{number} lacks {id} in the end");
                oracle.violate(InvariantId::Bc7, what);
            }
        }
    });
}

/// Leaves out of a scenario that breaks `clause` whatever it breaks it without.
#[must_use]
pub fn shrink(scenario: &Scenario, clause: InvariantId) -> Scenario {
    let mut smallest = scenario.clone();
    let breaks = |candidate: &Scenario| {
        let violation = run(candidate).violation;
        violation.is_some_and(|violation| violation.clause == clause)
    };
    loop {
        let smaller = smallest.smaller().into_iter();
        let mut failing =
            smaller.filter(|candidate| candidate.chaos_ms >= CHAOS_MS / 16 && breaks(candidate));
        match failing.next() {
            Some(next) => smallest = next,
            None => return smallest,
        }
    }
}
