//! What is remembered, in memory and over restarts, and when it must not be believed.

use rutile_block::meta_key;
use rutile_disk::{Disk, Durability};
use rutile_fetcher::ListStrategy;
use rutile_objstore::Operation;

use crate::world::{STRATEGIES, World, block, id};

fn gets(world: &World) -> usize {
    let count = world.bucket.count(Operation::Get);
    world.bucket.forget_calls();
    count
}

#[tokio::test]
async fn p16_a_replaced_meta_json_is_noticed_by_both_listers() {
    for strategy in STRATEGIES {
        let mut world = World::new(strategy);
        let mut meta = block(1, &[1]);
        world.add(&meta);
        assert_eq!(world.view().await.blocks[&id(1)].meta.max_time, 7_200_000);
        world.fetcher.save_cache().await.unwrap();
        meta.max_time = 9_200_000;
        world.clock.advance(1);
        world.add(&meta);
        assert_eq!(world.view().await.blocks[&id(1)].meta.max_time, 9_200_000);
        assert!((world.metric("thanos_blocks_meta_base_cache_busts_total") - 1.0).abs() < 0.1);
        // The cache on disk still has the old one.
        world.restart();
        assert_eq!(world.view().await.blocks[&id(1)].meta.max_time, 9_200_000);
        // And in the same millisecond, told by the size.
        meta.max_time = 19_200_000;
        world.add(&meta);
        assert_eq!(world.view().await.blocks[&id(1)].meta.max_time, 19_200_000);
    }
}

#[tokio::test]
async fn bc_07_a_block_whose_meta_json_is_spoilt_later_stays_as_it_was() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        world.add(&block(1, &[1]));
        world.sync().await;
        world.memory.insert(meta_key(id(1)), "{", 7);
        let selection = world.sync().await;
        assert!(
            selection.wanted.contains_key(&id(1)),
            "its chunks are as good as before"
        );
        assert!(world.fetcher.latest().unwrap().bad.contains_key(&id(1)));
        assert!((world.events("BC-11") - 1.0).abs() < 0.1);
    }
}

#[tokio::test]
async fn bc_10_unchanged_blocks_are_read_once_also_over_a_restart() {
    for strategy in STRATEGIES {
        let mut world = World::new(strategy);
        for n in 1..=10 {
            world.add(&block(n, &[n]));
        }
        world.mark(id(3), "by hand");
        let first = world.view().await;
        assert_eq!(gets(&world), 11);
        assert!(std::sync::Arc::ptr_eq(
            &world.view().await.blocks[&id(1)].meta,
            &first.blocks[&id(1)].meta
        ));
        assert_eq!(gets(&world), 0);
        world.fetcher.save_cache().await.unwrap();
        world.restart();
        let again = world.view().await;
        assert_eq!(gets(&world), 1, "marks are not kept on disk");
        assert!(
            again
                .blocks
                .iter()
                .zip(&first.blocks)
                .all(|(a, b)| a.1.meta == b.1.meta)
        );
    }
}

#[tokio::test]
async fn a_torn_or_foreign_cache_is_not_believed() {
    let mut world = World::new(ListStrategy::Concurrent);
    for n in 1..=3 {
        world.add(&block(n, &[n]));
    }
    let first = world.view().await;
    world.fetcher.save_cache().await.unwrap();
    let whole = world.disk.read("meta-syncer/metas").unwrap();
    for cut in [0, 1, 30, whole.len() / 2, whole.len() - 2] {
        world
            .disk
            .write("meta-syncer/metas", &whole[..cut], Durability::Cached)
            .unwrap();
        world.restart();
        let view = world.view().await;
        assert!(
            view.blocks
                .iter()
                .zip(&first.blocks)
                .all(|(a, b)| a.1.meta == b.1.meta),
            "cut at {cut}"
        );
    }
    world
        .disk
        .write("meta-syncer/metas", &[0xFF; 4096], Durability::Cached)
        .unwrap();
    world.restart();
    assert_eq!(world.view().await.blocks.len(), 3);
}

#[tokio::test]
async fn label_sets_are_shared_between_blocks() {
    let world = World::new(ListStrategy::Concurrent);
    world.add(&block(1, &[1]));
    world.add(&block(2, &[2]));
    let view = world.view().await;
    let text = |n| {
        view.blocks[&id(n)]
            .meta
            .thanos
            .labels
            .iter()
            .next()
            .unwrap()
            .0
            .as_ptr()
    };
    assert_eq!(text(1), text(2));
}
