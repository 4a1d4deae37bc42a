//! The algebra of native histograms with float counts, as PromQL needs it.
//!
//! Everything gives the result of Prometheus 3.14 to the last bit: the order of the floating-point
//! operations is part of the contract, and each module names the functions that it follows.
//!
//! What was decoded from a block goes through here unchecked, so nothing panics, loops for long or
//! allocates more than its input justifies, whatever the spans claim: buckets are walked, never span
//! lengths. Prometheus panics on histograms whose spans and buckets contradict each other; here an
//! operation that must rely on them returns an [`HistogramError`], and one that only reads pairs off
//! as many buckets as both have.

pub mod classic;

mod arith;
mod bounds;
mod buckets;
mod combine;
mod compact;
mod custom;
mod equal;
mod error;
mod kahan;
mod layout;
mod quantile;
mod reset;
mod resolution;
mod rows;
mod stats;
mod sums;
mod text;
mod trim;
mod validate;
mod zero;

#[cfg(test)]
mod tests;

pub use arith::Reconciled;
pub use bounds::{
    EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, EXPONENTIAL_SCHEMA_MIN_RESERVED,
    exponential_bound, is_exponential_schema,
};
pub use buckets::{AllBuckets, Bucket, Buckets};
pub use error::HistogramError;
pub use kahan::{Compensation, kahan_inc};
pub use quantile::NanObservations;
pub use rows::{HistogramLayout, HistogramMatrix, HistogramRows};
pub use sums::{HistogramSum, HistogramSums};
pub use trim::Keep;
