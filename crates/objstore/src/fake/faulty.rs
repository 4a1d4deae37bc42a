//! A wrapper that makes any bucket misbehave as scripted, and remembers what was asked of it.
//!
//! Faults come from [`Rule`]s, tried in the order in which they were added: delays and pauses are
//! sat out, the first other fault decides. Chance is drawn from a seed, so a run can be repeated.
//! Stale answers come from a journal of the writes that went through this wrapper.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use rutile_model::ErrorKind;

use super::rule::{Fault, Gate, Rule};
use super::state::{Call, State, Version, Write};
use crate::{
    Attributes, Bucket, BucketReader, Depth, Entry, Error, MultipartUpload, Operation, PutMode,
    Result, UnfinishedUpload, key, listing,
};

/// A bucket with scripted faults. Clones share rules, calls and journal.
#[derive(Debug, Clone)]
pub struct FaultyBucket {
    inner: Arc<dyn Bucket>,
    state: Arc<Mutex<State>>,
}

impl FaultyBucket {
    /// A wrapper without rules: every call goes through.
    #[must_use]
    pub fn new(inner: Arc<dyn Bucket>) -> Self {
        Self::seeded(inner, 0)
    }

    /// As [`FaultyBucket::new`], with the seed of all chance.
    #[must_use]
    pub fn seeded(inner: Arc<dyn Bucket>, seed: u64) -> Self {
        Self {
            inner,
            state: Arc::new(Mutex::new(State::new(seed))),
        }
    }

    /// Adds a rule behind those there are.
    pub fn add(&self, rule: Rule) {
        self.state.lock().rules.push(rule);
    }

    /// Adds a rule that stops its calls at a new gate.
    #[must_use]
    pub fn pause(&self, rule: impl FnOnce(Fault) -> Rule) -> Gate {
        let gate = Gate::new();
        self.add(rule(Fault::Pause(gate.clone())));
        gate
    }

    /// Removes all rules: from now on every call goes through.
    pub fn heal(&self) {
        self.state.lock().rules.clear();
    }

