//! What the list says, and what never goes up again.

use rutile_block::{MarkKind, mark_key, meta_key};
use rutile_disk::Fault;
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault as BucketFault, Rule};

use crate::world::{LIST, START, World, block, id, numbers};

/// Block 1 went up, block 2 failed; block 1 is compacted and deleted in the bucket.
#[tokio::test]
async fn p8_a_later_failure_brings_nothing_back() {
    let mut world = World::new(&[1, 2, 3]);
    world.puts_fail_after(4);
    let synced = world.sync().await;
    assert_eq!(numbers(&synced.uploaded), [1]);
    assert_eq!(
        synced.failed.len(),
        1,
        "what fails holds up what is younger"
    );
    assert_eq!(world.listed(), [1]);
    assert_eq!(world.metric("upload_failures_total"), 1);
    assert_eq!(world.metric("dir_sync_failures_total"), 1);
    world.remove_remote(1);
    world.heal();
    assert_eq!(numbers(&world.sync().await.uploaded), [2, 3]);
    assert!(world.keys(1).is_empty(), "it came back");
    assert_eq!(world.listed(), [1, 2, 3]);
}

/// A sync is a task of its own in every component.
#[test]
fn a_sync_may_go_from_thread_to_thread() {
    fn send(_: impl Send) {}
    let world = World::new(&[]);
    send(world.shipper().sync());
}

/// The same when the process dies between two blocks.
#[tokio::test]
async fn p8_the_list_is_written_before_the_next_block_is_begun() {
    let world = World::new(&[1, 2]);
    let second = format!("{}/", id(2));
    let gate = world
        .bucket
        .pause(|fault| Rule::new(fault).key_prefix(second));
    let mut shipper = world.shipper();
    tokio::select! {
        _ = shipper.sync() => panic!("it did not wait for the bucket"),
        () = gate.reached() => {}
    }
    assert_eq!(world.listed(), [1]);
}

#[tokio::test]
async fn where_order_does_not_matter_a_failure_holds_up_nothing() {
    let mut world = World::new(&[1, 2, 3]);
    world.config.allow_out_of_order_uploads = true;
    let down = BucketFault::FailBefore(ErrorKind::Unavailable);
    let second = format!("{}/", id(2));
    world.bucket.add(Rule::new(down).key_prefix(second));
    let synced = world.sync().await;
    assert_eq!(numbers(&synced.uploaded), [1, 3]);
    assert_eq!(synced.failed.len(), 1);
    assert_eq!(world.listed(), [1, 3]);
    world.heal();
    assert_eq!(numbers(&world.sync().await.uploaded), [2]);
    assert_eq!(world.listed(), [1, 2, 3]);
}

#[tokio::test]
async fn s10_a_lost_or_damaged_list_sends_nothing_twice() {
    for list in [None, Some("{\"version\":1,\"upl"), Some("{\"version\":2}")] {
        let world = World::new(&[1, 2]);
        let _first = world.sync().await;
        let before = world.remote(1).unwrap();
        match list {
            Some(list) => world.write(LIST, list.as_bytes()),
            None => rutile_disk::Disk::remove_tree(&world.disk, LIST).unwrap(),
        }
        world.bucket.forget_calls();
        let synced = world.sync().await;
        assert!(synced.uploaded.is_empty() && synced.failed.is_empty());
        assert_eq!(world.bucket.count(Operation::Put), 0);
        assert_eq!(world.listed(), [1, 2]);
        assert_eq!(world.remote(1).unwrap(), before);
    }
}

#[tokio::test]
async fn s10_a_list_that_cannot_be_read_now_is_not_taken_for_empty() {
    let world = World::new(&[1]);
    let _first = world.sync().await;
    world.remove_remote(1);
    // The links of earlier uploads are looked for first.
    world.faulty.next([None, Some(Fault::Error)]);
    let error = world.shipper().sync().await.unwrap_err();
    assert!(error.to_string().contains(LIST), "{error}");
    assert!(world.sync().await.uploaded.is_empty());
    assert!(world.keys(1).is_empty(), "it came back");
}

#[tokio::test]
async fn the_list_forgets_what_the_database_removed() {
    let world = World::new(&[1, 2]);
    let mut shipper = world.shipper();
    assert_eq!(shipper.sync().await.unwrap().uploaded.len(), 2);
    world.remove_local(1);
    assert!(shipper.sync().await.unwrap().uploaded.is_empty());
    assert_eq!(world.listed(), [2]);
    world.remove_local(2);
    assert!(shipper.sync().await.unwrap().uploaded.is_empty());
    let list = rutile_disk::Disk::read(&world.disk, LIST).unwrap();
    assert_eq!(list, "{\n\t\"version\": 1,\n\t\"uploaded\": null\n}\n");
}

/// A sync that finds nothing to do asks the bucket for nothing, and writes nothing.
#[tokio::test]
async fn what_is_listed_costs_nothing() {
    let world = World::new(&[1, 2]);
    let _first = world.sync().await;
    world.bucket.forget_calls();
    // Removing old links, reading the list, listing the folder, two times metadata: all that is done.
    let nothing_more = [None, None, None, None, None, Some(Fault::Error)];
    world.faulty.next(nothing_more);
    assert!(world.sync().await.failed.is_empty());
    assert!(world.bucket.calls().is_empty());
}

