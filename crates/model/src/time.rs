//! Points, ranges and lengths of time. Points are milliseconds since the Unix epoch.

mod go_duration;
mod prom_duration;
mod range;
mod rfc3339;
mod time_or_duration;

pub use go_duration::GoDuration;
pub use prom_duration::PromDuration;
pub use range::TimeRange;
pub use rfc3339::{format_rfc3339, parse_rfc3339};
pub use time_or_duration::TimeOrDuration;
