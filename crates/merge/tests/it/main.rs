//! The streaming merge through its public interface.
#![expect(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test fails by panicking, and shares what it made"
)]

mod editing;
mod faults;
mod golden;
mod naive;
mod rewriting;
mod world;
