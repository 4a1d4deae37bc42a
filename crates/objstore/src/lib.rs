//! The bucket port over the `object_store` crate: providers, wrappers, fakes, conformance suite.

mod bucket;
mod error;

pub use bucket::{Attributes, Bucket, BucketReader, Depth, Entry, MultipartUpload, PutMode};
pub use error::{Error, Result};
