//! What goes, when, and what must be there first.

use rutile_block::{BlockId, MarkKind, RawJson, details, index_key, meta_key, resolution};
use rutile_compact::Retention;
use rutile_model::ErrorKind;
use rutile_objstore::fake::{Fault, Rule};
use rutile_objstore::{Bucket, Operation};

use crate::world::{DAY, FIRST_EIGHT_HOURS, HOUR, NOW_MS, Settings, TWO_HOURS, World, id};

fn five() -> &'static [&'static str] {
    TWO_HOURS.get(..5).unwrap()
}

#[tokio::test]
async fn bc_06_marked_blocks_are_deleted_after_the_delay_and_not_before() {
    let world = World::with(five());
    world.iterate().await;
    world.clock.advance(2 * DAY - HOUR);
    assert_eq!(world.iterate().await.deleted, 0);
    assert_eq!(world.blocks().len(), 6);
    world.clock.advance(2 * HOUR);
    assert_eq!(world.iterate().await.deleted, 4);
    assert_eq!(world.blocks(), world.live());
    world.check_readable(five(), "afterwards").await;
}

#[tokio::test]
async fn bc_06_p1_sources_stay_while_their_successor_cannot_be_loaded() {
    for damage in ["missing", "truncated", "flipped", "unavailable"] {
        let world = World::with(five());
        world.add(FIRST_EIGHT_HOURS);
        world.mark_compacted(&five()[..4]);
        let key = index_key(id(FIRST_EIGHT_HOURS));
        let whole = world.memory.body(&key).unwrap();
        let mut index = whole.to_vec();
        match damage {
            "missing" => drop(world.memory.remove(&key)),
            "truncated" => world
                .memory
                .insert(&key, index[..index.len() / 2].to_vec(), NOW_MS),
            "flipped" => {
                index[100] ^= 1;
                world.memory.insert(&key, index, NOW_MS);
            }
            _ => world
                .bucket
                .add(Rule::new(Fault::FailBefore(ErrorKind::Unavailable)).key(key.clone())),
        }
        world.clock.advance(3 * DAY);
        let report = world.start(Settings::default()).compactor.iterate().await;
        assert_eq!(report.deleted, 0, "{damage}");
        assert!(!report.errors.is_empty(), "{damage}");
        let there = five()
            .iter()
            .all(|block| world.blocks().contains(&id(block)));
        assert!(there, "{damage}: the sources are there");
        world.bucket.heal();
        world.memory.insert(&key, whole, NOW_MS);
        assert_eq!(world.iterate().await.deleted, 4, "{damage}: healed");
        world.check_readable(five(), damage).await;
    }
}

#[tokio::test]
async fn bc_07_nothing_is_marked_for_a_block_that_cannot_be_loaded() {
    let world = World::with(five());
    world.add(FIRST_EIGHT_HOURS);
    let key = index_key(id(FIRST_EIGHT_HOURS));
    let mut index = world.memory.body(&key).unwrap().to_vec();
    index[100] ^= 1;
    world.memory.insert(&key, index, NOW_MS);
    let process = world.start(Settings::default());
    let report = process.compactor.iterate().await;
    assert_eq!(report.marked, 0);
    assert_eq!(report.errors.len(), 4, "{:?}", report.errors);
    assert_eq!(
        process.metric("thanos_compact_garbage_collection_failures_total"),
        1.0
    );
    world.check_readable(five(), "afterwards").await;
}

