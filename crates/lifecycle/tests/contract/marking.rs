use rutile_block::{MarkKind, details, mark_key, meta_key};
use rutile_lifecycle::{Marked, Standing};
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::Rule;

use crate::world::{HOUR, START, World, block, id};

#[tokio::test]
async fn bc_19_marks_are_those_of_thanos() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    let lifecycle = &world.lifecycle;
    assert_eq!(
        lifecycle
            .mark_deletion(id(1), details::COMPACTED)
            .await
            .unwrap(),
        Marked::Written
    );
    assert_eq!(
        lifecycle
            .mark_no_compact(id(1), "manual", "why")
            .await
            .unwrap(),
        Marked::Written
    );
    assert_eq!(
        lifecycle
            .mark_no_downsample(id(1), "manual", "")
            .await
            .unwrap(),
        Marked::Written
    );
    let text = |kind| {
        String::from_utf8(world.memory.body(&mark_key(id(1), kind)).unwrap().to_vec()).unwrap()
    };
    let (ulid, seconds) = (id(1), START / 1000);
    assert_eq!(
        text(MarkKind::Deletion),
        format!(
            r#"{{"id":"{ulid}","version":1,"details":"source of compacted block","deletion_time":{seconds}}}"#
        )
    );
    assert_eq!(
        text(MarkKind::NoCompact),
        format!(
            r#"{{"id":"{ulid}","version":1,"details":"why","no_compact_time":{seconds},"reason":"manual"}}"#
        )
    );
    assert_eq!(
        text(MarkKind::NoDownsample),
        format!(
            r#"{{"id":"{ulid}","version":1,"no_downsample_time":{seconds},"reason":"manual"}}"#
        )
    );
}

#[tokio::test]
async fn bc_10_marking_twice_keeps_the_first_time() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    world.lifecycle.mark_deletion(id(1), "first").await.unwrap();
    let before = world.memory.body(&mark_key(id(1), MarkKind::Deletion));
    world.clock.advance(HOUR);
    assert_eq!(
        world
            .lifecycle
            .mark_deletion(id(1), "second")
            .await
            .unwrap(),
        Marked::Already
    );
    assert_eq!(
        world.memory.body(&mark_key(id(1), MarkKind::Deletion)),
        before
    );
    assert!(
        world
            .lifecycle
            .remove_mark(id(1), MarkKind::Deletion)
            .await
            .unwrap()
    );
    assert!(
        !world
            .lifecycle
            .remove_mark(id(1), MarkKind::Deletion)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn p3_a_torn_mark_is_written_again_with_a_fresh_time() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    for torn in ["", "{\"id\":", "\0\0\0\0"] {
        world
            .memory
            .insert(mark_key(id(1), MarkKind::Deletion), torn, START);
        world.clock.advance(1000 * HOUR);
        let error = world.delete(id(1), None).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Invalid,
            "a torn mark deletes nothing"
        );
        assert_eq!(
            world
                .lifecycle
                .mark_deletion(id(1), "by hand")
                .await
                .unwrap(),
            Marked::Repaired
        );
        let error = world.delete(id(1), None).await.unwrap_err();
        assert!(
            error.to_string().contains("not yet"),
            "its delay begins anew: {error}"
        );
    }
    assert_eq!(world.events("BC-11"), 6);
    world.clock.advance(48 * HOUR + 1);
    world.delete(id(1), None).await.unwrap();
    assert!(world.keys(id(1)).is_empty());
}

#[tokio::test]
async fn p4_a_mark_of_unknown_version_is_left_alone() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    let body = "{\"version\":2,\"deletion_time\":1}";
    world
        .memory
        .insert(mark_key(id(1), MarkKind::Deletion), body, START);
    world.clock.advance(1000 * HOUR);
    let error = world
        .lifecycle
        .mark_deletion(id(1), "by hand")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = world.delete(id(1), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        world
            .memory
            .body(&mark_key(id(1), MarkKind::Deletion))
            .unwrap(),
        body
    );
    assert!(world.is_block(id(1)));
}

#[tokio::test]
async fn bc_16_a_mark_does_not_outlive_its_block() {
    let world = World::new();
    let error = world
        .lifecycle
        .mark_deletion(id(1), "by hand")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // The block is deleted by somebody else while the mark is on its way.
    world.add(&block(1, &[1])).await;
    let key = mark_key(id(1), MarkKind::Deletion);
    let gate = world
        .bucket
        .pause(|fault| Rule::new(fault).on([Operation::Put]).key(key));
    let (marked, ()) = tokio::join!(world.lifecycle.mark_deletion(id(1), "by hand"), async {
        gate.reached().await;
        for path in world.keys(id(1)) {
            world.memory.remove(&format!("{}/{path}", id(1)));
        }
        gate.open();
    });
    assert_eq!(marked.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(world.keys(id(1)).is_empty());
}

#[tokio::test]
async fn bc_10_a_crash_while_marking_is_repaired_by_marking_again() {
    for after_effect in [false, true] {
        let world = World::new();
        world.add(&block(1, &[1])).await;
        world.dies_at_change(0, after_effect);
        assert!(
            world
                .lifecycle
                .mark_deletion(id(1), "by hand")
                .await
                .is_err()
        );
        world.bucket.heal();
        let expected = if after_effect {
            Marked::Already
        } else {
            Marked::Written
        };
        assert_eq!(
            world
                .lifecycle
                .mark_deletion(id(1), "by hand")
                .await
                .unwrap(),
            expected
        );
        assert!(world.memory.body(&meta_key(id(1))).is_some());
    }
}

#[tokio::test]
async fn bc_14_a_block_is_looked_at_again_before_something_is_made_of_it() {
    let world = World::new();
    assert_eq!(
        world.lifecycle.standing(id(1)).await.unwrap(),
        Standing::Gone
    );
    world.add(&block(1, &[1])).await;
    assert_eq!(
        world.lifecycle.standing(id(1)).await.unwrap(),
        Standing::Unmarked
    );
    let key = mark_key(id(1), MarkKind::Deletion);
    for mark in ["{", r#"{"version": 2}"#] {
        world.memory.insert(&key, mark, START);
        assert_eq!(
            world.lifecycle.standing(id(1)).await.unwrap(),
            Standing::Marked,
            "{mark}"
        );
    }
    world.mark(id(1), "by hand");
    assert_eq!(
        world.lifecycle.standing(id(1)).await.unwrap(),
        Standing::Marked
    );
    // Its deletion is under way: the mark goes last.
    world.memory.remove(&meta_key(id(1)));
    assert_eq!(
        world.lifecycle.standing(id(1)).await.unwrap(),
        Standing::Marked
    );
}
