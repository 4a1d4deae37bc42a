//! Merging the recorded inputs gives the recorded outputs.

use std::path::Path;

use rutile_block::{BlockId, Meta};
use rutile_dedup::Function;
use rutile_merge::{Merged, Overlapping};

use crate::world::{World, id};

/// Merges the parents of a recorded block anew, and compares all there is.
async fn check(bucket: &Path, recorded: &Meta) {
    let world = World::new();
    let parents = &recorded.compaction.parents;
    let mut inputs: Vec<Meta> = parents
        .iter()
        .map(|parent| world.add_dir(&bucket.join(parent.id.to_string())))
        .collect();
    // The order of the plan does not matter.
    inputs.reverse();
    let merged = world.merge_block(&inputs, id(1)).await;

    compare(&world, bucket, recorded, &merged).await;
}

/// What came out is what was recorded, in all but its name and the time.
async fn compare(world: &World, bucket: &Path, recorded: &Meta, merged: &Meta) {
    let expected = bucket.join(recorded.id.to_string());
    for file in &recorded.thanos.files {
        if file.rel_path == "meta.json" {
            continue;
        }
        let body = world.object(merged.id, &file.rel_path).await;
        let recorded = std::fs::read(expected.join(&file.rel_path)).unwrap();
        assert!(
            body == recorded,
            "{} of {}",
            file.rel_path,
            expected.display()
        );
    }
    let mut same = recorded.clone();
    same.id = merged.id;
    same.thanos.upload_time = merged.thanos.upload_time;
    assert_eq!(*merged, same);
    let stored = world.object(merged.id, "meta.json").await;
    assert_eq!(Meta::parse(merged.id, &stored).unwrap(), *merged);
    let snapshot = world.progress.snapshot();
    assert_eq!(snapshot.read_bytes, snapshot.total_bytes);
    assert!(snapshot.fraction().is_some_and(|done| done > 0.999));
}

fn metas(bucket: &Path) -> Vec<Meta> {
    rutile_testkit::block_dirs(bucket)
        .iter()
        .map(|dir| {
            let id: BlockId = dir.file_name().unwrap().to_str().unwrap().parse().unwrap();
            Meta::parse(id, &std::fs::read(dir.join("meta.json")).unwrap()).unwrap()
        })
        .collect()
}

fn recorded(bucket: &Path) -> Vec<Meta> {
    let mut metas = metas(bucket);
    metas.retain(|meta| meta.compaction.level > 1 && meta.thanos.downsample.resolution == 0);
    metas
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorded_blocks_come_out_byte_for_byte() {
    let bucket = rutile_testkit::golden().join("raw");
    let recorded = recorded(&bucket);
    let lengths: Vec<i64> = recorded
        .iter()
        .map(|m| m.duration_ms() / 3_600_000)
        .collect();
    assert_eq!(lengths, [8, 8, 8, 8, 8, 8, 8, 48]);
    for meta in &recorded {
        check(&bucket, meta).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorded_downsampled_blocks_come_out_byte_for_byte() {
    let mut made = Vec::new();
    for name in ["raw", "long"] {
        let bucket = rutile_testkit::golden().join(name);
        let metas = metas(&bucket);
        for recorded in &metas {
            let (from, to) = match recorded.thanos.downsample.resolution {
                0 => continue,
                3_600_000 => (300_000, 3_600_000),
                to => (0, to),
            };
            let source = metas.iter().find(|meta| {
                meta.thanos.downsample.resolution == from
                    && meta.compaction.sources == recorded.compaction.sources
            });
            let world = World::new();
            let input = world.add_dir(&bucket.join(source.unwrap().id.to_string()));
            let merged = world.make(&[input], id(1), Some(to)).await;
            let Merged::Block(merged) = merged.unwrap() else {
                panic!("nothing was left");
            };
            compare(&world, &bucket, recorded, &merged).await;
            made.push((name, to));
        }
    }
    assert_eq!(
        made,
        [("raw", 300_000), ("long", 300_000), ("long", 3_600_000)]
    );
}

/// Merges replicas by a function, then the results into a longer block.
async fn check_replicas(name: &str, function: Function) {
    let ha = rutile_testkit::golden().join("ha");
    let recorded = metas(&ha.join(name));
    let mut lengths = Vec::new();
    for recorded in &recorded {
        let world = World::new();
        let parents = &recorded.compaction.parents;
        let mut inputs: Vec<Meta> = Vec::new();
        for parent in parents {
            let folder = match recorded.compaction.level {
                2 => "input",
                _ => name,
            };
            let mut meta = world.add_dir(&ha.join(folder).join(parent.id.to_string()));
            meta.thanos.labels = meta.thanos.labels.without(&["replica"]);
            inputs.push(meta);
        }
        inputs.reverse();
        let merged = world
            .merge_by(Overlapping::new(function), &inputs, id(1))
            .await;
        let Merged::Block(merged) = merged.unwrap() else {
            panic!("nothing was left");
        };
        // The reference lists parents with the same times in any order.
        let mut recorded = recorded.clone();
        { &mut recorded.compaction.parents }.sort_by_key(|parent| (parent.min_time, parent.id));
        compare(&world, &ha.join(name), &recorded, &merged).await;
        lengths.push((parents.len(), recorded.duration_ms() / 3_600_000));
    }
    lengths.sort_unstable();
    let pairs = [(2, 2); 6];
    assert_eq!(lengths, [&pairs[..], &[(4, 8)]].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_become_the_recorded_blocks_byte_for_byte() {
    check_replicas("penalty", Function::Penalty).await;
    check_replicas("chain", Function::Chain).await;
}
