//! What the database and other uploaders do meanwhile.

use rutile_block::meta_key;
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};

use crate::world::{World, id, numbers};

/// Local retention, or a compaction, removes the block while its files go up.
#[tokio::test]
async fn s9_a_block_that_the_database_removes_meanwhile_goes_up_all_the_same() {
    let world = World::new(&[1, 2]);
    let first = format!("{}/chunks/000001", id(1));
    let gate = world.bucket.pause(|fault| Rule::new(fault).key(first));
    let mut shipper = world.shipper();
    let (synced, ()) = tokio::join!(shipper.sync(), async {
        gate.reached().await;
        world.remove_local(1);
        gate.open();
    });
    let synced = synced.unwrap();
    assert_eq!(numbers(&synced.uploaded), [1, 2]);
    assert!(synced.failed.is_empty());
    assert_eq!(
        world.keys(1),
        ["chunks/000001", "chunks/000002", "index", "meta.json"]
    );
    assert!(!world.has_links());
}

/// It removes the block before its files could be taken hold of.
#[tokio::test]
async fn s9_a_block_that_is_gone_is_no_failure() {
    let world = World::new(&[1, 2]);
    let key = meta_key(id(1));
    let gate = world
        .bucket
        .pause(|fault| Rule::new(fault).on([Operation::Exists]).key(key));
    let mut shipper = world.shipper();
    let (synced, ()) = tokio::join!(shipper.sync(), async {
        gate.reached().await;
        world.remove_local(1);
        gate.open();
    });
    let synced = synced.unwrap();
    assert_eq!(numbers(&synced.uploaded), [2]);
    assert!(synced.failed.is_empty());
    assert!(world.keys(1).is_empty());
    assert_eq!(world.listed(), [2]);
    assert_eq!(world.metric("dir_syncs_total"), 1);
}

/// Two processes with one ULID: a restart that overlaps, or a receiver's new owner.
#[tokio::test]
async fn s4_two_uploaders_of_a_block_both_succeed() {
    let world = World::new(&[1]);
    let twin = World {
        memory: world.memory.clone(),
        bucket: world.bucket.clone(),
        ..World::new(&[1])
    };
    let commit = meta_key(id(1));
    let gate = world.bucket.pause(|fault| {
        let puts = Rule::new(fault).on([Operation::Put]).key(commit);
        puts.times(1)
    });
    let mut first = world.shipper();
    let (synced, other) = tokio::join!(first.sync(), async {
        gate.reached().await;
        let other = twin.sync().await;
        gate.open();
        other
    });
    assert_eq!(numbers(&other.uploaded), [1]);
    assert!(synced.unwrap().failed.is_empty());
    assert_eq!((world.listed(), twin.listed()), (vec![1], vec![1]));
}

/// The answer to the commit is lost.
#[tokio::test]
async fn s3_a_commit_that_took_effect_and_failed_is_a_commit() {
    let world = World::new(&[1]);
    let lost = Rule::new(Fault::FailAfter(ErrorKind::Unavailable)).key(meta_key(id(1)));
    world.bucket.add(lost.on([Operation::Put]));
    assert_eq!(numbers(&world.sync().await.uploaded), [1]);
    assert_eq!(world.listed(), [1]);
}

/// A chunk goes between its upload and the commit: cleaned away, or never stored (S5, S8).
#[tokio::test(start_paused = true)]
async fn bc_02_a_block_that_is_not_whole_after_its_commit_is_not_listed() {
    let world = World::new(&[1, 2]);
    let commit = meta_key(id(1));
    let gate = world
        .bucket
        .pause(|fault| Rule::new(fault).on([Operation::Put]).key(commit));
    let mut shipper = world.shipper();
    let (synced, ()) = tokio::join!(shipper.sync(), async {
        gate.reached().await;
        world.memory.remove(&format!("{}/chunks/000001", id(1)));
        gate.open();
    });
    let synced = synced.unwrap();
    assert!(synced.uploaded.is_empty());
    assert_eq!(synced.failed[0].kind(), ErrorKind::Corrupt);
    assert!(world.listed().is_empty());
    // Who has it mends it.
    assert_eq!(numbers(&shipper.sync().await.unwrap().uploaded), [1, 2]);
    assert!(world.keys(1).contains(&"chunks/000001".to_owned()));
}

/// A compactor removes what an earlier upload left: who uploads waits (BC-6).
#[tokio::test]
async fn bc_06_a_block_that_is_being_removed_waits() {
    let world = World::new(&[1, 2]);
    let lifecycle = world.lifecycle();
    let removal = lifecycle
        .announce_removal(id(1), [id(1)].into())
        .await
        .unwrap();
    let synced = world.sync().await;
    assert!(synced.uploaded.is_empty());
    assert_eq!(synced.failed[0].kind(), ErrorKind::Unavailable);
    removal.end().await.unwrap();
    world.clock.advance(crate::world::HOUR);
    assert_eq!(numbers(&world.sync().await.uploaded), [1, 2]);
}
