//! Times and lengths of time.

use rutile_model::time::parse_rfc3339;
use rutile_model::{PromDuration, quote};

/// The least and the greatest time of Prometheus, which have no year of four digits, and what they are in ms.
const BOUNDS: [(&str, i64); 2] = [
    (
        "-292273086-05-16T16:47:06Z",
        (i64::MIN / 1000 + 62_135_596_801) * 1000,
    ),
    (
        "292277025-08-18T07:12:54.999999999Z",
        (i64::MAX / 1000 - 62_135_596_801) * 1000 + 999,
    ),
];
/// Beyond this many seconds ms do not fit.
const MAX_SECONDS: f64 = (i64::MAX / 1000) as f64;
const NS_PER_SECOND: f64 = 1e9;

/// Reads a time: seconds since the Unix epoch, rounded to ms, or RFC 3339. Milliseconds.
///
/// # Errors
/// What is wrong, in the words of Prometheus.
pub fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        if seconds.is_nan() || seconds.abs() > MAX_SECONDS {
            return Err(format!(
                "cannot parse {} to a valid timestamp. It overflows int64",
                quote(text)
            ));
        }
        let ms = (seconds.fract() * 1000.0).round() as i64;
        return Ok((seconds.trunc() as i64)
            .saturating_mul(1000)
            .saturating_add(ms));
    }
    if let Ok(ms) = parse_rfc3339(text) {
        return Ok(ms);
    }
    let bound = BOUNDS.iter().find(|(bound, _)| *bound == text);
    bound
        .map(|(_, ms)| *ms)
        .ok_or_else(|| format!("cannot parse {} to a valid timestamp", quote(text)))
}

/// Reads a length of time: seconds, or Prometheus's notation (`1h30m`). Nanoseconds.
///
/// # Errors
/// What is wrong, in the words of Prometheus.
pub fn parse_duration_ns(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ns = seconds * NS_PER_SECOND;
        if ns.is_nan() || ns.abs() >= i64::MAX as f64 {
            return Err(format!(
                "cannot parse {} to a valid duration. It overflows int64",
                quote(text)
            ));
        }
        return Ok(ns as i64);
    }
    let duration: Option<PromDuration> = text.parse().ok();
    let ns = duration.and_then(|duration| duration.as_ms().checked_mul(1_000_000));
    ns.ok_or_else(|| format!("cannot parse {} to a valid duration", quote(text)))
}
