//! Go's double-quoted strings (`%q`): writing and reading them.

use std::{fmt::Write as _, sync::LazyLock};

use regex_syntax::hir::ClassUnicode;

use crate::regex::printable;

/// Writes `text` as Go's `strconv.Quote` does: what is not printable is escaped.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0C' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0B' => out.push_str("\\v"),
            c if is_printable(c) => out.push(c),
            c => push_escaped(&mut out, u32::from(c)),
        }
    }
    out.push('"');
    out
}

fn push_escaped(out: &mut String, code: u32) {
    let written = match code {
        0..0x80 => write!(out, "\\x{code:02x}"),
        0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

/// Reads a text in PromQL's quotes, with Go's escapes between `"` or `'` and none between
/// backticks, off `text`: what it means, and what follows. `None` if it is malformed, or if it
/// means bytes that are not UTF-8.
#[must_use]
pub fn unquote_prefix(text: &str) -> Option<(String, &str)> {
    let (bytes, rest) = unquote_prefix_bytes(text)?;
    Some((String::from_utf8(bytes).ok()?, rest))
}

/// The same for texts that may mean any bytes. `None` if it is malformed.
#[must_use]
pub fn unquote_prefix_bytes(text: &str) -> Option<(Vec<u8>, &str)> {
    let quote = text.chars().next()?;
    let mut rest = text.get(1..)?;
    if quote == '`' {
        return rest
            .split_once('`')
            .map(|(raw, rest)| (raw.as_bytes().to_vec(), rest));
    }
    if quote != '"' && quote != '\'' {
        return None;
    }
    let mut bytes = Vec::new();
    loop {
        let end = rest.find([quote, '\\', '\n'])?;
        let (plain, after) = rest.split_at(end);
        bytes.extend_from_slice(plain.as_bytes());
        rest = after.get(1..)?;
        if after.starts_with(quote) {
            return Some((bytes, rest));
        }
        if !after.starts_with('\\') {
            return None;
        }
        rest = unescape(rest, quote, &mut bytes)?;
    }
}

/// Reads what follows a backslash. Octal and `\x` escapes are bytes, the others code points.
fn unescape<'t>(text: &'t str, quote: char, bytes: &mut Vec<u8>) -> Option<&'t str> {
    let c = text.chars().next()?;
    let rest = text.get(c.len_utf8()..)?;
    let digits = |from: &'t str, count: usize, radix: u32| {
        let (digits, rest) = from.split_at_checked(count)?;
        let all_digits = digits.chars().all(|c| c.is_digit(radix));
        Some((
            all_digits.then(|| u32::from_str_radix(digits, radix).ok())??,
            rest,
        ))
    };
    let simple = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0C,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0B,
        '\\' => b'\\',
        c if c == quote => u8::try_from(c).ok()?,
        'x' | '0'..='7' => {
            let (byte, rest) = if c == 'x' {
                digits(rest, 2, 16)?
            } else {
                digits(text, 3, 8)?
            };
            bytes.push(u8::try_from(byte).ok()?);
            return Some(rest);
        }
        'u' | 'U' => {
            let (code, rest) = digits(rest, if c == 'u' { 4 } else { 8 }, 16)?;
            let c = char::from_u32(code)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(rest);
        }
        _ => return None,
    };
    bytes.push(simple);
    Some(rest)
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols, and the ASCII blank.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    PRINTABLE
        .ranges()
        .binary_search_by(|r| {
            if r.end() < c {
                std::cmp::Ordering::Less
            } else if r.start() > c {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

static PRINTABLE: LazyLock<ClassUnicode> = LazyLock::new(printable);
