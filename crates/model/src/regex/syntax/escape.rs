//! What begins with a backslash.

use regex_syntax::hir::Look;

use super::{Code, Parse, Parser, Refusal, class};

impl<'p> Parser<'p> {
    /// Reads an escape outside of a class.
    pub(super) fn backslash(&mut self) -> Parse<'p, ()> {
        let start = self.rest;
        let look = match start.as_bytes().get(1) {
            Some(b'A') => Look::Start,
            Some(b'b') => Look::WordAscii,
            Some(b'B') => Look::WordAsciiNegate,
            Some(b'z') => Look::End,
            Some(b'Q') => return self.quoted(),
            Some(b'C') => {
                self.skip(2);
                return Err(Refusal::between(Code::InvalidEscape, start, self.rest));
            }
            _ => {
                if let Some(class) = class::escaped(&mut self.rest, self.flags.fold_case)? {
                    return self.push_class(class);
                }
                let rune = rune(&mut self.rest)?;
                return self.push_rune(rune);
            }
        };
        self.skip(2);
        self.push_look(look)
    }

    /// Reads `\Q…\E`; without an end it reaches to the end of the pattern.
    fn quoted(&mut self) -> Parse<'p, ()> {
        self.skip(2);
        let (text, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
        for c in text.chars() {
            self.push_rune(u32::from(c))?;
        }
        self.rest = rest;
        Ok(())
    }
}

/// Reads the escape of one code point, which may be a surrogate, off `text`.
pub(super) fn rune<'p>(text: &mut &'p str) -> Parse<'p, u32> {
    let start = *text;
    *text = start.get(1..).unwrap_or_default();
    let Some(c) = next(text) else {
        return Err(Refusal::new(Code::TrailingBackslash, text));
    };
    let known = match c {
        // One digit other than zero would be a back reference.
        '1'..='7' if !text.starts_with(|c: char| c.is_digit(8)) => None,
        '0'..='7' => Some(octal(c, text)),
        'x' => hexadecimal(text),
        'a' => Some(0x07),
        'f' => Some(0x0C),
        'n' => Some(0x0A),
        'r' => Some(0x0D),
        't' => Some(0x09),
        'v' => Some(0x0B),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
        _ => None,
    };
    known.ok_or_else(|| Refusal::between(Code::InvalidEscape, start, text))
}

fn octal(first: char, text: &mut &str) -> u32 {
    let mut rune = first.to_digit(8).unwrap_or(0);
    for _ in 0..2 {
        let Some(digit) = text.chars().next().and_then(|c| c.to_digit(8)) else {
            break;
        };
        rune = rune * 8 + digit;
        next(text);
    }
    rune
}

/// Reads what follows `\x`: two digits, or any number of them in braces.
fn hexadecimal(text: &mut &str) -> Option<u32> {
    let first = next(text)?;
    if first != '{' {
        let low = next(text);
        return Some(first.to_digit(16)? * 16 + low?.to_digit(16)?);
    }
    let (mut rune, mut digits) = (0, 0);
    loop {
        let c = next(text)?;
        if c == '}' {
            return (digits > 0).then_some(rune);
        }
        rune = rune * 16 + c.to_digit(16)?;
        if rune > u32::from(char::MAX) {
            return None;
        }
        digits += 1;
    }
}

/// Takes one character off `text`.
pub(super) fn next(text: &mut &str) -> Option<char> {
    let mut chars = text.chars();
    let c = chars.next()?;
    *text = chars.as_str();
    Some(c)
}
