//! The store gateway: serves the blocks of a bucket over the StoreAPI.
//!
//! Reads only: it gets a `BucketReader`, and nothing in it can change the bucket. A request pins one
//! immutable set of blocks ([`sync`] replaces it as a whole) and reads them within the memory that
//! the ledger grants. A block is dropped only when what replaces it is loaded, or when the contract
//! says that nothing will.

mod args;
mod assembly;
mod block;
mod component;
mod error;
mod gate;
mod gateway;
mod info;
mod labels;
mod metrics;
mod series;
mod sync;
mod web;

pub use args::StoreArgs;
pub use assembly::{Parts, Store, StoreConfig};
pub use component::StoreComponent;
pub use error::{Error, Result};
pub use gateway::{CallLimits, Gateway, GatewayConfig};
pub use sync::{HeaderDownload, SyncConfig, Synced, Syncer};
