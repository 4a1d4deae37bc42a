//! What the compactor makes of what it sees: fresh, unread, torn, replaced, lying.

use rutile_block::{Contract, MarkKind, UploadTime, mark_key, meta_key};
use rutile_compact::Error;
use rutile_model::{ErrorKind, Labels};
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};

use crate::world::{HOUR, NOW_MS, Settings, TWO_HOURS, World, id};

const MINUTE: i64 = 60_000;

fn five() -> &'static [&'static str] {
    TWO_HOURS.get(..5).unwrap()
}

/// Four more blocks and a newest one, of another tenant.
fn others() -> &'static [&'static str] {
    TWO_HOURS.get(8..13).unwrap()
}

fn with_another_group() -> World {
    let world = World::with(five());
    for block in others() {
        world.add_changed(block, |meta| {
            meta.thanos.labels = Labels::from([("cluster", "other")]);
        });
    }
    world
}

#[tokio::test]
async fn bc_04_fresh_blocks_are_not_compacted() {
    let world = World::new();
    for block in five() {
        world.add_changed(block, |meta| {
            meta.thanos.upload_time = UploadTime::from_ms(NOW_MS - 29 * MINUTE);
        });
    }
    assert_eq!(world.iterate().await.merged, 0);
    world.clock.advance(2 * MINUTE);
    assert_eq!(world.iterate().await.merged, 1);
}

#[tokio::test]
async fn p15_a_block_from_a_clock_that_is_ahead_is_compacted_in_time() {
    let world = World::new();
    for block in five() {
        world.add_changed(block, |meta| {
            meta.thanos.upload_time = UploadTime::from_ms(NOW_MS + 1000 * HOUR);
        });
    }
    assert_eq!(
        world.iterate().await.merged,
        1,
        "the bucket's own time tells that it is old enough"
    );
}

#[tokio::test]
async fn bc_09_delays_that_do_not_fit_together_are_counted() {
    let world = World::new();
    let unsafe_series = "rutile_contract_unsafe_settings{clause=\"BC-9\"}";
    let settings = Settings {
        contract: Contract {
            ignore_delay_ms: HOUR / 4,
            delete_delay_ms: HOUR / 2,
            ..Contract::default()
        },
        ..Settings::default()
    };
    assert_eq!(world.start(settings).metric(unsafe_series), 2.0);
    let safe = world.start(Settings::default());
    assert_eq!(safe.metric(unsafe_series), 0.0);
}

#[tokio::test]
async fn bc_11_a_group_with_a_block_that_cannot_be_read_waits_and_the_others_go_on() {
    let world = with_another_group();
    let process = world.start(Settings::default());
    let unavailable = Fault::FailBefore(ErrorKind::Unavailable);
    // Not known yet: it may belong to any group.
    world
        .bucket
        .add(Rule::new(unavailable.clone()).key(meta_key(id(five()[2]))));
    let report = process.compactor.iterate().await;
    assert_eq!(report.merged, 0);
    assert!(
        matches!(report.errors[..], [Error::Incomplete(1)]),
        "{:?}",
        report.errors
    );
    world.bucket.heal();
    // Known: its own group waits.
    process.compactor.watch_once().await;
    world
        .bucket
        .add(Rule::new(unavailable).key(meta_key(id(five()[2]))));
    let report = process.compactor.iterate().await;
    assert_eq!(report.merged, 1);
    assert_eq!(
        world.outputs()[0].thanos.labels,
        Labels::from([("cluster", "other")])
    );
    world.bucket.heal();
    assert_eq!(process.compactor.iterate().await.merged, 1);
}

