//! A bound on the time that a request may take.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use rutile_model::ErrorKind;
use tokio::time::timeout;

use crate::{
    Attributes, Bucket, BucketReader, Depth, Entry, Error, MultipartUpload, Operation, PutMode,
    Result, UnfinishedUpload,
};

/// How long requests may take, the library's own retries included.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Requests without a body to speak of: attributes, existence, deletion, a page of a listing.
    pub metadata: Duration,
    /// Requests that carry bytes, up to a part or a whole object.
    pub data: Duration,
}

impl Default for Deadlines {
    /// Three minutes: above one lost answer (two minutes) and its retries (one). Half an hour: a
    /// segment file of 512 MiB at 300 KB/s.
    fn default() -> Self {
        Self {
            metadata: Duration::from_secs(3 * 60),
            data: Duration::from_secs(30 * 60),
        }
    }
}

/// A bucket whose requests end in time, if need be as `Unavailable`.
#[derive(Debug)]
pub struct Deadline<B: ?Sized> {
    inner: Arc<B>,
    deadlines: Deadlines,
}

impl<B: BucketReader + ?Sized> Deadline<B> {
    /// `inner` with these deadlines.
    #[must_use]
    pub fn new(inner: Arc<B>, deadlines: Deadlines) -> Self {
        Self { inner, deadlines }
    }

    async fn within<T>(
        &self,
        operation: Operation,
        key: &str,
        limit: Duration,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let ended = timeout(limit, call).await;
        ended.unwrap_or_else(|_| Err(late(self.inner.name(), operation, key, limit)))
    }
}

fn late(bucket: &str, operation: Operation, key: &str, limit: Duration) -> Error {
    let message = format!("no answer within {} s", limit.as_secs());
    Error::new(ErrorKind::Unavailable, operation, bucket, key, message)
}

#[async_trait]
impl<B: BucketReader + ?Sized> BucketReader for Deadline<B> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn read_gap(&self) -> u64 {
        self.inner.read_gap()
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        let call = self.inner.get(key, limit);
        self.within(Operation::Get, key, self.deadlines.data, call)
            .await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let call = self.inner.get_range(key, range);
        self.within(Operation::GetRange, key, self.deadlines.data, call)
            .await
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let call = self.inner.get_ranges(key, ranges);
        self.within(Operation::GetRanges, key, self.deadlines.data, call)
            .await
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        let call = self.inner.attributes(key);
        self.within(Operation::Attributes, key, self.deadlines.metadata, call)
            .await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        let call = self.inner.exists(key);
        self.within(Operation::Exists, key, self.deadlines.metadata, call)
            .await
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
        let limit = self.deadlines.metadata;
        let entries = Some(self.inner.list(prefix, depth));
        stream::unfold(entries, move |entries| async move {
            let mut entries = entries?;
            match timeout(limit, entries.next()).await {
                Ok(entry) => Some((entry?, Some(entries))),
                Err(_) => Some((Err(late(self.name(), Operation::List, prefix, limit)), None)),
            }
        })
        .boxed()
    }
}

#[async_trait]
impl<B: Bucket + ?Sized> Bucket for Deadline<B> {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
        let call = self.inner.put(key, body, mode);
        self.within(Operation::Put, key, self.deadlines.data, call)
            .await
    }

    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
        let call = self.inner.start_multipart(key);
        let limit = self.deadlines.metadata;
        let upload = self
            .within(Operation::StartMultipart, key, limit, call)
            .await?;
        Ok(Box::new(DeadlineUpload {
            bucket: self.name().to_owned(),
            key: key.to_owned(),
            deadlines: self.deadlines,
            upload,
        }))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let call = self.inner.delete(key);
        self.within(Operation::Delete, key, self.deadlines.metadata, call)
            .await
    }

    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        let call = self.inner.unfinished_uploads();
        let operation = Operation::ListUnfinished;
        self.within(operation, "", self.deadlines.metadata, call)
            .await
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
        let call = self.inner.abort_unfinished(upload);
        let (operation, key) = (Operation::AbortMultipart, upload.key.as_deref());
        self.within(
            operation,
            key.unwrap_or_default(),
            self.deadlines.metadata,
            call,
        )
        .await
    }
}

#[derive(Debug)]
struct DeadlineUpload {
    bucket: String,
    key: String,
    deadlines: Deadlines,
    upload: Box<dyn MultipartUpload>,
}

#[async_trait]
impl MultipartUpload for DeadlineUpload {
    async fn put_part(&mut self, part: Bytes) -> Result<()> {
        let limit = self.deadlines.data;
        let ended = timeout(limit, self.upload.put_part(part)).await;
        ended.unwrap_or_else(|_| Err(late(&self.bucket, Operation::PutPart, &self.key, limit)))
    }

    async fn complete(&mut self) -> Result<()> {
        // A server joins the parts first, which takes longer than other answers.
        let limit = self.deadlines.data;
        let ended = timeout(limit, self.upload.complete()).await;
        let operation = Operation::CompleteMultipart;
        ended.unwrap_or_else(|_| Err(late(&self.bucket, operation, &self.key, limit)))
    }

    async fn abort(&mut self) -> Result<()> {
        let limit = self.deadlines.metadata;
        let ended = timeout(limit, self.upload.abort()).await;
        let operation = Operation::AbortMultipart;
        ended.unwrap_or_else(|_| Err(late(&self.bucket, operation, &self.key, limit)))
    }
}
