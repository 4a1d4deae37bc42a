//! Objects that are gone, and views that are too old to rely on.

use rutile_block::{Contract, MarkKind, chunk_key, details, index_key, mark_key, meta_key};
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};
use rutile_proto::thanos::{LabelNamesRequest, LabelValuesRequest};
use rutile_storeapi::{RequestContext, StoreApi};

use crate::world::{COMPACTED, HOUR, MORE_SOURCES, SOURCES, World, check_chunks, id};

#[tokio::test]
async fn bc_17_nothing_is_answered_before_the_first_sync() {
    let world = World::new();
    world.add_all(&SOURCES);
    let error = world.refusal().await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("first sync"), "{error}");
}

#[tokio::test]
async fn bc_17_a_stale_view_is_refused_and_a_new_one_served_again() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.sync().await;
    let most = Contract::default().max_view_age_ms();
    world.fixture.clock.advance(most);
    world.check(&SOURCES, "as old as is allowed").await;
    world.fixture.clock.advance(1);
    // The bucket does not answer, so that the view cannot be renewed.
    let fault = Fault::FailBefore(ErrorKind::Unavailable);
    world.bucket.add(Rule::new(fault).on([Operation::List]));
    world.fixture.store.syncer.sync().await.unwrap_err();

    let store = &*world.fixture.store.gateway;
    let ctx = RequestContext::default;
    let names = store.label_names(ctx(), LabelNamesRequest::default());
    let values = LabelValuesRequest {
        label: "job".to_owned(),
        ..LabelValuesRequest::default()
    };
    let values = store.label_values(ctx(), values);
    for error in [
        world.refusal().await,
        names.await.unwrap_err(),
        values.await.unwrap_err(),
        store.info(ctx()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let text = error.to_string();
        let age = format!("the bucket was last seen {} s ago", most / 1000);
        assert!(text.contains(&age) && text.contains("sync"), "{text}");
    }
    world.bucket.heal();
    world.sync().await;
    world.check(&SOURCES, "seen again").await;
}

#[tokio::test]
async fn bc_15_bc_17_a_deleted_object_is_an_error_and_never_an_empty_answer() {
    for key in [index_key(id(SOURCES[1])), chunk_key(id(SOURCES[1]), 1)] {
        let world = World::new();
        world.add_all(&SOURCES);
        world.sync().await;
        let body = world.memory.body(&key).unwrap();
        world.memory.remove(&key);
        let error = world.refusal().await;
        assert!(error.to_string().contains(&key), "{key}: {error}");
        assert_ne!(error.kind(), ErrorKind::Invalid, "{error}");
        // Nothing of it is remembered.
        world.memory.insert(key.clone(), body, world.now());
        world.check(&SOURCES, &key).await;
    }
}

#[tokio::test]
async fn bc_15_a_block_that_is_gone_with_all_its_objects_is_not_answered_from() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.sync().await;
    world.remove(SOURCES[3]);
    // Until the next sync its absence is an error.
    let error = world.refusal().await;
    assert!(error.to_string().contains(SOURCES[3]), "{error}");
    world.sync().await;
    world.check(&SOURCES[..3], "what is left").await;
    world.fixture.clock.advance(HOUR);
    world.sync().await;
    world
        .check(&SOURCES[..3], "and it does not come back")
        .await;
}

/// A block that does not say which segments it has, and has lost the first of two: the second is
/// not taken for it.
#[tokio::test]
async fn bc_15_a_lost_segment_is_not_mistaken_for_the_next_one() {
    let mut world = World::new();
    world.add(SOURCES[0]);
    let [first, second] = [1, 2].map(|segment| chunk_key(id(SOURCES[0]), segment));
    let body = world.memory.body(&first).unwrap();
    world.memory.insert(second, body.clone(), world.now());
    world
        .memory
        .insert(format!("{}/chunks/.keep", SOURCES[0]), "", world.now());
    world.sync().await;
    world
        .check(&SOURCES[..1], "what is not a segment is passed over")
        .await;

    world.memory.remove(&first);
    world.restart();
    world.sync().await;
    let error = world.refusal().await;
    assert!(error.to_string().contains(&first), "{error}");
}

#[tokio::test]
async fn bc_07_what_went_while_the_process_stood_still_is_missed_until_its_successor_is_read() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.sync().await;
    world.check(&SOURCES, "before").await;
    // It stands still while the sources are compacted, marked and deleted. Then nobody can tell what
    // the new block is, and after that its index cannot be read.
    SOURCES.iter().for_each(|source| world.remove(source));
    world.add(COMPACTED);
    for key in [meta_key(id(COMPACTED)), index_key(id(COMPACTED))] {
        let fault = Fault::FailBefore(ErrorKind::Unavailable);
        world.bucket.add(Rule::new(fault).key(key.clone()));
        for _ in 0..2 {
            world.sync().await;
            let answer = world.answer().await;
            assert!(answer.chunks.is_empty(), "{key}");
            assert_eq!(answer.warnings.len(), SOURCES.len(), "{key}");
            for (warning, source) in answer.warnings.iter().zip(SOURCES) {
                assert!(warning.contains(source), "{key}: {warning}");
            }
        }
        world.bucket.heal();
    }
    world.sync().await;
    world.check(&[COMPACTED], "read at last").await;
}

