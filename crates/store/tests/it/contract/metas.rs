//! Metadata: missing, damaged, unreadable for now, replaced, from a clock that is ahead, many.

use std::sync::Arc;
use std::time::Duration;

use rutile_block::{BlockId, Contract, Meta, UploadTime, index_key, meta_key};
use rutile_cache::{IndexItem, MemoryConfig, MemoryIndexCache};
use rutile_model::{ByteSize, ErrorKind, Labels};
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};
use rutile_proto::thanos::SeriesRequest;
use rutile_store::HeaderDownload;
use rutile_telemetry::Registry;

use crate::support::Settings;
use crate::world::{HOUR, MORE_SOURCES, SOURCES, World, everything, id, objects};

fn meta(block: &str) -> Meta {
    let found = objects(block);
    let json = found.iter().find(|(path, _)| path == "meta.json").unwrap();
    Meta::parse(id(block), &json.1).unwrap()
}

fn put_meta(world: &World, meta: &Meta) {
    world
        .memory
        .insert(meta_key(meta.id), meta.to_json(), world.now());
}

/// A reader with this consistency delay, ms.
fn with_delay(consistency_delay_ms: i64) -> World {
    let contract = Contract {
        consistency_delay_ms,
        ..Contract::default()
    };
    World::with(Settings {
        contract,
        ..Settings::default()
    })
}

#[tokio::test]
async fn bc_11_damaged_metadata_concern_their_own_block_only() {
    for damaged in ["", "{", "null", "{\"version\":7}", "\u{0}", "[1]"] {
        let world = World::new();
        world.add_all(&SOURCES);
        let key = meta_key(id(SOURCES[2]));
        world.memory.insert(key, damaged, world.now());
        assert_eq!(world.sync().await.served, 3, "{damaged:?}");
        let rest = [SOURCES[0], SOURCES[1], SOURCES[3]];
        world.check(&rest, damaged).await;
        world.add(SOURCES[2]);
        world.sync().await;
        world.check(&SOURCES, "whole again").await;
    }
}

#[tokio::test]
async fn bc_11_an_incomplete_view_drops_nothing() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.sync().await;
    for operations in [
        vec![Operation::Get],
        vec![Operation::Attributes],
        vec![
            Operation::Get,
            Operation::GetRange,
            Operation::Attributes,
            Operation::Exists,
        ],
    ] {
        let fault = Fault::FailBefore(ErrorKind::Unavailable);
        let rule = Rule::new(fault).on(operations).key_suffix("meta.json");
        world.bucket.add(rule);
        assert_eq!(world.sync().await.dropped, 0);
        world.bucket.heal();
        world.check(&SOURCES, "as before").await;
    }
    // Nor does a listing that lacks blocks which are there.
    for entries in 0..3 {
        let rule = Rule::new(Fault::ListTorn(entries))
            .on([Operation::List])
            .key("");
        world.bucket.add(rule);
        assert_eq!(world.sync().await.dropped, 0);
        world.bucket.heal();
        world.check(&SOURCES, "a torn listing").await;
    }
}

#[tokio::test]
async fn bc_11_a_failed_listing_leaves_everything_as_it_was() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.sync().await;
    world.add(MORE_SOURCES[0]);
    for fault in [
        Fault::FailBefore(ErrorKind::Unavailable),
        Fault::FailAfter(ErrorKind::Unavailable),
        Fault::ListFails(2),
    ] {
        world
            .bucket
            .add(Rule::new(fault).on([Operation::List]).key(""));
        world.fixture.store.syncer.sync().await.unwrap_err();
        world.bucket.heal();
        world.check(&SOURCES, "as before").await;
    }
}

/// The store never removes anything, so all that is left of P6 is when it serves a block.
#[tokio::test]
async fn p6_a_partial_block_is_served_from_when_its_metadata_land() {
    let world = World::new();
    world.add_all(&SOURCES);
    let key = meta_key(id(SOURCES[3]));
    let body = world.memory.body(&key).unwrap();
    world.memory.remove(&key);
    for hours in [0, 60] {
        world.fixture.clock.advance(hours * HOUR);
        assert_eq!(world.sync().await.served, 3);
        world.check(&SOURCES[..3], "partial").await;
    }
    world.memory.insert(key, body, world.now());
    let before = world.memory.keys();
    world.sync().await;
    world.check(&SOURCES, "complete").await;
    assert_eq!(world.memory.keys(), before, "a reader removes nothing");
}

#[tokio::test]
async fn p15_a_block_of_an_uploader_whose_clock_is_ahead_is_served() {
    for (delay, wait) in [(0, 0), (HOUR / 2, HOUR / 2)] {
        let world = with_delay(delay);
        world.add_all(&SOURCES);
        let mut ahead = meta(SOURCES[0]);
        ahead.thanos.upload_time = UploadTime::from_ms(world.now() + 3 * HOUR);
        put_meta(&world, &ahead);
        world.fixture.clock.advance(wait);
        assert_eq!(world.sync().await.served, 4, "delay {delay}");
        world.check(&SOURCES, "all").await;
    }
}

#[tokio::test]
async fn bc_04_a_fresh_block_waits_for_the_consistency_delay() {
    let world = with_delay(HOUR);
    world.add_all(&SOURCES[..3]);
    world.fixture.clock.advance(HOUR - 1);
    world.add(SOURCES[3]);
    assert_eq!(world.sync().await.served, 0);
    world.fixture.clock.advance(1);
    world.sync().await;
    world.check(&SOURCES[..3], "old enough").await;
    world.fixture.clock.advance(HOUR);
    world.sync().await;
    world.check(&SOURCES, "all").await;
}

