//! The shipper against a bucket and a disk that misbehave: a test for each of its rules, and for the scenarios
//! of the contract that concern uploads.
#![expect(clippy::unwrap_used, clippy::clone_on_ref_ptr, reason = "tests")]

mod choosing;
mod crashing;
mod damage;
mod golden;
mod listing;
mod overlapping;
mod racing;
mod world;
