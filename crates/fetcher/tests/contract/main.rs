//! The read side of the contract: a test for each clause that reading can break, and for each
//! scenario that the reference does not survive.
#![expect(clippy::unwrap_used, clippy::clone_on_ref_ptr, reason = "tests")]

mod blocks;
mod caches;
mod looks;
mod marks;
mod selections;
mod world;
