//! Several compactors on one bucket: they share the work, and take over from who is gone (BC-14).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rutile_block::{BlockId, LEASES_PREFIX, MarkKind, Meta};
use rutile_compact::{Report, Retention};
use rutile_lifecycle::DEFAULT_LEASE;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, FaultyBucket, Rule};
use rutile_runtime::TaskGroup;

use crate::crash::{run_until_request, settle};
use crate::downsampling::{FOURTEEN_DAYS, TWO_DAYS};
use crate::world::{HOUR, Process, Settings, TWO_HOURS, World, id};

fn sharing() -> Settings {
    Settings {
        lease: Some(DEFAULT_LEASE),
        ..Settings::default()
    }
}

/// Clusters with the same four blocks that fill eight hours, and a newer one.
fn clusters(count: usize) -> World {
    let world = World::new();
    for block in &TWO_HOURS[..5] {
        for cluster in 0..count {
            let name = format!("cluster-{cluster}");
            add_copy(&world, block, cluster, |meta| {
                let labels = meta
                    .thanos
                    .labels
                    .iter()
                    .map(|(n, v)| (n.to_owned(), v.to_owned()));
                let labels = labels.filter(|(label, _)| label != "cluster");
                meta.thanos.labels = labels.chain([("cluster".to_owned(), name)]).collect();
            });
        }
    }
    world
}

/// A block under another name.
fn add_copy(world: &World, block: &str, copy: usize, change: impl FnOnce(&mut Meta)) {
    let name = BlockId::from_parts(id(block).time_ms().unsigned_abs(), [copy as u8; 10]);
    world.add_as(block, name, |meta| {
        meta.compaction.sources = vec![name];
        change(meta);
    });
}

/// How many blocks were made of each set of sources, at each resolution: those that were there before are not counted.
fn made(world: &World, before: &BTreeSet<BlockId>) -> Vec<usize> {
    let mut made = BTreeMap::new();
    for block in world.blocks().difference(before) {
        let Meta {
            compaction, thanos, ..
        } = world.meta(*block);
        let work = (compaction.sources, thanos.downsample.resolution);
        *made.entry(work).or_insert(0) += 1;
    }
    made.into_values().collect()
}

async fn iterate(process: &Process) -> Report {
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    report
}

#[tokio::test]
async fn bc_14_two_compactors_do_no_work_twice() {
    let world = clusters(8);
    let before = world.blocks();
    let (one, other) = (world.start(sharing()), world.start(sharing()));
    let (first, second) = tokio::join!(iterate(&one), iterate(&other));
    assert_eq!(first.merged + second.merged, 8, "{first:?} {second:?}");
    assert!(
        first.merged > 0 && second.merged > 0,
        "{first:?} {second:?}"
    );
    assert_eq!(made(&world, &before), [1; 8]);
    for process in [&one, &other] {
        settle(process).await;
    }
    assert_eq!(world.live().len(), 16);
}

#[tokio::test]
async fn bc_14_two_compactors_downsample_nothing_twice() {
    let world = World::with(&[FOURTEEN_DAYS, TWO_DAYS]);
    let before = world.blocks();
    let settings = || Settings {
        retention: Retention {
            downsampling: true,
            ..Retention::default()
        },
        ..sharing()
    };
    let (one, other) = (world.start(settings()), world.start(settings()));
    let (first, second) = tokio::join!(iterate(&one), iterate(&other));
    assert_eq!(
        first.downsampled + second.downsampled,
        3,
        "{first:?} {second:?}"
    );
    assert_eq!(made(&world, &before), [1; 3]);
}

/// Killed at every request; another one goes on after the length of a lease, not before, and the end is the same.
#[tokio::test(start_paused = true)]
async fn bc_14_s20_what_a_dead_compactor_held_is_taken_over() {
    let blocks = &TWO_HOURS[..5];
    let mut n = 0;
    let mut waited = 0;
    loop {
        let world = World::with(blocks);
        let context = format!("killed at request {n}");
        let killed = run_until_request(&world, sharing(), n).await;
        let next = world.start(sharing());
        let report = iterate(&next).await;
        if report.held > 0 {
            waited += 1;
            assert_eq!(report.merged, 0, "{context}");
            tokio::time::sleep(DEFAULT_LEASE).await;
        }
        settle(&next).await;
        assert_eq!(world.outputs().len(), 1, "{context}");
        world.check_readable(blocks, &context).await;
        world.clock.set(world.now() + 100 * HOUR);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        settle(&world.start(sharing())).await;
        let left = world.memory.keys().into_iter();
        let left: Vec<String> = left.filter(|key| key.starts_with(LEASES_PREFIX)).collect();
        assert_eq!(left, Vec::<String>::new(), "{context}");
        if !killed {
            break;
        }
        n += 1;
    }
    assert!(n > 50 && waited > 20, "{waited} of {n}");
}

/// One that stands still past its lease, in front of any request, learns of it: it drops what it was at. What it had sent may
/// land, and is a duplicate then.
#[tokio::test(start_paused = true)]
async fn bc_14_s20_who_stands_still_past_its_lease_does_no_harm() {
    let blocks = &TWO_HOURS[..5];
    let mut lost = 0;
    for n in (0..120).step_by(3) {
        let world = World::with(blocks);
        let context = format!("stands still at request {n}");
        let frozen = FaultyBucket::new(Arc::new(world.memory.clone()));
        let gate = frozen.pause(|fault| Rule::new(fault).after(n));
        let slow = world.start_on(Arc::new(frozen.clone()), sharing());
        let compactor = Arc::clone(&slow.compactor);
        let tasks = TaskGroup::new("slow");
        let standing = tasks.spawn("slow", async move { compactor.iterate().await });
        tokio::select! {
            () = gate.reached() => {}
            () = tokio::time::sleep(Duration::from_secs(30)) => {
                standing.await.unwrap();
                break;
            }
        }
        let next = world.start(sharing());
        for _ in 0..5 {
            next.compactor.iterate().await;
            tokio::time::sleep(DEFAULT_LEASE / 2).await;
        }
        gate.open();
        let report = standing.await.unwrap();
        lost += report.errors.len();
        frozen.heal();
        settle(&next).await;
        settle(&slow).await;
        assert_eq!(world.outputs().len(), 1, "{context}");
        world.check_readable(blocks, &context).await;
        let marks = |block: &&str| world.marked(id(block), MarkKind::Deletion).is_some();
        assert_eq!(
            blocks.iter().filter(|block| marks(block)).count(),
            4,
            "{context}"
        );
    }
    assert!(lost > 0);
}

/// Without an answer to a claim nothing is merged.
#[tokio::test]
async fn bc_14_leases_that_cannot_be_asked_for_stop_nothing_else() {
    let world = World::with(&TWO_HOURS[..5]);
    let process = world.start(sharing());
    let unavailable = Fault::FailBefore(rutile_model::ErrorKind::Unavailable);
    world.bucket.add(
        Rule::new(unavailable)
            .on([Operation::Put])
            .key_prefix(LEASES_PREFIX),
    );
    let report = process.compactor.iterate().await;
    assert_eq!((report.merged, report.errors.len()), (0, 1), "{report:?}");
    world.bucket.heal();
    assert_eq!(iterate(&process).await.merged, 1);
}
