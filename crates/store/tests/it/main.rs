//! The store gateway as a whole, on real blocks.
#![expect(
    clippy::unwrap_used,
    reason = "tests, and clippy takes their helpers for code"
)]

mod bad_input;
mod blocks;
mod clients;
mod conformance;
mod contract;
mod golden_storeapi;
mod order;
mod process;
mod support;
mod world;
