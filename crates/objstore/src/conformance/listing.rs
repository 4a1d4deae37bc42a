//! Listings: folders, depth, attributes, consistency with writes.

use futures::{StreamExt as _, TryStreamExt as _};
use rutile_model::ErrorKind;

use super::{Traits, assert_kind, list, put, remove_all};
use crate::{Bucket, Depth, Entry};

const KEYS: [&str; 8] = [
    "a/meta.json",
    "a/chunks/000001",
    "a/chunks/000002",
    "a/index",
    "a-b/meta.json",
    "ab/meta.json",
    "b",
    "c/d/e/f",
];

pub(super) async fn run(bucket: &dyn Bucket, traits: Traits) {
    for key in KEYS {
        put(bucket, key, key).await;
    }
    depths(bucket).await;
    attributes(bucket, traits).await;
    dropped(bucket).await;
    for prefix in ["/", "//", "../", "a//", "/a"] {
        let listed = list(bucket, prefix, Depth::Shallow).await;
        assert_kind(
            listed,
            ErrorKind::Invalid,
            &format!("listing of {prefix:?}"),
        );
    }

    bucket.delete("c/d/e/f").await.expect("delete");
    let listed = list(bucket, "", Depth::Shallow).await.expect("list");
    assert_eq!(
        listed,
        ["a-b/", "a/", "ab/", "b"],
        "a folder goes with its last object"
    );
    remove_all(bucket).await;
}

async fn depths(bucket: &dyn Bucket) {
    use Depth::{Recursive, Shallow};
    let mut all = KEYS.to_vec();
    all.sort_unstable();
    let cases: [(&str, Depth, &[&str]); 10] = [
        ("", Shallow, &["a-b/", "a/", "ab/", "b", "c/"]),
        ("", Recursive, &all),
        ("a", Shallow, &["a/chunks/", "a/index", "a/meta.json"]),
        (
            "a/",
            Recursive,
            &[
                "a/chunks/000001",
                "a/chunks/000002",
                "a/index",
                "a/meta.json",
            ],
        ),
        ("a/chunks", Shallow, &["a/chunks/000001", "a/chunks/000002"]),
        ("c/", Shallow, &["c/d/"]),
        ("c", Recursive, &["c/d/e/f"]),
        ("absent", Shallow, &[]),
        ("absent/deeper/", Recursive, &[]),
        // Below an object lies nothing, and a part of a name is no folder.
        ("b", Recursive, &[]),
    ];
    for (prefix, depth, expected) in cases {
        let listed = list(bucket, prefix, depth).await.expect("list");
        assert_eq!(listed, expected, "{depth:?} listing of {prefix:?}");
    }
}

async fn attributes(bucket: &dyn Bucket, traits: Traits) {
    for depth in [Depth::Shallow, Depth::Recursive] {
        let entries: Vec<Entry> = bucket.list("a", depth).try_collect().await.expect("list");
        for entry in entries {
            let folder = entry.key.ends_with('/');
            assert_eq!(
                entry.attributes.is_some(),
                traits.listed_attributes && !folder,
                "attributes of {entry:?}"
            );
            if let Some(listed) = entry.attributes {
                let own = bucket.attributes(&entry.key).await.expect("attributes");
                assert_eq!(listed.size, own.size, "size of {}", entry.key);
                // Some stores tell milliseconds in a listing and seconds in the header.
                let skew_ms = (listed.last_modified_ms - own.last_modified_ms).abs();
                assert!(skew_ms < 1000, "time of {}: {skew_ms} ms apart", entry.key);
            }
        }
    }
}

async fn dropped(bucket: &dyn Bucket) {
    let mut listing = bucket.list("", Depth::Recursive);
    listing.next().await.expect("an entry").expect("no error");
    drop(listing);
    let unpolled = bucket.list("", Depth::Recursive);
    drop(unpolled);
    assert_eq!(
        list(bucket, "", Depth::Recursive)
            .await
            .expect("list")
            .len(),
        KEYS.len()
    );
}
