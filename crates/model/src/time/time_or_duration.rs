//! A moment that is either fixed or relative to now, as `--min-time` and `--max-time` take it.

use std::{fmt, str::FromStr};

use crate::{
    Error,
    quote::quote,
    text::serde_as_text,
    time::{PromDuration, format_rfc3339, parse_rfc3339},
};

/// `2026-01-02T03:04:05Z` (RFC 3339, years 0000 to 9999) or `-6w` (Prometheus' duration, added to
/// the present time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeOrDuration {
    /// Milliseconds since the Unix epoch.
    Time(i64),
    /// Counted from now; usually negative.
    Duration(PromDuration),
}

impl TimeOrDuration {
    /// The moment in milliseconds, if now is `now_ms`. Saturates.
    #[must_use]
    pub fn resolve(self, now_ms: i64) -> i64 {
        match self {
            Self::Time(at_ms) => at_ms,
            Self::Duration(duration) => now_ms.saturating_add(duration.as_ms()),
        }
    }
}

impl FromStr for TimeOrDuration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Ok(at_ms) = parse_rfc3339(text) {
            return Ok(Self::Time(at_ms));
        }
        PromDuration::parse_signed(text).map(Self::Duration).map_err(|_| {
            Error::invalid(format!(
                "neither a timestamp nor a duration: {}: write 2026-01-02T03:04:05Z or, relative \
                 to now, -6w",
                quote(text)
            ))
        })
    }
}

impl fmt::Display for TimeOrDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(at_ms) => f.write_str(&format_rfc3339(*at_ms)),
            Self::Duration(duration) => duration.fmt(f),
        }
    }
}

serde_as_text!(TimeOrDuration);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_and_relative() {
        let at = |text: &str| text.parse::<TimeOrDuration>().unwrap().resolve(1_000_000);
        assert_eq!(at("1970-01-01T00:00:01Z"), 1_000);
        assert_eq!(
            (at("-5m"), at("5m"), at("0")),
            (700_000, 1_300_000, 1_000_000)
        );
        let latest = TimeOrDuration::Duration(PromDuration::from_ms(i64::MAX));
        assert_eq!(latest.resolve(1), i64::MAX);
    }

    #[test]
    fn prints_what_reads_back_and_refuses_the_rest() {
        for text in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-6w", "2h"] {
            assert_eq!(text.parse::<TimeOrDuration>().unwrap().to_string(), text);
        }
        for text in ["", "-", "yesterday", "1.5h", "2026-01-02"] {
            let error = text.parse::<TimeOrDuration>().unwrap_err();
            assert!(
                error.to_string().starts_with("neither a timestamp nor"),
                "{error}"
            );
        }
    }
}
