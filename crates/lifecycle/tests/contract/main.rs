//! The write side of the contract: a test for each clause that writing can break, and for the
//! scenarios that the reference does not survive, with a crash at every request where that matters.
#![expect(clippy::unwrap_used, clippy::clone_on_ref_ptr, reason = "tests")]

mod cleaning;
mod deleting;
mod leasing;
mod local;
mod marking;
mod removing;
mod uploading;
mod world;
