//! The real compactor: it merges, marks, applies retention, deletes and cleans up.

use std::sync::Arc;
use std::time::Duration;

use rutile_compact::{CompactConfig, Compactor, Parts, Planner};
use rutile_disk::MemoryDisk;
use rutile_fetcher::{FetcherConfig, ListStrategy, Scope};
use rutile_lifecycle::HashFunc;
use rutile_runtime::{CpuPool, Ledger, TaskGroup};
use rutile_telemetry::Registry;

use crate::actor::{Process, compactor_contract, thanos_compactor};
use crate::replicas::REPLICA;
use crate::scenario::{ITERATION_MS, LEASE_MS, Scenario};
use crate::world::Shared;

/// Memory that nobody gets to the end of here.
const MEMORY: u64 = 8 << 30;

pub(crate) fn strategy(scenario: &Scenario) -> FetcherConfig {
    FetcherConfig {
        strategy: match scenario.recursive {
            true => ListStrategy::Recursive,
            false => ListStrategy::Concurrent,
        },
        ..FetcherConfig::default()
    }
}

pub(crate) async fn run(process: Process, disk: Arc<MemoryDisk>) {
    if process.world.scenario.thanos_compactor && process.world.is_chaos() && process.roll(2) == 0 {
        // Until the next restart, or until faults stop.
        tokio::select! {
            biased;
            () = thanos_compactor::run(&process) => {}
            () = process.calm() => {}
        }
    }
    loop {
        let at_ms = process.world.elapsed_ms();
        let replicas = process.world.scenario.replicas.as_ref();
        let Some(turn_ms) = replicas.and_then(|replicas| replicas.turn_ms(at_ms)) else {
            return work(&process, &disk).await;
        };
        tokio::select! {
            biased;
            () = work(&process, &disk) => {}
            () = tokio::time::sleep(Duration::from_millis((turn_ms - at_ms).unsigned_abs())) => {}
        }
        process.note("starts with other replica labels");
        let mut shared = process.world.lock();
        let Shared {
            objects, oracle, ..
        } = &mut *shared;
        oracle.saw_turn(objects);
    }
}

/// Works with the settings of this time.
async fn work(process: &Process, disk: &Arc<MemoryDisk>) {
    let tasks = TaskGroup::new("compact");
    let disk = process.disk(disk);
    let scenario = &process.world.scenario;
    let at_ms = process.world.elapsed_ms();
    let replicas = scenario.replicas.as_ref();
    let replicas = replicas.filter(|replicas| replicas.known_ms.contains(&at_ms));
    let parts = Parts {
        bucket: process.bucket(),
        disk,
        clock: process.clock(),
        entropy: process.entropy(),
        cpu: CpuPool::inline(),
        files: CpuPool::inline(),
        ledger: Ledger::new(MEMORY),
        tasks: tasks.spawner(),
        registry: Registry::new(),
    };
    let config = CompactConfig {
        fetcher: strategy(scenario),
        scope: Scope::default(),
        contract: compactor_contract(process),
        planner: Planner::new(scenario.max_level(), 64 << 30),
        vertical: replicas.map(|replicas| replicas.function),
        replica_labels: replicas.map(|_| REPLICA.to_owned()).into_iter().collect(),
        retention: scenario.retention,
        concurrency: 1,
        downsample_concurrency: 1,
        hash: HashFunc::None,
        lease: (scenario.leases).then_some(Duration::from_millis(LEASE_MS.unsigned_abs())),
    };
    let compactor = Compactor::build(parts, config).expect("settings that can be");
    let interval = Duration::from_millis(ITERATION_MS as u64);
    // The background clean-up meets iterations, as in the real process.
    let cleanup = Duration::from_millis(ITERATION_MS as u64 * 2 + process.roll(60_000));
    tokio::join!(compactor.run(interval), compactor.sweep_often(cleanup));
}