    /// The calls so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().calls.clone()
    }

    /// How often an operation was called, on any key.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.state
            .lock()
            .calls
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.state.lock().calls.clear();
    }

    /// Notes the call and waits as its rules say; gives the fault that decides.
    async fn enter(&self, operation: Operation, key: &str) -> Option<Fault> {
        let faults = self.state.lock().faults(operation, key);
        for fault in faults {
            match fault {
                Fault::Delay(time) => tokio::time::sleep(time).await,
                Fault::Pause(gate) => gate.pass().await,
                decisive => return Some(decisive),
            }
        }
        None
    }

    fn error(&self, kind: ErrorKind, operation: Operation, key: &str) -> Error {
        Error::new(kind, operation, self.inner.name(), key, "injected fault")
    }

    /// The answer of a read that is not allowed to see the present object, if a fault says so.
    fn past(
        &self,
        fault: Option<&Fault>,
        operation: Operation,
        key: &str,
    ) -> Result<Option<Version>> {
        match fault {
            Some(Fault::FailBefore(kind)) => Err(self.error(*kind, operation, key)),
            Some(Fault::NotFound) => Err(Error::not_found(operation, self.inner.name(), key)),
            Some(Fault::Stale(writes)) => match self.state.lock().version(key, *writes) {
                Some(Some(version)) => Ok(Some(version)),
                Some(None) => Err(Error::not_found(operation, self.inner.name(), key)),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn slice(
        &self,
        operation: Operation,
        key: &str,
        from: &Version,
        r: &Range<u64>,
    ) -> Result<Bytes> {
        let range = key::clamp(r, from.attributes.size).map_err(|message| {
            Error::new(
                ErrorKind::Invalid,
                operation,
                self.inner.name(),
                key,
                message,
            )
        })?;
        Ok(from.body.slice(range.start as usize..range.end as usize))
    }

    /// A changing call: the journal gets what it replaced, if it took effect.
    async fn write(
        &self,
        operation: Operation,
        key: &str,
        effect: impl Future<Output = Result<()>> + Send,
    ) -> Result<()> {
        let fault = self.enter(operation, key).await;
        if let Some(Fault::FailBefore(kind)) = fault {
            return Err(self.error(kind, operation, key));
        }
        let before = self.present(key).await;
        effect.await?;
        self.state.lock().journal.push(Write {
            key: key.to_owned(),
            before,
        });
        match fault {
            Some(Fault::FailAfter(kind)) => Err(self.error(kind, operation, key)),
            _ => Ok(()),
        }
    }

    async fn present(&self, key: &str) -> Option<Version> {
        let attributes = self.inner.attributes(key).await.ok()?;
        let body = self.inner.get(key, u64::MAX).await.ok()?;
        Some(Version { body, attributes })
    }

    async fn faulty_list<'a>(
        &'a self,
        prefix: &'a str,
        depth: Depth,
    ) -> BoxStream<'a, Result<Entry>> {
        let fault = self.enter(Operation::List, prefix).await;
        let fail = |kind| Err(self.error(kind, Operation::List, prefix));
        let entries = self.inner.list(prefix, depth);
        match fault {
            Some(Fault::FailBefore(kind)) => stream::iter([fail(kind)]).boxed(),
            Some(Fault::FailAfter(kind)) => entries.chain(stream::iter([fail(kind)])).boxed(),
            Some(Fault::ListFails(n)) => entries
                .take(n)
                .chain(stream::iter([fail(ErrorKind::Unavailable)]))
                .boxed(),
            Some(Fault::ListTorn(n)) => entries.take(n).boxed(),
            Some(Fault::ListMisses(probability)) => entries
                .try_filter(move |_| {
                    futures::future::ready(self.state.lock().draw() >= probability)
                })
                .boxed(),
            Some(Fault::NotFound) => stream::empty().boxed(),
            Some(Fault::ListStale(writes)) => match self.stale_list(prefix, depth, writes).await {
                Ok(entries) => stream::iter(entries.into_iter().map(Ok)).boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            },
            _ => entries,
        }
    }

    /// The listing with the last `writes` writes undone.
    async fn stale_list(&self, prefix: &str, depth: Depth, writes: usize) -> Result<Vec<Entry>> {
        let folder = prefix.strip_suffix('/').unwrap_or(prefix);
        let present = self
            .inner
            .list(prefix, Depth::Recursive)
            .try_collect::<Vec<_>>()
            .await?;
        let mut objects: BTreeMap<_, _> = present
            .into_iter()
            .map(|entry| (entry.key, entry.attributes))
            .collect();
        for write in self.state.lock().journal.iter().rev().take(writes) {
            match &write.before {
                Some(version) => objects.insert(write.key.clone(), Some(version.attributes)),
                None => objects.remove(&write.key),
            };
        }
        Ok(listing::entries(objects.into_iter(), folder, depth))
    }
}

