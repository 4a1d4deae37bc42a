//! Sizes in bytes as flags and configuration files state them.

use std::{fmt, str::FromStr};

use crate::{Error, quantity, quote::quote, text::serde_as_text};

/// A number of bytes, written `250MB`, `1.5GiB` or `1GB512MB`.
///
/// All units are powers of 1024, with or without the `i`, as in the reference's flags; one text
/// does not mix both. Prints in the form `1GiB512MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

const PREFIXES: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

impl ByteSize {
    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text, "iB").or_else(|| parse(text, "B")).map(Self).ok_or_else(|| {
            Error::invalid(format!(
                "not a size: {}: write a number and a unit of B, KB, MB, GB, TB, PB or EB, as in \
                 250MB",
                quote(text)
            ))
        })
    }
}

fn parse(text: &str, suffix: &str) -> Option<u64> {
    let (negative, mut rest) = quantity::split_sign(text);
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0_f64;
    loop {
        let quantity = quantity::take(&mut rest)?;
        // Floating point, as in the reference: exact below 2^53.
        let number = quantity.whole as f64 + quantity.fraction as f64 / quantity.scale;
        total += number * unit_size(quantity.unit, suffix)?;
        if rest.is_empty() {
            break;
        }
    }
    let in_range = total < 9_223_372_036_854_775_808.0 && (!negative || total == 0.0);
    in_range.then_some(total as u64)
}

fn unit_size(unit: &str, suffix: &str) -> Option<f64> {
    if unit == "B" {
        return Some(1.0);
    }
    let prefix = unit.strip_suffix(suffix)?;
    let power = PREFIXES.iter().skip(1).position(|p| *p == prefix)? + 1;
    Some((1_u64 << (10 * power)) as f64)
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0B");
        }
        for (power, prefix) in PREFIXES.iter().enumerate().rev() {
            let digits = (self.0 >> (10 * power)) % if power == 6 { u64::MAX } else { 1024 };
            match (digits, power) {
                (0, _) => {}
                (_, 0) => write!(f, "{digits}B")?,
                _ => write!(f, "{digits}{prefix}iB")?,
            }
        }
        Ok(())
    }
}

serde_as_text!(ByteSize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, want) in [
            ("0", 0),
            ("0B", 0),
            ("512B", 512),
            ("250MB", 250 << 20),
            ("250MiB", 250 << 20),
            ("2GB", 2 << 30),
            ("1.5GiB", 3 << 29),
            (".5KB", 512),
            ("1GB512MB", 3 << 29),
            ("+1TB", 1 << 40),
            ("7EB", 7 << 60),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(want)), "{text}");
        }
    }

    #[test]
    fn refuses_what_the_reference_refuses() {
        for text in [
            "", "5", "MB", "1kB", "1mb", "1GiB1MB", "1 GB", "-1B", "8EB", ".B", "1..5GB",
        ] {
            let error = text.parse::<ByteSize>().unwrap_err();
            assert!(error.to_string().contains("as in 250MB"), "{text}: {error}");
        }
    }

    #[test]
    fn prints_what_reads_back() {
        for (bytes, want) in [
            (0, "0B"),
            (1023, "1023B"),
            (1 << 30, "1GiB"),
            ((3 << 29) + 1, "1GiB512MiB1B"),
            (u64::MAX, "15EiB1023PiB1023TiB1023GiB1023MiB1023KiB1023B"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), want);
        }
        let size: ByteSize = serde_json::from_str("\"64GB\"").unwrap();
        assert_eq!(serde_json::to_string(&size).unwrap(), "\"64GiB\"");
        assert_eq!(serde_json::from_str::<ByteSize>("0").unwrap(), ByteSize(0));
    }
}
