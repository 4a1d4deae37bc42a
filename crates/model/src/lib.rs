//! The vocabulary that all crates share: labels, matchers, relabelling, time, samples, error kinds.
//!
//! Pure: no I/O, no clock, no randomness.

mod error;

pub use error::ErrorKind;
