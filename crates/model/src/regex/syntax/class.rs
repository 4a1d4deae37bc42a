//! Character classes: `[…]`, `\d`, `[:alpha:]`, `\p{Greek}`.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::{Code, Parse, Parser, Refusal, escape, unicode};

impl<'p> Parser<'p> {
    /// Reads `[…]`.
    pub(super) fn bracket_class(&mut self) -> Parse<'p, ()> {
        let whole = self.rest;
        self.skip(1);
        let negated = self.rest.starts_with('^');
        if negated {
            self.skip(1);
        }
        let mut class = ClassUnicode::empty();
        let mut first = true; // a bracket may come first
        while first || !self.rest.starts_with(']') {
            first = false;
            if let Some(group) = self.named_class()? {
                self.unite(&mut class, &group)?;
            } else if let Some(group) = escaped(&mut self.rest, self.flags.fold_case)? {
                self.unite(&mut class, &group)?;
            } else {
                self.class_range(whole, &mut class)?;
            }
        }
        self.skip(1);
        if negated {
            class.negate();
        }
        self.push_class(class)
    }

    /// Takes time as both are large.
    fn unite(&mut self, class: &mut ClassUnicode, group: &ClassUnicode) -> Parse<'p, ()> {
        self.take_room(class)?;
        self.take_room(group)?;
        class.union(group);
        Ok(())
    }

    /// Reads `[:alpha:]` or `[:^alpha:]`.
    fn named_class(&mut self) -> Parse<'p, Option<ClassUnicode>> {
        let Some((name, after)) = self
            .rest
            .strip_prefix("[:")
            .and_then(|rest| rest.split_once(":]"))
        else {
            return Ok(None);
        };
        let (negated, plain) = split_negation(name);
        let Some(ranges) = posix(plain) else {
            return Err(Refusal::between(Code::InvalidCharRange, self.rest, after));
        };
        self.rest = after;
        Ok(Some(ascii_class(ranges, negated, self.flags.fold_case)))
    }

    /// Reads one character or a range of them into `class`.
    fn class_range(&mut self, whole: &'p str, class: &mut ClassUnicode) -> Parse<'p, ()> {
        let start = self.rest;
        let low = self.class_rune(whole)?;
        let mut high = low;
        if let Some(rest) = self.rest.strip_prefix('-')
            && !rest.is_empty()
            && !rest.starts_with(']')
        {
            self.rest = rest;
            high = self.class_rune(whole)?;
            if high < low {
                return Err(Refusal::between(Code::InvalidCharRange, start, self.rest));
            }
        }
        if let Some(range) = char_range(low, high) {
            let range = ClassUnicode::new([range]);
            let range = if self.flags.fold_case {
                unicode::fold(range)
            } else {
                range
            };
            self.unite(class, &range)?;
        }
        Ok(())
    }

    fn class_rune(&mut self, whole: &'p str) -> Parse<'p, u32> {
        if self.rest.starts_with('\\') {
            return escape::rune(&mut self.rest);
        }
        let c = escape::next(&mut self.rest);
        c.map(u32::from)
            .ok_or_else(|| Refusal::new(Code::MissingBracket, whole))
    }
}

/// Reads `\d`, `\pL` and the like off `text`, if it begins so.
pub(super) fn escaped<'p>(text: &mut &'p str, fold_case: bool) -> Parse<'p, Option<ClassUnicode>> {
    let Some(&[b'\\', letter]) = text.as_bytes().first_chunk() else {
        return Ok(None);
    };
    let ranges: &[_] = match letter.to_ascii_lowercase() {
        b'd' => &[('0', '9')],
        b's' => &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')],
        b'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        b'p' => return unicode_class(text, letter == b'P', fold_case).map(Some),
        _ => return Ok(None),
    };
    *text = text.get(2..).unwrap_or_default();
    Ok(Some(ascii_class(
        ranges,
        letter.is_ascii_uppercase(),
        fold_case,
    )))
}

/// Reads `\pL`, `\p{Greek}`, `\p{^Greek}`, or their opposites with `\P`, off `text`.
fn unicode_class<'p>(
    text: &mut &'p str,
    negated: bool,
    fold_case: bool,
) -> Parse<'p, ClassUnicode> {
    let start = *text;
    let after_letter = start.get(2..).unwrap_or_default();
    let (name, rest) = if let Some(braced) = after_letter.strip_prefix('{') {
        braced
            .split_once('}')
            .ok_or_else(|| Refusal::new(Code::InvalidCharRange, start))?
    } else {
        let length = after_letter.chars().next().map_or(0, char::len_utf8);
        after_letter.split_at(length)
    };
    let (inner_negated, name) = split_negation(name);
    let Some(class) = unicode::class(name) else {
        return Err(Refusal::between(Code::InvalidCharRange, start, rest));
    };
    *text = rest;
    Ok(finish(
        class,
        negated != inner_negated,
        fold_case && unicode::has_folds(name),
    ))
}

fn split_negation(name: &str) -> (bool, &str) {
    name.strip_prefix('^')
        .map_or((false, name), |plain| (true, plain))
}

fn ascii_class(ranges: &[(char, char)], negated: bool, fold_case: bool) -> ClassUnicode {
    let ranges = ranges
        .iter()
        .map(|(low, high)| ClassUnicodeRange::new(*low, *high));
    finish(ClassUnicode::new(ranges), negated, fold_case)
}

/// Cases are folded first, then the class is negated.
fn finish(class: ClassUnicode, negated: bool, fold_case: bool) -> ClassUnicode {
    let mut class = if fold_case {
        unicode::fold(class)
    } else {
        class
    };
    if negated {
        class.negate();
    }
    class
}

/// The characters from `low` to `high`: surrogates are none.
fn char_range(low: u32, high: u32) -> Option<ClassUnicodeRange> {
    let low = if (0xD800..0xE000).contains(&low) {
        0xE000
    } else {
        low
    };
    let high = if (0xD800..0xE000).contains(&high) {
        0xD7FF
    } else {
        high
    };
    let (low, high) = (char::from_u32(low)?, char::from_u32(high)?);
    (low <= high).then(|| ClassUnicodeRange::new(low, high))
}

fn posix(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7F')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1F'), ('\x7F', '\x7F')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}
