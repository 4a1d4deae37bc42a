//! What every bucket must do, whatever lies below it: providers, wrappers and fakes run this suite.
//!
//! Panics at the first behaviour that differs, naming it. Leaves nothing behind when it passes.

mod listing;
mod reading;
mod writing;

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use rutile_model::ErrorKind;

use crate::{Bucket, Depth, PutMode, Result};

/// What a bucket does not promise.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    /// Of writers that race to create an object exactly one wins.
    pub atomic_create: bool,
    /// Listings tell sizes and modification times.
    pub listed_attributes: bool,
    /// Keys longer than 255 bytes in a segment, and an object below the key of another.
    pub flat_keys: bool,
    /// Uploads in parts that nobody finished are listed, until they are aborted.
    pub lists_unfinished: bool,
}

impl Default for Traits {
    fn default() -> Self {
        Self {
            atomic_create: true,
            listed_attributes: true,
            flat_keys: true,
            lists_unfinished: true,
        }
    }
}

/// Keys that some layer might read as something else: escapes, queries, spaces, other scripts.
/// No backslash: Azure takes it for a slash.
const ODD_KEYS: [&str; 11] = [
    "odd/space in key",
    "odd/percent%41",
    "odd/percent%2Fslash",
    "odd/hash#query?x=1&y=2",
    "odd/plus+plus",
    "odd/ümläut",
    "odd/日本語",
    "odd/quote'\"`",
    "odd/brackets[]{}()<>",
    "odd/...",
    "odd/~tilde!@$^*=:;,|",
];

/// Runs the whole suite on an empty bucket.
///
/// # Panics
/// When the bucket differs.
pub async fn run(bucket: Arc<dyn Bucket>, traits: Traits) {
    assert_empty(&*bucket, "before the suite").await;
    reading::run(&*bucket).await;
    listing::run(&*bucket, traits).await;
    writing::run(&bucket, traits).await;
    assert_empty(&*bucket, "after the suite").await;
}

async fn put(bucket: &dyn Bucket, key: &str, body: impl Into<Bytes>) {
    bucket
        .put(key, body.into(), PutMode::Overwrite)
        .await
        .expect("put");
}

async fn remove_all(bucket: &dyn Bucket) {
    for entry in list(bucket, "", Depth::Recursive)
        .await
        .expect("list everything")
    {
        bucket.delete(&entry).await.expect("delete");
    }
}

/// Keys in order.
async fn list(bucket: &dyn Bucket, prefix: &str, depth: Depth) -> Result<Vec<String>> {
    let mut keys: Vec<String> = bucket
        .list(prefix, depth)
        .map_ok(|entry| entry.key)
        .try_collect()
        .await?;
    keys.sort();
    Ok(keys)
}

async fn assert_empty(bucket: &dyn Bucket, when: &str) {
    let keys = list(bucket, "", Depth::Recursive)
        .await
        .expect("list everything");
    assert!(keys.is_empty(), "{when} the bucket holds {keys:?}");
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, what: &str) {
    match result {
        Err(error) if error.kind == kind => {
            assert!(
                !error.message.is_empty(),
                "{what}: an error without a message"
            );
        }
        other => panic!("{what}: expected {kind}, got {other:?}"),
    }
}
