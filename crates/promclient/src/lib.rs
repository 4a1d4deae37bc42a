//! A client of one Prometheus server: its remote read, its HTTP API, and what it tells of itself.
//!
//! Owns the addresses and the shapes of answers. Promises: every answer has a bound in bytes and in
//! time, an error says which URL it is about, and what a server sends never panics. Answers are the
//! messages of the StoreAPI's sister services, as Prometheus gave them: labels are neither added nor
//! removed here. Never repeats a call, and never keeps an answer.

#![warn(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod client;
mod config;
mod error;
mod read;
mod reports;
mod select;
mod status;

pub use client::{Answer, Client};
pub use config::HttpConfig;
pub use error::{Error, Result};
pub use read::{Deframer, Frame, MAX_FRAME_BYTES, ReadChunk, ReadSeries, ReadStream};
pub use rutile_chunk::WireEncoding;
pub use select::Selection;
pub use status::{Flags, RuntimeInfo};
