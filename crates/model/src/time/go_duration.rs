//! Durations in the grammar of Go's `time.ParseDuration`.

use std::{fmt, marker::PhantomData, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, quantity, quote::quote, text::TextVisitor};

/// A length of time, written `1.5h`, `250ms` or `-1m30s`. Prints as Go does: `720h0m0s`.
///
/// In files a bare number is a count of nanoseconds, as Go's YAML reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GoDuration {
    ns: i64,
}

impl GoDuration {
    /// A duration of `ns` nanoseconds.
    #[must_use]
    pub const fn from_ns(ns: i64) -> Self {
        Self { ns }
    }

    /// A duration of `ms` milliseconds, saturated at about 292 years.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self {
            ns: ms.saturating_mul(1_000_000),
        }
    }

    /// Its length in nanoseconds.
    #[must_use]
    pub const fn as_ns(self) -> i64 {
        self.ns
    }

    /// Its length in whole milliseconds, rounded towards zero.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.ns / 1_000_000
    }

    /// The same length in the standard library's type; a negative one becomes zero.
    #[must_use]
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(self.ns.try_into().unwrap_or(0))
    }
}

impl FromStr for GoDuration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map(|ns| Self { ns }).ok_or_else(|| {
            Error::invalid(format!(
                "not a duration: {}: write numbers with the units h, m, s, ms, us, ns, as in \
                 1h30m, at most 292 years",
                quote(text)
            ))
        })
    }
}

fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = quantity::split_sign(text);
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0_u64;
    loop {
        let quantity = quantity::take(&mut rest)?;
        let unit = unit_ns(quantity.unit)?;
        // In floating point, as in Go, so that 0.333…h is twenty minutes.
        let fraction = (quantity.fraction as f64 * (unit as f64 / quantity.scale)) as u64;
        let part = quantity.whole.checked_mul(unit)?.checked_add(fraction)?;
        total = total.checked_add(part)?;
        if rest.is_empty() {
            break;
        }
    }
    if negative {
        0_i64.checked_sub_unsigned(total)
    } else {
        i64::try_from(total).ok()
    }
}

fn unit_ns(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ns < 0 {
            f.write_str("-")?;
        }
        let ns = self.ns.unsigned_abs();
        match ns {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{ns}ns"),
            1_000..1_000_000 => write!(f, "{}\u{b5}s", decimal(ns, 3)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", decimal(ns, 6)),
            _ => {
                let minutes = ns / 60_000_000_000;
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write!(f, "{}s", decimal(ns % 60_000_000_000, 9))
            }
        }
    }
}

/// `number / 10^digits`, without trailing zeros.
fn decimal(number: u64, digits: usize) -> String {
    let text = format!("{number:0width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(GoDurationVisitor)
    }
}

struct GoDurationVisitor;

impl de::Visitor<'_> for GoDurationVisitor {
    type Value = GoDuration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 1h30m, or a number of nanoseconds")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<GoDuration, E> {
        TextVisitor(PhantomData).visit_str(text)
    }

    fn visit_i64<E: de::Error>(self, ns: i64) -> Result<GoDuration, E> {
        Ok(GoDuration { ns })
    }

    fn visit_u64<E: de::Error>(self, ns: u64) -> Result<GoDuration, E> {
        i64::try_from(ns)
            .map(GoDuration::from_ns)
            .map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    #[test]
    fn reads_as_go_does() {
        for (text, ns) in [
            ("0", 0),
            ("-0", 0),
            ("5s", 5_000_000_000),
            ("1.5h", 90 * MINUTE),
            ("250ms", 250_000_000),
            ("1h15m30.918273645s", 75 * MINUTE + 30_918_273_645),
            ("12\u{b5}s12\u{3bc}s1us", 25_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("-1m30s", -90_000_000_000),
            ("1m1h", 61 * MINUTE),
            ("0.3333333333333333333h", 20 * MINUTE),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
            ("0.100000000000000000000h", 6 * MINUTE),
        ] {
            assert_eq!(text.parse(), Ok(GoDuration::from_ns(ns)), "{text}");
        }
    }

    #[test]
    fn refuses_as_go_does() {
        for text in [
            "",
            "3",
            "-",
            "s",
            ".",
            "-.",
            ".s",
            "+.s",
            "1d",
            "3000000h",
            "9223372036854775808ns",
            "--1s",
            "1 s",
        ] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn prints_as_go_does() {
        for (ns, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1\u{b5}s"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (4 * MINUTE + 5_000_000_000, "4m5s"),
            (4 * MINUTE + 5_001_000_000, "4m5.001s"),
            (43_200 * MINUTE, "720h0m0s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(GoDuration::from_ns(ns).to_string(), want);
        }
    }

    #[test]
    fn bare_numbers_in_files_are_nanoseconds() {
        assert_eq!(
            serde_json::from_str::<GoDuration>("5000").unwrap().as_ns(),
            5_000
        );
        assert_eq!(
            serde_json::from_str::<GoDuration>("\"5s\"")
                .unwrap()
                .as_ms(),
            5_000
        );
        assert!(serde_json::from_str::<GoDuration>("\"5\"").is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ns: i64) {
            let duration = GoDuration::from_ns(ns);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
