//! Repetition: `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`, and their lazy forms.

use regex_syntax::hir::{Hir, Repetition};

use super::{Code, Node, Parse, Parser, Refusal};

/// Go's limit of a count, and of the product of nested counts.
const MAX_REPEAT: u64 = 1000;

impl<'p> Parser<'p> {
    /// Reads `*`, `+` or `?`.
    pub(super) fn repeat_operator(&mut self, operator: char) -> Parse<'p, &'p str> {
        let before = self.rest;
        self.skip(1);
        let (min, max) = match operator {
            '*' => (0, None),
            '+' => (1, None),
            _ => (0, Some(1)),
        };
        self.repeat(before, min, max, false)?;
        Ok(before)
    }

    /// Reads `{…}`: a repetition, or else a literal brace.
    pub(super) fn counted_repeat(&mut self) -> Parse<'p, Option<&'p str>> {
        let before = self.rest;
        let Some((min, max, after)) = bounds(before) else {
            self.skip(1);
            self.push_rune(u32::from('{'))?;
            return Ok(None);
        };
        self.rest = after;
        let too_many = |count: u64| count > MAX_REPEAT;
        if too_many(min) || max.is_some_and(|max| too_many(max) || min > max) {
            return Err(Refusal::between(Code::InvalidRepeatSize, before, after));
        }
        self.repeat(before, min, max, true)?;
        Ok(Some(before))
    }

    fn repeat(
        &mut self,
        before: &'p str,
        min: u64,
        max: Option<u64>,
        counted: bool,
    ) -> Parse<'p, ()> {
        let mut greedy = !self.flags.non_greedy;
        if self.rest.starts_with('?') {
            self.skip(1);
            greedy = !greedy;
        }
        if let Some(last) = self.last_repeat {
            return Err(Refusal::between(Code::InvalidRepeatOp, last, self.rest));
        }
        let Some(sub) = self.frame().parts.pop() else {
            return Err(Refusal::between(
                Code::MissingRepeatArgument,
                before,
                self.rest,
            ));
        };
        let repeats = match max.unwrap_or(min) {
            _ if !counted => sub.repeats,
            0 if max == Some(0) => 1,
            count => sub.repeats.saturating_mul(count.max(1)),
        };
        let bound = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let repetition = Repetition {
            min: bound(min),
            max: max.map(bound),
            greedy,
            sub: Box::new(sub.hir),
        };
        let height = sub.height + 1;
        self.push(Node {
            hir: Hir::repetition(repetition),
            height,
            repeats,
        })?;
        if counted && (min >= 2 || max.is_some_and(|max| max >= 2)) && repeats > MAX_REPEAT {
            return Err(Refusal::between(Code::InvalidRepeatSize, before, self.rest));
        }
        Ok(())
    }
}

/// Reads `{n}`, `{n,}` or `{n,m}`: the bounds and what follows.
fn bounds(text: &str) -> Option<(u64, Option<u64>, &str)> {
    let (min, rest) = count(text.strip_prefix('{')?)?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((min, Some(min), rest));
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((min, None, rest));
    }
    let (max, rest) = count(rest)?;
    Some((min, Some(max), rest.strip_prefix('}')?))
}

/// Reads a decimal number without leading zeros, saturated.
fn count(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u64::MAX), rest))
}
