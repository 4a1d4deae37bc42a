//! Bad input is named: which block, and why.

use rutile_block::{BlockId, Meta};
use rutile_merge::{Fault, Merged, Reason};
use rutile_model::ErrorKind;
use rutile_objstore::fake::{Call, Fault as BucketFault, Rule};
use rutile_objstore::{BucketReader as _, Depth, Operation};

use crate::naive::{Block, add, labels};
use crate::world::{World, id};

/// Two blocks of an hour, of which the second is at fault.
fn good() -> (Block, Block) {
    let mut first = Block::new(1, 0, 3_600_000);
    let mut second = Block::new(2, 3_600_000, 7_200_000);
    for n in 0..50 {
        first.series(labels(n), &[(0, 10), (11, 20)]);
        second.series(
            labels(n + 20),
            &[(3_600_000, 3_600_010), (3_600_020, 3_600_030)],
        );
    }
    (first, second)
}

async fn refused(world: &World, inputs: &[Meta], at_fault: &Meta, reason: Reason) {
    let error = world.merge(inputs, id(9)).await.unwrap_err();
    let block = at_fault.id;
    assert_eq!(error.fault(), Some(Fault { block, reason }), "{error}");
    assert!(error.to_string().contains(&block.to_string()), "{error}");
    nothing_left(world, id(9)).await;
}

/// Until a call was made, on any key that ends so.
async fn called(world: &World, operation: Operation, key: &str) {
    let is_it = |call: &Call| call.operation == operation && call.key.ends_with(key);
    while !world.bucket.calls().iter().any(is_it) {
        tokio::task::yield_now().await;
    }
}

/// No object of the output is left.
async fn nothing_left(world: &World, output: BlockId) {
    let prefix = format!("{output}/");
    let mut left = world.memory.list(&prefix, Depth::Recursive);
    let left = futures::StreamExt::next(&mut left).await;
    assert!(left.is_none(), "{left:?}");
}

/// Merges the good blocks after `spoil` was done to the second.
async fn check(reason: Reason, spoil: impl AsyncFnOnce(&World, &mut Meta)) {
    let world = World::new();
    let (first, second) = good();
    let (first, mut second) = (add(&world, &first), add(&world, &second));
    spoil(&world, &mut second).await;
    refused(&world, &[first, second.clone()], &second, reason).await;
}

/// Changes an object of a block.
async fn change(world: &World, meta: &Meta, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut body = world.object(meta.id, path).await.to_vec();
    change(&mut body);
    world.put(meta.id, path, body);
}

#[tokio::test]
async fn missing_objects() {
    check(Reason::IndexMissing, async |world, meta| {
        world.memory.remove(&format!("{}/index", meta.id));
    })
    .await;
    check(Reason::ChunkMissing, async |world, meta| {
        world.memory.remove(&format!("{}/chunks/000001", meta.id));
    })
    .await;
}

#[tokio::test]
async fn damaged_objects() {
    check(Reason::IndexCorrupt, async |world, meta| {
        change(world, meta, "index", |body| body.truncate(30)).await;
    })
    .await;
    // Symbols, series and the table of contents.
    for part in [20, 0, 3] {
        check(Reason::IndexCorrupt, async |world, meta| {
            let index = world.object(meta.id, "index").await;
            let toc = rutile_index::Toc::parse(&index, index.len() as u64).unwrap();
            let at = match part {
                0 => usize::try_from(toc.series.next_multiple_of(16)).unwrap() + 3,
                3 => index.len() - 20,
                at => at,
            };
            change(world, meta, "index", |body| body[at] ^= 1).await;
        })
        .await;
    }
    check(Reason::UnsupportedVersion, async |world, meta| {
        change(world, meta, "index", |body| body[4] = 9).await;
    })
    .await;
    check(Reason::ChunkTruncated, async |world, meta| {
        change(world, meta, "chunks/000001", |body| {
            body.truncate(body.len() - 1);
        })
        .await;
    })
    .await;
    check(Reason::ChunkTruncated, async |world, meta| {
        change(world, meta, "chunks/000001", |body| body.truncate(20)).await;
    })
    .await;
    check(Reason::ChunkChecksum, async |world, meta| {
        change(world, meta, "chunks/000001", |body| {
            let at = body.len() - 6;
            body[at] ^= 1;
        })
        .await;
    })
    .await;
    check(Reason::UnsupportedVersion, async |world, meta| {
        change(world, meta, "chunks/000001", |body| body[4] = 2).await;
    })
    .await;
    check(Reason::TombstonesCorrupt, async |world, meta| {
        world.put(meta.id, "tombstones", &b"torn"[..]);
    })
    .await;
}

#[tokio::test]
async fn meta_that_lies_about_its_times() {
    check(Reason::OutsideTimes, async |_, meta| {
        meta.max_time = 3_600_005;
    })
    .await;
    check(Reason::OutsideTimes, async |_, meta| {
        meta.min_time = 3_600_005;
    })
    .await;
}