/// Their delay is over while what replaces them cannot be read, and then they go from the bucket: whether this process served
/// them before, or only ever saw them marked.
#[tokio::test]
async fn bc_07_what_went_after_its_delay_is_missed_until_its_successor_is_read() {
    for served_before in [true, false] {
        let world = World::new();
        world.add_all(&SOURCES);
        if served_before {
            world.sync().await;
        }
        world.mark_compacted(&SOURCES);
        world.add(COMPACTED);
        let fault = Fault::FailBefore(ErrorKind::Unavailable);
        let key = meta_key(id(COMPACTED));
        world.bucket.add(Rule::new(fault).key(key));
        world.fixture.clock.advance(48 * HOUR + 1000);
        for gone in [false, false, true, true] {
            if gone {
                SOURCES.iter().for_each(|source| world.remove(source));
            }
            world.sync().await;
            let answer = world.answer().await;
            assert!(answer.chunks.is_empty(), "{served_before} {gone}");
            assert_eq!(
                answer.warnings.len(),
                SOURCES.len(),
                "{served_before} {gone}"
            );
            for (warning, source) in answer.warnings.iter().zip(SOURCES) {
                assert!(
                    warning.contains(source),
                    "{served_before} {gone}: {warning}"
                );
            }
        }
        world.bucket.heal();
        world.sync().await;
        world.check(&[COMPACTED], "read at last").await;
    }
}

/// A block is left out for the age of its mark, then somebody takes the mark off, and the block cannot be read.
#[tokio::test]
async fn bc_07_what_counts_again_itself_and_cannot_be_read_is_missed() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.mark_compacted(&SOURCES[..1]);
    world.fixture.clock.advance(48 * HOUR + 1000);
    world.sync().await;
    assert_eq!(world.answer().await.warnings.len(), 1, "left out");
    let mark = mark_key(id(SOURCES[0]), MarkKind::Deletion);
    world.memory.remove(&mark);
    let fault = Fault::FailBefore(ErrorKind::Unavailable);
    let key = index_key(id(SOURCES[0]));
    world.bucket.add(Rule::new(fault).key(key));
    for _ in 0..2 {
        world.sync().await;
        let answer = world.answer().await;
        check_chunks(&answer.chunks, &SOURCES[1..], "the others");
        assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
        assert!(answer.warnings[0].contains(SOURCES[0]));
    }
    world.bucket.heal();
    world.sync().await;
    world.check(&SOURCES, "read at last").await;
}

#[tokio::test]
async fn bc_07_what_retention_took_is_not_missed() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.mark(SOURCES[0], "block exceeding retention of 1h0m0s");
    world.sync().await;
    world.remove(SOURCES[0]);
    world.add(MORE_SOURCES[0]);
    let fault = Fault::FailBefore(ErrorKind::Unavailable);
    let key = meta_key(id(MORE_SOURCES[0]));
    world.bucket.add(Rule::new(fault).key(key));
    world.sync().await;
    world.check(&SOURCES[1..], "given up").await;
}

/// Retention takes raw samples because of what was made of them at a lower resolution, which this process cannot read.
#[tokio::test]
async fn bc_07_raw_samples_that_went_are_missed_until_what_was_made_of_them_is_read() {
    for part in [index_key, meta_key] {
        let world = World::new();
        world.add_all(&[SOURCES[0], MORE_SOURCES[0], MORE_SOURCES[1]]);
        world.downsampled(MORE_SOURCES[0], id(MORE_SOURCES[1]));
        world.sync().await;
        // Made of the first one.
        world.add(SOURCES[1]);
        world.downsampled(SOURCES[1], id(SOURCES[0]));
        world.mark(SOURCES[0], "block exceeding retention of 1h0m0s");
        let key = part(id(SOURCES[1]));
        let fault = Fault::FailBefore(ErrorKind::Unavailable);
        world.bucket.add(Rule::new(fault).key(key.clone()));
        world.fixture.clock.advance(24 * HOUR + 1);
        for _ in 0..2 {
            world.sync().await;
            let answer = world.answer().await;
            assert_eq!(answer.warnings.len(), 1, "{key}: {:?}", answer.warnings);
            assert!(answer.warnings[0].contains(SOURCES[0]), "{key}");
        }
        world.bucket.heal();
        world.sync().await;
        world.check(&[MORE_SOURCES[1]], "read at last").await;
    }
}

/// A block that should not have been made goes, what it had replaced counts again, and one of these cannot
/// be read: its index, or its metadata, which never could.
#[tokio::test]
async fn bc_07_what_counts_again_and_cannot_be_read_is_missed() {
    for part in [index_key, meta_key] {
        let world = World::new();
        world.add_all(&SOURCES);
        world.add(COMPACTED);
        let key = part(id(SOURCES[0]));
        let fault = Fault::FailBefore(ErrorKind::Unavailable);
        world.bucket.add(Rule::new(fault).key(key.clone()));
        world.sync().await;
        world.check(&[COMPACTED], "before").await;
        world.mark(COMPACTED, details::TAINTED);
        world.fixture.clock.advance(24 * HOUR + 1);
        for _ in 0..2 {
            world.sync().await;
            let answer = world.answer().await;
            check_chunks(&answer.chunks, &SOURCES[1..], &key);
            assert_eq!(answer.warnings.len(), 1, "{key}");
            assert!(answer.warnings[0].contains(COMPACTED), "{key}");
        }
        world.bucket.heal();
        world.sync().await;
        world.check(&SOURCES, "read at last").await;
    }
}
