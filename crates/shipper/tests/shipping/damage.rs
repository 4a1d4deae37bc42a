//! Local blocks that cannot be read.

use rutile_disk::Disk;
use rutile_model::ErrorKind;

use crate::world::{World, id, numbers};

#[tokio::test]
async fn an_unreadable_block_stops_a_sync_and_is_named() {
    for meta in [None, Some("{\"ulid\":"), Some("{\"version\":7}")] {
        let world = World::new(&[1, 2]);
        let path = format!("{}/meta.json", id(2));
        match meta {
            Some(meta) => world.write(&path, meta.as_bytes()),
            None => world.disk.remove_tree(&path).unwrap(),
        }
        let error = world.shipper().sync().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&id(2).to_string()), "{text}");
        assert!(text.contains("--shipper.skip-corrupted-blocks"), "{text}");
        assert!(world.memory.keys().is_empty());
        assert_eq!(world.metric("dir_sync_failures_total"), 1);
    }
}

#[tokio::test]
async fn unreadable_blocks_are_skipped_and_counted_where_that_is_asked_for() {
    let mut world = World::new(&[1, 2, 3]);
    world.config.skip_corrupted_blocks = true;
    world.config.upload_compacted = true;
    world.write(&format!("{}/meta.json", id(1)), b"{");
    // Its metadata is well, its files are not.
    world.write(&format!("{}/index", id(2)), b"");
    let synced = world.sync().await;
    assert_eq!(numbers(&synced.uploaded), [3]);
    assert_eq!(synced.corrupted.len(), 2);
    assert!(synced.failed.is_empty());
    assert_eq!(world.metric("corrupted_blocks_total"), 2);
    assert_eq!(world.metric("dir_syncs_total"), 1);
    assert_eq!(world.metric("upload_failures_total"), 0);
    assert_eq!(world.metric("upload_compacted_done"), 0);
    assert!(!world.has_links());
}

#[tokio::test]
async fn s7_a_block_with_missing_or_empty_files_does_not_go_up() {
    for (path, empty) in [
        ("index", false),
        ("index", true),
        ("chunks", false),
        ("chunks/000002", true),
    ] {
        let world = World::new(&[1, 2]);
        let file = format!("{}/{path}", id(1));
        world.disk.remove_tree(&file).unwrap();
        if empty {
            world.write(&file, b"");
        }
        let synced = world.sync().await;
        assert!(synced.uploaded.is_empty(), "{path}");
        assert_eq!(synced.failed[0].kind(), ErrorKind::Corrupt);
        let text = synced.failed[0].to_string();
        assert!(text.contains(path.split('/').next().unwrap()), "{text}");
        assert!(world.memory.keys().is_empty());
    }
}

/// What went up need not be read any more, and stays listed.
#[tokio::test]
async fn a_block_that_is_spoilt_after_its_upload_stops_nothing() {
    let world = World::new(&[1, 2]);
    let _first = world.sync().await;
    world.add(crate::world::block(3));
    world.write(&format!("{}/meta.json", id(1)), b"{");
    assert_eq!(numbers(&world.sync().await.uploaded), [3]);
    assert_eq!(world.listed(), [2, 3, 1]);
}
