//! Uploading the blocks of a local database to the bucket, as sidecar, receiver and ruler do.
//!
//! Owns: which local blocks go up and in what order, and the list of those that did
//! (`thanos.shipper.json`). Promises: a block is on the list only when the bucket has it whole, or when
//! it carries a deletion mark there (BC-2, BC-15); it is on the list before the next one is begun, so that
//! no later failure makes it go up again (P8). Never changes a local block, and changes the bucket through
//! `lifecycle` alone.

mod error;
mod list;
mod local;
mod metrics;
mod overlap;
mod shipper;

use std::sync::Arc;

use rutile_block::Source;
use rutile_disk::AsyncDisk;
use rutile_lifecycle::{HashFunc, Lifecycle};
use rutile_model::Labels;
use rutile_objstore::BucketReader;
use rutile_runtime::Clock;
use tokio::sync::watch;

pub use error::{Error, Result};
pub use shipper::{Shipper, Synced};

/// The name of the list where no other is set (`--shipper.meta-file-name`).
pub const DEFAULT_LIST_FILE: &str = "thanos.shipper.json";

/// The settings of a shipper.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who makes the blocks: what their metadata says.
    pub source: Source,
    /// Which hash of its files a block records (`--hash-func`).
    pub hash: HashFunc,
    /// The list of uploaded blocks, in the folder of the database (`--shipper.meta-file-name`).
    pub list_file: String,
    /// Whether blocks that the database compacted go up, too (`--shipper.upload-compacted`).
    pub upload_compacted: bool,
    /// Whether the blocks after one that failed go up before it, and compacted ones without a look for
    /// overlaps (`--shipper.allow-out-of-order-uploads`).
    pub allow_out_of_order_uploads: bool,
    /// Whether local blocks that cannot be read are left out (`--shipper.skip-corrupted-blocks`).
    pub skip_corrupted_blocks: bool,
    /// Files of a block that go up at a time; 0 is 1 (`--shipper.upload-concurrency`). Each holds up to
    /// 16 MiB.
    pub upload_concurrency: usize,
}

impl Config {
    /// The defaults of the flags.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            hash: HashFunc::None,
            list_file: DEFAULT_LIST_FILE.to_owned(),
            upload_compacted: false,
            allow_out_of_order_uploads: false,
            skip_corrupted_blocks: false,
            upload_concurrency: 0,
        }
    }
}

/// What a shipper works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The writing half of the contract, on `bucket`.
    pub lifecycle: Lifecycle,
    /// The bucket, to look for overlaps in.
    pub bucket: Arc<dyn BucketReader>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The folder of the local database. One shipper at a time works on it.
    pub disk: AsyncDisk,
    /// The external labels. Each sync takes what they are at its beginning.
    pub labels: watch::Receiver<Labels>,
}
