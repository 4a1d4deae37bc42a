//! Which blocks go up, in what order, and as what.

use rutile_block::Source;
use rutile_lifecycle::HashFunc;
use rutile_model::{ErrorKind, Labels};
use rutile_objstore::Operation;

use crate::world::{HOUR, World, block, compacted, id, now, number, numbers};

#[tokio::test]
async fn blocks_go_up_oldest_first_with_labels_and_source() {
    let mut world = World::new(&[3, 1, 2]);
    // The name says when a block was made, not what time it covers.
    let mut late = block(9);
    late.min_time = 0;
    world.add(late);
    world.config.hash = HashFunc::Sha256;
    let synced = world.sync().await;
    assert_eq!(numbers(&synced.uploaded), [9, 1, 2, 3]);
    assert!(synced.failed.is_empty() && synced.corrupted.is_empty());
    assert_eq!(world.listed(), [9, 1, 2, 3]);
    let commits: Vec<_> = world.bucket.calls().into_iter().collect();
    let commits = commits
        .iter()
        .filter(|call| call.operation == Operation::Put && call.key.ends_with("meta.json"))
        .map(|call| call.key.split('/').next().unwrap().parse().unwrap());
    assert_eq!(commits.map(number).collect::<Vec<_>>(), [9, 1, 2, 3]);

    let meta = world.remote(1).unwrap();
    assert_eq!(meta.thanos.labels, Labels::from([("cluster", "eu1")]));
    assert_eq!(meta.thanos.source, Source::Sidecar);
    assert_eq!(meta.thanos.segment_files, ["000001", "000002"]);
    assert_eq!(meta.thanos.upload_time.ms(), Some(now(&world)));
    assert!(meta.file("index").unwrap().hash.is_some());
    assert_eq!(
        world.keys(1),
        ["chunks/000001", "chunks/000002", "index", "meta.json"]
    );
    assert!(!world.has_links());
    assert_eq!(world.metric("uploads_total"), 4);
    assert_eq!(world.metric("dir_syncs_total"), 1);
    assert_eq!(world.metric("dir_sync_failures_total"), 0);
}

#[tokio::test]
async fn what_is_not_a_finished_block_is_left_alone() {
    let world = World::new(&[1]);
    let mut empty = block(2);
    empty.stats.num_samples = 0;
    world.add(empty);
    for path in [
        format!("{}.tmp-for-creation/meta.json", id(3)),
        format!("{}.tmp-for-deletion/index", id(4)),
        format!("{}/meta.json", id(5).to_string().to_lowercase()),
        "wal/000001".to_owned(),
        "chunks_head/000001".to_owned(),
    ] {
        world.write(&path, b"{");
    }
    // A file of that name is no block either.
    world.write(&id(6).to_string(), b"x");
    let synced = world.sync().await;
    assert_eq!(numbers(&synced.uploaded), [1]);
    assert!(synced.failed.is_empty(), "{:?}", synced.failed);
    assert_eq!(world.listed(), [1]);
    assert!((2..7).all(|n| world.keys(n).is_empty()));
}

#[tokio::test]
async fn compacted_blocks_go_up_where_they_are_asked_for() {
    let mut world = World::new(&[5]);
    world.add(compacted(9, 1, 4));
    assert_eq!(numbers(&world.sync().await.uploaded), [5]);
    assert_eq!(world.metric("upload_compacted_done"), 0);
    world.config.upload_compacted = true;
    assert_eq!(numbers(&world.sync().await.uploaded), [9]);
    assert_eq!(world.listed(), [9, 5]);
    assert_eq!(world.metric("upload_compacted_done"), 1);
    // One that is not in is told of.
    world.add(block(6));
    world.puts_fail_after(0);
    assert_eq!(world.sync().await.failed.len(), 1);
    assert_eq!(world.metric("upload_compacted_done"), 0);
}

#[tokio::test]
async fn without_external_labels_nothing_goes_up() {
    let world = World::new(&[1]);
    let mut shipper = world.shipper();
    world.labels.send(Labels::empty()).unwrap();
    let error = shipper.sync().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("external_labels"), "{error}");
    assert!(world.memory.keys().is_empty());
    assert_eq!(world.metric("dir_sync_failures_total"), 1);
}

#[tokio::test]
async fn labels_are_those_of_the_moment() {
    let world = World::new(&[1]);
    let mut shipper = world.shipper();
    assert_eq!(shipper.sync().await.unwrap().uploaded.len(), 1);
    world
        .labels
        .send(Labels::from([("cluster", "us1")]))
        .unwrap();
    // Ours count where the block has some of its own.
    let mut meta = block(2);
    meta.thanos.labels = Labels::from([("cluster", "old"), ("tenant", "a")]);
    world.add(meta.clone());
    world.write(&format!("{}/meta.json", id(2)), &meta.to_json());
    assert_eq!(shipper.sync().await.unwrap().uploaded.len(), 1);
    let labels = |n| world.remote(n).unwrap().thanos.labels;
    assert_eq!(labels(1), Labels::from([("cluster", "eu1")]));
    assert_eq!(
        labels(2),
        Labels::from([("cluster", "us1"), ("tenant", "a")])
    );
}

#[tokio::test]
async fn as_many_files_go_up_at_a_time_as_are_asked_for() {
    for (concurrency, expected) in [(0, 1), (1, 1), (2, 2), (9, 3)] {
        let mut world = World::new(&[1]);
        world.config.upload_concurrency = concurrency;
        let files = format!("{}/", id(1));
        let gate = world.bucket.pause(|fault| {
            let puts = rutile_objstore::fake::Rule::new(fault).on([Operation::Put]);
            puts.key_prefix(files)
        });
        let mut shipper = world.shipper();
        let mut sync = std::pin::pin!(shipper.sync());
        // All that is to come has come: neither bucket nor disk waits for anything else.
        let idle = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            _ = &mut sync => panic!("it did not wait for the bucket"),
            () = idle => {}
        }
        assert_eq!(
            world.bucket.count(Operation::Put),
            expected,
            "{concurrency}"
        );
        gate.open();
        assert_eq!(sync.await.unwrap().uploaded, [id(1)]);
    }
}

/// An upload that takes too long is begun anew by the next sync (P5).
#[tokio::test]
async fn bc_03_an_upload_that_takes_too_long_is_given_up() {
    let world = World::new(&[1]);
    let index = format!("{}/index", id(1));
    let gate = world
        .bucket
        .pause(|fault| rutile_objstore::fake::Rule::new(fault).key(index).times(1));
    let mut shipper = world.shipper();
    let (synced, ()) = tokio::join!(shipper.sync(), async {
        gate.reached().await;
        world.clock.advance(25 * HOUR);
        gate.open();
    });
    assert_eq!(synced.unwrap().failed[0].kind(), ErrorKind::Exhausted);
    assert!(world.remote(1).is_none() && world.listed().is_empty());
    assert_eq!(shipper.sync().await.unwrap().uploaded, [id(1)]);
}