#[tokio::test]
async fn chunks_that_overlap() {
    let world = World::new();
    let (first, _) = good();
    let mut second = Block::new(2, 20, 40);
    second.series(labels(0), &[(20, 30)]);
    let (mut first, second) = (add(&world, &first), add(&world, &second));
    // A sample may lie at the end of its block; then it must not be in the next one too.
    first.max_time = 20;
    refused(
        &world,
        &[first, second.clone()],
        &second,
        Reason::OverlappingChunks,
    )
    .await;
}

#[tokio::test]
async fn plans_that_cannot_be() {
    let world = World::new();
    let (first, second) = good();
    let (first, mut second) = (add(&world, &first), add(&world, &second));
    let refused = async |inputs: &[Meta]| {
        let error = world.merge(inputs, id(9)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.fault()),
            (ErrorKind::Invalid, None),
            "{error}"
        );
    };
    refused(&[]).await;
    second.min_time -= 1;
    refused(&[first.clone(), second.clone()]).await;
    second.min_time += 1;
    second.thanos.downsample.resolution = 300_000;
    refused(&[first, second]).await;
}

#[tokio::test]
async fn passing_errors_are_nobodys_fault() {
    for operation in [
        Operation::GetRange,
        Operation::Attributes,
        Operation::Put,
        Operation::List,
    ] {
        let world = World::new();
        let (first, second) = good();
        let inputs = [add(&world, &first), add(&world, &second)];
        let fault = BucketFault::FailBefore(ErrorKind::Unavailable);
        world.bucket.add(Rule::new(fault).on([operation]));
        let error = world.merge(&inputs, id(9)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.fault()),
            (ErrorKind::Unavailable, None),
            "{error}"
        );
        world.bucket.heal();
        // What failed at the commit stays: nobody knows whether a request still takes effect.
        let is_meta = |key: &String| *key == format!("{}/meta.json", id(9));
        assert!(!world.memory.keys().iter().any(is_meta));
        world.merge_block(&inputs, id(9)).await;
    }
}

#[tokio::test]
async fn memory_is_asked_for_first() {
    let world = World::with_memory(32 << 20);
    let (first, second) = good();
    let inputs = [add(&world, &first), add(&world, &second)];
    let error = world.merge(&inputs, id(9)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.fault()),
        (ErrorKind::Exhausted, None),
        "{error}"
    );

    let world = World::new();
    let inputs = [add(&world, &first), add(&world, &second)];
    world.merge_block(&inputs, id(9)).await;
    assert_eq!(world.merger.ledger.stats().in_use_bytes, 0);
    assert!(world.merger.ledger.stats().peak_bytes > 1 << 20);
}

#[tokio::test]
async fn a_dropped_merge_leaves_no_task_and_no_block() {
    let world = World::new();
    let (first, second) = good();
    let inputs = [add(&world, &first), add(&world, &second)];
    let gate = world
        .bucket
        .pause(|fault| Rule::new(fault).on([Operation::Put]));
    {
        let merge = world.merge(&inputs, id(9));
        tokio::select! {
            biased;
            _ = merge => panic!("it cannot end before the gate opens"),
            () = called(&world, Operation::Put, "") => {}
        }
    }
    gate.open();
    while world.tasks.live() > 0 {
        tokio::task::yield_now().await;
    }
    nothing_left(&world, id(9)).await;
    assert_eq!(world.merger.ledger.stats().in_use_bytes, 0);
}

#[tokio::test]
async fn an_output_that_is_not_what_was_written_is_not_committed() {
    for path in ["index", "chunks/000001"] {
        let world = World::new();
        let (first, second) = good();
        let inputs = [add(&world, &first), add(&world, &second)];
        // The chunks of another merge lie in the place of those that were just written.
        let other = world.merge_block(&inputs[1..], id(8)).await;
        let body = world.object(other.id, path).await;
        let index = format!("{}/index", id(9));
        let gate = world
            .bucket
            .pause(|fault| Rule::new(fault).on([Operation::Attributes]).key(&index));
        let swap = async {
            called(&world, Operation::Attributes, &index).await;
            world.put(id(9), path, body);
            gate.open();
        };
        let (merged, ()) = futures::join!(world.merge(&inputs, id(9)), swap);
        let error = merged.unwrap_err();
        assert_eq!(
            (error.kind(), error.fault()),
            (ErrorKind::Internal, None),
            "{error}"
        );
        assert!(error.to_string().contains("read back"), "{error}");
        nothing_left(&world, id(9)).await;
    }
}

#[tokio::test]
async fn blocks_without_series_give_none() {
    let world = World::new();
    let inputs = [
        add(&world, &Block::new(1, 0, 10)),
        add(&world, &Block::new(2, 10, 20)),
    ];
    assert_eq!(world.merge(&inputs, id(9)).await.unwrap(), Merged::Empty);
    nothing_left(&world, id(9)).await;
}
