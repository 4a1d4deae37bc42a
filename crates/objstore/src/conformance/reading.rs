//! Whole objects, ranges, attributes.

use rutile_model::ErrorKind;

use super::{ODD_KEYS, assert_kind, put, remove_all};
use crate::Bucket;

pub(super) async fn run(bucket: &dyn Bucket) {
    absent(bucket).await;
    whole(bucket).await;
    ranges(bucket).await;
    odd_keys(bucket).await;
    bad_keys(bucket).await;
    remove_all(bucket).await;
}

async fn absent(bucket: &dyn Bucket) {
    for key in ["absent", "absent/in/folders"] {
        assert_kind(
            bucket.get(key, 10).await,
            ErrorKind::NotFound,
            "get of what is absent",
        );
        let range = bucket.get_range(key, 0..10).await;
        assert_kind(range, ErrorKind::NotFound, "get_range of what is absent");
        let ranges = bucket.get_ranges(key, &[0..1, 3..4]).await;
        assert_kind(ranges, ErrorKind::NotFound, "get_ranges of what is absent");
        let attributes = bucket.attributes(key).await;
        assert_kind(
            attributes,
            ErrorKind::NotFound,
            "attributes of what is absent",
        );
        assert!(
            !bucket.exists(key).await.expect("exists"),
            "{key} does not exist"
        );
        bucket
            .delete(key)
            .await
            .expect("deleting what is absent succeeds");
    }
}

async fn whole(bucket: &dyn Bucket) {
    put(bucket, "folder/full", "0123456789").await;
    put(bucket, "folder/empty", "").await;
    assert_eq!(
        bucket.get("folder/full", 10).await.expect("get"),
        "0123456789"
    );
    assert_kind(
        bucket.get("folder/full", 9).await,
        ErrorKind::Exhausted,
        "get above the limit",
    );
    assert_eq!(
        bucket
            .get("folder/empty", 0)
            .await
            .expect("get of an empty object"),
        ""
    );
    assert!(
        bucket.exists("folder/empty").await.expect("exists"),
        "an empty object exists"
    );
    assert!(
        !bucket.exists("folder").await.expect("exists"),
        "a folder is no object"
    );
    assert_kind(
        bucket.get("folder", 10).await,
        ErrorKind::NotFound,
        "get of a folder",
    );
    assert_kind(
        bucket.attributes("folder").await,
        ErrorKind::NotFound,
        "attributes of a folder",
    );

    let full = bucket.attributes("folder/full").await.expect("attributes");
    let empty = bucket.attributes("folder/empty").await.expect("attributes");
    assert_eq!((full.size, empty.size), (10, 0));
    // Stores round to seconds: the second object is as old or younger, but for the rounding.
    assert!(
        full.last_modified_ms - empty.last_modified_ms < 1000,
        "modification times"
    );
}

async fn ranges(bucket: &dyn Bucket) {
    put(bucket, "ranges", "0123456789").await;
    for (range, expected) in [
        (0..10, "0123456789"),
        (0..1, "0"),
        (9..10, "9"),
        (3..7, "3456"),
        (8..100, "89"),
        (0..99, "0123456789"),
    ] {
        let read = bucket
            .get_range("ranges", range.clone())
            .await
            .expect("get_range");
        assert_eq!(read, expected, "range {range:?}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "what must be refused")]
    for range in [10..11, 100..200, 4..4, 5..3] {
        let read = bucket.get_range("ranges", range.clone()).await;
        assert_kind(read, ErrorKind::Invalid, &format!("range {range:?}"));
        let read = bucket.get_ranges("ranges", &[0..1, range.clone()]).await;
        assert_kind(
            read,
            ErrorKind::Invalid,
            &format!("range {range:?} after another"),
        );
    }
    put(bucket, "nothing", "").await;
    assert_kind(
        bucket.get_range("nothing", 0..1).await,
        ErrorKind::Invalid,
        "range of nothing",
    );

    let read = bucket
        .get_ranges("ranges", &[5..6, 0..3, 2..4, 8..20])
        .await
        .expect("get_ranges");
    assert_eq!(
        read,
        ["5", "012", "23", "89"],
        "unordered, overlapping, cut short"
    );
    assert!(
        bucket
            .get_ranges("ranges", &[])
            .await
            .expect("get_ranges of none")
            .is_empty()
    );
}

async fn odd_keys(bucket: &dyn Bucket) {
    for key in ODD_KEYS {
        put(bucket, key, key).await;
    }
    for key in ODD_KEYS {
        assert_eq!(bucket.get(key, 100).await.expect("get of an odd key"), key);
        assert!(bucket.exists(key).await.expect("exists"), "{key} exists");
    }
    let mut expected = ODD_KEYS.to_vec();
    expected.sort_unstable();
    let listed = super::list(bucket, "odd", crate::Depth::Recursive)
        .await
        .expect("list");
    assert_eq!(listed, expected, "odd keys come back as they were written");
    let listed = super::list(bucket, "odd/", crate::Depth::Shallow)
        .await
        .expect("list");
    assert_eq!(listed, expected, "odd keys in a shallow listing");
}

async fn bad_keys(bucket: &dyn Bucket) {
    for key in [
        "",
        "/",
        "/rooted",
        "trailing/",
        "a//b",
        "../escape",
        "a/../../b",
        "./a",
        "a/.",
        "a\0",
    ] {
        let what = format!("key {key:?}");
        assert_kind(bucket.get(key, 1).await, ErrorKind::Invalid, &what);
        assert_kind(bucket.get_range(key, 0..1).await, ErrorKind::Invalid, &what);
        assert_kind(bucket.exists(key).await, ErrorKind::Invalid, &what);
        assert_kind(bucket.attributes(key).await, ErrorKind::Invalid, &what);
        assert_kind(bucket.delete(key).await, ErrorKind::Invalid, &what);
        let put = bucket.put(key, "x".into(), crate::PutMode::Overwrite).await;
        assert_kind(put, ErrorKind::Invalid, &what);
        assert_kind(bucket.start_multipart(key).await, ErrorKind::Invalid, &what);
    }
}
