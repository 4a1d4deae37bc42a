//! The cloud providers, by the `object_store` crate: its differences between providers end here.
//!
//! Keys reach the provider as they are (never percent-encoded by the library's own rule), removing
//! what is absent succeeds, empty ranges and ranges past the end are `Invalid` everywhere, and
//! every error says what to do about it.

mod explain;
pub(crate) mod unfinished;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMultipartOptions,
    PutOptions, PutPayload,
};
use rutile_model::ErrorKind;
use tokio::task::{JoinError, JoinSet};

use self::unfinished::Unfinished;
use crate::{
    Attributes, Bucket, BucketReader, Depth, Entry, Error, MultipartUpload, Operation,
    PARTS_IN_FLIGHT, PutMode, Result, UnfinishedUpload, key,
};

/// Ranges of one `get_ranges` that are fetched at a time.
const PARALLEL_RANGES: usize = 16;

/// A provider of the library, and what its errors are explained with.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Bucket or container.
    pub(crate) name: String,
    pub(crate) endpoint: String,
    /// The keys of `objstore.config` that hold the credentials.
    pub(crate) credential_keys: &'static str,
    /// The key of `objstore.config` that names the bucket.
    pub(crate) bucket_key: &'static str,
    /// Put on every object that is written.
    pub(crate) attributes: object_store::Attributes,
    /// Requests at a time, for whoever wraps the bucket.
    pub(crate) concurrency: usize,
    /// How to find uploads in parts that nobody finished; none where the provider drops them.
    pub(crate) unfinished: Option<Unfinished>,
}

/// A bucket of a cloud provider.
#[derive(Debug, Clone)]
pub(crate) struct RemoteBucket {
    remote: Arc<Remote>,
}

impl RemoteBucket {
    pub(crate) fn new(remote: Remote) -> Self {
        Self {
            remote: Arc::new(remote),
        }
    }

    /// Requests at a time that the configuration allows.
    pub(crate) fn concurrency(&self) -> usize {
        self.remote.concurrency
    }

    fn invalid(&self, operation: Operation, key: &str, message: impl Into<String>) -> Error {
        Error::new(
            ErrorKind::Invalid,
            operation,
            &self.remote.name,
            key,
            message,
        )
    }

    fn path(&self, operation: Operation, key: &str) -> Result<Path> {
        key::check(key).map_err(|why| self.invalid(operation, key, why))?;
        Path::parse(key).map_err(|error| self.invalid(operation, key, error.to_string()))
    }

    fn folder(&self, prefix: &str) -> Result<Option<Path>> {
        let folder =
            key::check_folder(prefix).map_err(|why| self.invalid(Operation::List, prefix, why))?;
        match folder {
            "" => Ok(None),
            folder => self.path(Operation::List, folder).map(Some),
        }
    }

    fn explain(&self, operation: Operation, key: &str, error: object_store::Error) -> Error {
        self.remote.explain(operation, key, error)
    }

    async fn ranged(&self, operation: Operation, key: &str, range: Range<u64>) -> Result<Bytes> {
        let path = self.path(operation, key)?;
        key::check_range(&range).map_err(|why| self.invalid(operation, key, why))?;
        let options = GetOptions::default().with_range(Some(range));
        let fetch = async {
            self.remote
                .store
                .get_opts(&path, options)
                .await?
                .bytes()
                .await
        };
        fetch
            .await
            .map_err(|error| self.explain(operation, key, error))
    }

    async fn head(&self, operation: Operation, key: &str) -> Result<ObjectMeta> {
        let path = self.path(operation, key)?;
        let head = self.remote.store.head(&path).await;
        head.map_err(|error| self.explain(operation, key, error))
    }

    async fn shallow(&self, prefix: &str) -> Result<Vec<Entry>> {
        let folder = self.folder(prefix)?;
        let listed = self.remote.store.list_with_delimiter(folder.as_ref()).await;
        let listed = listed.map_err(|error| self.explain(Operation::List, prefix, error))?;
        let folders = listed.common_prefixes.into_iter().map(|path| Entry {
            key: format!("{path}/"),
            attributes: None,
        });
        let objects = listed
            .objects
            .into_iter()
            .filter(|object| !is_marker(&object.location, folder.as_ref()))
            .map(entry);
        Ok(folders.chain(objects).collect())
    }
}

/// Whether an object is the listed folder's own marker: an empty object whose key is the folder's.
fn is_marker(path: &Path, folder: Option<&Path>) -> bool {
    folder == Some(path)
}

fn entry(object: ObjectMeta) -> Entry {
    let attributes = Some(attributes(&object));
    Entry {
        key: object.location.into(),
        attributes,
    }
}

fn attributes(object: &ObjectMeta) -> Attributes {
    Attributes {
        size: object.size,
        last_modified_ms: object.last_modified.timestamp_millis(),
    }
}

