//! Looks at the bucket as a whole: sharing, staleness, what is shown of them.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rutile_block::Contract;
use rutile_fetcher::{FilterChain, ListStrategy, Scope, View};
use rutile_objstore::Operation;
use rutile_objstore::fake::Rule;
use rutile_runtime::Moment;

use crate::world::{HOUR, MINUTE, START, World, block};

#[tokio::test]
async fn looks_at_the_same_time_are_one() {
    let world = World::new(ListStrategy::Concurrent);
    world.add(&block(1, &[1]));
    let gate = world
        .bucket
        .pause(|fault| Rule::new(fault).on([Operation::List]));
    let mut leader = Box::pin(world.fetcher.fetch());
    let mut follower = Box::pin(world.fetcher.fetch());
    assert!(leader.as_mut().now_or_never().is_none());
    assert!(follower.as_mut().now_or_never().is_none());
    // The one that came first goes away; the other is not disturbed.
    drop(leader);
    gate.open();
    let view = follower.await.unwrap();
    assert_eq!(view.blocks.len(), 1);
    assert_eq!(world.bucket.count(Operation::List), 1);
    let next = world.fetcher.fetch().await.unwrap();
    assert!(!Arc::ptr_eq(&view, &next));
    assert_eq!(world.bucket.count(Operation::List), 2);
}

/// Whoever has claimed work must know what was done before: a look that stood still since then does not.
#[tokio::test]
async fn bc_14_a_look_anew_is_none_that_began_before() {
    let world = World::new(ListStrategy::Concurrent);
    world.add(&block(1, &[1]));
    let gate = world
        .bucket
        .pause(|fault| Rule::new(fault).on([Operation::Get]));
    let mut before = Box::pin(world.fetcher.fetch());
    assert!(before.as_mut().now_or_never().is_none());
    assert_eq!(world.bucket.count(Operation::List), 1, "it has listed");
    world.add(&block(2, &[2]));
    let chain = FilterChain::for_store(Scope::default(), Contract::default());
    let mut anew = Box::pin(world.fetcher.sync_anew(&chain));
    assert!(anew.as_mut().now_or_never().is_none());
    gate.open();
    let (view, _) = anew.await.unwrap();
    assert_eq!(view.blocks.len(), 2);
    assert_eq!(before.await.unwrap().blocks.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn bc_17_an_old_view_is_not_usable() {
    let contract = Contract::default();
    let view = View {
        fetched_at: Moment::at(START),
        ..View::default()
    };
    let is_usable = |at_ms| view.is_usable(&contract, Moment::at(at_ms));
    let limit = 48 * HOUR - 24 * HOUR - 15 * MINUTE;
    assert!(is_usable(START + limit));
    assert!(!is_usable(START + limit + 1));
    assert!(
        is_usable(START - HOUR),
        "a clock that jumped back makes nothing old"
    );
    let limit = Duration::from_millis(limit.unsigned_abs());
    tokio::time::advance(limit + Duration::from_millis(1)).await;
    assert!(!is_usable(START - HOUR), "and keeps nothing young");
}

#[tokio::test]
async fn a_view_is_as_old_as_its_beginning() {
    let world = World::new(ListStrategy::Concurrent);
    let gate = world
        .bucket
        .pause(|fault| Rule::new(fault).on([Operation::List]));
    let mut look = Box::pin(world.fetcher.fetch());
    assert!(look.as_mut().now_or_never().is_none());
    world.clock.advance(HOUR);
    gate.open();
    assert_eq!(look.await.unwrap().fetched_at_ms(), START);
}

#[tokio::test]
async fn every_state_is_shown_from_the_start() {
    let world = World::new(ListStrategy::Concurrent);
    world.add(&block(1, &[1]));
    for state in ["no-meta-json", "too-fresh", "parquet-migrated"] {
        let series = format!("thanos_blocks_meta_synced{{state=\"{state}\"}} 0\n");
        assert!(world.registry.render().contains(&series), "{series}");
    }
    world.sync().await;
    let page = world.registry.render();
    for line in [
        "thanos_blocks_meta_synced{state=\"loaded\"} 1\n",
        "thanos_blocks_meta_modified{modified=\"replica-label-removed\"} 0\n",
        "thanos_blocks_meta_syncs_total 1\n",
        "thanos_blocks_meta_base_syncs_total 1\n",
        "thanos_blocks_meta_sync_failures_total 0\n",
        "thanos_blocks_meta_sync_duration_seconds_count 1\n",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
}
