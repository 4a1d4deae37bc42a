//! Puts, conditional creation, multipart uploads, deletion, cancellation.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::{FutureExt as _, join_all};
use rutile_model::ErrorKind;

use super::{Traits, assert_kind, list, put, remove_all};
use crate::{Bucket, Depth, PutMode};

/// Writers that race to create one object, and how often they do.
const WRITERS: usize = 16;
const RACES: usize = 5;

/// The least size of a part that is not the last.
const PART_BYTES: usize = 5 * 1024 * 1024;

pub(super) async fn run(bucket: &Arc<dyn Bucket>, traits: Traits) {
    overwrite(&**bucket).await;
    create(&**bucket).await;
    if traits.atomic_create {
        race(&**bucket).await;
    }
    large(&**bucket).await;
    multipart(&**bucket).await;
    unfinished(&**bucket, traits).await;
    canceled(&**bucket).await;
    if traits.flat_keys {
        put(&**bucket, "object", "above").await;
        put(&**bucket, "object/below", "below").await;
        assert_eq!(bucket.get("object", 10).await.expect("get"), "above");
        assert_eq!(bucket.get("object/below", 10).await.expect("get"), "below");
    }
    remove_all(&**bucket).await;
}

async fn overwrite(bucket: &dyn Bucket) {
    put(bucket, "over/written", "a longer first version").await;
    put(bucket, "over/written", "second").await;
    assert_eq!(
        bucket.get("over/written", 100).await.expect("get"),
        "second"
    );
    assert_eq!(
        bucket
            .attributes("over/written")
            .await
            .expect("attributes")
            .size,
        6
    );
    bucket.delete("over/written").await.expect("delete");
    assert!(
        !bucket.exists("over/written").await.expect("exists"),
        "deleted"
    );
    bucket
        .delete("over/written")
        .await
        .expect("deleting twice succeeds");
}

async fn create(bucket: &dyn Bucket) {
    bucket
        .put("created/once", "first".into(), PutMode::Create)
        .await
        .expect("create");
    let again = bucket
        .put("created/once", "second".into(), PutMode::Create)
        .await;
    assert_kind(again, ErrorKind::AlreadyExists, "creating what exists");
    assert_eq!(bucket.get("created/once", 100).await.expect("get"), "first");
    bucket.delete("created/once").await.expect("delete");
    bucket
        .put("created/once", "third".into(), PutMode::Create)
        .await
        .expect("create again");
    bucket.delete("created/once").await.expect("delete");
}

