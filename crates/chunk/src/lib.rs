//! Sample encodings and chunk segment files, raw and downsampled. Pure: no I/O, no clock.
//!
//! * [`Chunk`] is an encoding and borrowed bytes; [`Chunk::iter`] reads it sample by sample,
//!   [`decode_samples`] reads all of it into columns.
//! * [`XorAppender`] and [`HistogramAppender`] write chunks with the bytes of Prometheus.
//! * [`AggrChunk`] takes chunks of downsampled blocks apart and puts them together.
//! * [`segment`] finds chunks in segment files and lays them out into new ones.
//! * [`transcode_for_thanos`] makes chunks of newer encodings readable for older peers.
//!
//! Bytes are not trusted: damage is an [`Error`] that says where and what was expected. Nothing
//! panics, and nothing is allocated for what a header claims before the bits for it are there.
//! The formats are described in docs/formats/chunks.md.

#![warn(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod aggr;
mod bits;
mod chunk;
mod columns;
mod encoding;
mod error;
mod histogram;
pub mod segment;
mod start_time;
mod transcode;
mod varbit;
mod window;
mod xor;
mod xor2;

pub use aggr::{AggrChunk, Aggregate};
pub use chunk::{Chunk, ChunkIter, Sample, Value};
pub use columns::{decode_ends, decode_rows, decode_samples, decode_series_rows, fits_rows};
pub use encoding::{Encoding, WireEncoding};
pub use error::{Error, Result};
pub use histogram::{Appended, CounterReset, Float, HistogramAppender, HistogramIter, Int};
pub use segment::ChunkRef;
pub use transcode::transcode_for_thanos;
pub use xor::{XorAppender, XorIter, decode_floats};
pub use xor2::Xor2Iter;
