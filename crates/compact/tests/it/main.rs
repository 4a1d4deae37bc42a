//! The compactor as a whole, on real blocks.
#![expect(
    clippy::unwrap_used,
    reason = "tests, and clippy takes their helpers for code"
)]

mod bad_input;
mod contract;
mod crash;
mod downsampling;
mod golden;
mod process;
mod prometheus;
mod reader;
mod vertical;
mod workers;
mod world;
