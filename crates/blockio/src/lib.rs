//! Reading a block from a bucket: header, postings, series entries and chunks, by coalesced ranges.
//!
//! Promises: no more bytes are held than were reserved; a damaged object is an error that names the
//! object and the offset; a dropped future cancels its reads. Never writes to the bucket, and never
//! answers from an object that is gone: that is an error for whoever asked (BC-17).

mod block;
mod cache;
mod chunks;
mod error;
mod estimate;
mod header;
mod limits;
mod partition;
mod plan;
mod postings;
mod request;
mod series;
mod stats;

pub use block::{BlockEnv, BlockReader, Observer};
pub use cache::{IndexCache, NoCache};
pub use chunks::{Chunks, WantedChunk};
pub use error::{Error, Result};
pub use header::HeaderBudget;
pub use limits::{Limiter, Limits};
pub use partition::{Part, coalesce};
pub use postings::Selected;
pub use request::Request;
pub use series::SeriesEntries;
pub use stats::{DataFigures, DataStats, Stats};
