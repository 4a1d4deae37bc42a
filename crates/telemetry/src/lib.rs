//! Logs, metrics and spans: what the process tells its operators.
//!
//! There are no globals but the subscriber of `tracing`: a component receives a [`Registry`],
//! makes its handles when it is built, and passes them on. Metric names are written in full where
//! they are made, so that a search for a name in a dashboard ends at the code that sets it.

mod log;
mod process;
mod registry;
pub mod spans;

pub use prometheus::core::Collector;
pub use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramTimer, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, exponential_buckets, linear_buckets,
};

pub use crate::log::{LogConfig, LogError, LogFormat, LogLevel, NowMs, init, subscriber};
pub use crate::process::{BuildInfo, register_process};
pub use crate::registry::{Registry, TEXT_FORMAT};
