//! The bucket port over the `object_store` crate: providers, wrappers, fakes, conformance suite.

pub mod conformance;
pub mod fake;
pub mod probe;
pub mod wrap;

mod bucket;
mod config;
mod error;
mod filesystem;
mod key;
mod listing;
mod open;
mod operation;
mod remote;

pub use bucket::{
    Attributes, Bucket, BucketReader, Depth, Entry, MultipartUpload, PARTS_IN_FLIGHT, PutMode,
    UnfinishedUpload,
};
pub use error::{Error, Result};
pub use filesystem::FilesystemBucket;
pub use open::{OpenContext, check_reachable, create, open, open_reader};
pub use operation::Operation;
