//! The vocabulary that all crates share: labels, matchers, relabelling, time, samples, error kinds.
//!
//! Pure: no I/O, no clock, no randomness. Everything here is deterministic in its arguments.

pub mod config;
pub mod go_float;
pub mod histogram;
pub mod labels;
pub mod matcher;
pub mod regex;
pub mod relabel;
pub mod sample;
pub mod samples;
pub mod size;
pub mod time;
pub mod windows;

mod error;
mod quantity;
mod quote;
mod text;

pub use error::{Error, ErrorKind};
pub use labels::{Label, Labels, LabelsBuilder, LabelsDecoder};
pub use matcher::{MatchOp, Matcher};
pub use quote::{quote, unquote_prefix, unquote_prefix_bytes};
pub use regex::{Patterns, Regex};
pub use relabel::{RelabelAction, RelabelConfig};
pub use sample::{CounterResetHint, FloatHistogram, Histogram, Sample, Span};
pub use samples::Samples;
pub use size::ByteSize;
pub use time::{GoDuration, PromDuration, TimeOrDuration, TimeRange};
pub use windows::{WindowEnds, WindowTimes};

/// Result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
