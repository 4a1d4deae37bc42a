//! Memory, its fault wrapper, and folders.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use rutile_model::ErrorKind;
use rutile_objstore::conformance::{self, Traits};
use rutile_objstore::fake::{Fault, FaultyBucket, MemoryBucket, Rule};
use rutile_objstore::{
    Bucket as _, BucketReader as _, Depth, Entry, FilesystemBucket, Operation, PutMode,
};
use rutile_runtime::ManualClock;

fn memory() -> MemoryBucket {
    MemoryBucket::new(Arc::new(ManualClock::new(1_000)))
}

#[tokio::test]
async fn memory_conforms() {
    conformance::run(Arc::new(memory()), Traits::default()).await;
    let blind = memory().without_listed_attributes();
    let traits = Traits {
        listed_attributes: false,
        ..Traits::default()
    };
    conformance::run(Arc::new(blind), traits).await;
}

#[tokio::test]
async fn a_faulty_bucket_without_rules_conforms() {
    conformance::run(
        Arc::new(FaultyBucket::new(Arc::new(memory()))),
        Traits::default(),
    )
    .await;
}

#[tokio::test]
async fn filesystem_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = FilesystemBucket::new(folder.path()).unwrap();
    let traits = Traits {
        flat_keys: false,
        ..Traits::default()
    };
    conformance::run(Arc::new(bucket), traits).await;
    let left: Vec<_> = fs::read_dir(folder.path().join(".rutile-unfinished"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "unfinished uploads are left: {left:?}");
}

#[tokio::test]
async fn memory_tells_the_time_of_its_clock() {
    let clock = Arc::new(ManualClock::new(5_000));
    let bucket = MemoryBucket::new(Arc::<ManualClock>::clone(&clock));
    bucket
        .put("a", "1".into(), PutMode::Overwrite)
        .await
        .unwrap();
    clock.set(7_000);
    bucket
        .put("b", "2".into(), PutMode::Overwrite)
        .await
        .unwrap();
    let entries: Vec<Entry> = bucket.list("", Depth::Shallow).try_collect().await.unwrap();
    let times: Vec<_> = entries
        .iter()
        .map(|entry| entry.attributes.unwrap().last_modified_ms)
        .collect();
    assert_eq!(times, [5_000, 7_000]);
}

#[tokio::test]
async fn faults_fail_before_and_after_the_effect() {
    let bucket = FaultyBucket::new(Arc::new(memory()));
    let on_put = |fault| Rule::new(fault).on([Operation::Put]).times(1);
    bucket.add(on_put(Fault::FailBefore(ErrorKind::Unavailable)).key("a"));
    bucket.add(on_put(Fault::FailAfter(ErrorKind::Unavailable)).key_suffix("b"));
    for (key, exists) in [("a", false), ("b", true)] {
        let error = bucket
            .put(key, "x".into(), PutMode::Overwrite)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(bucket.exists(key).await.unwrap(), exists, "{key}");
        bucket
            .put(key, "y".into(), PutMode::Overwrite)
            .await
            .unwrap();
    }
    assert_eq!(bucket.count(Operation::Put), 4);
    assert_eq!(bucket.calls()[0].key, "a");
}

#[tokio::test]
async fn faults_show_the_past() {
    let bucket = FaultyBucket::new(Arc::new(memory()));
    for body in ["1", "2", "3"] {
        bucket
            .put("dir/a", body.into(), PutMode::Overwrite)
            .await
            .unwrap();
    }
    bucket.delete("dir/a").await.unwrap();
    for (writes, expected) in [(1, Some("3")), (2, Some("2")), (3, Some("1")), (4, None)] {
        bucket.heal();
        bucket.add(Rule::new(Fault::Stale(writes)));
        let read = bucket.get("dir/a", 10).await.ok();
        assert_eq!(
            read.as_deref(),
            expected.map(str::as_bytes),
            "{writes} writes ago"
        );
        assert_eq!(bucket.exists("dir/a").await.unwrap(), expected.is_some());
    }
    bucket.heal();
    bucket.add(Rule::new(Fault::ListStale(1)));
    let listed: Vec<_> = bucket.list("", Depth::Shallow).try_collect().await.unwrap();
    assert_eq!(
        listed,
        [Entry {
            key: "dir/".to_owned(),
            attributes: None
        }]
    );
    bucket.heal();
    let listed: Vec<_> = bucket.list("", Depth::Shallow).try_collect().await.unwrap();
    assert_eq!(listed, []);
}

