//! The compactor: keeps a bucket in order.
//!
//! Owns the loop that looks at the bucket, merges blocks into larger ones, marks what was replaced or
//! has outlived its retention, deletes what was marked long enough ago, and cleans up what uploads
//! left behind. What to do is decided by pure functions of one look at the bucket and the time
//! ([`group`], [`plan`], [`retention`], [`sweep`]); [`Compactor`] carries it out through `lifecycle`, and
//! [`outlook`] puts it into words.
//! Promises: nothing is stored between two looks, so a crash at any request leaves a state from which
//! the next look goes on (BC-10); a bad block stops its own group only (BC-11); no error ends the
//! process while it is told to wait.

pub mod group;
pub mod outlook;
pub mod plan;
pub mod retention;
pub mod sweep;

mod args;
mod assembly;
mod compactor;
mod component;
mod downsampling;
mod error;
mod loadable;
mod metrics;
mod once;
mod progress;
mod sweeper;
mod times;
mod web;
mod work;
mod workers;

pub use args::{CompactArgs, replica_labels};
pub use assembly::{CompactConfig, Parts};
pub use compactor::{Compactor, Report};
pub use component::CompactComponent;
pub use error::{Error, Result};
pub use group::{Group, Groups, Hold, Member};
pub use outlook::Outlook;
pub use plan::{Outstanding, Plan, Planner};
pub use retention::Retention;
