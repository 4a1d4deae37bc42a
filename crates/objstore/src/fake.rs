//! Buckets for tests: one in memory, and a wrapper that fails as scripted.

mod faulty;
mod memory;
mod rule;
mod state;

pub use faulty::FaultyBucket;
pub use memory::MemoryBucket;
pub use rule::{Fault, Gate, Rule};
pub use state::Call;
