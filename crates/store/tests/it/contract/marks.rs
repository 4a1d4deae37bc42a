//! Deletion marks: how long a marked block is served, and what damaged marks do.

use rutile_block::{MarkKind, details, mark_key};
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};
use rutile_proto::thanos::{LabelNamesRequest, LabelValuesRequest};
use rutile_storeapi::{RequestContext, StoreApi};

use crate::world::{COMPACTED, HOUR, SOURCES, World, check_chunks, id};

/// Sources that nothing replaces: they stay as long as their objects must, then go with a warning
/// in every answer.
#[tokio::test]
async fn bc_05_marked_blocks_that_nothing_covers_go_after_the_delete_delay_with_a_warning() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.sync().await;
    world.mark_compacted(&SOURCES[..2]);
    for hours in [0, 24, 1, 23] {
        world.fixture.clock.advance(hours * HOUR);
        world.sync().await;
        world.check(&SOURCES, "nothing replaces them").await;
    }
    world.fixture.clock.advance(1000);
    let synced = world.sync().await;
    assert_eq!((synced.served, synced.dropped), (2, 2));

    let answer = world.answer().await;
    check_chunks(&answer.chunks, &SOURCES[2..], "what is left");
    let store = &*world.fixture.store.gateway;
    let ctx = RequestContext::default;
    let everywhere = (i64::MIN, i64::MAX);
    let names = LabelNamesRequest {
        start: everywhere.0,
        end: everywhere.1,
        ..LabelNamesRequest::default()
    };
    let values = LabelValuesRequest {
        label: "job".to_owned(),
        start: everywhere.0,
        end: everywhere.1,
        ..LabelValuesRequest::default()
    };
    for warnings in [
        answer.warnings,
        store.label_names(ctx(), names).await.unwrap().warnings,
        store.label_values(ctx(), values).await.unwrap().warnings,
    ] {
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        for (warning, block) in warnings.iter().zip(SOURCES) {
            assert!(warning.contains(block), "{warning}");
        }
    }
    let events = world.fixture.registry.render();
    let counted = events
        .lines()
        .any(|line| line == "rutile_contract_events_total{clause=\"BC-7\"} 2");
    assert!(counted, "{events}");
    // Their objects go: still the same answer, and no error.
    SOURCES[..2].iter().for_each(|block| world.remove(block));
    world.sync().await;
    check_chunks(&world.answer().await.chunks, &SOURCES[2..], "deleted");
}

#[tokio::test]
async fn bc_05_what_retention_or_a_person_marked_goes_after_the_ignore_delay() {
    for details in ["block exceeding retention of 720h0m0s", "", "by hand"] {
        let world = World::new();
        world.add_all(&SOURCES);
        world.mark(SOURCES[0], details);
        world.fixture.clock.advance(24 * HOUR);
        world.sync().await;
        world.check(&SOURCES, "as old as the ignore delay").await;
        world.fixture.clock.advance(1);
        world.sync().await;
        world.check(&SOURCES[1..], "older").await;
        world
            .memory
            .remove(&mark_key(id(SOURCES[0]), MarkKind::Deletion));
        world.sync().await;
        world.check(&SOURCES, "the mark is taken back").await;
    }
}

#[tokio::test]
async fn bc_05_a_marked_successor_hands_back_to_nobody() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.add(COMPACTED);
    world.mark_compacted(&SOURCES);
    world.sync().await;
    world.check(&[COMPACTED], "compacted").await;
    // Retention takes the compacted block while its sources wait for their deletion.
    world.fixture.clock.advance(HOUR);
    world.mark(COMPACTED, &format!("{}720h0m0s", details::RETENTION_PREFIX));
    for _ in 0..26 {
        world.fixture.clock.advance(HOUR);
        world.sync().await;
    }
    let answer = world.answer().await;
    assert!(answer.chunks.is_empty(), "{} series", answer.chunks.len());
    assert_eq!(answer.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn p2_a_block_that_goes_while_its_mark_is_read_is_not_served_again() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.mark(SOURCES[0], "by hand");
    world.fixture.clock.advance(25 * HOUR);
    world.sync().await;
    world.check(&SOURCES[1..], "dropped").await;
    // The mark is to be read again; between listing and reading everything goes.
    world.mark(SOURCES[0], "by hand, again");
    let key = mark_key(id(SOURCES[0]), MarkKind::Deletion);
    let rule = |fault| Rule::new(fault).on([Operation::Get]).key(key);
    let gate = world.bucket.pause(rule);
    let (synced, ()) = tokio::join!(world.sync(), async {
        gate.reached().await;
        world.remove(SOURCES[0]);
        gate.open();
    });
    assert_eq!((synced.served, synced.loaded), (3, 0));
    world.check(&SOURCES[1..], "still dropped").await;
}

#[tokio::test]
async fn p3_a_torn_mark_leaves_its_block_served() {
    for torn in ["", "{", "{\"id\":\"01", "null", "[]"] {
        let world = World::new();
        world.add_all(&SOURCES);
        let key = mark_key(id(SOURCES[0]), MarkKind::Deletion);
        world.memory.insert(key, torn, world.now());
        world.fixture.clock.advance(100 * HOUR);
        assert_eq!(world.sync().await.served, 4, "{torn:?}");
        world.check(&SOURCES, torn).await;
    }
}

#[tokio::test]
async fn p4_a_mark_of_an_unknown_version_concerns_its_own_block_only() {
    let world = World::new();
    world.add_all(&SOURCES);
    let mark = r#"{"id":"01M820PD8CGVZHQSH6D0C2DRFD","version":2,"deletion_time":1}"#;
    let key = mark_key(id(SOURCES[0]), MarkKind::Deletion);
    world.memory.insert(key, mark, world.now());
    world.mark(SOURCES[1], "by hand");
    world.fixture.clock.advance(100 * HOUR);
    assert_eq!(world.sync().await.served, 3);
    let served = [SOURCES[0], SOURCES[2], SOURCES[3]];
    world
        .check(&served, "an unknown version is left alone")
        .await;
}

#[tokio::test]
async fn bc_11_marks_that_cannot_be_read_for_now_change_nothing() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.mark(SOURCES[0], "by hand");
    world.fixture.clock.advance(25 * HOUR);
    world.sync().await;
    world.check(&SOURCES[1..], "one is dropped").await;
    let fault = Fault::FailBefore(ErrorKind::Unavailable);
    let suffix = "deletion-mark.json";
    world.bucket.add(Rule::new(fault).key_suffix(suffix));
    world.sync().await;
    world.check(&SOURCES[1..], "it does not come back").await;
    world.bucket.heal();
    world.sync().await;
    world.check(&SOURCES[1..], "nor later").await;
}