#[async_trait]
impl BucketReader for FaultyBucket {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn read_gap(&self) -> u64 {
        self.inner.read_gap()
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        let fault = self.enter(Operation::Get, key).await;
        let body = match self.past(fault.as_ref(), Operation::Get, key)? {
            Some(version) if version.attributes.size > limit => {
                return Err(Error::too_long(
                    self.name(),
                    key,
                    version.attributes.size,
                    limit,
                ));
            }
            Some(version) => version.body,
            None => self.inner.get(key, limit).await?,
        };
        match fault {
            Some(Fault::FailAfter(kind)) => Err(self.error(kind, Operation::Get, key)),
            Some(Fault::Truncate(bytes)) => Ok(body.slice(..bytes.min(body.len()))),
            _ => Ok(body),
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let fault = self.enter(Operation::GetRange, key).await;
        let body = match self.past(fault.as_ref(), Operation::GetRange, key)? {
            Some(version) => self.slice(Operation::GetRange, key, &version, &range)?,
            None => self.inner.get_range(key, range).await?,
        };
        match fault {
            Some(Fault::FailAfter(kind)) => Err(self.error(kind, Operation::GetRange, key)),
            Some(Fault::Truncate(bytes)) => Ok(body.slice(..bytes.min(body.len()))),
            _ => Ok(body),
        }
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fault = self.enter(Operation::GetRanges, key).await;
        let mut bodies = match self.past(fault.as_ref(), Operation::GetRanges, key)? {
            Some(version) => ranges
                .iter()
                .map(|range| self.slice(Operation::GetRanges, key, &version, range))
                .collect::<Result<Vec<_>>>()?,
            None => self.inner.get_ranges(key, ranges).await?,
        };
        match fault {
            Some(Fault::FailAfter(kind)) => Err(self.error(kind, Operation::GetRanges, key)),
            Some(Fault::Truncate(bytes)) => {
                if let Some(last) = bodies.last_mut() {
                    last.truncate(bytes);
                }
                Ok(bodies)
            }
            _ => Ok(bodies),
        }
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        let fault = self.enter(Operation::Attributes, key).await;
        let attributes = match self.past(fault.as_ref(), Operation::Attributes, key)? {
            Some(version) => version.attributes,
            None => self.inner.attributes(key).await?,
        };
        match fault {
            Some(Fault::FailAfter(kind)) => Err(self.error(kind, Operation::Attributes, key)),
            _ => Ok(attributes),
        }
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        let fault = self.enter(Operation::Exists, key).await;
        let exists = match self.past(fault.as_ref(), Operation::Exists, key) {
            Ok(Some(_)) => true,
            Ok(None) => self.inner.exists(key).await?,
            Err(error) if error.is_not_found() => false,
            Err(error) => return Err(error),
        };
        match fault {
            Some(Fault::FailAfter(kind)) => Err(self.error(kind, Operation::Exists, key)),
            _ => Ok(exists),
        }
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
        stream::once(self.faulty_list(prefix, depth))
            .flatten()
            .boxed()
    }
}

#[async_trait]
impl Bucket for FaultyBucket {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
        self.write(Operation::Put, key, self.inner.put(key, body, mode))
            .await
    }

    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
        let fault = self.enter(Operation::StartMultipart, key).await;
        if let Some(Fault::FailBefore(kind) | Fault::FailAfter(kind)) = fault {
            return Err(self.error(kind, Operation::StartMultipart, key));
        }
        let inner = self.inner.start_multipart(key).await?;
        Ok(Box::new(FaultyUpload {
            bucket: self.clone(),
            key: key.to_owned(),
            inner,
        }))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.write(Operation::Delete, key, self.inner.delete(key))
            .await
    }

    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        let operation = Operation::ListUnfinished;
        match self.enter(operation, "").await {
            Some(Fault::FailBefore(kind) | Fault::FailAfter(kind)) => {
                Err(self.error(kind, operation, ""))
            }
            _ => self.inner.unfinished_uploads().await,
        }
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
        let operation = Operation::AbortMultipart;
        let key = upload.key.as_deref().unwrap_or_default();
        let fault = self.enter(operation, key).await;
        if let Some(Fault::FailBefore(kind)) = fault {
            return Err(self.error(kind, operation, key));
        }
        self.inner.abort_unfinished(upload).await?;
        match fault {
            Some(Fault::FailAfter(kind)) => Err(self.error(kind, operation, key)),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
struct FaultyUpload {
    bucket: FaultyBucket,
    key: String,
    inner: Box<dyn MultipartUpload>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    async fn put_part(&mut self, part: Bytes) -> Result<()> {
        let fault = self.bucket.enter(Operation::PutPart, &self.key).await;
        if let Some(Fault::FailBefore(kind)) = fault {
            return Err(self.bucket.error(kind, Operation::PutPart, &self.key));
        }
        self.inner.put_part(part).await?;
        match fault {
            Some(Fault::FailAfter(kind)) => {
                Err(self.bucket.error(kind, Operation::PutPart, &self.key))
            }
            _ => Ok(()),
        }
    }

    async fn complete(&mut self) -> Result<()> {
        let effect = self.inner.complete();
        self.bucket
            .write(Operation::CompleteMultipart, &self.key, effect)
            .await
    }

    async fn abort(&mut self) -> Result<()> {
        let fault = self
            .bucket
            .enter(Operation::AbortMultipart, &self.key)
            .await;
        if let Some(Fault::FailBefore(kind)) = fault {
            return Err(self
                .bucket
                .error(kind, Operation::AbortMultipart, &self.key));
        }
        self.inner.abort().await
    }
}
