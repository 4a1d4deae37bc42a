//! Compacted blocks against what the bucket has.

use rutile_block::meta_key;
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};

use crate::world::{START, World, block, compacted, id, labelled, numbers};

/// A local block of level 2 over the first to the fourth two hours, and one of level 1 after it.
fn world() -> World {
    let mut world = World::new(&[7]);
    world.add(compacted(20, 1, 4));
    world.config.upload_compacted = true;
    world
}

#[tokio::test]
async fn a_compacted_block_must_not_overlap_what_has_the_same_labels() {
    let world = world();
    world.put_remote(&labelled(block(2), "eu1"));
    let synced = world.sync().await;
    // What comes after it fills no gap, and goes up.
    assert_eq!(numbers(&synced.uploaded), [7]);
    assert_eq!(synced.failed[0].kind(), ErrorKind::Invalid);
    let text = synced.failed[0].to_string();
    assert!(
        text.contains(&id(2).to_string()) && text.contains("--shipper.allow-out-of-order-uploads"),
        "{text}"
    );
    assert!(world.keys(20).is_empty());
    assert_eq!(world.listed(), [7]);
}

#[tokio::test]
async fn what_only_touches_it_or_has_other_labels_does_not_overlap() {
    let world = world();
    world.put_remote(&labelled(block(0), "eu1"));
    world.put_remote(&labelled(block(5), "eu1"));
    world.put_remote(&labelled(block(2), "us1"));
    // Others that overlap each other are not its fault.
    world.put_remote(&labelled(compacted(30, 5, 6), "eu1"));
    assert_eq!(numbers(&world.sync().await.uploaded), [20, 7]);
}

#[tokio::test]
async fn overlaps_are_not_looked_for_where_order_does_not_matter() {
    let mut world = world();
    world.config.allow_out_of_order_uploads = true;
    world.put_remote(&labelled(block(2), "eu1"));
    assert_eq!(numbers(&world.sync().await.uploaded), [20, 7]);
}

#[tokio::test]
async fn two_local_blocks_must_not_overlap_either() {
    let world = world();
    world.add(compacted(21, 4, 5));
    let synced = world.sync().await;
    assert_eq!(numbers(&synced.uploaded), [20, 7]);
    assert_eq!(synced.failed[0].kind(), ErrorKind::Invalid);
}

/// One that is committed and lacks a file is mended, and does not overlap itself.
#[tokio::test(start_paused = true)]
async fn a_block_does_not_overlap_itself() {
    let world = world();
    world.put_remote(&labelled(compacted(20, 1, 4), "eu1"));
    assert_eq!(numbers(&world.sync().await.uploaded), [20, 7]);
}

/// A stranger's upload under way, rests of one, and metadata that nobody can read.
#[tokio::test]
async fn p9_s12_a_bad_block_of_somebody_else_refuses_nothing() {
    let world = world();
    let (index, torn) = (format!("{}/index", id(40)), meta_key(id(41)));
    world.memory.insert(index, "index", START);
    world.memory.insert(torn, "{\"ulid\":", START);
    world
        .memory
        .insert(meta_key(id(42)), "{\"version\":9}", START);
    let synced = world.sync().await;
    assert_eq!(numbers(&synced.uploaded), [20, 7]);
    assert!(synced.failed.is_empty());
    assert_eq!(world.listed(), [20, 7]);
}

/// What cannot be read for a passing reason may overlap it: Thanos's compactor would halt.
#[tokio::test]
async fn bc_11_what_is_unread_for_now_is_waited_for() {
    let mut world = world();
    world.put_remote(&labelled(block(9), "eu1"));
    let down = Fault::FailBefore(ErrorKind::Unavailable);
    world
        .bucket
        .add(Rule::new(down).on([Operation::Get]).key(meta_key(id(9))));
    let synced = world.sync().await;
    assert!(synced.uploaded.is_empty());
    assert_eq!(synced.failed[0].kind(), ErrorKind::Unavailable);
    assert!(synced.failed[0].to_string().contains(&id(9).to_string()));
    world.heal();
    assert_eq!(numbers(&world.sync().await.uploaded), [20, 7]);
}

/// The bucket's metadata is read once in a sync, and only where it is needed.
#[tokio::test]
async fn the_bucket_is_looked_at_once() {
    let mut world = world();
    world.add(compacted(21, 8, 9));
    world.put_remote(&labelled(block(30), "eu1"));
    let looks = |world: &World| {
        let calls = world.bucket.calls().into_iter();
        calls
            .filter(|call| call.operation == Operation::Get && call.key == meta_key(id(30)))
            .count()
    };
    assert_eq!(world.sync().await.uploaded.len(), 3);
    assert_eq!(looks(&world), 1);
    world.config.upload_compacted = false;
    world.add(block(10));
    assert_eq!(world.sync().await.uploaded.len(), 1);
    assert_eq!(looks(&world), 1);
}
