//! The bucket port: what Rutile asks of an object store, and nothing more.

use std::fmt::Debug;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::Result;

/// How deep a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The objects and the folders directly below the prefix.
    Shallow,
    /// All objects below the prefix, no folders.
    Recursive,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Full key. A folder ends in `/`.
    pub key: String,
    /// Absent for folders, and where the provider does not tell.
    pub attributes: Option<Attributes>,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Bytes.
    pub size: u64,
    /// When the object was written, by the provider's clock: ms since the Unix epoch.
    pub last_modified_ms: i64,
}

/// What a `put` does when the key exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// Replace the object.
    Overwrite,
    /// Fail with [`rutile_model::ErrorKind::AlreadyExists`]. A request whose answer was lost may be
    /// sent again by a provider's client: the object that exists already may be one's own.
    Create,
}

/// The reading half of a bucket. The store gateway gets no more than this.
///
/// Keys are relative to the configured prefix, with `/` between segments and none at the start.
/// All calls may be repeated; a dropped future cancels its request.
#[async_trait]
pub trait BucketReader: Debug + Send + Sync + 'static {
    /// The bucket's name for metrics and messages: bucket, container or folder.
    fn name(&self) -> &str;

    /// What a request costs, in bytes: two ranges with a gap of at most this many bytes between
    /// them are cheaper to read as one. Wrappers pass on what the provider says.
    fn read_gap(&self) -> u64 {
        512 * 1024
    }

    /// The whole object.
    ///
    /// # Errors
    /// `NotFound`; `Exhausted` when the object is longer than `limit` bytes (nothing is allocated).
    async fn get(&self, key: &str, limit: u64) -> Result<Bytes>;

    /// Bytes `range` (end exclusive) of an object, cut short at the object's end.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` when the range is empty or starts at or past the end.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes>;

    /// Several ranges of one object, in the order asked for. The ranges are read as they are:
    /// who wants them merged, merges them before.
    ///
    /// # Errors
    /// As [`BucketReader::get_range`], for the first range that fails.
    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>>;

    /// Size and modification time.
    ///
    /// # Errors
    /// `NotFound`.
    async fn attributes(&self, key: &str) -> Result<Attributes>;

    /// Whether the object exists.
    ///
    /// # Errors
    /// Whatever keeps the provider from answering.
    async fn exists(&self, key: &str) -> Result<bool>;

    /// What lies below the folder `prefix` (`""` for the root; with or without a trailing `/`).
    /// The order is not promised. An absent folder is an empty listing.
    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>>;
}

/// An upload in parts that was begun and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The key that it would have written; none where the provider keeps that to itself, and then
    /// nobody but this program can have begun it.
    pub key: Option<String>,
    /// The provider's name for it.
    pub id: String,
    /// When it was begun, or last written to where the provider tells that instead: ms since the
    /// Unix epoch, by the provider's clock.
    pub started_ms: i64,
}

/// A bucket that can be written to.
#[async_trait]
pub trait Bucket: BucketReader {
    /// Writes an object in one request.
    ///
    /// # Errors
    /// `AlreadyExists` under [`PutMode::Create`].
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()>;

    /// Starts a large upload: nothing is visible before [`MultipartUpload::complete`].
    ///
    /// # Errors
    /// Whatever keeps the provider from answering.
    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>>;

    /// Removes an object. Removing what is absent succeeds, on every provider.
    ///
    /// # Errors
    /// Whatever keeps the provider from answering.
    async fn delete(&self, key: &str) -> Result<()>;

    /// The uploads in parts to keys of this bucket that are neither completed nor aborted: those
    /// under way, and those that nobody will ever finish. None of a provider that drops unfinished
    /// uploads by itself.
    ///
    /// # Errors
    /// Whatever keeps the provider from answering.
    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>>;

    /// Gives back what such an upload takes. One that is gone already is a success.
    ///
    /// # Errors
    /// Whatever keeps the provider from answering.
    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()>;
}

/// At most so many parts of one upload are held at a time, by providers to which sending one takes long.
pub const PARTS_IN_FLIGHT: usize = 4;

/// An upload in parts. Dropped without `complete` or `abort` it may leave parts behind, which
/// nobody sees and the cleaner removes.
#[async_trait]
pub trait MultipartUpload: Debug + Send {
    /// Sends the next part. All parts but the last are at least 5 MiB. It may still be under way when
    /// this returns, together with others, [`PARTS_IN_FLIGHT`] at most.
    ///
    /// # Errors
    /// Whatever keeps the provider from answering, for this part or an earlier one; the upload is then
    /// to be aborted.
    async fn put_part(&mut self, part: Bytes) -> Result<()>;

    /// Makes the object visible.
    ///
    /// # Errors
    /// Whatever keeps the provider from answering: the object may or may not exist then.
    async fn complete(&mut self) -> Result<()>;

    /// Gives the parts back.
    ///
    /// # Errors
    /// Whatever keeps the provider from answering.
    async fn abort(&mut self) -> Result<()>;
}
