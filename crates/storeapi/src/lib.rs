//! The StoreAPI and Info as a Rust trait, on both sides of the wire.
//!
//! Owns [`StoreApi`], the encoding of its answers ([`FrameWriter`], [`Frames`]) and their decoding
//! ([`Batch`]), the gRPC server and client around it, and the rules that every store keeps: order,
//! shards, merging.
//! Promises that a frame is written once: what a store encodes is what the socket is given.
//! Never decides what a store answers, and starts no task.

mod api;
pub mod conformance;
mod encode;
mod error;
mod frames;
pub mod grpc;
mod limits;
mod matchers;
pub mod memory;
mod merge;
mod shard;

pub use api::{DEFAULT_TENANT, RequestContext, SeriesStream, StoreApi};
pub use encode::{ChunkRef, EncodedLabel, FLUSH_BYTES, FrameWriter, MAX_BATCH_BYTES, SeriesWriter};
pub use error::{Error, Result};
pub use frames::Frames;
pub use limits::{CallCounter, CallLimits};
pub use matchers::{compile_matchers, compile_matchers_apart, without_external};
pub use merge::{Batch, BatchStream, Item, ItemStream, encode_items, merge, merge_batches};
pub use rutile_proto::{
    hintspb,
    series::{AggrChunk, Series},
    thanos::{self, info},
};
pub use shard::shard_matches;
