//! Numbers and durations: how far they reach, and what they are worth.

use rutile_model::{PromDuration, quote, sample::NORMAL_NAN};

use super::cursor::{Cursor, is_alphanumeric};

const DIGITS: &str = "0123456789";
const HEX_DIGITS: &str = "0123456789abcdefABCDEF";

/// Moves over a number, which may still turn out to be none ([`parse_number`]). If there is none,
/// the cursor is where the reference gave up.
pub(super) fn scan_number(cursor: &mut Cursor<'_>) -> bool {
    let start = cursor.at;
    let is_hex = cursor.accept("0") && cursor.accept("xX");
    scan_digits(cursor, is_hex) && cursor.at != start && !cursor.peek().is_some_and(is_alphanumeric)
}

/// The same in the values of a series, where `x` stands before a number of repetitions.
pub(super) fn scan_series_number(cursor: &mut Cursor<'_>) -> bool {
    let start = cursor.at;
    let end = |c| c != 'x' && is_alphanumeric(c);
    scan_digits(cursor, false) && cursor.at != start && !cursor.peek().is_some_and(end)
}

fn scan_digits(cursor: &mut Cursor<'_>, is_hex: bool) -> bool {
    if is_hex {
        cursor.accept("_");
    }
    let digits = if is_hex { HEX_DIGITS } else { DIGITS };
    cursor.accept(".");
    cursor.accept(digits);
    // Each of these ends the number if what must not follow it does.
    let (mut got_dot, mut got_exponent) = (false, false);
    loop {
        if cursor.is(".") {
            cursor.accept(".");
            if got_dot || cursor.accept("_.") || is_hex {
                return false;
            }
            got_dot = true;
        } else if cursor.is("eE") {
            cursor.accept("eE");
            if got_exponent {
                return false;
            }
            got_exponent = true;
            cursor.accept("+-");
            if cursor.accept("._eE") || cursor.peek().is_none() {
                return false;
            }
        } else if cursor.accept("_") {
            if cursor.accept("._eE") || cursor.peek().is_none() {
                return false;
            }
        } else if cursor.is(digits) {
            cursor.skip_while(|c| digits.contains(c));
        } else {
            break;
        }
    }
    true
}

/// Moves over the units and further numbers of a duration, whose first number has been read.
pub(super) fn scan_duration(cursor: &mut Cursor<'_>) -> bool {
    if !cursor.accept("smhdwy") {
        return false;
    }
    // The second letter of `ms`; wrong units are found later.
    cursor.accept("s");
    while cursor.is(DIGITS) {
        cursor.skip_while(|c| c.is_ascii_digit());
        if !cursor.accept("smhdw") {
            return false;
        }
        cursor.accept("s");
    }
    let whole = !cursor.peek().is_some_and(is_alphanumeric);
    if !whole {
        cursor.next();
    }
    whole
}

/// The value of a number as Go's `strconv` has it: `0x1F`, `010` (octal), `1_000.5e3`, `Inf`.
///
/// # Errors
///
/// Go's message.
pub(super) fn parse_number(text: &str) -> Result<f64, String> {
    if let Some(integer) = parse_integer(text) {
        return Ok(integer as f64);
    }
    let fail = |why: &str| {
        Err(format!(
            "strconv.ParseFloat: parsing {}: {why}",
            quote(text)
        ))
    };
    match text.to_ascii_lowercase().as_str() {
        "inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(NORMAL_NAN),
        _ => {}
    }
    if !underscores_ok(text) || text.starts_with("0x") || text.starts_with("0X") {
        return fail("invalid syntax");
    }
    match text.replace('_', "").parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => fail("value out of range"),
        Err(_) => fail("invalid syntax"),
    }
}

/// An integer in the base that its prefix says.
fn parse_integer(text: &str) -> Option<i64> {
    if !underscores_ok(text) {
        return None;
    }
    let plain = text.replace('_', "").to_ascii_lowercase();
    match plain.strip_prefix('0') {
        None | Some("") => plain.parse().ok(),
        Some(rest) => match rest.strip_prefix('x') {
            Some(hex) => i64::from_str_radix(hex, 16).ok(),
            None => i64::from_str_radix(rest, 8).ok(),
        },
    }
}

/// Whether every underscore stands between two digits, or between `0x` and one.
fn underscores_ok(text: &str) -> bool {
    if !text.contains('_') {
        return true;
    }
    let (hex, digits) = match text.get(..2) {
        Some("0x" | "0X") => (true, format!("0{}", text.get(2..).unwrap_or_default())),
        _ => (false, text.to_owned()),
    };
    let is_digit = |part: &str, last: bool| {
        let c = if last {
            part.chars().next_back()
        } else {
            part.chars().next()
        };
        c.is_some_and(|c| c.is_ascii_digit() || (hex && c.is_ascii_hexdigit()))
    };
    let parts: Vec<&str> = digits.split('_').collect();
    parts
        .windows(2)
        .all(|pair| is_digit(pair[0], true) && is_digit(pair[1], false))
}

/// The value of a duration in seconds.
///
/// # Errors
///
/// Go's message.
pub(super) fn parse_duration(text: &str) -> Result<f64, String> {
    match text.parse::<PromDuration>() {
        Ok(duration) => {
            let ms = duration.as_ms();
            Ok((ms / 1000) as f64 + (ms % 1000 * 1_000_000) as f64 / 1e9)
        }
        Err(_) => Err(duration_problem(text)),
    }
}

/// What Prometheus says about a duration that is none.
fn duration_problem(text: &str) -> String {
    let malformed = || format!("not a valid duration string: {}", quote(text));
    let units = ["y", "w", "d", "h", "m", "s", "ms"];
    let mut next_unit = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let after_digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let end = after_digits
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after_digits.len());
        let (unit, after) = after_digits.split_at(end);
        if after_digits.len() == rest.len() || unit.is_empty() {
            return malformed();
        }
        match units.iter().position(|u| *u == unit) {
            None => return format!("unknown unit {} in duration {}", quote(unit), quote(text)),
            Some(at) if at < next_unit => return malformed(),
            Some(at) => next_unit = at + 1,
        }
        rest = after;
    }
    "duration out of range".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_worth_what_go_says() {
        for (text, want) in [
            ("1", 1.0),
            ("010", 8.0),
            ("08", 8.0),
            ("0x1F", 31.0),
            ("0x_1f", 31.0),
            ("1_000", 1000.0),
            ("1_0.5e1", 105.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("Inf", f64::INFINITY),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
        ] {
            assert_eq!(parse_number(text), Ok(want), "{text}");
        }
        assert!(parse_number("nan").unwrap().is_nan());
        for (text, why) in [
            ("1e999", "value out of range"),
            ("0x", "invalid syntax"),
            ("0x1e+3", "invalid syntax"),
            ("0xffffffffffffffffff", "invalid syntax"),
        ] {
            let want = format!("strconv.ParseFloat: parsing \"{text}\": {why}");
            assert_eq!(parse_number(text), Err(want));
        }
    }
}
