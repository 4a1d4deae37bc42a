//! A request to delete cannot be called back: uploaders wait until none is on its way.

use rutile_block::{BlockId, MarkKind, REMOVALS_PREFIX, file_key, mark_key, meta_key};
use rutile_lifecycle::{Cleaned, HashFunc, KeptBecause, Lifecycle, Result, UploadCopy};
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::Rule;

use crate::world::{HOUR, World, announce, block, id, put_files};

const MINUTE: i64 = 60_000;

/// The rest of an upload whose process died 49 hours ago.
async fn abandoned() -> World {
    let world = World::new();
    let meta = block(1, &[1]);
    let mut files = match world.lifecycle.upload_copy(meta.id, HashFunc::None).await {
        Ok(UploadCopy::Needed(upload)) => upload,
        other => panic!("{other:?}"),
    };
    put_files(&mut files).await.unwrap();
    world.clock.advance(49 * HOUR);
    world
}

/// What a sidecar does that comes back.
async fn upload_again(lifecycle: &Lifecycle) -> Result<()> {
    let meta = block(1, &[1]);
    match lifecycle.upload_copy(meta.id, HashFunc::None).await? {
        UploadCopy::There(_) => Ok(()),
        UploadCopy::Needed(mut upload) => {
            put_files(&mut upload).await?;
            upload.commit(meta).await.map(drop)
        }
    }
}

async fn refused(world: &World) -> bool {
    match upload_again(&world.lifecycle).await {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains(REMOVALS_PREFIX), "{error}");
            assert!(!world.is_block(id(1)));
            true
        }
    }
}

fn notices(world: &World) -> usize {
    let keys = world.memory.keys().into_iter();
    keys.filter(|key| key.starts_with(REMOVALS_PREFIX)).count()
}

