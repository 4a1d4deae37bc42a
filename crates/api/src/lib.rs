//! The shapes of Prometheus's HTTP API: parameters, envelope, JSON.
//!
//! Owns how a request is read ([`Params`]), how a result is written ([`json`], [`Answer`] bodies in
//! bounded pieces) and what surrounds it: status, error types and their HTTP codes, warnings, caching,
//! compression, CORS ([`Reply`], [`Failed`], [`Headers`]). The bytes are those of Thanos, which are Prometheus's but for
//! `warnings`, where Thanos also puts the infos, and `analysis`. Never decides what is answered, and knows no route.
//!
//! [`Answer`]: rutile_promql::Answer

mod error;
pub mod json;
pub mod params;
pub mod reports;
mod respond;
pub mod tree;

pub use error::{ErrorType, Failed, Result};
pub use params::Params;
pub use respond::{Data, Headers, QueryData, Reply};
