//! A folder as a bucket: a key is a path below it.
//!
//! Built straight on system calls, each call one task of the blocking pool with one `open`, or none where the page cache
//! answers, because a store gateway makes hundreds of thousands of small reads here. Objects appear whole or not at
//! all: they are written beside the others, synced, and moved into place; then the folder is
//! synced (BC-2). Keys cannot leave the root; symbolic links that somebody put below it are
//! followed.

mod buffers;
mod cached;
mod direct;
mod read;
mod write;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use rutile_model::ErrorKind;
use tokio::sync::{Semaphore, mpsc};

use self::buffers::Buffers;
use self::cached::Cached;
use self::read::Trace;
use self::write::FileUpload;
use crate::{
    Attributes, Bucket, BucketReader, Depth, Entry, Error, MultipartUpload, Operation, PutMode,
    Result, UnfinishedUpload, key,
};

/// Entries that a listing reads ahead of its consumer: two batches of this many.
const LIST_BATCH: usize = 1024;

/// File operations at a time: enough to keep a disk busy. Without a bound a burst of reads would
/// start a thread each.
const MAX_CONCURRENT: usize = 64;

/// Folder of unfinished objects, directly below the root: the same file system, so that moving an
/// object into place is atomic. Not part of the bucket.
const UNFINISHED: &str = ".rutile-unfinished";

/// What calls that concern all unfinished uploads are about, in messages.
const UPLOADS: &str = "unfinished uploads";

/// A bucket in a folder.
#[derive(Debug, Clone)]
pub struct FilesystemBucket {
    root: Arc<Path>,
    name: Arc<str>,
    places: Arc<Semaphore>,
    buffers: Arc<Buffers>,
    cached: Arc<Cached>,
    trace: Trace,
}

/// Why a file operation failed.
#[derive(Debug)]
enum Failure {
    Io(io::Error),
    Refused(ErrorKind, String),
}

impl FilesystemBucket {
    /// The bucket in `directory`, which need not exist yet.
    ///
    /// # Errors
    /// When `directory` is relative and the working directory cannot be told.
    pub fn new(directory: impl AsRef<Path>) -> io::Result<Self> {
        let root: Arc<Path> = std::path::absolute(directory)?.into();
        let name = format!("fs: {}", root.display()).into();
        Ok(Self {
            root,
            name,
            places: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            buffers: Arc::default(),
            cached: Arc::default(),
            trace: Trace::Stays,
        })
    }

    /// For whoever reads a block once, from end to end: long reads leave the page cache to what others read.
    #[must_use]
    pub(crate) fn without_trace(mut self) -> Self {
        self.trace = Trace::Goes;
        self
    }