#[tokio::test]
async fn bc_06_a_cleaner_that_stands_still_deletes_nothing_of_a_block_that_was_uploaded_again() {
    let world = abandoned().await;
    // It is about to send its request for the index.
    let gate = world.bucket.pause(|fault| {
        Rule::new(fault)
            .on([Operation::Delete])
            .key(file_key(id(1), "index"))
    });
    let (cleaned, ()) = tokio::join!(world.clean_partial(id(1)), async {
        gate.reached().await;
        assert!(refused(&world).await);
        world.clock.advance(90 * HOUR);
        assert!(refused(&world).await);
        gate.open();
    });
    // It notices that it stood still, and leaves the rest to the next look.
    assert_eq!(cleaned.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(world.memory.body(&file_key(id(1), "index")).is_none());
    // A proxy may send that request a second time.
    assert!(refused(&world).await);
    assert_eq!(world.lifecycle.forget_removals().await.unwrap(), 0);
    world.clock.advance(4 * MINUTE);
    assert!(refused(&world).await);
    world.clock.advance(12 * MINUTE);
    upload_again(&world.lifecycle).await.unwrap();
    assert!(world.is_block(id(1)));
    assert_eq!(world.lifecycle.forget_removals().await.unwrap(), 1);
    assert_eq!(notices(&world), 0);
}

#[tokio::test]
async fn bc_06_either_the_uploader_sees_the_notice_or_the_cleaner_sees_the_files() {
    for other_files_too in [false, true] {
        let world = abandoned().await;
        let meta = block(1, &[1]);
        let UploadCopy::Needed(mut upload) =
            (world.lifecycle.upload_copy(meta.id, HashFunc::None).await).unwrap()
        else {
            panic!("it is not committed");
        };
        if other_files_too {
            put_files(&mut upload).await.unwrap();
        }
        let removal = announce(&world.lifecycle, id(1)).await.unwrap();
        if !other_files_too {
            put_files(&mut upload).await.unwrap();
        }
        let error = upload.commit(meta).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let kept = removal.clean_partial(id(1)).await.unwrap();
        assert_eq!(kept, Cleaned::Kept(KeptBecause::TooYoung));
    }
}

#[tokio::test]
async fn bc_06_what_a_dead_process_announced_is_forgotten_after_the_longest_delays() {
    let world = abandoned().await;
    drop(announce(&world.lifecycle, id(1)).await.unwrap());
    world.clock.advance(96 * HOUR);
    assert!(refused(&world).await);
    assert_eq!(world.lifecycle.forget_removals().await.unwrap(), 0);
    world.clock.advance(HOUR);
    assert_eq!(world.lifecycle.forget_removals().await.unwrap(), 1);
    upload_again(&world.lifecycle).await.unwrap();
}

#[tokio::test]
async fn bc_06_a_notice_that_says_nonsense_is_forgotten_when_it_is_old() {
    for ended in [i64::MIN, i64::MAX] {
        let world = abandoned().await;
        let body = format!(
            r#"{{"version":1,"ended_ms":{ended},"blocks":["{}"]}}"#,
            id(1)
        );
        let key = format!("{REMOVALS_PREFIX}{}", id(9));
        world.memory.insert(key, body.into_bytes(), world.now());
        assert_eq!(refused(&world).await, ended == i64::MAX);
        world.clock.advance(97 * HOUR);
        assert_eq!(world.lifecycle.forget_removals().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn bc_06_a_notice_that_cannot_be_read_may_name_any_block() {
    let world = abandoned().await;
    let key = format!("{REMOVALS_PREFIX}{}", id(9));
    world
        .memory
        .insert(key, b"{\"version\":1,".to_vec(), world.now());
    assert!(refused(&world).await);
    // One of other blocks keeps nobody, nor does a folder.
    drop(announce(&world.lifecycle, id(9)).await.unwrap());
    world
        .memory
        .insert(REMOVALS_PREFIX, b"".to_vec(), world.now());
    upload_again(&world.lifecycle).await.unwrap();
    assert!(world.memory.body(&meta_key(id(1))).is_some());
}

#[tokio::test]
async fn bc_06_a_mark_is_not_taken_off_while_its_block_is_deleted() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    world.mark(id(1), "by hand");
    world.clock.advance(49 * HOUR);
    let unmark = || world.lifecycle.unmark(id(1), MarkKind::Deletion);
    // The cleaner has read the mark, and stands still.
    let gate = world.bucket.pause(|fault| {
        Rule::new(fault)
            .on([Operation::Delete])
            .key(meta_key(id(1)))
    });
    let (deleted, ()) = tokio::join!(world.delete(id(1), None), async {
        gate.reached().await;
        assert_eq!(unmark().await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(world.keys(id(1)).contains(&"deletion-mark.json".to_owned()));
        gate.open();
    });
    deleted.unwrap();
    assert!(world.keys(id(1)).is_empty());
    // It begins after somebody has looked for notices, and before the mark is gone.
    world.add(&block(2, &[2])).await;
    world.mark(id(2), "by hand");
    let key = mark_key(id(2), MarkKind::Deletion);
    let gate = world
        .bucket
        .pause(|fault| Rule::new(fault).on([Operation::Delete]).key(key));
    let unmark = world.lifecycle.unmark(id(2), MarkKind::Deletion);
    let (unmarked, ()) = tokio::join!(unmark, async {
        gate.reached().await;
        drop(announce(&world.lifecycle, id(2)).await.unwrap());
        gate.open();
    });
    let error = unmarked.unwrap_err().to_string();
    assert!(error.contains("may be deleted all the same"), "{error}");
    // And with nobody at it.
    world.add(&block(3, &[3])).await;
    world.mark(id(3), "by hand");
    let unmarked = world.lifecycle.unmark(id(3), MarkKind::Deletion);
    assert!(unmarked.await.unwrap());
}

#[tokio::test]
async fn bc_06_nothing_is_removed_that_was_not_announced() {
    let world = abandoned().await;
    let other: BlockId = id(2);
    let removal = announce(&world.lifecycle, other).await.unwrap();
    let error = removal.clean_partial(id(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = removal.delete(id(1), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(world.keys(id(1)).len(), 3);
}
