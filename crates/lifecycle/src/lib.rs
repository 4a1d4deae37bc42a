//! The write side of the bucket: upload, mark, delete, download.
//!
//! Owns every order of requests that makes the bucket safe without a coordinator: this is the only
//! code that changes the objects of a block. Promises: a block is visible only when all its objects
//! are (BC-2), nothing that may be in use goes (BC-3, BC-6), and every call can be repeated after a
//! crash at any request (BC-10). Never decides what to upload, mark or delete.

mod clean;
mod clock;
mod delete;
mod download;
mod error;
mod lease;
mod local;
mod mark;
mod removal;
mod upload;
mod verify;
mod writer;

use std::sync::Arc;

use rutile_block::{Contract, InvariantId};
use rutile_objstore::Bucket;
use rutile_runtime::Clock;
use rutile_telemetry::{IntCounterVec, Registry};

pub use clean::{Cleaned, KeptBecause};
pub use delete::Deleted;
pub use error::{Error, Result};
pub use lease::{Claim, DEFAULT_LEASE, Lease, Leased, Leases};
pub use local::{read_local_meta, send_dir, upload_dir};
pub use mark::{Marked, Standing};
pub use removal::Removal;
pub use upload::{HashFunc, Upload, UploadCopy};
pub use verify::{Damage, damage};
pub use writer::{FileWriter, PART_BYTES};

/// The writing half of the contract on one bucket. Clones share it.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    bucket: Arc<dyn Bucket>,
    clock: Arc<dyn Clock>,
    contract: Contract,
    contract_events: IntCounterVec,
    bucket_clock: Arc<clock::BucketClock>,
}

impl Lifecycle {
    /// What changes blocks in `bucket`, keeping to the delays of `contract`.
    #[must_use]
    pub fn new(
        bucket: Arc<dyn Bucket>,
        clock: Arc<dyn Clock>,
        contract: Contract,
        registry: &Registry,
    ) -> Self {
        let contract_events = registry.int_counter_vec(
            "rutile_contract_events_total",
            "Times that a clause of the bucket contract was broken by somebody, or had to be defended.",
            &["clause"],
        );
        Self {
            bucket,
            clock,
            contract,
            contract_events,
            bucket_clock: Arc::default(),
        }
    }

    fn event(&self, clause: InvariantId) {
        self.contract_events
            .with_label_values(&[clause.as_str()])
            .inc();
    }
}
