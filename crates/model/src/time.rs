//! Points, ranges and lengths of time, all in milliseconds since the Unix epoch.

mod range;

pub use range::TimeRange;
