//! gRPC: the querier as a store, and queries.

mod query;
mod samples;
mod store;

pub use query::QueryServer;
pub use store::QuerierStore;
