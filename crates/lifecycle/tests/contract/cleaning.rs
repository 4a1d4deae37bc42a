use rutile_block::{MarkKind, mark_key, meta_key};
use rutile_lifecycle::{Cleaned, HashFunc, KeptBecause};
use rutile_model::ErrorKind;
use rutile_objstore::fake::{Fault, Rule};
use rutile_objstore::{Bucket, Operation};

use crate::world::{HOUR, START, World, block, id, put_files, upload};

const TOO_YOUNG: Cleaned = Cleaned::Kept(KeptBecause::TooYoung);

/// A block that was uploaded but for its `meta.json`.
async fn partial(world: &World) {
    let mut session = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    put_files(&mut session).await.unwrap();
}

#[tokio::test]
async fn bc_03_a_partial_block_goes_by_its_newest_object_on_every_provider() {
    // The ULID is older than the partial age from the start: it must not count.
    for world in [World::new(), World::without_listed_times()] {
        partial(&world).await;
        world.clock.advance(40 * HOUR);
        world
            .memory
            .insert(format!("{}/chunks/000009", id(1)), "new", world.now());
        world.clock.advance(48 * HOUR);
        assert_eq!(world.clean_partial(id(1)).await.unwrap(), TOO_YOUNG);
        assert_eq!(world.keys(id(1)).len(), 4);
        world.clock.advance(1);
        assert_eq!(world.clean_partial(id(1)).await.unwrap(), Cleaned::Removed);
        assert!(world.keys(id(1)).is_empty());
        assert_eq!(world.clean_partial(id(1)).await.unwrap(), Cleaned::Removed);
    }
}

/// Stores with folders show a folder as an empty object of its name (S47).
#[tokio::test]
async fn bc_16_the_folder_of_a_deleted_block_goes_too() {
    let world = World::new();
    let marker = id(1).to_string();
    world.memory.insert(marker.clone(), "", START);
    world.clock.advance(HOUR);
    let cleaned = world.clean_partial(id(1)).await.unwrap();
    assert_eq!(cleaned, Cleaned::Removed);
    assert!(world.memory.body(&marker).is_none());
}

#[tokio::test]
async fn p6_a_block_that_was_committed_since_it_was_seen_stays() {
    for world in [World::new(), World::without_listed_times()] {
        upload(&world.lifecycle, block(1, &[1])).await.unwrap();
        world.clock.advance(100 * HOUR);
        let kept = Cleaned::Kept(KeptBecause::Committed);
        assert_eq!(world.clean_partial(id(1)).await.unwrap(), kept);
        assert!(world.is_block(id(1)));
    }
}

#[tokio::test]
async fn p6_also_when_the_commit_lands_after_the_listing() {
    let world = World::new();
    partial(&world).await;
    world.clock.advance(100 * HOUR);
    let gate = world.bucket.pause(|fault| {
        Rule::new(fault)
            .on([Operation::Exists])
            .key(meta_key(id(1)))
    });
    let (cleaned, ()) = tokio::join!(world.clean_partial(id(1)), async {
        gate.reached().await;
        world
            .memory
            .insert(meta_key(id(1)), block(1, &[1]).to_json(), world.now());
        gate.open();
    });
    assert_eq!(cleaned.unwrap(), Cleaned::Kept(KeptBecause::Committed));
    assert_eq!(world.keys(id(1)).len(), 4);
}

/// While the cleaner stood still, the block was uploaded again, and lost its `meta.json` to somebody.
#[tokio::test]
async fn bc_03_nothing_is_deleted_by_an_old_look() {
    let world = World::new();
    partial(&world).await;
    world.clock.advance(100 * HOUR);
    let gate = world.bucket.pause(|fault| {
        Rule::new(fault)
            .on([Operation::Exists])
            .key(meta_key(id(1)))
    });
    let (cleaned, ()) = tokio::join!(world.clean_partial(id(1)), async {
        gate.reached().await;
        let index = format!("{}/index", id(1));
        world.memory.insert(index, "again", world.now());
        world.clock.advance(HOUR);
        gate.open();
    });
    assert_eq!(cleaned.unwrap_err().kind(), ErrorKind::Unavailable);
    let cleaned = world.clean_partial(id(1)).await;
    assert_eq!(cleaned.unwrap(), TOO_YOUNG);
}

#[tokio::test]
async fn p5_a_slow_upload_is_never_taken_for_an_abandoned_one() {
    let world = World::without_listed_times();
    let mut session = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    for _ in 0..24 {
        put_files(&mut session).await.unwrap();
        assert_eq!(world.clean_partial(id(1)).await.unwrap(), TOO_YOUNG);
        world.clock.advance(HOUR);
    }
    session.commit(block(1, &[1])).await.unwrap();
    world.lifecycle.verify(id(1)).await.unwrap();
}

#[tokio::test]
async fn bc_16_whatever_is_left_over_goes_in_the_end() {
    let cases: [(&str, &[u8]); 4] = [
        ("chunks/000001", b"alone"),
        ("deletion-mark.json", b"{\"id\":\"x"),
        ("no-compact-mark.json", b"{}"),
        ("tombstones", b"x"),
    ];
    for (path, body) in cases {
        let world = World::new();
        world
            .memory
            .insert(format!("{}/{path}", id(1)), body, START);
        assert_eq!(
            world.clean_partial(id(1)).await.unwrap(),
            TOO_YOUNG,
            "{path}"
        );
        world.clock.advance(48 * HOUR + 1);
        assert_eq!(
            world.clean_partial(id(1)).await.unwrap(),
            Cleaned::Removed,
            "{path}"
        );
        assert!(world.keys(id(1)).is_empty());
    }
}

#[tokio::test]
async fn p4_the_rest_of_a_block_with_an_unknown_mark_is_left_alone() {
    let world = World::new();
    partial(&world).await;
    world.memory.insert(
        mark_key(id(1), MarkKind::Deletion),
        "{\"version\":9}",
        START,
    );
    world.clock.advance(1000 * HOUR);
    let kept = Cleaned::Kept(KeptBecause::UnknownMark);
    assert_eq!(world.clean_partial(id(1)).await.unwrap(), kept);
    assert_eq!(world.keys(id(1)).len(), 4);
}

#[tokio::test]
async fn bc_16_uploads_in_parts_that_nobody_can_be_at_are_aborted() {
    let world = World::new();
    for key in [
        "01M820PD8CGVZHQSH6D0C2DRFD/index",
        "01M820PD9CZWF1R857D2JDBVZV/index",
    ] {
        drop(world.bucket.start_multipart(key).await.unwrap());
    }
    let foreign = "somebody/else";
    drop(world.bucket.start_multipart(foreign).await.unwrap());
    world.clock.set(START + 48 * HOUR);
    assert_eq!(
        world.lifecycle.abort_dangling().await.unwrap(),
        0,
        "one may be under way"
    );
    world.clock.set(START + 48 * HOUR + 1);
    let fault = Fault::FailBefore(ErrorKind::Unavailable);
    world
        .bucket
        .add(Rule::new(fault).on([Operation::AbortMultipart]).times(1));
    let error = world.lifecycle.abort_dangling().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        world.memory.unfinished_uploads().await.unwrap().len(),
        2,
        "the other one is"
    );
    assert_eq!(world.lifecycle.abort_dangling().await.unwrap(), 1);
    let left = world.memory.unfinished_uploads().await.unwrap();
    let keys: Vec<_> = left.iter().map(|upload| upload.key.as_deref()).collect();
    assert_eq!(
        keys,
        [Some(foreign)],
        "what others keep in the bucket is theirs"
    );
}