    /// Creates the folder if need be.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create_folder(&self) -> Result<()> {
        std::fs::create_dir_all(&self.root)
            .map_err(|error| self.error(Operation::Open, "", Failure::Io(error)))
    }

    /// Removes what interrupted uploads left more than a day before `now_ms`.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn remove_abandoned(&self, now_ms: i64) -> Result<()> {
        write::remove_abandoned(&self.root, now_ms)
            .map_err(|failure| self.error(Operation::Open, "", failure))
    }

    /// Refuses a key that names no object.
    fn check(&self, operation: Operation, key: &str) -> Result<()> {
        let refused = match key::check(key) {
            Err(message) => Some(message),
            Ok(()) if key.split('/').next() == Some(UNFINISHED) => {
                Some(format!("{UNFINISHED} holds unfinished uploads"))
            }
            Ok(()) => None,
        };
        match refused {
            None => Ok(()),
            Some(message) => Err(self.error(
                operation,
                key,
                Failure::Refused(ErrorKind::Invalid, message),
            )),
        }
    }

    /// Runs `work` on the file of `key` in the blocking pool.
    async fn on_file<T: Send + 'static>(
        &self,
        operation: Operation,
        key: &str,
        work: impl FnOnce(&Path, &Path) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.check(operation, key)?;
        let path = self.root.join(key);
        let root = Arc::clone(&self.root);
        let place = Arc::clone(&self.places).acquire_owned().await;
        let task = move || {
            // Also of a canceled call, whose task goes on, the place is taken until it ends.
            let _place = place;
            work(&root, &path)
        };
        let done = tokio::task::spawn_blocking(task).await;
        match done {
            Ok(result) => result.map_err(|failure| self.error(operation, key, failure)),
            Err(lost) => Err(self.error(operation, key, Failure::Io(io::Error::other(lost)))),
        }
    }

    /// Reads ranges: at once if the page cache has them, otherwise in the blocking pool.
    async fn read(
        &self,
        operation: Operation,
        key: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        self.check(operation, key)?;
        if let Some(parts) = self.cached.ranges(key, ranges, &self.buffers).await {
            return Ok(parts);
        }
        let (ranges, buffers) = (ranges.to_vec(), Arc::clone(&self.buffers));
        let (cached, trace) = (Arc::clone(&self.cached), self.trace);
        self.on_file(operation, key, move |root, path| {
            cached.look(root);
            read::ranges(path, &ranges, &buffers, trace)
        })
        .await
    }

    fn error(&self, operation: Operation, key: &str, failure: Failure) -> Error {
        let error = match failure {
            Failure::Refused(kind, message) => {
                return Error::new(kind, operation, &self.name, key, message);
            }
            Failure::Io(error) => error,
        };
        let (kind, hint) = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                return Error::not_found(operation, &self.name, key);
            }
            io::ErrorKind::AlreadyExists => {
                return Error::already_exists(operation, &self.name, key);
            }
            io::ErrorKind::PermissionDenied => (
                ErrorKind::Denied,
                "; check the owner and permissions of the bucket's directory",
            ),
            io::ErrorKind::ReadOnlyFilesystem => (
                ErrorKind::Denied,
                "; the bucket's directory is on a read-only file system",
            ),
            io::ErrorKind::InvalidFilename | io::ErrorKind::IsADirectory => (
                ErrorKind::Invalid,
                "; the file system cannot hold an object of this key",
            ),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
                ErrorKind::Unavailable,
                "; make room in the bucket's directory",
            ),
            _ => (ErrorKind::Unavailable, ""),
        };
        Error::new(kind, operation, &self.name, key, format!("{error}{hint}")).with_source(error)
    }

    /// The folder to list and the key prefix of its entries.
    fn folder(&self, prefix: &str) -> Result<(PathBuf, String)> {
        let folder = key::check_folder(prefix).map_err(|message| {
            self.error(
                Operation::List,
                prefix,
                Failure::Refused(ErrorKind::Invalid, message),
            )
        })?;
        match folder {
            "" => Ok((self.root.to_path_buf(), String::new())),
            _ => Ok((self.root.join(folder), format!("{folder}/"))),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[async_trait]
impl BucketReader for FilesystemBucket {
    fn name(&self) -> &str {
        &self.name
    }

    /// A read costs a few microseconds: what the page cache copies meanwhile.
    fn read_gap(&self) -> u64 {
        16 * 1024
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        let read = self
            .on_file(Operation::Get, key, move |_, path| read::whole(path, limit))
            .await?;
        read.map_err(|size| Error::too_long(&self.name, key, size, limit))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let mut parts = self.read(Operation::GetRange, key, &[range]).await?;
        Ok(parts.pop().unwrap_or_default())
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read(Operation::GetRanges, key, ranges).await
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        self.on_file(Operation::Attributes, key, |_, path| read::attributes(path))
            .await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        match self
            .on_file(Operation::Exists, key, |_, path| read::attributes(path))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
        let (folder, keys) = match self.folder(prefix) {
            Ok(folder) => folder,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let (sender, receiver) = mpsc::channel(1);
        let root = Arc::clone(&self.root);
        // Ends when the stream is dropped: its next batch finds no receiver.
        tokio::task::spawn_blocking(move || {
            let walked = read::walk(&root, &folder, &keys, depth, &mut |batch| {
                sender.blocking_send(Ok(batch)).is_ok()
            });
            if let Err(failure) = walked {
                sender.blocking_send(Err(failure)).ok();
            }
        });
        let batches = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|batch| (batch, receiver))
        });
        batches
            .map(move |batch| match batch {
                Ok(entries) => stream::iter(entries.into_iter().map(Ok)).left_stream(),
                Err(failure) => {
                    let error = self.error(Operation::List, prefix, failure);
                    stream::iter([Err(error)]).right_stream()
                }
            })
            .flatten()
            .boxed()
    }
}

#[async_trait]
impl Bucket for FilesystemBucket {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
        self.on_file(Operation::Put, key, move |root, path| {
            let mut unfinished = write::Unfinished::new(root)?;
            unfinished.append(&body)?;
            unfinished.commit(root, path, mode)
        })
        .await
    }

    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
        let start = |root: &Path, _: &Path| Ok(write::Unfinished::new(root)?);
        let unfinished = self.on_file(Operation::StartMultipart, key, start).await?;
        Ok(Box::new(FileUpload::new(self.clone(), key, unfinished)))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.on_file(Operation::Delete, key, write::remove).await
    }

    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        let list = |root: &Path, _: &Path| write::unfinished(root);
        self.on_file(Operation::ListUnfinished, UPLOADS, list).await
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
        let id = upload.id.clone();
        let abort = move |root: &Path, _: &Path| write::abort(root, &id);
        self.on_file(Operation::AbortMultipart, UPLOADS, abort)
            .await
    }
}
