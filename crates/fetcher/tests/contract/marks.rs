//! Deletion marks: those that come and go while the bucket is looked at, and damaged ones.

use std::sync::Arc;

use rutile_block::{Contract, MarkKind, details, mark_key, meta_key};
use rutile_fetcher::{FilterChain, MarkState, Scope, View};
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};

use crate::world::{HOUR, START, STRATEGIES, World, block, id, ids};

#[tokio::test]
async fn p2_a_block_that_goes_while_its_mark_is_read_does_not_come_back() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        world.mark(id(1), "by hand");
        world.clock.advance(25 * HOUR);
        assert!(world.sync().await.wanted.is_empty());
        // The mark is written again, so that it is read again; then everything goes in between.
        world.mark(id(1), "by hand, again");
        let key = mark_key(id(1), MarkKind::Deletion);
        let gate = world
            .bucket
            .pause(|fault| Rule::new(fault).on([Operation::Get]).key(key));
        let fetcher = world.fetcher.clone();
        let (view, ()) = tokio::join!(fetcher.fetch(), async {
            gate.reached().await;
            world.remove(id(1));
            gate.open();
        });
        let view = view.unwrap();
        assert!(view.blocks.is_empty(), "{view:?}");
    }
}

#[tokio::test]
async fn p2_nor_between_the_listing_and_the_marks() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        world.mark(id(1), "by hand");
        world.clock.advance(25 * HOUR);
        world.sync().await;
        // The listing still shows what is gone.
        remove_through_the_journal(&world).await;
        world
            .bucket
            .add(Rule::new(Fault::ListStale(4)).on([Operation::List]));
        let selection = world.sync().await;
        assert!(selection.wanted.is_empty(), "{selection:?}");
        assert!(selection.serving(&ids(&[1])).is_empty());
    }
}

/// Removes the block's objects through the wrapper, so that its journal knows.
async fn remove_through_the_journal(world: &World) {
    use rutile_objstore::Bucket;
    let prefix = id(1).to_string();
    for key in world
        .memory
        .keys()
        .into_iter()
        .filter(|key| key.starts_with(&prefix))
    {
        world.bucket.delete(&key).await.unwrap();
    }
}

#[tokio::test]
async fn p2_a_deletion_at_any_request_never_shows_the_block_unmarked() {
    for strategy in STRATEGIES {
        for restarted in [false, true] {
            for request in 0..8 {
                let mut world = World::new(strategy);
                world.add(&block(1, &[1]));
                world.mark(id(1), "by hand");
                world.sync().await;
                world.fetcher.save_cache().await.unwrap();
                if restarted {
                    world.restart();
                }
                let view = look_while_it_goes(&world, request).await;
                let info = view.blocks.get(&id(1));
                let marked = info.is_none_or(|info| info.marks.deletion.is_there());
                assert!(
                    marked,
                    "{strategy:?}, restarted {restarted}, request {request}: {info:?}"
                );
            }
        }
    }
}

/// Looks at the bucket while the whole block is deleted, right before the given request.
async fn look_while_it_goes(world: &World, request: u64) -> Arc<View> {
    let reads = [Operation::Get, Operation::Attributes];
    let rule = |fault| Rule::new(fault).on(reads).after(request).times(1);
    let gate = world.bucket.pause(rule);
    let mut look = Box::pin(world.fetcher.fetch());
    tokio::select! {
        biased;
        view = &mut look => return view.unwrap(),
        () = gate.reached() => world.remove(id(1)),
    }
    gate.open();
    look.await.unwrap()
}

#[tokio::test]
async fn a_mark_removed_by_hand_is_noticed() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        world.mark(id(1), "by hand");
        world.clock.advance(25 * HOUR);
        assert!(world.sync().await.wanted.is_empty());
        world.memory.remove(&mark_key(id(1), MarkKind::Deletion));
        assert_eq!(world.sync().await.to_load(&ids(&[])), ids(&[1]));
    }
}