#[tokio::test]
async fn faults_spoil_listings_and_bodies() {
    let inner = memory();
    let bucket = FaultyBucket::seeded(Arc::new(inner.clone()), 42);
    for i in 0..100 {
        inner.insert(format!("k{i:02}"), "0123456789", 0);
    }
    let listed = async |fault| {
        bucket.heal();
        bucket.add(Rule::new(fault).on([Operation::List]));
        bucket.list("", Depth::Recursive).collect::<Vec<_>>().await
    };
    assert_eq!(listed(Fault::ListTorn(7)).await.len(), 7);
    let failed = listed(Fault::ListFails(7)).await;
    assert_eq!((failed.len(), failed[7].is_err()), (8, true));
    let missed = listed(Fault::ListMisses(0.5)).await.len();
    assert!((20..80).contains(&missed), "{missed} of 100");

    bucket.heal();
    bucket.add(Rule::new(Fault::Truncate(3)));
    assert_eq!(bucket.get("k00", 10).await.unwrap(), "012");
    assert_eq!(bucket.get_range("k00", 5..9).await.unwrap(), "567");
    bucket.heal();
    bucket.add(Rule::new(Fault::NotFound));
    assert!(!bucket.exists("k00").await.unwrap());
    assert!(bucket.get("k00", 10).await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn faults_pause_and_delay() {
    let bucket = FaultyBucket::new(Arc::new(memory()));
    let gate = bucket.pause(|fault| Rule::new(fault).on([Operation::Put]));
    let write = bucket.put("a", "x".into(), PutMode::Overwrite);
    let watch = async {
        gate.reached().await;
        assert!(!bucket.exists("a").await.unwrap());
        gate.release();
    };
    let (written, ()) = tokio::join!(write, watch);
    written.unwrap();
    assert!(bucket.exists("a").await.unwrap());

    bucket.heal();
    bucket.add(Rule::new(Fault::Delay(Duration::from_secs(60))));
    let before = tokio::time::Instant::now();
    bucket.exists("a").await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_secs(60));
}

#[tokio::test]
async fn a_folder_shows_what_others_put_there() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("bucket");
    fs::create_dir_all(root.join("empty/deeper")).unwrap();
    fs::create_dir_all(root.join("full")).unwrap();
    fs::write(root.join("full/a"), "hello").unwrap();
    std::os::unix::fs::symlink(root.join("full"), root.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
    let bucket = FilesystemBucket::new(&root).unwrap();
    let keys = async |depth| {
        let mut keys: Vec<String> = bucket
            .list("", depth)
            .map_ok(|entry| entry.key)
            .try_collect()
            .await
            .unwrap();
        keys.sort();
        keys
    };
    assert_eq!(keys(Depth::Recursive).await, ["full/a", "link/a"]);
    assert_eq!(keys(Depth::Shallow).await, ["empty/", "full/", "link/"]);
    assert_eq!(bucket.get("link/a", 10).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_folder_refuses_what_it_cannot_hold() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::write(&outside, "secret").unwrap();
    let bucket = FilesystemBucket::new(folder.path().join("bucket")).unwrap();
    let error = bucket
        .list("", Depth::Shallow)
        .next()
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.message.contains("does not exist: create it"),
        "{error}"
    );

    bucket.create_folder().unwrap();
    bucket
        .put("object", "x".into(), PutMode::Overwrite)
        .await
        .unwrap();
    for key in [
        "../outside",
        "a/../../outside",
        ".rutile-unfinished/x",
        "object/below",
    ] {
        let error = bucket
            .put(key, "x".into(), PutMode::Overwrite)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(fs::read(&outside).unwrap(), b"secret");
}

#[tokio::test]
async fn a_folder_forgets_abandoned_uploads_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = FilesystemBucket::new(folder.path()).unwrap();
    let file = folder.path().join(".rutile-unfinished/1-1");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "half").unwrap();
    let written_ms = {
        let attributes = FilesystemBucket::new(file.parent().unwrap()).unwrap();
        attributes.attributes("1-1").await.unwrap().last_modified_ms
    };
    bucket.remove_abandoned(written_ms + 3_600_000).unwrap();
    assert!(file.try_exists().unwrap());
    bucket
        .remove_abandoned(written_ms + 25 * 3_600_000)
        .unwrap();
    assert!(!file.try_exists().unwrap());
}
