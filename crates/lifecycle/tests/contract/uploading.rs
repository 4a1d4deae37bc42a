use rutile_block::{FileHash, MarkKind, Meta, mark_key, meta_key};
use rutile_lifecycle::HashFunc;
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};

use crate::world::{CHANGES, HOUR, START, World, block, id, put_files, upload};

const WHOLE: [&str; 4] = ["chunks/000001", "chunks/000002", "index", "meta.json"];

#[tokio::test]
async fn bc_02_meta_json_comes_last_between_two_listings() {
    let world = World::new();
    let committed = upload(&world.lifecycle, block(1, &[1])).await.unwrap();
    assert_eq!(world.keys(id(1)), WHOLE);
    let calls = world.bucket.calls();
    let order: Vec<_> = calls
        .iter()
        .filter(|call| call.operation == Operation::Put || call.operation == Operation::List)
        .map(|call| call.key.strip_prefix(&format!("{}/", id(1))).unwrap())
        .collect();
    assert_eq!(
        order,
        [
            "chunks/000001",
            "chunks/000002",
            "index",
            "",
            "meta.json",
            ""
        ]
    );
    let read = Meta::parse(id(1), &world.memory.body(&meta_key(id(1))).unwrap()).unwrap();
    assert_eq!(read, committed);
    assert_eq!(committed.thanos.upload_time.ms(), Some(START));
    let files: Vec<_> = committed
        .thanos
        .files
        .iter()
        .map(|f| (f.rel_path.as_str(), f.size_bytes))
        .collect();
    assert_eq!(
        files,
        [
            ("chunks/000001", 100),
            ("chunks/000002", 50),
            ("index", 30),
            ("meta.json", 0)
        ]
    );
    assert_eq!(world.lifecycle.verify(id(1)).await.unwrap(), committed);
}

#[tokio::test]
async fn bc_02_an_object_that_went_before_the_commit_prevents_it() {
    let world = World::new();
    let mut session = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    put_files(&mut session).await.unwrap();
    world.memory.remove(&format!("{}/chunks/000002", id(1)));
    let error = session.commit(block(1, &[1])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("chunks/000002"), "{error}");
    assert!(!world.is_block(id(1)));
    // Another size is as bad.
    put_files(&mut session).await.unwrap();
    world
        .memory
        .insert(format!("{}/index", id(1)), vec![0; 29], START);
    assert!(
        session
            .commit(block(1, &[1]))
            .await
            .unwrap_err()
            .to_string()
            .contains("29 bytes")
    );
    assert!(!world.is_block(id(1)));
}

#[tokio::test(start_paused = true)]
async fn bc_02_an_object_that_went_during_the_commit_takes_it_back() {
    let world = World::new();
    let mut session = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    put_files(&mut session).await.unwrap();
    let key = meta_key(id(1));
    let gate = world
        .bucket
        .pause(|fault| Rule::new(fault).on([Operation::Put]).key(key));
    let (committed, ()) = tokio::join!(session.commit(block(1, &[1])), async {
        gate.reached().await;
        world.memory.remove(&format!("{}/chunks/000001", id(1)));
        gate.open();
    });
    assert_eq!(committed.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!world.is_block(id(1)), "half a block must not stay visible");
    assert_eq!(world.events("BC-2"), 1);
}

#[tokio::test(start_paused = true)]
async fn bc_02_metadata_of_which_only_a_part_was_stored_is_taken_back() {
    let world = World::new();
    let torn = Rule::new(Fault::Truncate(100)).on([Operation::Get]);
    world.bucket.add(torn.key(meta_key(id(1))));
    let committed = upload(&world.lifecycle, block(1, &[1])).await;
    assert_eq!(committed.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!world.is_block(id(1)));
}

#[tokio::test]
async fn bc_02_a_commit_that_took_effect_and_failed_is_a_commit() {
    let world = World::new();
    let lost = Rule::new(Fault::FailAfter(ErrorKind::Unavailable))
        .on([Operation::Put])
        .key(meta_key(id(1)));
    world.bucket.add(lost);
    upload(&world.lifecycle, block(1, &[1])).await.unwrap();
    assert!(world.is_block(id(1)));
}

