//! The conformance suite on every bucket, and what only one kind of bucket does.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod cloud;
mod failures;
mod gcs_fake;
mod local;
mod wrappers;
