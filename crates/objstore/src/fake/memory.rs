//! A bucket in memory: strongly consistent, in key order, with modification times by a given clock.
//!
//! Deterministic: the same calls give the same answers, which makes it the base of simulations.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt as _};
use parking_lot::Mutex;
use rutile_model::ErrorKind;
use rutile_runtime::Clock;

use crate::{
    Attributes, Bucket, BucketReader, Depth, Entry, Error, MultipartUpload, Operation, PutMode,
    Result, UnfinishedUpload, key, listing,
};

/// A bucket in memory. Clones share the objects.
#[derive(Clone)]
pub struct MemoryBucket {
    name: String,
    lists_attributes: bool,
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    objects: Mutex<BTreeMap<String, Object>>,
    unfinished: Mutex<Unfinished>,
}

/// Uploads in parts by their number.
#[derive(Default)]
struct Unfinished {
    next: u64,
    uploads: BTreeMap<u64, UnfinishedUpload>,
}

#[derive(Clone)]
struct Object {
    body: Bytes,
    last_modified_ms: i64,
}

impl MemoryBucket {
    /// An empty bucket named `memory`; objects are stamped by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared {
            clock,
            objects: Mutex::new(BTreeMap::new()),
            unfinished: Mutex::default(),
        };
        Self {
            name: "memory".to_owned(),
            lists_attributes: true,
            shared: Arc::new(shared),
        }
    }

    /// The same bucket under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same bucket as a provider whose listings tell neither sizes nor times.
    #[must_use]
    pub fn without_listed_attributes(mut self) -> Self {
        self.lists_attributes = false;
        self
    }

    /// All keys, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.shared.objects.lock().keys().cloned().collect()
    }

    /// An object's bytes, past every wrapper.
    #[must_use]
    pub fn body(&self, key: &str) -> Option<Bytes> {
        self.shared
            .objects
            .lock()
            .get(key)
            .map(|object| object.body.clone())
    }

    /// Writes an object past every wrapper, stamped with the time given.
    pub fn insert(&self, key: impl Into<String>, body: impl Into<Bytes>, last_modified_ms: i64) {
        let object = Object {
            body: body.into(),
            last_modified_ms,
        };
        self.shared.objects.lock().insert(key.into(), object);
    }

    /// Removes an object past every wrapper; says whether it was there.
    pub fn remove(&self, key: &str) -> bool {
        self.shared.objects.lock().remove(key).is_some()
    }

    fn object(&self, operation: Operation, key: &str) -> Result<Object> {
        self.check(operation, key)?;
        let object = self.shared.objects.lock().get(key).cloned();
        object.ok_or_else(|| Error::not_found(operation, &self.name, key))
    }

    fn check(&self, operation: Operation, key: &str) -> Result<()> {
        key::check(key).map_err(|message| self.invalid(operation, key, message))
    }

    fn invalid(&self, operation: Operation, key: &str, message: String) -> Error {
        Error::new(ErrorKind::Invalid, operation, &self.name, key, message)
    }

    fn slice(
        &self,
        operation: Operation,
        key: &str,
        body: &Bytes,
        range: &Range<u64>,
    ) -> Result<Bytes> {
        let range = key::clamp(range, body.len() as u64)
            .map_err(|message| self.invalid(operation, key, message))?;
        Ok(body.slice(range.start as usize..range.end as usize))
    }

    fn listing(&self, prefix: &str, depth: Depth) -> Result<Vec<Entry>> {
        let folder = key::check_folder(prefix)
            .map_err(|message| self.invalid(Operation::List, prefix, message))?;
        let objects = self.shared.objects.lock();
        let below = objects
            .range(folder.to_owned()..)
            .take_while(|(key, _)| key.starts_with(folder))
            .map(|(key, object)| {
                (
                    key.clone(),
                    self.lists_attributes.then(|| object.attributes()),
                )
            });
        Ok(listing::entries(below, folder, depth))
    }
}

impl Object {
    fn attributes(&self) -> Attributes {
        Attributes {
            size: self.body.len() as u64,
            last_modified_ms: self.last_modified_ms,
        }
    }
}

#[async_trait]
impl BucketReader for MemoryBucket {
    fn name(&self) -> &str {
        &self.name
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        let body = self.object(Operation::Get, key)?.body;
        match body.len() as u64 {
            size if size > limit => Err(Error::too_long(&self.name, key, size, limit)),
            _ => Ok(body),
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let body = self.object(Operation::GetRange, key)?.body;
        self.slice(Operation::GetRange, key, &body, &range)
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let body = self.object(Operation::GetRanges, key)?.body;
        ranges
            .iter()
            .map(|range| self.slice(Operation::GetRanges, key, &body, range))
            .collect()
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        Ok(self.object(Operation::Attributes, key)?.attributes())
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.check(Operation::Exists, key)?;
        Ok(self.shared.objects.lock().contains_key(key))
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
        match self.listing(prefix, depth) {
            Ok(entries) => stream::iter(entries.into_iter().map(Ok)).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}

#[async_trait]
impl Bucket for MemoryBucket {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
        self.check(Operation::Put, key)?;
        let object = Object {
            body,
            last_modified_ms: self.shared.clock.now_ms(),
        };
        let mut objects = self.shared.objects.lock();
        if mode == PutMode::Create && objects.contains_key(key) {
            return Err(Error::already_exists(Operation::Put, &self.name, key));
        }
        objects.insert(key.to_owned(), object);
        Ok(())
    }

    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
        self.check(Operation::StartMultipart, key)?;
        let mut unfinished = self.shared.unfinished.lock();
        unfinished.next += 1;
        let number = unfinished.next;
        let begun = UnfinishedUpload {
            key: Some(key.to_owned()),
            id: number.to_string(),
            started_ms: self.shared.clock.now_ms(),
        };
        unfinished.uploads.insert(number, begun);
        Ok(Box::new(MemoryUpload {
            bucket: self.clone(),
            key: key.to_owned(),
            number,
            parts: BytesMut::new(),
        }))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.check(Operation::Delete, key)?;
        self.shared.objects.lock().remove(key);
        Ok(())
    }

    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        let unfinished = self.shared.unfinished.lock();
        Ok(unfinished.uploads.values().cloned().collect())
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
        let mut unfinished = self.shared.unfinished.lock();
        unfinished.uploads.retain(|_, other| other.id != upload.id);
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryUpload {
    bucket: MemoryBucket,
    key: String,
    number: u64,
    parts: BytesMut,
}

impl MemoryUpload {
    /// Whether the upload was still there: somebody may have aborted it.
    fn end(&self) -> bool {
        let mut unfinished = self.bucket.shared.unfinished.lock();
        unfinished.uploads.remove(&self.number).is_some()
    }
}

#[async_trait]
impl MultipartUpload for MemoryUpload {
    async fn put_part(&mut self, part: Bytes) -> Result<()> {
        self.parts.extend_from_slice(&part);
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        if !self.end() {
            let (name, message) = (&self.bucket.name, "the upload was aborted");
            let operation = Operation::CompleteMultipart;
            return Err(Error::new(
                ErrorKind::NotFound,
                operation,
                name,
                &self.key,
                message,
            ));
        }
        let body = std::mem::take(&mut self.parts).freeze();
        self.bucket.put(&self.key, body, PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.end();
        self.parts.clear();
        Ok(())
    }
}

impl fmt::Debug for MemoryBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBucket")
            .field("name", &self.name)
            .field("objects", &self.shared.objects.lock().len())
            .finish_non_exhaustive()
    }
}
