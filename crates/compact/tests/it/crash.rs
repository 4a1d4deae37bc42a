//! Killing the compactor at every request to the bucket: a restart goes on from what it left.

use std::collections::BTreeSet;

use rutile_block::{BlockId, Contract, parse_key};
use rutile_objstore::Bucket;
use rutile_objstore::fake::{Fault, Rule};

use crate::world::{HOUR, NOW_MS, Process, Settings, TWO_HOURS, World, id};

/// Four blocks that fill 8 h, and the newest one.
fn blocks() -> &'static [&'static str] {
    TWO_HOURS.get(..5).unwrap()
}

/// Iterates until nothing is left to do; the last iteration must find nothing.
pub(crate) async fn settle(process: &Process) {
    for _ in 0..10 {
        let report = process.compactor.iterate().await;
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        if report.merged + report.marked + report.deleted == 0 {
            return;
        }
    }
    panic!("the compactor does not come to rest");
}

/// What every end must look like: the output and the newest block, whole, and nothing else.
async fn check_end(world: &World, context: &str) {
    let live = world.live();
    let outputs = world.outputs();
    assert_eq!(outputs.len(), 1, "{context}: outputs");
    let newest = id(blocks()[4]);
    assert_eq!(
        live,
        BTreeSet::from([outputs[0].id, newest]),
        "{context}: live"
    );
    let sources: Vec<BlockId> = blocks()[..4].iter().map(|block| id(block)).collect();
    assert_eq!(outputs[0].compaction.sources, sources, "{context}: sources");
    world.check_readable(blocks(), context).await;
}

/// Once the delays are over nothing but the live blocks may be left.
async fn check_garbage(world: &World, context: &str) {
    world.clock.set(NOW_MS + 100 * HOUR);
    let process = world.start(Settings::default());
    settle(&process).await;
    // What was partial at the first look was removed then; the marks of the first run are as old.
    check_end(world, context).await;
    // Notices of removals outlive even their longest delays.
    world.clock.set(NOW_MS + 200 * HOUR);
    settle(&process).await;
    let live = world.live();
    for key in world.memory.keys() {
        let of_live = parse_key(&key).is_some_and(|(id, _)| live.contains(&id));
        assert!(of_live || key == "rutile/clock", "{context}: {key} is left");
    }
    let unfinished = world.memory.unfinished_uploads().await.unwrap();
    assert_eq!(unfinished, [], "{context}: dangling uploads");
}

/// Starts a compactor and kills it when it makes its `n`-th request (from 0), before that takes
/// effect. Whether there was such a request.
pub(crate) async fn run_until_request(world: &World, settings: Settings, n: u64) -> bool {
    let gate = world.bucket.pause(|fault| Rule::new(fault).after(n));
    let process = world.start(settings);
    let killed = tokio::select! {
        biased;
        () = gate.reached() => true,
        report = process.compactor.iterate() => {
            assert!(report.errors.is_empty(), "{:?}", report.errors);
            false
        }
    };
    drop(process);
    world.bucket.heal();
    killed
}

#[tokio::test]
async fn bc_10_killed_at_every_request_it_goes_on_where_it_was() {
    let mut n = 0;
    loop {
        let world = World::with(blocks());
        let context = format!("killed at request {n}");
        let killed = run_until_request(&world, Settings::default(), n).await;
        world.check_readable(blocks(), &context).await;
        let next = world.start(Settings::default());
        settle(&next).await;
        check_end(&world, &context).await;
        check_garbage(&world, &context).await;
        if !killed {
            break;
        }
        n += 1;
    }
    assert!(n > 50, "only {n} requests were seen");
}

#[tokio::test]
async fn bc_10_any_request_may_fail_before_or_after_its_effect() {
    let world = World::with(blocks());
    world.iterate().await;
    let requests = world.bucket.calls().len() as u64;
    let kind = rutile_model::ErrorKind::Unavailable;
    for fault in [Fault::FailBefore(kind), Fault::FailAfter(kind)] {
        for n in 0..requests {
            let context = format!("{fault:?} at request {n}");
            let world = World::with(blocks());
            world.bucket.add(Rule::new(fault.clone()).after(n).times(1));
            let process = world.start(Settings::default());
            process.compactor.iterate().await;
            world.bucket.heal();
            world.check_readable(blocks(), &context).await;
            // The same process goes on, as with --wait.
            settle(&process).await;
            check_end(&world, &context).await;
        }
    }
}

#[tokio::test]
async fn bc_16_what_many_crashes_leave_is_gone_in_the_end() {
    let world = World::with(blocks());
    for n in (0..200).step_by(7) {
        run_until_request(&world, Settings::default(), n).await;
    }
    settle(&world.start(Settings::default())).await;
    check_end(&world, "after many crashes").await;
    check_garbage(&world, "after many crashes").await;
}

#[tokio::test]
async fn p7_an_interrupted_deletion_is_finished() {
    let mut n = 0;
    loop {
        let world = World::with(blocks());
        world.iterate().await;
        world.clock.set(NOW_MS + 49 * HOUR);
        let context = format!("deleting, killed at request {n}");
        let killed = run_until_request(&world, Settings::default(), n).await;
        world.check_readable(blocks(), &context).await;
        settle(&world.start(Settings::default())).await;
        check_end(&world, &context).await;
        for source in &blocks()[..4] {
            let left = world
                .memory
                .keys()
                .into_iter()
                .filter(|key| key.starts_with(source));
            assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new(), "{context}");
        }
        if !killed {
            break;
        }
        n += 1;
    }
    assert!(
        Contract::default().delete_delay_ms == 48 * HOUR && n > 30,
        "{n}"
    );
}
