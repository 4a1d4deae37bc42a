//! A position in a text, and the classes of characters.

/// A position in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'q> {
    text: &'q str,
    pub(super) at: usize,
}

impl<'q> Cursor<'q> {
    pub(super) fn new(text: &'q str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'q str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn from(&self, start: usize) -> &'q str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Skips the next character if it is one of `set`.
    pub(super) fn accept(&mut self, set: &str) -> bool {
        let found = self.is(set);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn is(&self, set: &str) -> bool {
        self.peek().is_some_and(|c| set.contains(c))
    }

    /// Whether a dot and a digit follow.
    pub(super) fn is_fraction(&self) -> bool {
        let after = self.rest().strip_prefix('.');
        after.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    }

    pub(super) fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

pub(super) fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

pub(super) fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}
