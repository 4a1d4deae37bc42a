use rutile_block::{MarkKind, RawJson, details, mark_key, meta_key};
use rutile_lifecycle::{Cleaned, Deleted};
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};

use crate::world::{HOUR, START, World, block, delete, id};

/// A block whose mark by hand is due.
async fn due() -> World {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    world.mark(id(1), "by hand");
    world.clock.advance(48 * HOUR + 1);
    world
}

#[tokio::test]
async fn bc_06_meta_json_goes_first_and_the_mark_last() {
    let world = due().await;
    assert_eq!(world.delete(id(1), None).await.unwrap(), Deleted::Now);
    assert!(world.keys(id(1)).is_empty());
    let calls = world.bucket.calls();
    let deleted: Vec<_> = calls
        .iter()
        .filter(|call| call.operation == Operation::Delete)
        .map(|call| call.key.clone())
        .collect();
    assert_eq!(deleted.first(), Some(&meta_key(id(1))));
    assert_eq!(deleted.last(), Some(&mark_key(id(1), MarkKind::Deletion)));
    assert_eq!(deleted.len(), 5);
    assert_eq!(world.delete(id(1), None).await.unwrap(), Deleted::Before);
}

#[tokio::test]
async fn bc_06_nothing_goes_before_the_delete_delay() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    let error = world.delete(id(1), None).await.unwrap_err();
    assert!(error.to_string().contains("not marked"), "{error}");
    world.mark(id(1), "by hand");
    world.clock.advance(48 * HOUR);
    let error = world.delete(id(1), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(world.keys(id(1)).len(), 5);
}

#[tokio::test]
async fn bc_06_the_mark_is_read_again_right_before() {
    let world = due().await;
    // Somebody unmarks the block while the deletion looks at it.
    let gate = world.bucket.pause(|fault| {
        Rule::new(fault)
            .on([Operation::Exists])
            .key(meta_key(id(1)))
    });
    let (deleted, ()) = tokio::join!(world.delete(id(1), None), async {
        gate.reached().await;
        world.memory.remove(&mark_key(id(1), MarkKind::Deletion));
        gate.open();
    });
    assert_eq!(deleted.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(world.keys(id(1)).len(), 4);
}

#[tokio::test]
async fn bc_06_a_replaced_block_goes_only_while_a_whole_one_holds_its_sources() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    world.add(&block(2, &[1, 9])).await;
    world.add(&block(3, &[8, 9])).await;
    let mut downsampled = block(4, &[1, 9]);
    downsampled.thanos.downsample.resolution = 300_000;
    world.add(&downsampled).await;
    world.mark(id(1), details::COMPACTED);
    world.clock.advance(48 * HOUR + 1);
    let refused = |successor| world.delete(id(1), successor);
    for (successor, kind) in [
        (None, ErrorKind::Invalid),
        (Some(id(1)), ErrorKind::Invalid),
        (Some(id(3)), ErrorKind::Invalid),
        (Some(id(4)), ErrorKind::Invalid),
        (Some(id(5)), ErrorKind::NotFound),
    ] {
        assert_eq!(
            refused(successor).await.unwrap_err().kind(),
            kind,
            "{successor:?}"
        );
    }
    let chunk = format!("{}/chunks/000002", id(2));
    let bytes = world.memory.body(&chunk).unwrap();
    world.memory.remove(&chunk);
    assert_eq!(
        refused(Some(id(2))).await.unwrap_err().kind(),
        ErrorKind::Corrupt,
        "it is not whole"
    );
    world.memory.insert(chunk, bytes, START);
    // A successor that is itself about to go protects nothing.
    let old = rutile_block::Mark::new(MarkKind::Deletion, id(2), "", "by hand", START);
    world
        .memory
        .insert(mark_key(id(2), MarkKind::Deletion), old.to_json(), START);
    assert_eq!(
        refused(Some(id(2))).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    world.memory.remove(&mark_key(id(2), MarkKind::Deletion));
    assert_eq!(world.keys(id(1)).len(), 5, "all that refused");
    assert_eq!(refused(Some(id(2))).await.unwrap(), Deleted::Now);
}

#[tokio::test]
async fn bc_06_a_rewritten_block_is_held_by_its_rewrite() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    let mut rewritten = block(2, &[2]);
    rewritten.thanos.rewrites = RawJson::from_text(&format!("[{{\"sources\":[\"{}\"]}}]", id(1)));
    world.add(&rewritten).await;
    world.mark(id(1), details::REWRITTEN);
    world.clock.advance(48 * HOUR + 1);
    assert_eq!(
        world.delete(id(1), Some(id(2))).await.unwrap(),
        Deleted::Now
    );
}

