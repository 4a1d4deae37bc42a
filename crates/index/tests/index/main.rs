//! The index crate against golden blocks, against a naive reader, against an index of version 1
//! and against damage.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod golden;
mod hostile;
mod naive;
mod v1;