#[tokio::test]
async fn bc_11_damaged_metadata_concern_their_own_block() {
    let world = with_another_group();
    let broken: [(&str, &[u8]); 2] = [(five()[1], b"{"), (others()[1], br#"{"version": 2}"#)];
    for (block, body) in broken {
        world
            .memory
            .insert(meta_key(id(block)), body, NOW_MS - HOUR);
    }
    let process = world.start(Settings::default());
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.merged, 2, "what is left of both groups");
    for reason in ["meta-corrupt", "meta-unknown-version"] {
        let series = format!("rutile_compact_quarantined_blocks{{reason=\"{reason}\"}}");
        assert_eq!(process.metric(&series), 1.0, "{reason}");
    }
    world.clock.advance(1000 * HOUR);
    world.iterate().await;
    for (block, body) in broken {
        let left = world.memory.body(&meta_key(id(block))).unwrap();
        assert_eq!(left, body, "it is not deleted either");
    }
}

#[tokio::test]
async fn p2_a_block_deleted_under_the_look_is_not_planned() {
    let world = World::with(&TWO_HOURS[..6]);
    world.mark(five()[0], "by hand");
    let process = world.start(Settings::default());
    process.compactor.watch_once().await;
    world.clock.advance(49 * HOUR);
    // Between its mark and its meta.json it goes away.
    let mark = mark_key(id(five()[0]), MarkKind::Deletion);
    let gate = world.bucket.pause(|fault| {
        Rule::new(fault)
            .on([Operation::Attributes])
            .key(meta_key(id(five()[0])))
            .times(1)
    });
    let delete = async {
        gate.reached().await;
        for key in world
            .memory
            .keys()
            .into_iter()
            .filter(|key| key.starts_with(five()[0]))
        {
            world.memory.remove(&key);
        }
        gate.open();
    };
    let (report, ()) = tokio::join!(process.compactor.iterate(), delete);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert!(world.memory.body(&mark).is_none());
    let sources = &world.outputs()[0].compaction.sources;
    assert!(!sources.contains(&id(five()[0])));
}

#[tokio::test]
async fn p3_a_torn_mark_is_written_again_by_whose_reason_still_holds() {
    let world = World::with(five());
    world.iterate().await;
    let torn = mark_key(id(five()[0]), MarkKind::Deletion);
    world.memory.insert(&torn, "{\"id\"", NOW_MS);
    world.iterate().await;
    assert!(world.marked(id(five()[0]), MarkKind::Deletion).is_some());
    // One that nobody has a reason for stays torn; its block is served, not compacted, not deleted.
    let newest = mark_key(id(five()[4]), MarkKind::Deletion);
    world.memory.insert(&newest, "{", NOW_MS);
    world.clock.advance(100 * HOUR);
    world.iterate().await;
    assert_eq!(world.memory.body(&newest).unwrap(), "{");
    world.check_readable(five(), "afterwards").await;
}

#[tokio::test]
async fn p4_a_mark_of_unknown_version_concerns_its_own_block() {
    let world = World::with(&TWO_HOURS[..9]);
    let key = mark_key(id(TWO_HOURS[0]), MarkKind::Deletion);
    world.memory.insert(&key, r#"{"version": 2}"#, NOW_MS);
    let report = world.iterate().await;
    assert_eq!(report.merged, 2);
    world.clock.advance(100 * HOUR);
    world.iterate().await;
    assert_eq!(world.memory.body(&key).unwrap(), r#"{"version": 2}"#);
    assert!(world.blocks().contains(&id(TWO_HOURS[0])));
    world.check_readable(&TWO_HOURS[..9], "afterwards").await;
}

#[tokio::test]
async fn p16_a_meta_json_that_was_replaced_is_seen() {
    let world = World::with(five());
    let process = world.start(Settings::default());
    process.compactor.watch_once().await;
    world.add_changed(five()[1], |meta| {
        meta.thanos.labels = Labels::from([("cluster", "moved")]);
    });
    let key = meta_key(id(five()[1]));
    let body = world.memory.body(&key).unwrap();
    world.memory.insert(&key, body, NOW_MS - HOUR / 2);
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let sources = &world.outputs()[0].compaction.sources;
    assert!(
        !sources.contains(&id(five()[1])),
        "it belongs to another group by now"
    );
}

#[tokio::test]
async fn p17_requests_grow_with_the_blocks_and_no_faster() {
    let requests = |count: u8| async move {
        let world = World::new();
        let meta = {
            world.add(TWO_HOURS[0]);
            let meta = world.meta(id(TWO_HOURS[0]));
            for key in world.memory.keys() {
                world.memory.remove(&key);
            }
            meta
        };
        for n in 0..count {
            // Far apart, so that none is merged.
            let id = rutile_block::BlockId::from_parts(u64::from(n), [n; 10]);
            let mut meta = meta.clone();
            (meta.id, meta.compaction.sources) = (id, vec![id]);
            meta.min_time += i64::from(n) * 10_000 * HOUR;
            meta.max_time += i64::from(n) * 10_000 * HOUR;
            world
                .memory
                .insert(meta_key(id), meta.to_json(), NOW_MS - HOUR);
        }
        world.iterate().await;
        world.bucket.calls().len()
    };
    let (few, many) = (requests(10).await, requests(160).await);
    assert!(many <= 17 * few, "{few} for 10, {many} for 160");
}
