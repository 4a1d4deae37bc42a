//! A simulation of the bucket contract: real readers and writers on a bucket with faults, from a seed.
//!
//! Owns a bucket that loses, delays, repeats and garbles requests, clocks that are wrong, processes
//! that crash and freeze, and an oracle that knows what must be true all the same. The code under test
//! is that of production, unchanged: `lifecycle`, `fetcher`, the compactor with its merges, the store
//! gateway. Promises: everything runs on one thread in virtual time, and the same seed gives the same
//! trace byte for byte. `docs/simulation.md` says how to use it.

mod actor;
mod cell;
mod cells;
mod client;
mod coverage;
mod erasure;
mod objects;
mod oracle;
mod profile;
mod replicas;
mod run;
mod scenario;
mod trace;
mod windows;
mod world;

pub use coverage::{NEIGHBOURS, SCENARIOS};
pub use erasure::Erasure;
pub use oracle::Violation;
pub use profile::{Fault, Profile};
pub use replicas::Replicas;
pub use run::{Outcome, run, shrink};
pub use scenario::{Scenario, Split};
pub use world::Counts;
