//! Behaviour around any bucket: each wrapper is a bucket again, for reading or for both.

mod deadline;
mod limit;
mod metrics;
mod prefix;
mod retry;

pub use deadline::{Deadline, Deadlines};
pub use limit::Limited;
pub use metrics::Metered;
pub use prefix::Prefixed;
pub use retry::{Backoff, Retrying};
