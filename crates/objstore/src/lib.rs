//! The bucket port over the `object_store` crate: providers, wrappers, fakes, conformance suite.

pub mod conformance;
pub mod fake;

mod bucket;
mod error;
mod filesystem;
mod key;
mod listing;
mod operation;

pub use bucket::{Attributes, Bucket, BucketReader, Depth, Entry, MultipartUpload, PutMode};
pub use error::{Error, Result};
pub use filesystem::FilesystemBucket;
pub use operation::Operation;