async fn race(bucket: &dyn Bucket) {
    for round in 0..RACES {
        let key = format!("race/{round}");
        let writers = (0..WRITERS).map(|writer| {
            let key = key.clone();
            async move {
                let body = Bytes::from(format!("writer {writer}"));
                (writer, bucket.put(&key, body, PutMode::Create).await)
            }
        });
        let mut winners = Vec::new();
        for (writer, result) in join_all(writers).await {
            match result {
                Ok(()) => winners.push(writer),
                other => assert_kind(other, ErrorKind::AlreadyExists, "a writer that lost"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}: {winners:?} won");
        let body = bucket.get(&key, 100).await.expect("get");
        assert_eq!(
            body,
            format!("writer {}", winners[0]),
            "the winner's bytes stay"
        );
        bucket.delete(&key).await.expect("delete");
    }
}

async fn large(bucket: &dyn Bucket) {
    let body = pattern(9 * 1024 * 1024 + 123);
    put(bucket, "large", body.clone()).await;
    let size = body.len() as u64;
    assert_eq!(
        bucket.attributes("large").await.expect("attributes").size,
        size
    );
    assert!(
        bucket.get("large", size).await.expect("get") == body,
        "a large object comes back"
    );
    let middle = bucket
        .get_range("large", 4_000_001..8_000_003)
        .await
        .expect("get_range");
    assert!(
        middle == body.slice(4_000_001..8_000_003),
        "a large range comes back"
    );
    bucket.delete("large").await.expect("delete");
}

/// An upload that its process never ended is found and aborted by another one.
async fn unfinished(bucket: &dyn Bucket, traits: Traits) {
    let before = bucket.unfinished_uploads().await.expect("list unfinished");
    let mut upload = bucket
        .start_multipart("parts/dangling")
        .await
        .expect("start");
    upload.put_part(pattern(5 << 20)).await.expect("part");
    let mut found = bucket.unfinished_uploads().await.expect("list unfinished");
    found.retain(|upload| !before.iter().any(|other| other.id == upload.id));
    let keys = found.iter().map(|upload| upload.key.as_deref());
    assert!(
        keys.into_iter()
            .all(|key| key.is_none_or(|key| key == "parts/dangling")),
        "{found:?}"
    );
    let expected = usize::from(traits.lists_unfinished);
    assert_eq!(found.len(), expected, "unfinished uploads: {found:?}");
    for upload in &found {
        for _ in 0..2 {
            bucket.abort_unfinished(upload).await.expect("abort");
        }
    }
    let after = bucket.unfinished_uploads().await.expect("list unfinished");
    assert_eq!(after, before, "after the abort");
    if traits.lists_unfinished {
        assert!(
            upload.complete().await.is_err(),
            "completed an aborted upload"
        );
    } else {
        upload.abort().await.expect("abort");
    }
    assert!(!bucket.exists("parts/dangling").await.expect("exists"));
}

async fn multipart(bucket: &dyn Bucket) {
    let body = pattern(2 * PART_BYTES + 77);
    let parts = [
        0..PART_BYTES,
        PART_BYTES..2 * PART_BYTES,
        2 * PART_BYTES..body.len(),
    ];
    let mut upload = bucket.start_multipart("parts/object").await.expect("start");
    for part in parts {
        upload.put_part(body.slice(part)).await.expect("part");
        assert!(
            !bucket.exists("parts/object").await.expect("exists"),
            "invisible before the end"
        );
    }
    upload.complete().await.expect("complete");
    let read = bucket
        .get("parts/object", body.len() as u64)
        .await
        .expect("get");
    assert!(read == body, "the parts come back in order");

    let mut upload = bucket.start_multipart("parts/object").await.expect("start");
    upload
        .put_part("short".into())
        .await
        .expect("a short last part");
    upload.complete().await.expect("complete");
    assert_eq!(
        bucket.get("parts/object", 10).await.expect("get"),
        "short",
        "it replaces"
    );

    let mut upload = bucket
        .start_multipart("parts/aborted")
        .await
        .expect("start");
    upload.put_part("gone".into()).await.expect("part");
    upload.abort().await.expect("abort");
    let dropped = bucket
        .start_multipart("parts/dropped")
        .await
        .expect("start");
    drop(dropped);
    let listed = list(bucket, "parts", Depth::Recursive).await.expect("list");
    assert_eq!(listed, ["parts/object"], "what was given up is not seen");
    bucket.delete("parts/object").await.expect("delete");
}

/// A call dropped half way leaves the whole object or none.
async fn canceled(bucket: &dyn Bucket) {
    put(bucket, "kept", "kept").await;
    let body = pattern(1024 * 1024);
    for polls in 0..4 {
        let mut write = bucket.put("canceled", body.clone(), PutMode::Overwrite);
        let mut read = bucket.get("kept", 10);
        for _ in 0..polls {
            if (&mut write).now_or_never().is_some() || (&mut read).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(
        bucket
            .get("kept", 10)
            .await
            .expect("get after canceled ones"),
        "kept"
    );
    // The last writer; whatever the canceled ones still do must not be seen after it for long.
    put(bucket, "after", "after").await;
    if let Ok(read) = bucket.get("canceled", u64::MAX).await {
        assert!(read == body, "a canceled write left {} bytes", read.len());
    }
    remove_settled(bucket).await;
}

/// A canceled request may still arrive: asks a few times whether the object came back.
async fn remove_settled(bucket: &dyn Bucket) {
    for _ in 0..20 {
        bucket.delete("canceled").await.expect("delete");
        tokio::task::yield_now().await;
    }
    bucket.delete("kept").await.expect("delete");
    bucket.delete("after").await.expect("delete");
}

/// Bytes without a period that a part or a page could hide.
fn pattern(len: usize) -> Bytes {
    (0..len as u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}
