//! A bound on the requests that are under way.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    Attributes, Bucket, BucketReader, Depth, Entry, MultipartUpload, PutMode, Result,
    UnfinishedUpload,
};

/// Ranges of one `get_ranges` that wait for the bound or are under way: enough to fill the link,
/// few enough that one caller does not take all of it.
const PARALLEL_RANGES: usize = 32;

/// A bucket with at most so many requests at a time; the others wait in order.
///
/// Each range of a `get_ranges` counts as a request. Listings do not count: whoever walks one may
/// ask for objects meanwhile, and would wait for itself. Nor do the parts of an upload, which its
/// owner sends one after the other.
#[derive(Debug)]
pub struct Limited<B: ?Sized> {
    inner: Arc<B>,
    permits: Semaphore,
}

impl<B: ?Sized> Limited<B> {
    /// At most `requests` at a time, at least one.
    #[must_use]
    pub fn new(inner: Arc<B>, requests: usize) -> Self {
        let permits = Semaphore::new(requests.clamp(1, Semaphore::MAX_PERMITS));
        Self { inner, permits }
    }

    /// Waits for a place. The semaphore is never closed, so there always is one in the end.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }
}

#[async_trait]
impl<B: BucketReader + ?Sized> BucketReader for Limited<B> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn read_gap(&self) -> u64 {
        self.inner.read_gap()
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        let _place = self.place().await;
        self.inner.get(key, limit).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let _place = self.place().await;
        self.inner.get_range(key, range).await
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fetches: Vec<_> = ranges
            .iter()
            .map(|range| self.get_range(key, range.clone()))
            .collect();
        stream::iter(fetches)
            .buffered(PARALLEL_RANGES)
            .try_collect()
            .await
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        let _place = self.place().await;
        self.inner.attributes(key).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        let _place = self.place().await;
        self.inner.exists(key).await
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
        self.inner.list(prefix, depth)
    }
}

#[async_trait]
impl<B: Bucket + ?Sized> Bucket for Limited<B> {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
        let _place = self.place().await;
        self.inner.put(key, body, mode).await
    }

    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
        let _place = self.place().await;
        self.inner.start_multipart(key).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let _place = self.place().await;
        self.inner.delete(key).await
    }

    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        let _place = self.place().await;
        self.inner.unfinished_uploads().await
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
        let _place = self.place().await;
        self.inner.abort_unfinished(upload).await
    }
}
