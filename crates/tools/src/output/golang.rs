//! Values as Go writes them, so that scripts that read the reference's output go on working.

use rutile_model::time::format_rfc3339;

/// A point in time in ms, cut to the second: `2026-01-01T00:00:00Z`.
pub(crate) fn time(ms: i64) -> String {
    format_rfc3339(ms.div_euclid(1000).saturating_mul(1000))
}

/// A number with commas between the thousands: `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A sample's value, shortest and without an exponent: `0.1`, `NaN`, `+Inf`.
pub(crate) fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_the_second() {
        assert_eq!(time(1_767_225_600_999), "2026-01-01T00:00:00Z");
        assert_eq!(time(-1), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn thousands_are_separated() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), expected);
        }
    }

    #[test]
    fn floats_are_written_as_go_does() {
        for (value, expected) in [
            (309_608.0, "309608"),
            (0.1, "0.1"),
            (1e21, "1000000000000000000000"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(float(value), expected);
        }
    }
}
