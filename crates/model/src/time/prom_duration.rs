//! Durations in Prometheus' grammar.

use std::{fmt, str::FromStr, time::Duration};

use crate::{Error, quote::quote, text::serde_as_text};

/// A length of time, written `1y2w3d4h5m6s7ms`: each unit at most once, the largest first, no
/// fractions; `0` needs no unit. A day has 24 hours, a year 365 days.
///
/// `FromStr` and serde refuse negative ones, see [`PromDuration::parse_signed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PromDuration {
    ms: i64,
}

/// Name, milliseconds, and whether it is printed only if nothing remains (`90d`, not `12w6d`).
const UNITS: [(&str, u64, bool); 7] = [
    ("y", 365 * 86_400_000, true),
    ("w", 7 * 86_400_000, true),
    ("d", 86_400_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1_000, false),
    ("ms", 1, false),
];

/// The reference counts nanoseconds in 63 bits.
const MAX_MS: u64 = i64::MAX as u64 / 1_000_000;

impl PromDuration {
    /// A duration of `ms` milliseconds.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self { ms }
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.ms
    }

    /// The same length in the standard library's type; a negative one becomes zero.
    #[must_use]
    pub fn to_std(self) -> Duration {
        Duration::from_millis(self.ms.try_into().unwrap_or(0))
    }

    /// Reads a duration that may have a minus in front: `-6w`.
    ///
    /// # Errors
    ///
    /// The text is not of the grammar, or its absolute value exceeds about 292 years.
    pub fn parse_signed(text: &str) -> crate::Result<Self> {
        match text.strip_prefix('-') {
            Some(rest) => Ok(Self {
                ms: -rest.parse::<Self>()?.ms,
            }),
            None => text.parse(),
        }
    }
}

impl FromStr for PromDuration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "0" {
            return Ok(Self::default());
        }
        let ms = parse(text).ok_or_else(|| {
            Error::invalid(format!(
                "not a duration: {}: write numbers with the units y, w, d, h, m, s, ms, the \
                 largest first, as in 1d12h",
                quote(text)
            ))
        })?;
        match i64::try_from(ms) {
            Ok(ms) if ms.unsigned_abs() <= MAX_MS => Ok(Self { ms }),
            _ => Err(Error::invalid(format!(
                "duration out of range: {}: at most 292 years",
                quote(text)
            ))),
        }
    }
}

/// The sum in milliseconds, saturated.
fn parse(text: &str) -> Option<u64> {
    let (mut rest, mut units, mut total) = (text, UNITS.as_slice(), 0_u64);
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let at = units.iter().position(|(unit, ..)| *unit == name)?;
        let ((_, factor, _), smaller) = units.split_at(at).1.split_first()?;
        total = total.saturating_add(number.parse::<u64>().ok()?.saturating_mul(*factor));
        (rest, units) = (after, smaller);
        if rest.is_empty() {
            return Some(total);
        }
    }
}

impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ms == 0 {
            return f.write_str("0s");
        }
        if self.ms < 0 {
            f.write_str("-")?;
        }
        let mut left = self.ms.unsigned_abs();
        for (unit, factor, only_if_exact) in UNITS {
            if left >= factor && (!only_if_exact || left.is_multiple_of(factor)) {
                write!(f, "{}{unit}", left / factor)?;
                left %= factor;
            }
        }
        Ok(())
    }
}

serde_as_text!(PromDuration);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_grammar() {
        for (text, ms) in [
            ("0", 0),
            ("0s", 0),
            ("324ms", 324),
            ("1d2h", 93_600_000),
            ("1y2w3d4h5m6s7ms", 33_019_506_007),
            ("15m", 900_000),
            ("292y", 292 * 365 * 86_400_000),
        ] {
            assert_eq!(text.parse(), Ok(PromDuration::from_ms(ms)), "{text}");
        }
        assert_eq!(
            PromDuration::parse_signed("-6w").unwrap().as_ms(),
            -42 * 86_400_000
        );
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "", "1", "s", "1.5h", "1h1d", "1m1m", "-1m", "+1m", "1 m", "1us", "--1m", "1ms1s",
        ] {
            let error = text.parse::<PromDuration>().unwrap_err();
            assert!(
                error.to_string().starts_with("not a duration: "),
                "{text}: {error}"
            );
        }
        for text in ["294y", "99999999999999999y", "300000y1s"] {
            let error = text.parse::<PromDuration>().unwrap_err();
            assert!(
                error.to_string().starts_with("duration out of range"),
                "{text}: {error}"
            );
        }
        assert!(PromDuration::parse_signed("--1m").is_err());
    }

    #[test]
    fn prints_as_the_reference() {
        for (text, want) in [
            ("90d", "90d"),
            ("14d", "2w"),
            ("365d", "1y"),
            ("90m", "1h30m"),
            ("1000ms", "1s"),
        ] {
            assert_eq!(text.parse::<PromDuration>().unwrap().to_string(), want);
        }
        assert_eq!(PromDuration::from_ms(-90_000).to_string(), "-1m30s");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ms in -9_223_372_036_854_i64..9_223_372_036_854) {
            let duration = PromDuration::from_ms(ms);
            prop_assert_eq!(PromDuration::parse_signed(&duration.to_string()), Ok(duration));
        }
    }
}
