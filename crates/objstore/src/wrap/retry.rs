//! Trying again what failed for a passing reason and can be repeated without harm.
//!
//! The providers' client already repeats single requests; this covers what it gives up on, such as
//! a body that breaks off too often. Never repeated: conditional creation (the first try may have
//! won, and the second would call it a loss) and the steps of a multipart upload.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use rutile_model::ErrorKind;

use crate::{
    Attributes, Bucket, BucketReader, Depth, Entry, MultipartUpload, PutMode, Result,
    UnfinishedUpload,
};

/// How often and how patiently to try.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Tries in all, at least one.
    pub tries: u32,
    /// Wait before the second try; doubled for each further one.
    pub first: Duration,
    /// Longest wait.
    pub most: Duration,
}

impl Default for Backoff {
    /// Three tries over three seconds.
    fn default() -> Self {
        Self {
            tries: 3,
            first: Duration::from_secs(1),
            most: Duration::from_secs(10),
        }
    }
}

/// A bucket that tries again.
#[derive(Debug)]
pub struct Retrying<B: ?Sized> {
    inner: Arc<B>,
    backoff: Backoff,
}

impl<B: ?Sized> Retrying<B> {
    /// `inner`, tried by this rule.
    #[must_use]
    pub fn new(inner: Arc<B>, backoff: Backoff) -> Self {
        Self { inner, backoff }
    }

    async fn repeat<T, F>(&self, call: impl Fn() -> F + Send + Sync) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let mut wait = self.backoff.first;
        for _ in 1..self.backoff.tries {
            match call().await {
                Err(error) if error.kind == ErrorKind::Unavailable => {
                    tracing::debug!(%error, ?wait, "trying again");
                }
                ended => return ended,
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(self.backoff.most);
        }
        call().await
    }
}

#[async_trait]
impl<B: BucketReader + ?Sized> BucketReader for Retrying<B> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn read_gap(&self) -> u64 {
        self.inner.read_gap()
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        self.repeat(|| self.inner.get(key, limit)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.repeat(|| self.inner.get_range(key, range.clone()))
            .await
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.repeat(|| self.inner.get_ranges(key, ranges)).await
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        self.repeat(|| self.inner.attributes(key)).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.repeat(|| self.inner.exists(key)).await
    }

    /// Only the beginning is tried again: entries that were handed out cannot be taken back.
    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
        let begin = move || async move {
            let mut entries = self.inner.list(prefix, depth);
            match entries.next().await {
                Some(first) => Ok(stream::iter([Ok(first?)]).chain(entries).boxed()),
                None => Ok(stream::empty().boxed()),
            }
        };
        let begun = async move {
            match self.repeat(begin).await {
                Ok(entries) => entries,
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        stream::once(begun).flatten().boxed()
    }
}

#[async_trait]
impl<B: Bucket + ?Sized> Bucket for Retrying<B> {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
        match mode {
            PutMode::Overwrite => {
                self.repeat(|| self.inner.put(key, body.clone(), mode))
                    .await
            }
            PutMode::Create => self.inner.put(key, body, mode).await,
        }
    }

    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
        self.inner.start_multipart(key).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.repeat(|| self.inner.delete(key)).await
    }

    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        self.repeat(|| self.inner.unfinished_uploads()).await
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
        self.repeat(|| self.inner.abort_unfinished(upload)).await
    }
}
