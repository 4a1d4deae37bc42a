//! The process dies at every request and at every operation of the disk, and is started again (BC-10).

use rutile_disk::{Disk, Fault as DiskFault};
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};

use crate::world::{CHANGES, World, id};

const BLOCKS: [u8; 3] = [1, 2, 3];
/// More than a sync of the blocks takes.
const MANY: u64 = 200;

/// What a restart must come to: everything is there, whole, once; what was committed before was left as it
/// was, and what was listed and then taken away is not back.
async fn ends_well(mut world: World, at: u64) {
    world.heal();
    let listed = world.listed();
    let committed: Vec<_> = BLOCKS.map(|n| world.remote(n)).into();
    // A compactor has merged and deleted the first block, if it was told that it is safe.
    let taken = listed.first().copied();
    if let Some(n) = taken {
        world.remove_remote(n);
    }
    world.clock.advance(1000);
    world.bucket.forget_calls();
    let synced = world.sync().await;
    assert!(synced.failed.is_empty(), "{at}: {:?}", synced.failed);
    assert_eq!(world.listed(), BLOCKS, "{at}");
    for n in BLOCKS {
        if taken == Some(n) {
            assert!(world.keys(n).is_empty(), "{at}: block {n} came back");
            continue;
        }
        let verified = world.lifecycle().verify(id(n)).await.unwrap();
        if let Some(before) = &committed[usize::from(n - 1)] {
            assert_eq!(&verified, before, "{at}: block {n} went up twice");
        }
    }
    let calls = world.bucket.calls();
    for n in listed {
        let prefix = format!("{}/", id(n));
        let puts = calls
            .iter()
            .filter(|call| call.operation == Operation::Put && call.key.starts_with(&prefix));
        assert_eq!(puts.count(), 0, "{at}: block {n} was on the list");
    }
    assert!(!world.has_links());
    assert!(world.sync().await.uploaded.is_empty());
}

#[tokio::test]
async fn s1_s2_bc_10_a_process_that_is_killed_at_any_request_goes_on_after_a_restart() {
    for at in 0..MANY {
        let world = World::new(&BLOCKS);
        let gate = world.bucket.pause(|fault| Rule::new(fault).after(at));
        let mut shipper = world.shipper();
        let done = tokio::select! {
            biased;
            () = gate.reached() => false,
            synced = shipper.sync() => {
                assert_eq!(synced.unwrap().uploaded.len(), BLOCKS.len());
                true
            }
        };
        drop(shipper);
        ends_well(world, at).await;
        if done {
            assert!(at > 20, "so few requests cannot be all");
            return;
        }
    }
    panic!("a sync takes more than {MANY} requests");
}

#[tokio::test]
async fn bc_10_a_bucket_that_goes_away_at_any_change_is_caught_up_with() {
    for after_effect in [false, true] {
        for at in 0..MANY {
            let world = World::new(&BLOCKS);
            let kind = ErrorKind::Unavailable;
            if after_effect {
                let late = Rule::new(Fault::FailAfter(kind)).on(CHANGES);
                world.bucket.add(late.after(at).times(1));
            }
            let fault = Fault::FailBefore(kind);
            world.bucket.add(Rule::new(fault).on(CHANGES).after(at));
            let done = world.sync().await.failed.is_empty();
            ends_well(world, at).await;
            if done {
                assert!(at >= 11, "twelve objects make up three blocks");
                break;
            }
        }
    }
}

#[tokio::test]
async fn bc_10_a_disk_that_fails_at_any_operation_is_caught_up_with() {
    for at in 0..100 {
        let world = World::new(&BLOCKS);
        let faults = (0..at).map(|_| None).chain([Some(DiskFault::Error)]);
        world.faulty.next(faults);
        let mut shipper = world.shipper();
        let before = shipper.sync().await;
        drop(shipper);
        // Without a list that could be written there is none.
        let written = world.disk.read(crate::world::LIST).is_ok();
        assert!(written || before.map_or(true, |synced| !synced.failed.is_empty() || at == 0));
        ends_well(world, at).await;
    }
}
