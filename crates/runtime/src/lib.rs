//! What a simulation must own: wall time, randomness, tasks, CPU-bound work and memory.
//!
//! This is the only crate that reads the wall clock, draws random numbers and starts tasks or
//! threads. Everything else receives a [`Clock`], an [`Entropy`], a [`TaskGroup`] (or its
//! [`Spawner`]), a [`CpuPool`] and a [`Ledger`] as arguments, so that a test can put its own in
//! their place. Waiting is done with `tokio::time`, which tests can pause.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one place where the wall clock, randomness and tasks come from"
)]

mod cgroup;
mod clock;
mod cpu;
mod entropy;
mod ledger;
mod task;

pub use tokio_util::sync::CancellationToken;

pub use crate::cgroup::{MemoryLimit, MemoryLimitSource};
pub use crate::clock::{Clock, ManualClock, Moment, SystemClock};
pub use crate::cpu::CpuPool;
pub use crate::entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use crate::ledger::{
    Account, Exhausted, ExhaustedReason, Ledger, LedgerConfig, LedgerStats, Reservation,
};
pub use crate::task::{ShutdownReport, Spawner, Task, TaskError, TaskGroup};
