//! Block metadata and the bucket contract, as pure data.
//!
//! Owns: block identifiers, `meta.json`, the three marks, the keys of a block's objects, the names
//! of the contract's clauses, its delays, and the decisions that readers and cleaners take from
//! them. Promises: untrusted bytes never panic, and what is written is byte for byte what Thanos
//! and Prometheus write. Never does I/O and never reads a clock: "now" is an argument.
#![warn(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod contract;
mod error;
mod go_json;
mod id;
mod invariant;
mod key;
mod lease;
mod mark;
mod meta;
mod removal;

pub use contract::{Contract, Violation, age_ms, uploaded_at_ms};
pub use error::{Error, Result};
pub use id::{BlockId, InvalidBlockId};
pub use invariant::InvariantId;
pub use key::{
    CHUNKS_DIR, INDEX_FILE, META_FILE, Part, block_prefix, chunk_key, file_key, index_key, is_mark,
    mark_key, meta_key, parse_entry, parse_key,
};
pub use lease::{Epoch, LEASE_WINDOW_MS, LEASES_PREFIX, Work, parse_lease_key, window_start};
pub use mark::{
    DeletionMark, MAX_MARK_BYTES, Mark, MarkKind, NoCompactMark, NoDownsampleMark, details, reason,
};
pub use meta::{
    BlockDesc, Compaction, Downsample, FileHash, FileStat, GroupKey, IndexStats, MAX_META_BYTES,
    META_VERSION, Meta, RawJson, Source, Stats, ThanosMeta, UploadTime, resolution,
};
pub use removal::{MAX_REMOVAL_BYTES, REMOVALS_PREFIX, RemovalNotice};
