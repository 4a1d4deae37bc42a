//! JSON as Prometheus writes it, appended to a buffer.
//!
//! Two kinds of strings: labels are written as they are, and everything else with `<`, `>` and `&` escaped, as Go's
//! encoders do by default.

mod answer;
mod histogram;
mod number;

use std::io;

use rutile_model::Labels;
use serde::Serialize;

pub use answer::{Piece, Pieces};
pub use histogram::push_histogram;
pub use number::{push_fixed, push_float, push_seconds, push_time};

/// Appends a string in quotes, as it is but for what JSON forbids: quotes, backslashes, control characters.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, |byte| {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    });
}

/// The same with `<`, `>`, `&` and the two line separators of Unicode escaped.
pub fn push_html_safe(out: &mut Vec<u8>, text: &str) {
    let from = out.len();
    push_text(out, text);
    escape_html(out, from);
}

/// Appends `{"name":"value",...}`.
pub fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_text(out, name);
        out.push(b':');
        push_text(out, value);
    }
    out.push(b'}');
}

/// The JSON of a value, safe to put into a page, as Go's encoder makes it.
///
/// # Errors
/// What `Serialize` of the value refuses.
pub fn to_vec(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut out = serde_json::to_vec(value)?;
    escape_html(&mut out, 0);
    Ok(out)
}

fn push_escaped(out: &mut Vec<u8>, text: &str, is_special: impl Fn(u8) -> bool) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| is_special(*byte)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        match special[0] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => push_unicode(out, u16::from(byte)),
        }
        rest = &special[1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn push_unicode(out: &mut Vec<u8>, code: u16) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(DIGITS[usize::from(code >> shift & 0xf)]);
    }
}

/// Escapes what is behind `from`, which is JSON: there the characters occur in strings only.
fn escape_html(out: &mut Vec<u8>, from: usize) {
    let is_special = |byte: &u8| matches!(byte, b'<' | b'>' | b'&' | 0xe2);
    let Some(first) = out[from..].iter().position(is_special) else {
        return;
    };
    let tail = out.split_off(from + first);
    let mut rest = tail.as_slice();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match (*byte, behind) {
            (b'<' | b'>' | b'&', _) => push_unicode(out, u16::from(*byte)),
            (0xe2, [0x80, last @ (0xa8 | 0xa9), behind @ ..]) => {
                push_unicode(out, 0x2000 | u16::from(last - 0x80));
                rest = behind;
            }
            (byte, _) => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests;