#[tokio::test]
async fn p7_an_interrupted_deletion_is_finished_without_a_new_delay() {
    for after_effect in [false, true] {
        for by_cleaner in [false, true] {
            let mut crashes = 0;
            for n in 0.. {
                let world = due().await;
                world.dies_at_change(n, after_effect);
                let finished = world.delete(id(1), None).await.is_ok();
                world.bucket.heal();
                if finished {
                    break;
                }
                crashes += 1;
                let begun = !world.is_block(id(1));
                if begun && by_cleaner {
                    assert_eq!(world.clean_partial(id(1)).await.unwrap(), Cleaned::Removed);
                } else {
                    world.delete(id(1), None).await.unwrap();
                }
                assert!(
                    world.keys(id(1)).is_empty(),
                    "change {n}: {:?}",
                    world.keys(id(1))
                );
            }
            assert!(crashes >= 5, "{crashes}");
        }
    }
}

#[tokio::test]
async fn p7_but_not_when_an_upload_came_after_the_mark() {
    let world = due().await;
    world.memory.remove(&meta_key(id(1)));
    world
        .memory
        .insert(format!("{}/chunks/000001", id(1)), "new", world.now());
    let error = world.delete(id(1), None).await.unwrap_err();
    assert!(
        error.to_string().contains("newer than the deletion mark"),
        "{error}"
    );
    assert!(matches!(
        world.clean_partial(id(1)).await.unwrap(),
        Cleaned::Kept(_)
    ));
    assert_eq!(world.keys(id(1)).len(), 4);
    world.clock.advance(48 * HOUR + 1);
    assert_eq!(world.clean_partial(id(1)).await.unwrap(), Cleaned::Removed);
}

#[tokio::test]
async fn bc_18_a_mark_by_a_clock_that_was_behind_delays_as_long() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    let old = rutile_block::Mark::new(
        MarkKind::Deletion,
        id(1),
        "",
        "by hand",
        START - 1000 * HOUR,
    );
    world
        .memory
        .insert(mark_key(id(1), MarkKind::Deletion), old.to_json(), START);
    world.clock.advance(48 * HOUR);
    assert_eq!(
        world.delete(id(1), None).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    world.clock.advance(1);
    world.delete(id(1), None).await.unwrap();
}

#[tokio::test]
async fn bc_18_deletion_pauses_while_the_clocks_differ() {
    use std::sync::Arc;
    let world = World::new();
    world.add(&block(1, &[1])).await;
    world.mark(id(1), "by hand");
    world.clock.advance(HOUR);
    // A cleaner whose clock is three days ahead of the bucket's: for it the mark is due.
    let ahead = Arc::new(rutile_runtime::ManualClock::new(START + 72 * HOUR));
    let contract = rutile_block::Contract::default();
    let lifecycle = rutile_lifecycle::Lifecycle::new(
        Arc::new(world.bucket.clone()),
        ahead.clone(),
        contract,
        &world.registry,
    );
    for _ in 0..2 {
        let error = delete(&lifecycle, id(1), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("clock"), "{error}");
    }
    assert_eq!(world.events("BC-18"), 2);
    assert_eq!(world.keys(id(1)).len(), 5);
    // Put right, and the mark is young again.
    ahead.set(world.now());
    assert_eq!(
        delete(&lifecycle, id(1), None).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    // And it jumps again, right after a comparison that was good.
    ahead.advance(100 * HOUR);
    assert_eq!(
        delete(&lifecycle, id(1), None).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test]
async fn bc_11_what_cannot_be_read_is_not_deleted() {
    let world = due().await;
    let down = || Rule::new(Fault::FailBefore(ErrorKind::Unavailable));
    for rule in [
        // First, because a comparison of the clocks is good for a while.
        down().on([Operation::Attributes]).key("rutile/clock"),
        down().on([Operation::List]),
        down()
            .on([Operation::Get])
            .key(mark_key(id(1), MarkKind::Deletion)),
        down().on([Operation::Exists]).key(meta_key(id(1))),
    ] {
        world.bucket.add(rule);
        assert_eq!(
            world.delete(id(1), None).await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );
        world.bucket.heal();
        assert_eq!(world.keys(id(1)).len(), 5);
    }
}
