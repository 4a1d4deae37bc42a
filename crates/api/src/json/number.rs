//! Numbers and times.

use std::io::Write;

use rutile_model::go_float::shortest;
use serde::Serialize;

/// Below this a whole number is exact, and its digits are the shortest that read back as it.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// No two decimals of 15 digits read back as the same float.
const FIFTEEN_DIGITS: i64 = 1_000_000_000_000_000;

/// Appends a value in quotes: the fewest digits that read back as the same float, in plain notation from 1e-6 up
/// to 1e21 and with an exponent elsewhere; `NaN`, `+Inf`, `-Inf`.
pub fn push_float(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    let size = value.abs();
    if size != 0.0 && size.is_finite() && !(1e-6..1e21).contains(&size) {
        push_exponent(out, value);
    } else {
        push_plain(out, value);
    }
    out.push(b'"');
}

/// The same, always in plain notation: scalars.
pub fn push_fixed(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    push_plain(out, value);
    out.push(b'"');
}

/// Appends a time in seconds: whole ones, and three decimals unless they are zero.
pub fn push_time(out: &mut Vec<u8>, time_ms: i64) {
    if time_ms < 0 {
        out.push(b'-');
    }
    let ms = time_ms.unsigned_abs();
    push_json(out, &(ms / 1000));
    let fraction = ms % 1000;
    if fraction > 0 {
        let digit = |unit| b'0' + u8::try_from(fraction / unit % 10).unwrap_or(0);
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    }
}

/// Appends a time in seconds without zeros at its end: of scalars, strings and exemplars.
pub fn push_seconds(out: &mut Vec<u8>, time_ms: i64) {
    push_time(out, time_ms);
    if time_ms % 1000 != 0 {
        drop_zeros(out);
    }
}

/// Takes the zeros off the end of a number that has decimals other than zero.
fn drop_zeros(out: &mut Vec<u8>) {
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

fn push_plain(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    let size = value.abs();
    // Converted there and back: faster than to cut the fraction off.
    if size < EXACT && (size as i64) as f64 == size {
        if value.is_sign_negative() {
            out.push(b'-');
        }
        return push_json(out, &(size as i64));
    }
    if !push_short(out, value, size) {
        push_general(out, value, size);
    }
}

/// Appends a number that has at most four decimals, and 15 digits: most of those that people measure. A quotient of two
/// exact floats is rounded once, as a decimal is that is read; so if it is the value, these digits read back as it, and
/// no others of up to 15.
fn push_short(out: &mut Vec<u8>, value: f64, size: f64) -> bool {
    let scaled = (size * 1e4 + 0.5) as i64;
    if scaled >= FIFTEEN_DIGITS || scaled as f64 / 1e4 != size {
        return false;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let scaled = scaled.unsigned_abs();
    push_json(out, &(scaled / 10_000));
    let digit = |unit| b'0' + u8::try_from(scaled / unit % 10).unwrap_or(0);
    out.extend_from_slice(&[b'.', digit(1000), digit(100), digit(10), digit(1)]);
    drop_zeros(out);
    true
}

fn push_general(out: &mut Vec<u8>, value: f64, size: f64) {
    let from = out.len();
    push_json(out, &value);
    if out[from..].contains(&b'e') {
        let scientific = out.split_off(from);
        push_laid_out(out, &String::from_utf8_lossy(&scientific));
    }
    let point = out[from..].iter().rposition(|byte| *byte == b'.');
    let decimals = point.map_or(0, |point| out.len() - from - point - 1);
    if may_be_a_tie(size, decimals) {
        out.truncate(from);
        push_laid_out(out, &shortest(value));
    }
}

/// A number as JSON has it. Writing to memory cannot fail.
fn push_json(out: &mut Vec<u8>, number: &impl Serialize) {
    serde_json::to_writer(out, number).ok();
}

/// Whether two shortest decimals may be equally near to `size`, of which Go takes the even one: only if the exact
/// value has one decimal more than they.
fn may_be_a_tie(size: f64, decimals: usize) -> bool {
    let bits = size.to_bits();
    let exponent = i64::try_from(bits >> 52).unwrap_or(0).max(1) - 1075;
    let mantissa = bits & ((1 << 52) - 1) | u64::from(bits >> 52 != 0) << 52;
    let exact = -(exponent + i64::from(mantissa.trailing_zeros()));
    exact <= 0 || usize::try_from(exact) == Ok(decimals + 1)
}

/// Digits with an exponent, such as `-1.25e3`, in plain notation.
fn push_laid_out(out: &mut Vec<u8>, scientific: &str) {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let unsigned = digits.trim_start_matches('-');
    if unsigned.len() < digits.len() {
        out.push(b'-');
    }
    let digits = unsigned.bytes().filter(|byte| *byte != b'.');
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(
            b'0',
            usize::try_from(-exponent - 1).unwrap_or(0),
        ));
        return out.extend(digits);
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    let mut written = 0;
    for digit in digits {
        if written == whole {
            out.push(b'.');
        }
        out.push(digit);
        written += 1;
    }
    out.extend(std::iter::repeat_n(b'0', whole.saturating_sub(written)));
}

/// With an exponent of at least two digits, as Go.
fn push_exponent(out: &mut Vec<u8>, value: f64) {
    let text = shortest(value);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    write!(out, "{digits}e{sign}{exponent:0>2}").ok();
}
