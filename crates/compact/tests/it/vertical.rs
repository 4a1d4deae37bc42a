//! Replicas through the whole compactor, by each function.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rutile_block::{BlockId, Mark, MarkKind, Meta, details, file_key};
use rutile_dedup::Function;
use rutile_testkit::{block_dirs, dumps, golden};

use crate::crash::{run_until_request, settle};
use crate::world::{HOUR, NOW_MS, Process, Settings, World, id};

fn settings(function: Function) -> Settings {
    Settings {
        vertical: Some(function),
        replica_labels: vec!["replica".to_owned()],
        ..Settings::default()
    }
}

fn name(dir: &Path) -> String {
    dir.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The blocks of both replicas.
fn inputs() -> Vec<String> {
    let dirs = block_dirs(&golden().join("ha/input"));
    let names: Vec<String> = dirs.iter().map(|dir| name(dir)).collect();
    assert_eq!(names.len(), 12);
    names
}

fn world(blocks: &[String]) -> World {
    let world = World::new();
    blocks.iter().for_each(|block| world.add(block));
    world
}

/// The two replicas of the first two hours.
fn pair() -> Vec<String> {
    let of_all = world(&inputs());
    let metas: Vec<Meta> = of_all.blocks().iter().map(|id| of_all.meta(*id)).collect();
    let start = metas.iter().map(|meta| meta.min_time).min().unwrap();
    let first = metas.iter().filter(|meta| meta.min_time == start);
    let pair: Vec<String> = first.map(|meta| meta.id.to_string()).collect();
    assert_eq!(pair.len(), 2);
    pair
}

/// What Thanos left of a function, by its times.
fn recorded(function: Function) -> BTreeMap<(i64, i64), Meta> {
    let dirs = block_dirs(&golden().join("ha").join(function.name()));
    let live = dirs
        .iter()
        .filter(|dir| !dir.join("deletion-mark.json").try_exists().unwrap());
    let metas = live.map(|dir| {
        let meta = std::fs::read(dir.join("meta.json")).unwrap();
        Meta::parse(id(&name(dir)), &meta).unwrap()
    });
    metas
        .map(|meta| ((meta.min_time, meta.max_time), meta))
        .collect()
}

/// The live blocks by their times.
fn live(world: &World) -> BTreeMap<(i64, i64), Meta> {
    let metas = world.live().into_iter().map(|id| world.meta(id));
    metas
        .map(|meta| ((meta.min_time, meta.max_time), meta))
        .collect()
}

fn vertical_compactions(process: &Process) -> f64 {
    process.metric("thanos_compact_group_vertical_compactions_total{resolution=\"0\"}")
}

/// The replicas' label is gone, and every source is marked as replaced.
fn check_marks(world: &World) {
    for block in inputs() {
        let mark = world.marked(id(&block), MarkKind::Deletion);
        let Some(Mark::Deletion(mark)) = mark else {
            panic!("{block}: {mark:?}");
        };
        assert_eq!(mark.details, details::COMPACTED);
    }
    for meta in live(world).values() {
        let labels: Vec<(&str, &str)> = meta.thanos.labels.iter().collect();
        assert_eq!(labels, [("cluster", "eu3")]);
    }
}

#[tokio::test]
async fn bc_13_replicas_become_what_thanos_makes_of_them() {
    for function in [Function::Penalty, Function::Chain] {
        let world = world(&inputs());
        let process = world.start(settings(function));
        settle(&process).await;
        assert_eq!(vertical_compactions(&process), 6.0, "{function}");
        let (ours, theirs) = (live(&world), recorded(function));
        assert!(
            ours.keys().eq(theirs.keys()),
            "{function}: {:?}",
            ours.keys()
        );
        for (ours, theirs) in ours.values().zip(theirs.values()) {
            assert_eq!(ours.stats, theirs.stats, "{function}");
            assert_eq!(ours.compaction.level, theirs.compaction.level);
            assert_eq!(ours.compaction.sources, theirs.compaction.sources);
            let folder = golden().join("ha").join(function.name());
            for file in ["index", "chunks/000001"] {
                let body = world.memory.body(&file_key(ours.id, file)).unwrap();
                let expected = folder.join(theirs.id.to_string()).join(file);
                assert!(
                    body == std::fs::read(expected).unwrap(),
                    "{function}: {file}"
                );
            }
        }
        check_marks(&world);
    }
}

#[tokio::test]
async fn one_replica_at_a_time_passes_whole_chunks() {
    let world = world(&inputs());
    settle(&world.start(settings(Function::Replica))).await;
    check_marks(&world);
    let live = live(&world);
    assert!(live.keys().eq(recorded(Function::Chain).keys()));
    world.clock.set(NOW_MS + 100 * HOUR);
    settle(&world.start(settings(Function::Replica))).await;
    let inputs = inputs();
    let of_replicas: BTreeSet<(i64, i64, String)> = { inputs.iter() }
        .flat_map(|block| dumps::chunks(block))
        .map(|chunk| (chunk.min_time, chunk.max_time, chunk.digest))
        .collect();
    let read = world.read().await;
    assert_eq!(
        read.len() as u64,
        live.values().map(|m| m.stats.num_series).max().unwrap()
    );
    let chunks: Vec<&(i64, i64, String)> = read.values().flatten().collect();
    // Both replicas lack scrapes, so most chunks are parts of both.
    let passed = { chunks.iter() }.filter(|chunk| of_replicas.contains(**chunk));
    assert!(passed.count() > 100);
    for of_series in read.values() {
        assert!(of_series.is_sorted_by(|a, b| a.1 < b.0), "{of_series:?}");
    }
}

#[tokio::test]
async fn without_its_flags_replicas_are_kept_apart() {
    let world = world(&pair());
    world.iterate().await;
    let inputs: BTreeSet<BlockId> = pair().iter().map(|block| id(block)).collect();
    assert_eq!(world.live(), inputs);
}

#[tokio::test]
async fn bc_10_killed_at_every_request_of_a_vertical_compaction() {
    let pair = pair();
    let sources: Vec<BlockId> = pair.iter().map(|block| id(block)).collect();
    let whole = world(&pair);
    settle(&whole.start(settings(Function::Penalty))).await;
    let expected = live(&whole).into_values().next().unwrap();
    let mut n = 0;
    loop {
        let world = world(&pair);
        let context = format!("killed at request {n}");
        let killed = run_until_request(&world, settings(Function::Penalty), n).await;
        // Nothing is marked that is not in a block that stays.
        let outputs = world.outputs();
        for source in &sources {
            let holds = |meta: &Meta| meta.compaction.sources.contains(source);
            let there = world.live().contains(source) || outputs.iter().any(holds);
            assert!(there, "{context}: {source} is lost");
        }
        settle(&world.start(settings(Function::Penalty))).await;
        world.clock.set(NOW_MS + 100 * HOUR);
        settle(&world.start(settings(Function::Penalty))).await;
        let live = live(&world);
        assert_eq!(live.len(), 1, "{context}");
        for output in live.values() {
            assert_eq!(output.stats, expected.stats, "{context}");
            assert_eq!(output.compaction.sources, sources, "{context}");
        }
        for source in &pair {
            let keys = world.memory.keys();
            assert!(!keys.iter().any(|key| key.starts_with(source)), "{context}");
        }
        if !killed {
            break;
        }
        n += 1;
    }
    assert!(n > 20, "only {n} requests were seen");
}