#[tokio::test]
async fn p3_a_torn_mark_leaves_the_block_served_and_is_reported() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        world
            .memory
            .insert(mark_key(id(1), MarkKind::Deletion), "{\"id\":\"01", START);
        world.clock.advance(100 * HOUR);
        let selection = world.sync().await;
        assert_eq!(selection.to_load(&ids(&[])), ids(&[1]));
        let view = world.fetcher.latest().unwrap();
        assert!(view.complete);
        assert_eq!(
            view.odd_marks().collect::<Vec<_>>(),
            [(id(1), MarkKind::Deletion, &MarkState::Torn)]
        );
        assert!((world.events("BC-11") - 1.0).abs() < 0.1);
        assert!(
            selection.no_compact.contains(&id(1)),
            "and it is no input of a compaction"
        );
        // Written again, it counts from its new time.
        world.mark(id(1), "by hand");
        assert_eq!(world.sync().await.to_load(&ids(&[])), ids(&[1]));
        world.clock.advance(25 * HOUR);
        assert!(world.sync().await.wanted.is_empty());
    }
}

#[tokio::test]
async fn p4_a_mark_of_unknown_version_concerns_its_block_only() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        for n in 1..=3 {
            world.add(&block(n, &[n]));
        }
        world.memory.insert(
            mark_key(id(1), MarkKind::Deletion),
            "{\"version\":2,\"deletion_time\":1}",
            START,
        );
        world.mark(id(2), "by hand");
        world.clock.advance(100 * HOUR);
        let selection = world.sync().await;
        assert_eq!(selection.to_load(&ids(&[])), ids(&[1, 3]));
        assert!(world.fetcher.latest().unwrap().complete);
        assert!(
            selection.no_compact.contains(&id(1)),
            "served, never compacted"
        );
        assert!((world.events("BC-11") - 1.0).abs() < 0.1);
    }
}

#[tokio::test]
async fn bc_15_a_marked_block_is_no_input_of_a_compaction() {
    let world = World::new(STRATEGIES[0]);
    for n in 1..=3 {
        world.add(&block(n, &[n]));
    }
    world.mark(id(2), "tenant left");
    let no_compact = rutile_block::Mark::new(MarkKind::NoCompact, id(3), "manual", "", START);
    world.memory.insert(
        mark_key(id(3), MarkKind::NoCompact),
        no_compact.to_json(),
        START,
    );
    let chain = FilterChain::for_compact(
        Scope::default(),
        Contract::default(),
        vec!["replica".to_owned()],
    );
    let selection = chain.apply(&*world.view().await, world.now());
    assert_eq!(
        selection.to_load(&ids(&[])),
        ids(&[1, 2, 3]),
        "it holds its place in the plan"
    );
    assert_eq!(selection.no_compact, ids(&[2, 3]));
    assert_eq!(selection.replica_labels_removed, 3);
    assert_eq!(
        selection.wanted[&id(1)].thanos.labels.to_string(),
        "{cluster=\"eu1\"}"
    );
}

#[tokio::test]
async fn bc_18_a_mark_by_a_clock_that_is_behind_counts_from_its_object() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        let mark = rutile_block::Mark::new(
            MarkKind::Deletion,
            id(1),
            "",
            "by hand",
            START - 1000 * HOUR,
        );
        world
            .memory
            .insert(mark_key(id(1), MarkKind::Deletion), mark.to_json(), START);
        assert_eq!(world.sync().await.to_load(&ids(&[])), ids(&[1]));
        world.clock.advance(24 * HOUR + 1);
        assert!(world.sync().await.wanted.is_empty());
    }
}

#[tokio::test]
async fn bc_06_a_deletion_that_was_interrupted_shows_as_partial_and_marked() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        world.mark(id(1), details::COMPACTED);
        world.view().await;
        world.memory.remove(&meta_key(id(1)));
        let view = world.view().await;
        assert!(view.partial[&id(1)].marked);
        assert!(view.blocks.is_empty() && view.vanished.is_empty());
    }
}
