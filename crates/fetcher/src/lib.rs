//! The read side of the bucket: list it, load and cache the metadata of its blocks, and decide
//! which of them count.
//!
//! Owns: [`Fetcher`], which turns the bucket into an immutable [`View`], and [`FilterChain`], which
//! turns a view into a [`Selection`] by pure functions. Promises: a bad object affects its own block
//! only (BC-11), a block whose deletion is under way is never taken for an unmarked one, and no
//! decision here makes a reader cover less than before without a name and a counter (BC-7). Never
//! writes to the bucket and never decides from what it could not read.

pub mod filter;

mod cache;
mod chain;
mod error;
mod fetcher;
mod findings;
mod flight;
mod list;
mod load;
mod metrics;
mod selection;
mod view;

pub use chain::{FilterChain, Scope};
pub use error::{Error, Result};
pub use fetcher::{Fetcher, FetcherConfig, ListStrategy, Parts};
pub use metrics::FetcherMetrics;
pub use selection::{Exclusion, MarkDrop, Selection};
pub use view::{BadBlock, BadReason, BlockInfo, MarkState, Marks, PartialBlock, PresentMark, View};