#[tokio::test]
async fn bc_01_a_committed_block_is_not_touched_again() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    let error = world
        .lifecycle
        .upload(id(1), HashFunc::None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    // Not even when it was committed while the files came in.
    let world = World::new();
    let mut session = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    put_files(&mut session).await.unwrap();
    let mut other = block(1, &[1]);
    other.max_time = 9;
    world.memory.insert(meta_key(id(1)), other.to_json(), START);
    assert_eq!(
        session.commit(block(1, &[1])).await.unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    let there = world.memory.body(&meta_key(id(1))).unwrap();
    assert_eq!(Meta::parse(id(1), &there).unwrap(), other);
}

#[tokio::test]
async fn bc_01_two_uploaders_of_the_same_block_both_succeed() {
    let world = World::new();
    let mut first = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    let mut second = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    put_files(&mut first).await.unwrap();
    put_files(&mut second).await.unwrap();
    let committed = first.commit(block(1, &[1])).await.unwrap();
    world.clock.advance(HOUR);
    assert_eq!(second.commit(block(1, &[1])).await.unwrap(), committed);
}

#[tokio::test]
async fn bc_03_an_upload_that_takes_too_long_is_given_up() {
    let world = World::new();
    let mut session = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    put_files(&mut session).await.unwrap();
    world.clock.advance(24 * HOUR);
    put_files(&mut session).await.unwrap();
    world.clock.advance(1);
    assert_eq!(
        session.file("index").unwrap_err().kind(),
        ErrorKind::Exhausted
    );
    assert_eq!(
        session.commit(block(1, &[1])).await.unwrap_err().kind(),
        ErrorKind::Exhausted
    );
    assert!(!world.is_block(id(1)));
    assert_eq!(world.events("BC-3"), 2);
    // Started anew, everything is put again.
    upload(&world.lifecycle, block(1, &[1])).await.unwrap();
}

#[tokio::test]
async fn bc_06_bc_15_a_marked_ulid_is_not_uploaded() {
    for mark in [r#"{"id":"x","version":1}"#, "{torn", r#"{"version":2}"#] {
        let world = World::new();
        world
            .memory
            .insert(mark_key(id(1), MarkKind::Deletion), mark, START);
        let error = world
            .lifecycle
            .upload(id(1), HashFunc::None)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{mark}");
        assert_eq!(world.keys(id(1)), ["deletion-mark.json"]);
        assert_eq!(world.events("BC-6"), 1);
    }
    // Nor when the mark comes while the files are on their way.
    let world = World::new();
    let mut session = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    put_files(&mut session).await.unwrap();
    world.mark(id(1), "by hand");
    assert_eq!(
        session.commit(block(1, &[1])).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert!(!world.is_block(id(1)));
}

#[tokio::test]
async fn bc_10_a_crash_at_any_request_of_an_upload_leaves_no_half_block() {
    for after_effect in [false, true] {
        let mut crashes = 0;
        for n in 0.. {
            let world = World::new();
            world.dies_at_change(n, after_effect);
            let finished = upload(&world.lifecycle, block(1, &[1])).await;
            if world.is_block(id(1)) {
                world.lifecycle.verify(id(1)).await.unwrap();
            }
            world.bucket.heal();
            if finished.is_ok() {
                break;
            }
            crashes += 1;
            match upload(&world.lifecycle, block(1, &[1])).await {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "change {n}"),
            }
            world.lifecycle.verify(id(1)).await.unwrap();
            assert_eq!(world.keys(id(1)), WHOLE);
        }
        assert!(crashes >= 3, "{crashes}");
    }
}

#[tokio::test]
async fn segments_of_an_earlier_attempt_do_not_stay() {
    let world = World::new();
    world
        .memory
        .insert(format!("{}/chunks/000003", id(1)), "old", START);
    upload(&world.lifecycle, block(1, &[1])).await.unwrap();
    assert_eq!(world.keys(id(1)), WHOLE);
}

#[tokio::test]
async fn large_files_go_in_parts_and_are_hashed() {
    let world = World::new();
    let mut session = world
        .lifecycle
        .upload(id(1), HashFunc::Sha256)
        .await
        .unwrap();
    let mut file = session.file("index").unwrap();
    let piece: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for _ in 0..7 {
        file.write(&piece).await.unwrap();
    }
    file.finish().await.unwrap();
    let committed = session.commit(block(1, &[1])).await.unwrap();
    assert_eq!(
        world.memory.body(&format!("{}/index", id(1))).unwrap(),
        piece.repeat(7)
    );
    assert_eq!(world.bucket.count(Operation::PutPart), 3);
    let expected = FileHash {
        func: "SHA256".to_owned(),
        value: "741bfc19f704cdd7cce19d1017043f13e3cb8c1e036a5da45362c2f643dd748e".to_owned(),
    };
    assert_eq!(committed.file("index").unwrap().hash, Some(expected));
}

#[tokio::test]
async fn a_failed_part_gives_the_others_back() {
    let world = World::new();
    world.bucket.add(
        Rule::new(Fault::FailBefore(ErrorKind::Unavailable))
            .on([Operation::PutPart])
            .after(1),
    );
    let session = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    let mut file = session.file("index").unwrap();
    assert!(file.write(&vec![0; 20 << 20]).await.is_err());
    assert_eq!(world.bucket.count(Operation::AbortMultipart), 1);
    assert!(world.keys(id(1)).is_empty());
}

#[tokio::test]
async fn what_is_not_a_file_of_the_block_is_refused() {
    let world = World::new();
    let mut session = world.lifecycle.upload(id(1), HashFunc::None).await.unwrap();
    for path in ["meta.json", "deletion-mark.json"] {
        assert_eq!(session.file(path).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(
        session.commit(block(2, &[2])).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    let changes = world.bucket.calls();
    assert!(!changes.iter().any(|call| CHANGES.contains(&call.operation)));
}