/// A disk that is full keeps the list from being written, not the process from knowing.
#[tokio::test]
async fn p8_what_could_not_be_written_down_is_remembered() {
    let mut world = World::new(&[1]);
    let mut shipper = world.shipper();
    let full = rutile_disk::FaultRates {
        no_space: 1000,
        ..Default::default()
    };
    world.faulty.set_rates(full);
    let synced = shipper.sync().await.unwrap();
    assert_eq!(synced.uploaded, [id(1)]);
    assert_eq!(synced.failed[0].kind(), ErrorKind::Exhausted);
    assert!(world.listed().is_empty());
    world.remove_remote(1);
    assert!(shipper.sync().await.unwrap().uploaded.is_empty());
    world.faulty.set_rates(rutile_disk::FaultRates::default());
    let synced = shipper.sync().await.unwrap();
    assert!(synced.uploaded.is_empty() && synced.failed.is_empty());
    assert_eq!(world.listed(), [1]);
    assert!(world.keys(1).is_empty(), "it came back");
    world.heal();
}

#[tokio::test]
async fn s11_bc_15_a_block_that_is_marked_is_done_with() {
    for mark in ["whole", "{torn", "{\"version\":2}"] {
        let world = World::new(&[1, 2]);
        let key = mark_key(id(1), MarkKind::Deletion);
        match mark {
            "whole" => world.mark(1),
            bytes => world.memory.insert(key.clone(), bytes, START),
        }
        let synced = world.sync().await;
        assert_eq!(numbers(&synced.uploaded), [2], "{mark}");
        assert_eq!(numbers(&synced.marked), [1]);
        assert!(synced.failed.is_empty(), "{:?}", synced.failed);
        assert_eq!(world.keys(1), ["deletion-mark.json"]);
        assert_eq!(world.listed(), [1, 2]);
        // Its deletion ends: it stays away.
        world.memory.remove(&key);
        assert!(world.sync().await.uploaded.is_empty());
        assert!(world.keys(1).is_empty());
    }
}

#[tokio::test]
async fn s11_bc_15_a_block_that_is_marked_while_it_goes_up_is_done_with() {
    let world = World::new(&[1, 2]);
    let index = format!("{}/index", id(1));
    let gate = world.bucket.pause(|fault| Rule::new(fault).key(index));
    let mut shipper = world.shipper();
    let (synced, ()) = tokio::join!(shipper.sync(), async {
        gate.reached().await;
        world.mark(1);
        gate.open();
    });
    assert_eq!(numbers(&synced.unwrap().uploaded), [2]);
    assert!(world.remote(1).is_none());
    assert_eq!(world.listed(), [1, 2]);
}

/// Whether a block is marked must be known before it counts as such.
#[tokio::test]
async fn bc_15_a_mark_that_cannot_be_looked_at_is_none() {
    let world = World::new(&[1]);
    world.mark(1);
    let down = BucketFault::FailBefore(ErrorKind::Unavailable);
    let key = mark_key(id(1), MarkKind::Deletion);
    world.bucket.add(Rule::new(down).key(key));
    assert_eq!(world.sync().await.failed.len(), 1);
    assert!(world.listed().is_empty());
}

/// The bucket has the block whole, by another process or an earlier life.
#[tokio::test]
async fn s4_a_block_that_is_there_counts_as_uploaded() {
    let world = World::new(&[1]);
    let twin = World {
        memory: world.memory.clone(),
        bucket: world.bucket.clone(),
        ..World::new(&[1])
    };
    let _first = twin.sync().await;
    let synced = world.sync().await;
    assert!(synced.uploaded.is_empty() && synced.failed.is_empty());
    assert_eq!(numbers(&synced.there), [1]);
    assert_eq!(world.listed(), [1]);
    assert_eq!(world.metric("uploads_total"), 0);
}

/// It lacks a file, or nobody can read what it is: it is not listed before it is whole again (S7).
#[tokio::test(start_paused = true)]
async fn bc_02_s7_a_damaged_block_in_the_bucket_does_not_count() {
    for (key, body) in [
        (format!("{}/index", id(1)), "short"),
        (format!("{}/chunks/000001", id(1)), ""),
        (meta_key(id(1)), "{\"ulid\":"),
    ] {
        let world = World::new(&[1]);
        let _first = world.sync().await;
        rutile_disk::Disk::remove_tree(&world.disk, LIST).unwrap();
        world.memory.insert(key.clone(), body, START);
        assert_eq!(world.sync().await.uploaded, [id(1)], "{key}");
        assert_eq!(world.listed(), [1]);
        assert_eq!(
            world
                .memory
                .body(&format!("{}/index", id(1)))
                .unwrap()
                .len(),
            30
        );
        assert!(world.remote(1).is_some());
    }
}

/// Old blocks, after an outage of days, and one that turns up out of order.
#[tokio::test]
async fn s6_old_blocks_catch_up() {
    let world = World::new(&[5, 6]);
    world.clock.advance(100 * crate::world::HOUR);
    let mut shipper = world.shipper();
    assert_eq!(numbers(&shipper.sync().await.unwrap().uploaded), [5, 6]);
    world.add(block(3));
    assert_eq!(numbers(&shipper.sync().await.unwrap().uploaded), [3]);
    assert_eq!(world.listed(), [3, 5, 6]);
}
