//! The querier: PromQL over many stores, as `thanos query`.
//!
//! Owns what lies between the HTTP API and the fan-out: parameters and settings of a query, its turn, its time and its
//! memory, the series of the stores as the engine wants them ([`Querier`]). It keeps no data, and decides nothing about
//! which store is asked: that is the fan-out's.

mod active;
mod args;
mod component;
mod gate;
mod grpc;
mod lookback;
mod matchers;
mod metrics;
mod querier;
mod source;
mod tenancy;
mod web;

pub use active::ActiveQueries;
pub use args::QueryArgs;
pub use component::QueryComponent;
pub use grpc::{QuerierStore, QueryServer};
pub use metrics::TelemetryBounds;
pub use querier::{Evaluated, Parts, Querier, QuerierConfig, Question, Times, Took};
pub use rutile_storeapi::CallLimits;
pub use source::Selection;
pub use tenancy::Tenancy;
pub use web::{PartialReports, Web, WebConfig};