#[tokio::test]
async fn bc_03_p5_an_upload_under_way_is_left_alone_however_old_its_name() {
    let world = World::new();
    let block = TWO_HOURS[0];
    // The ULID is months old; the chunk came an hour ago.
    world
        .memory
        .insert(format!("{block}/chunks/000001"), "bytes", NOW_MS - HOUR);
    for hours in [0, 46] {
        world.clock.advance(hours * HOUR);
        assert_eq!(world.iterate().await.deleted, 0);
    }
    world.clock.advance(2 * HOUR);
    assert_eq!(world.iterate().await.deleted, 1);
    let mut left = world.memory.keys();
    left.retain(|key| !key.starts_with("rutile/"));
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn bc_03_p6_a_commit_that_lands_before_the_cleanup_wins() {
    let world = World::new();
    world.add(TWO_HOURS[0]);
    let key = meta_key(id(TWO_HOURS[0]));
    let meta = world.memory.body(&key).unwrap();
    world.memory.remove(&key);
    world.clock.advance(100 * HOUR);
    let process = world.start(Settings::default());
    // The look is over; the cleaner is about to list the folder.
    let gate = world.bucket.pause(|fault| {
        Rule::new(fault)
            .on([Operation::List])
            .key_prefix(TWO_HOURS[0])
            .times(1)
    });
    let commit = async {
        gate.reached().await;
        world.memory.insert(&key, meta.clone(), world.now());
        gate.open();
    };
    let (report, ()) = tokio::join!(process.compactor.iterate(), commit);
    assert_eq!(report.deleted, 0);
    world.check_readable(&TWO_HOURS[..1], "it is whole").await;
}

#[tokio::test]
async fn bc_12_retention_waits_for_what_is_to_be_downsampled() {
    let retention = |downsampling| Settings {
        retention: Retention {
            raw: Some(30 * DAY),
            downsampling,
            ..Retention::default()
        },
        ..Settings::default()
    };
    // The planted 2 d block of raw samples, and the 5 m block that is due.
    let (raw, downsampled) = ("01M820Q9SJYFHMNPJJ06KPJ51B", "01M820Q9TTYVEY9S7VQHAQVG39");
    let world = World::with(&[raw]);
    assert_eq!(
        world.meta(id(raw)).thanos.downsample.resolution,
        resolution::RAW
    );
    let process = world.start(retention(true));
    // Retention alone, for an iteration would make it.
    let report = process.compactor.retain_once().await;
    assert_eq!(report.marked, 0, "due and not committed");
    world.add(downsampled);
    assert_eq!(process.compactor.iterate().await.marked, 1, "committed");
    let mark = world.marked(id(raw), MarkKind::Deletion).unwrap();
    assert_eq!(mark.details(), "block exceeding retention of 720h0m0s");
    world.clock.advance(49 * HOUR);
    assert_eq!(
        process.compactor.iterate().await.deleted,
        1,
        "it needs no successor"
    );
    assert!(world.blocks().contains(&id(downsampled)));

    let world = World::with(&[raw]);
    let process = world.start(retention(false));
    assert_eq!(
        process.compactor.iterate().await.marked,
        1,
        "nobody downsamples"
    );
}

#[tokio::test]
async fn bc_16_what_lost_its_successor_goes_with_its_retention() {
    let world = World::with(&TWO_HOURS[..1]);
    world.mark(TWO_HOURS[0], details::COMPACTED);
    world.clock.advance(3 * DAY);
    let keep = Settings::default();
    assert_eq!(
        world.start(keep).compactor.iterate().await.deleted,
        0,
        "nothing else has its samples"
    );
    let settings = Settings {
        retention: Retention {
            raw: Some(30 * DAY),
            ..Retention::default()
        },
        ..Settings::default()
    };
    let process = world.start(settings);
    assert_eq!(process.compactor.iterate().await.marked, 1);
    world.clock.advance(3 * DAY);
    assert_eq!(process.compactor.iterate().await.deleted, 1);
}

/// A source was compacted, and a rewritten copy of it was given up; nobody can tell that the compaction is there.
#[tokio::test]
async fn bc_05_bc_11_a_source_goes_with_nothing_while_its_replacement_may_be_what_cannot_be_read() {
    let world = World::with(&five()[..4]);
    world.add(FIRST_EIGHT_HOURS);
    world.mark(TWO_HOURS[0], details::COMPACTED);
    let copy = BlockId::from_parts(1, [1; 10]);
    world.add_as(TWO_HOURS[0], copy, |meta| {
        meta.compaction.sources = vec![copy];
        let rewrites = format!("[{{\"sources\":[\"{}\"]}}]", TWO_HOURS[0]);
        meta.thanos.rewrites = RawJson::from_text(&rewrites);
    });
    world.mark(&copy.to_string(), "by hand");
    let key = meta_key(id(FIRST_EIGHT_HOURS));
    let fault = Fault::FailBefore(ErrorKind::Unavailable);
    world.bucket.add(Rule::new(fault).key(key));
    for healed in [false, true] {
        if healed {
            world.bucket.heal();
        }
        let process = world.start(Settings::default());
        let report = process.compactor.iterate().await;
        assert_eq!(report.errors.is_empty(), healed, "{:?}", report.errors);
        let mark = world.marked(id(TWO_HOURS[0]), MarkKind::Deletion).unwrap();
        assert_eq!(mark.details(), details::COMPACTED, "{healed}");
    }
}

#[tokio::test]
async fn bc_16_uploads_in_parts_that_nobody_finished_are_aborted() {
    let world = World::new();
    let dangling = world
        .bucket
        .start_multipart(&index_key(id(TWO_HOURS[0])))
        .await
        .unwrap();
    let foreign = world.bucket.start_multipart("somebody/else").await.unwrap();
    drop((dangling, foreign));
    world.clock.advance(47 * HOUR);
    world.iterate().await;
    assert_eq!(
        world.memory.unfinished_uploads().await.unwrap().len(),
        2,
        "it may be under way"
    );
    world.clock.advance(2 * HOUR);
    let process = world.start(Settings::default());
    process.compactor.iterate().await;
    let left = world.memory.unfinished_uploads().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key.as_deref(), Some("somebody/else"), "not ours");
    assert_eq!(process.metric("rutile_compact_aborted_uploads_total"), 1.0);
}

#[tokio::test]
async fn bc_18_nothing_is_deleted_while_the_clocks_differ() {
    let world = World::with(five());
    world.iterate().await;
    // This machine's clock jumps ahead; the bucket's does not.
    let bucket_time = world.now();
    world.clock.advance(49 * HOUR);
    let ahead = rutile_runtime::ManualClock::new(bucket_time + 49 * HOUR);
    world.clock.set(bucket_time);
    let bucket = std::sync::Arc::new(world.bucket.clone());
    let process = crate::world::start(bucket, std::sync::Arc::new(ahead), Settings::default());
    let report = process.compactor.iterate().await;
    assert_eq!(report.deleted, 0);
    assert_eq!(report.errors.len(), 4, "{:?}", report.errors);
    assert_eq!(world.blocks().len(), 6);
    world.check_readable(five(), "afterwards").await;
}