#[async_trait]
impl BucketReader for RemoteBucket {
    fn name(&self) -> &str {
        &self.remote.name
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        let path = self.path(Operation::Get, key)?;
        let explain = |error| self.explain(Operation::Get, key, error);
        let found: GetResult = self
            .remote
            .store
            .get_opts(&path, GetOptions::default())
            .await
            .map_err(explain)?;
        match found.meta.size {
            size if size > limit => Err(Error::too_long(self.name(), key, size, limit)),
            _ => found.bytes().await.map_err(explain),
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.ranged(Operation::GetRange, key, range).await
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        // Not the library's own, which merges ranges by a gap of its choice.
        let fetches: Vec<_> = ranges
            .iter()
            .map(|range| self.ranged(Operation::GetRanges, key, range.clone()))
            .collect();
        stream::iter(fetches)
            .buffered(PARALLEL_RANGES)
            .try_collect()
            .await
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        Ok(attributes(&self.head(Operation::Attributes, key).await?))
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        match self.head(Operation::Exists, key).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
        if depth == Depth::Shallow {
            return stream::once(self.shallow(prefix))
                .map_ok(|entries| stream::iter(entries.into_iter().map(Ok)))
                .try_flatten()
                .boxed();
        }
        let folder = match self.folder(prefix) {
            Ok(folder) => folder,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        self.remote
            .store
            .list(folder.as_ref())
            .map_err(|error| self.explain(Operation::List, prefix, error))
            .try_filter(move |object| {
                futures::future::ready(!is_marker(&object.location, folder.as_ref()))
            })
            .map_ok(entry)
            .boxed()
    }
}

#[async_trait]
impl Bucket for RemoteBucket {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
        let path = self.path(Operation::Put, key)?;
        let mode = match mode {
            PutMode::Overwrite => object_store::PutMode::Overwrite,
            PutMode::Create => object_store::PutMode::Create,
        };
        let attributes = self.remote.attributes.clone();
        let options = PutOptions {
            mode,
            attributes,
            ..PutOptions::default()
        };
        let put = self
            .remote
            .store
            .put_opts(&path, PutPayload::from_bytes(body), options)
            .await;
        put.map(drop)
            .map_err(|error| self.explain(Operation::Put, key, error))
    }

    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
        let path = self.path(Operation::StartMultipart, key)?;
        let attributes = self.remote.attributes.clone();
        let options = PutMultipartOptions {
            attributes,
            ..PutMultipartOptions::default()
        };
        let upload = self.remote.store.put_multipart_opts(&path, options).await;
        let upload = upload.map_err(|error| self.explain(Operation::StartMultipart, key, error))?;
        let remote = Arc::clone(&self.remote);
        Ok(Box::new(RemoteUpload {
            remote,
            key: key.to_owned(),
            upload,
            sending: JoinSet::new(),
        }))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(Operation::Delete, key)?;
        match self.remote.store.delete(&path).await {
            Ok(()) => Ok(()),
            Err(error) => match self.explain(Operation::Delete, key, error) {
                absent if absent.is_not_found() => Ok(()),
                error => Err(error),
            },
        }
    }

    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        match &self.remote.unfinished {
            Some(unfinished) => unfinished.list(&self.remote).await,
            None => Ok(vec![]),
        }
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
        let (Some(unfinished), Some(key)) = (&self.remote.unfinished, &upload.key) else {
            return Ok(());
        };
        let path = self.path(Operation::AbortMultipart, key)?;
        match unfinished.abort(&path, &upload.id).await {
            Ok(()) => Ok(()),
            Err(error) => match self.explain(Operation::AbortMultipart, key, error) {
                absent if absent.is_not_found() => Ok(()),
                error => Err(error),
            },
        }
    }
}

/// A large upload: several parts are sent at a time. Dropped, it stops sending.
#[derive(Debug)]
struct RemoteUpload {
    remote: Arc<Remote>,
    key: String,
    upload: Box<dyn object_store::MultipartUpload>,
    sending: JoinSet<object_store::Result<()>>,
}

impl RemoteUpload {
    fn done(&self, operation: Operation, result: object_store::Result<()>) -> Result<()> {
        result.map_err(|error| self.remote.explain(operation, &self.key, error))
    }

    fn arrived(&self, part: Result<object_store::Result<()>, JoinError>) -> Result<()> {
        let operation = Operation::PutPart;
        match part {
            Ok(sent) => self.done(operation, sent),
            Err(error) => {
                let (name, message) = (&self.remote.name, format!("a part was not sent: {error}"));
                let kind = ErrorKind::Internal;
                Err(Error::new(kind, operation, name, &self.key, message))
            }
        }
    }
}

#[async_trait]
impl MultipartUpload for RemoteUpload {
    async fn put_part(&mut self, part: Bytes) -> Result<()> {
        while self.sending.len() >= PARTS_IN_FLIGHT
            && let Some(part) = self.sending.join_next().await
        {
            self.arrived(part)?;
        }
        let part = self.upload.put_part(PutPayload::from_bytes(part));
        self.sending.spawn(part);
        while let Some(part) = self.sending.try_join_next() {
            self.arrived(part)?;
        }
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        while let Some(part) = self.sending.join_next().await {
            self.arrived(part)?;
        }
        let completed = self.upload.complete().await.map(drop);
        self.done(Operation::CompleteMultipart, completed)
    }

    async fn abort(&mut self) -> Result<()> {
        self.sending.shutdown().await;
        let aborted = self.upload.abort().await;
        self.done(Operation::AbortMultipart, aborted)
    }
}
