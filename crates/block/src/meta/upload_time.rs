//! Go's `time.Time` in JSON.

use std::fmt;

use chrono::{DateTime, FixedOffset, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What Go writes for a time that was never set.
const ZERO: &str = "0001-01-01T00:00:00Z";

/// A point in time with its zone, as RFC 3339; or none, which is written as Go's zero time.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct UploadTime(Option<DateTime<FixedOffset>>);

impl UploadTime {
    /// A time in UTC, from ms since the Unix epoch. Unset when outside the years that can be written.
    #[must_use]
    pub fn from_ms(ms: i64) -> Self {
        Self(DateTime::<Utc>::from_timestamp_millis(ms).map(|time| time.fixed_offset()))
    }

    /// Milliseconds since the Unix epoch, cut off; none when it was never set.
    #[must_use]
    pub fn ms(&self) -> Option<i64> {
        self.0.map(|time| time.timestamp_millis())
    }
}

impl fmt::Display for UploadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(time) = self.0 else {
            return f.write_str(ZERO);
        };
        // Go cuts trailing zeros off the fraction.
        let text = time.to_rfc3339_opts(SecondsFormat::Nanos, true);
        if time.nanosecond() % 1_000_000_000 == 0 {
            return f.write_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true));
        }
        let zone_at = text.rfind(['Z', '+', '-']).unwrap_or(text.len());
        let (local, zone) = text.split_at_checked(zone_at).unwrap_or((&text, ""));
        write!(f, "{}{zone}", local.trim_end_matches('0'))
    }
}

impl fmt::Debug for UploadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for UploadTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UploadTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        if text == ZERO {
            return Ok(Self(None));
        }
        DateTime::parse_from_rfc3339(&text)
            .map(|time| Self(Some(time)))
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_that_of_go() {
        for text in [
            "2026-11-22T16:16:42.434314197Z",
            "2026-11-22T16:16:45.64222714Z",
            "2026-11-22T16:16:45.6Z",
            "2026-11-22T16:16:40Z",
            "2026-11-22T16:16:40.5+02:00",
            "2026-11-22T16:16:40-05:30",
            "0001-01-01T00:00:00Z",
        ] {
            let json = format!("\"{text}\"");
            let time: UploadTime = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&time).unwrap(), json);
        }
    }

    #[test]
    fn milliseconds() {
        assert_eq!(UploadTime::default().ms(), None);
        assert_eq!(
            UploadTime::from_ms(1_795_364_202_434).ms(),
            Some(1_795_364_202_434)
        );
        assert_eq!(
            UploadTime::from_ms(1_795_364_202_434).to_string(),
            "2026-11-22T16:16:42.434Z"
        );
        assert_eq!(UploadTime::from_ms(i64::MAX).ms(), None);
    }
}
