//! Finding and reading blocks: isolation of bad ones, foreign objects, agreement of the listers.

use rutile_block::{BlockId, MarkKind, mark_key, meta_key};
use rutile_fetcher::{BadReason, MarkState};
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};

use crate::world::{HOUR, START, STRATEGIES, World, block, id, ids};

#[tokio::test]
async fn bc_02_a_folder_without_meta_is_no_block() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        world.add(&block(2, &[2]));
        world.memory.remove(&meta_key(id(2)));
        let view = world.view().await;
        assert_eq!(view.blocks.keys().copied().collect::<Vec<_>>(), [id(1)]);
        assert_eq!(view.partial.keys().copied().collect::<Vec<_>>(), [id(2)]);
        assert!(view.complete && view.bad.is_empty());
    }
}

#[tokio::test]
async fn bc_11_bad_metadata_concerns_its_own_block_only() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        for n in 1..=5 {
            world.add(&block(n, &[n]));
        }
        let meta = block(1, &[1]).to_json();
        world
            .memory
            .insert(meta_key(id(1)), meta[..100].to_vec(), START);
        world.memory.insert(
            meta_key(id(2)),
            String::from_utf8(meta)
                .unwrap()
                .replace("\"version\": 1", "\"version\": 2")
                .into_bytes(),
            START,
        );
        world
            .memory
            .insert(meta_key(id(3)), vec![b' '; 17 << 20], START);
        world.bucket.add(
            Rule::new(Fault::FailBefore(ErrorKind::Denied))
                .on([Operation::Get])
                .key(meta_key(id(4))),
        );
        let view = world.view().await;
        let reasons: Vec<_> = view.bad.iter().map(|(id, bad)| (*id, bad.reason)).collect();
        let expected = [
            (id(1), BadReason::CorruptMeta),
            (id(2), BadReason::UnknownVersion),
            (id(3), BadReason::TooLarge),
            (id(4), BadReason::Unreadable),
        ];
        assert_eq!(reasons, expected);
        assert!(
            view.bad[&id(1)].message.contains(&meta_key(id(1))),
            "{:?}",
            view.bad[&id(1)]
        );
        assert!(!view.complete, "block 4 may be well");
        let selection = world.sync().await;
        assert_eq!(selection.to_load(&ids(&[])), ids(&[5]));
        assert_eq!(selection.unread, ids(&[4]));
        assert!((world.events("BC-11") - 4.0).abs() < 0.1);
        // Said once, not at every sync.
        world.sync().await;
        assert!((world.events("BC-11") - 4.0).abs() < 0.1);
        assert!(
            (world.metric("thanos_blocks_meta_synced{state=\"corrupted-meta-json\"}") - 1.0).abs()
                < 0.1
        );
        assert!((world.metric("thanos_blocks_meta_synced{state=\"failed\"}") - 3.0).abs() < 0.1);
    }
}

#[tokio::test]
async fn bc_11_a_passing_error_neither_adds_nor_drops_a_block() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        assert_eq!(world.sync().await.to_load(&ids(&[])), ids(&[1]));
        // The mark of a block that was known, all of a block that was not.
        world.mark(id(1), "by hand");
        world.add(&block(2, &[2]));
        world.add(&block(3, &[3]));
        let down = || Rule::new(Fault::FailBefore(ErrorKind::Unavailable));
        world.bucket.add(
            down()
                .on([Operation::Get, Operation::Attributes])
                .key(mark_key(id(1), MarkKind::Deletion)),
        );
        world
            .bucket
            .add(down().on([Operation::Get]).key_prefix(id(2).to_string()));
        world.clock.advance(30 * HOUR);
        let selection = world.sync().await;
        assert_eq!(
            selection.serving(&ids(&[1])),
            ids(&[1]),
            "its mark is due, but it was not read"
        );
        assert_eq!(
            selection.to_load(&ids(&[])),
            ids(&[1, 3]),
            "the others go on"
        );
        assert_eq!(selection.unread, ids(&[1, 2]));
        world.bucket.heal();
        let selection = world.sync().await;
        assert_eq!(selection.serving(&ids(&[1, 2, 3])), ids(&[2, 3]));
    }
}

#[tokio::test]
async fn bc_11_a_failed_listing_leaves_the_last_view() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        let before = world.view().await;
        world
            .bucket
            .add(Rule::new(Fault::ListFails(1)).on([Operation::List]));
        let error = world.fetcher.fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(std::sync::Arc::ptr_eq(
            &world.fetcher.latest().unwrap(),
            &before
        ));
    }
}

