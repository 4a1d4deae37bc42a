//! The sidecar beside a real Prometheus, on real blocks.
#![expect(
    clippy::unwrap_used,
    reason = "tests, and clippy takes their helpers for code"
)]

mod conformance;
mod golden_sidecar;
mod limits;
mod process;
mod reloading;
mod reports;
mod setups;
mod support;
