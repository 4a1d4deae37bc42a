//! Groups: `(…)`, `(?P<name>…)`, `(?<name>…)`, `(?i-s:…)`, and flags alone: `(?i)`.

use regex_syntax::hir::{Capture, Hir};

use super::{Code, Frame, Parse, Parser, Refusal};

impl<'p> Parser<'p> {
    /// Opens a group that captures; its flags end with it.
    pub(super) fn open_capture(&mut self, name: Option<&str>) -> Parse<'p, ()> {
        let number = u32::try_from(self.group_names.len())
            .map_err(|_| Refusal::new(Code::TooLarge, self.whole))?;
        self.group_names.push(name.map(str::to_owned));
        self.open(Some(number));
        Ok(())
    }

    fn open(&mut self, capture: Option<u32>) {
        let outer_flags = Some(self.flags);
        self.frames.push(Frame {
            capture,
            outer_flags,
            ..Frame::default()
        });
    }

    /// Reads `)`.
    pub(super) fn close_group(&mut self) -> Parse<'p, ()> {
        self.skip(1);
        let frame = self.frames.pop().unwrap_or_default();
        let Some(outer_flags) = frame.outer_flags else {
            return Err(Refusal::new(Code::UnexpectedParen, self.whole));
        };
        self.flags = outer_flags;
        let capture = frame.capture;
        let mut node = self.checked(frame.finish())?;
        if let Some(index) = capture {
            node.height += 1;
            if self.capturing {
                let sub = Box::new(node.hir);
                node.hir = Hir::capture(Capture {
                    index,
                    name: None,
                    sub,
                });
            }
        }
        self.push(node)
    }

    /// Reads what begins with `(?`.
    pub(super) fn perl_group(&mut self) -> Parse<'p, ()> {
        let start = self.rest;
        let named = (start.len() > 4)
            .then(|| start.strip_prefix("(?P<"))
            .flatten();
        let named = named.or((start.len() > 3)
            .then(|| start.strip_prefix("(?<"))
            .flatten());
        if let Some(rest) = named {
            return self.named_group(start, rest);
        }
        self.skip(2);
        let mut flags = self.flags;
        // In a list of flags, `-` makes the later ones negative, and needs at least one of them.
        let (mut on, mut seen) = (true, false);
        while let Some(c) = self.rest.chars().next() {
            self.skip(c.len_utf8());
            match c {
                'i' => flags.fold_case = on,
                'm' => flags.one_line = !on,
                's' => flags.dot_matches_newline = on,
                'U' => flags.non_greedy = on,
                '-' if on => {
                    (on, seen) = (false, false);
                    continue;
                }
                ':' | ')' if on || seen => {
                    if c == ':' {
                        self.open(None);
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }
            seen = true;
        }
        Err(Refusal::between(Code::InvalidPerlOp, start, self.rest))
    }

    fn named_group(&mut self, start: &'p str, rest: &'p str) -> Parse<'p, ()> {
        let Some((name, after)) = rest.split_once('>') else {
            return Err(Refusal::new(Code::InvalidNamedCapture, start));
        };
        if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
            return Err(Refusal::between(Code::InvalidNamedCapture, start, after));
        }
        self.rest = after;
        self.open_capture(Some(name))
    }
}