#[tokio::test]
async fn bc_07_a_listing_that_lags_hides_no_known_block() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        for n in 1..=4 {
            world.add(&block(n, &[n]));
        }
        world.view().await;
        for torn_after in 0..4 {
            world
                .bucket
                .add(Rule::new(Fault::ListTorn(torn_after)).on([Operation::List]));
            let view = world.view().await;
            assert_eq!(view.blocks.len(), 4, "listing cut after {torn_after}");
            assert!(view.vanished.is_empty());
            world.bucket.heal();
        }
    }
}

#[tokio::test]
async fn bc_07_a_block_that_went_unmarked_is_reported() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        world.add(&block(2, &[2]));
        world.mark(id(2), "by hand");
        world.sync().await;
        world.remove(id(1));
        world.remove(id(2));
        world.sync().await;
        assert_eq!(
            world.fetcher.latest().unwrap().vanished,
            [id(1)],
            "the other one was announced"
        );
        assert!((world.events("BC-7") - 1.0).abs() < 0.1);
    }
}

#[tokio::test]
async fn bc_19_foreign_objects_are_not_blocks() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        for key in [
            "rutile/clock",
            "debug/metas/x.json",
            "notes.txt",
            "01M820PHAWJ4QN17XR7HF3SM9/meta.json",
        ] {
            world.memory.insert(key, "x", START);
        }
        // An older Thanos may have left such things inside a block.
        world
            .memory
            .insert(format!("{}/meta.json.tmp", id(1)), "x", START);
        world
            .memory
            .insert(format!("{}/backup/meta.json", id(1)), "x", START);
        let view = world.view().await;
        assert_eq!(view.blocks.len(), 1);
        assert!(view.partial.is_empty() && view.bad.is_empty() && view.complete);
    }
}

#[tokio::test]
async fn a_folder_in_another_spelling_is_partial_as_it_is_for_thanos() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        let name = id(1).to_string().to_lowercase();
        world
            .memory
            .insert(format!("{name}/meta.json"), block(1, &[1]).to_json(), START);
        let view = world.view().await;
        assert_eq!(
            view.partial.keys().copied().collect::<Vec<BlockId>>(),
            [id(1)]
        );
        assert!(view.blocks.is_empty());
    }
}

#[tokio::test]
async fn both_listers_see_the_same() {
    let mut views = Vec::new();
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        for n in 1..=20 {
            world.add(&block(n, &[n]));
        }
        world.mark(id(3), "by hand");
        world
            .memory
            .insert(mark_key(id(4), MarkKind::Deletion), "{torn", START);
        world.memory.insert(
            mark_key(id(5), MarkKind::NoCompact),
            "{\"version\":7}",
            START,
        );
        world.memory.remove(&meta_key(id(6)));
        let view = world.view().await;
        assert_eq!(view.blocks[&id(4)].marks.deletion, MarkState::Torn);
        assert_eq!(
            view.blocks[&id(5)].marks.no_compact,
            MarkState::UnknownVersion
        );
        assert!(view.blocks[&id(3)].marks.deletion.present().is_some());
        assert!(
            view.blocks
                .values()
                .all(|info| info.meta_modified_ms == Some(START))
        );
        views.push(
            view.blocks
                .iter()
                .map(|(id, info)| (*id, info.meta.clone(), info.marks.clone()))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(views[0], views[1]);
}

#[tokio::test]
async fn a_provider_that_lists_no_attributes_costs_requests_and_nothing_else() {
    let world = World::new(rutile_fetcher::ListStrategy::Recursive);
    let quiet = rutile_objstore::fake::FaultyBucket::new(std::sync::Arc::new(
        world.memory.clone().without_listed_attributes(),
    ));
    world.add(&block(1, &[1]));
    world.mark(id(1), "by hand");
    let parts = rutile_fetcher::Parts {
        bucket: std::sync::Arc::new(quiet),
        clock: world.clock.clone(),
        disk: None,
    };
    let config = rutile_fetcher::FetcherConfig {
        strategy: rutile_fetcher::ListStrategy::Recursive,
        ..Default::default()
    };
    let fetcher =
        rutile_fetcher::Fetcher::new(parts, config, &rutile_telemetry::Registry::new()).unwrap();
    let view = fetcher.fetch().await.unwrap();
    assert_eq!(view.blocks[&id(1)].meta_modified_ms, Some(START));
    assert!(view.blocks[&id(1)].marks.deletion.present().is_some());
}
