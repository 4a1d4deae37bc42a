//! The querier over real stores, through real gRPC.
#![expect(
    clippy::unwrap_used,
    reason = "tests, and clippy takes their helpers for code"
)]

mod answers;
mod bad_input;
mod encrypted;
mod figures;
mod grpc;
mod held;
mod process;
mod reports;
mod scraped;
mod scripts;
mod selects;
mod support;