#[tokio::test(start_paused = true)]
async fn bc_04_a_clock_that_is_behind_hides_a_block_for_no_longer_than_the_delay() {
    let world = with_delay(HOUR);
    world.add_all(&SOURCES);
    // As by a clock that goes again when it has stood for days.
    world.fixture.clock.advance(-48 * HOUR);
    assert_eq!(world.sync().await.served, 0);
    tokio::time::advance(Duration::from_mins(59)).await;
    assert_eq!(world.sync().await.served, 0);
    tokio::time::advance(Duration::from_mins(1)).await;
    world.sync().await;
    world.check(&SOURCES, "seen for an hour").await;
}

#[tokio::test]
async fn p16_replaced_metadata_are_noticed_also_over_a_restart() {
    let mut world = World::new();
    world.add_all(&SOURCES);
    world.sync().await;
    for (value, restarts) in [("eu7", false), ("eu8", true), ("eu9", false)] {
        let mut replaced = meta(SOURCES[0]);
        replaced.thanos.labels = Labels::from([("cluster", value), ("replica", "a")]);
        put_meta(&world, &replaced);
        world.fixture.clock.advance(HOUR);
        if restarts {
            world.restart();
        }
        assert_eq!(world.sync().await.served, 4);
        let request = SeriesRequest {
            matchers: [
                everything().matchers,
                vec![crate::support::matcher("cluster", "=", value)],
            ]
            .concat(),
            ..everything()
        };
        let answer = world.fixture.series(request).await.unwrap();
        assert_eq!(answer.len(), 200, "the block's series, as {value}");
    }
}

#[tokio::test]
async fn p16_bc_07_a_replaced_block_that_cannot_be_loaded_stays_as_it_was() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.sync().await;
    let mut replaced = meta(SOURCES[0]);
    replaced.stats.num_samples += 1;
    put_meta(&world, &replaced);
    world.fixture.clock.advance(HOUR);
    let fault = Fault::FailBefore(ErrorKind::Unavailable);
    let index = index_key(id(SOURCES[0]));
    world.bucket.add(Rule::new(fault).key(index).times(1));
    let synced = world.sync().await;
    assert_eq!((synced.served, synced.failed, synced.dropped), (4, 1, 0));
    world.check(&SOURCES, "complete").await;
    let synced = world.sync().await;
    assert_eq!((synced.served, synced.loaded), (4, 1));
    world.check(&SOURCES, "and loaded anew").await;
}

/// The whole block is another one, under the same name: neither its index-header nor anything else
/// of the old one is used, also when it was replaced while no process ran.
#[tokio::test]
async fn p16_a_replaced_block_is_read_anew() {
    let other = "01M820PDXC2FK9EQKT0GRGMCSA";
    for restarts in [false, true] {
        // What the cache has of the old block is nothing that the new one may be answered from.
        let config = MemoryConfig {
            max_size: ByteSize(16 << 20),
            max_item_size: ByteSize(1 << 20),
        };
        let items = vec![
            IndexItem::Postings,
            IndexItem::ExpandedPostings,
            IndexItem::Series,
        ];
        let mut world = World::with(Settings {
            cache: Arc::new(MemoryIndexCache::new(config, items, &Registry::new())),
            ..Settings::default()
        });
        world.add_all(&SOURCES[..2]);
        world.sync().await;
        world.check(&SOURCES[..2], "before").await;
        for (path, body) in objects(other) {
            let key = format!("{}/{path}", SOURCES[0]);
            world.memory.insert(key, body, world.now());
        }
        let mut replaced = meta(other);
        replaced.id = id(SOURCES[0]);
        replaced.compaction.sources = vec![id(SOURCES[0])];
        put_meta(&world, &replaced);
        world.fixture.clock.advance(HOUR);
        if restarts {
            world.restart();
        }
        assert_eq!(world.sync().await.served, 2);
        world.check(&[other, SOURCES[1]], "after").await;
    }
}

/// Many blocks of one source each in one group, half of them replaced by one block: the reference
/// compares each with each. What can be counted without a clock are requests.
#[tokio::test]
async fn p17_many_single_source_blocks_cost_few_requests_each() {
    const BLOCKS: u64 = 2000;
    let world = World::with(Settings {
        header_download: HeaderDownload::Lazy,
        ..Settings::default()
    });
    let name = |n: u64| BlockId::from_parts(1_700_000_000_000 + n, [7; 10]);
    let pattern = meta(SOURCES[0]);
    let block = |id: BlockId, sources: Vec<BlockId>, index: &[u8]| {
        let mut meta = pattern.clone();
        meta.id = id;
        meta.compaction.sources = sources;
        world
            .memory
            .insert(index_key(id), index.to_vec(), world.now());
        put_meta(&world, &meta);
    };
    for n in 0..BLOCKS {
        block(name(n), vec![name(n)], &[0; 8]);
    }
    // Only what others are dropped for is read before a query needs it.
    let (_, index) = objects(SOURCES[0])
        .into_iter()
        .find(|(path, _)| path == "index")
        .unwrap();
    block(name(BLOCKS), (0..BLOCKS / 2).map(name).collect(), &index);
    let synced = world.sync().await;
    assert_eq!(synced.served as u64, BLOCKS / 2 + 1);
    world.bucket.forget_calls();
    let synced = world.sync().await;
    assert_eq!((synced.served as u64, synced.loaded), (BLOCKS / 2 + 1, 0));
    let calls = world.bucket.calls().len() as u64;
    assert!(calls <= 3 * BLOCKS, "{calls} requests for {BLOCKS} blocks");
}
