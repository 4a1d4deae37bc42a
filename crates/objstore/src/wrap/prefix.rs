//! A folder of a bucket as a bucket of its own.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::SinkExt as _;
use futures::channel::mpsc;
use futures::future::ready;
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::{
    Attributes, Bucket, BucketReader, Depth, Entry, Error, MultipartUpload, PutMode, Result,
    UnfinishedUpload,
};

/// Entries of a listing that wait for their consumer.
const LIST_AHEAD: usize = 64;

/// A bucket whose keys all lie below a prefix, which its users do not see.
#[derive(Debug)]
pub struct Prefixed<B: ?Sized> {
    inner: Arc<B>,
    /// Ends in `/`.
    prefix: String,
}

impl<B: ?Sized> Prefixed<B> {
    /// The folder `prefix` (without `/` at its ends, not empty) of `inner`.
    #[must_use]
    pub fn new(inner: Arc<B>, prefix: &str) -> Self {
        Self {
            inner,
            prefix: format!("{prefix}/"),
        }
    }

    fn inside(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn outside(&self, key: String) -> String {
        match key.strip_prefix(&self.prefix) {
            Some(rest) => rest.to_owned(),
            None => key,
        }
    }

    fn error(&self, error: Error) -> Error {
        Error {
            key: self.outside(error.key),
            ..error
        }
    }
}

#[async_trait]
impl<B: BucketReader + ?Sized> BucketReader for Prefixed<B> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn read_gap(&self) -> u64 {
        self.inner.read_gap()
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        self.inner
            .get(&self.inside(key), limit)
            .await
            .map_err(|error| self.error(error))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.inner
            .get_range(&self.inside(key), range)
            .await
            .map_err(|error| self.error(error))
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner
            .get_ranges(&self.inside(key), ranges)
            .await
            .map_err(|error| self.error(error))
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        self.inner
            .attributes(&self.inside(key))
            .await
            .map_err(|error| self.error(error))
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.inner
            .exists(&self.inside(key))
            .await
            .map_err(|error| self.error(error))
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
        let (mut sender, receiver) = mpsc::channel(LIST_AHEAD);
        // The inner listing borrows the joined folder, so one future must own both.
        let produce = async move {
            let folder = self.inside(prefix);
            let mut entries = self.inner.list(&folder, depth);
            while let Some(entry) = entries.next().await {
                if sender.send(entry).await.is_err() {
                    break;
                }
            }
        };
        let produced = stream::once(produce).filter_map(|()| ready(None));
        stream::select(receiver, produced)
            .map(|entry| match entry {
                Ok(entry) => Ok(Entry {
                    key: self.outside(entry.key),
                    ..entry
                }),
                Err(error) => Err(self.error(error)),
            })
            .boxed()
    }
}

#[async_trait]
impl<B: Bucket + ?Sized> Bucket for Prefixed<B> {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
        self.inner
            .put(&self.inside(key), body, mode)
            .await
            .map_err(|error| self.error(error))
    }

    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
        self.inner
            .start_multipart(&self.inside(key))
            .await
            .map_err(|error| self.error(error))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.inner
            .delete(&self.inside(key))
            .await
            .map_err(|error| self.error(error))
    }

    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        let uploads = self.inner.unfinished_uploads().await;
        let uploads = uploads.map_err(|error| self.error(error))?;
        let below = |upload: UnfinishedUpload| match &upload.key {
            None => Some(upload),
            Some(key) => {
                let key = key.strip_prefix(&self.prefix)?;
                Some(UnfinishedUpload {
                    key: Some(key.to_owned()),
                    ..upload
                })
            }
        };
        Ok(uploads.into_iter().filter_map(below).collect())
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
        let upload = UnfinishedUpload {
            key: upload.key.as_deref().map(|key| self.inside(key)),
            ..upload.clone()
        };
        self.inner
            .abort_unfinished(&upload)
            .await
            .map_err(|error| self.error(error))
    }
}
