//! Patterns of literals with `.*` or `.+` between them.
//!
//! A gap is not bounded above, so the shortest prefix, the earliest end of each inner literal, and
//! the shortest suffix leave the most to the gaps: no choice ever has to be taken back.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use memchr::memmem::Finder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::set::{self, Budget};

/// Literals of more bytes than this are looked for by an automaton that takes longer, and less memory.
const MAX_DENSE_BYTES: usize = 64;

/// `prefix gap (inner gap)* suffix`, where prefix, inner and suffix each are one of some literals.
#[derive(Debug)]
pub(super) struct Glob {
    /// Alternatives, the shortest first; one is the empty one if there is no prefix.
    prefixes: Vec<String>,
    /// What the first gap holds at least, in characters.
    first_gap: usize,
    /// Each with the least size of the gap after it.
    inner: Vec<(Inner, usize)>,
    /// Alternatives; one is the empty one if there is no suffix.
    suffixes: Vec<String>,
}

#[derive(Debug)]
enum Inner {
    One(Box<Finder<'static>>),
    /// Reports the match that ends first.
    Some(AhoCorasick),
}

/// A part of a pattern while it is taken apart.
enum Part {
    Gap(usize),
    Literals(Vec<String>),
}

impl Glob {
    /// Takes `hir` apart, if it is of this form and has a gap.
    pub(super) fn of(hir: &Hir, budget: &mut Budget) -> Option<Self> {
        let subs = match hir.kind() {
            HirKind::Concat(subs) => subs.as_slice(),
            _ => std::slice::from_ref(hir),
        };
        let mut parts = Vec::new();
        let mut from = 0;
        for (i, sub) in subs.iter().enumerate() {
            let Some(min_chars) = gap(sub) else {
                continue;
            };
            parts.push(literals(subs.get(from..i)?, budget)?);
            parts.push(Part::Gap(min_chars));
            from = i + 1;
        }
        parts.push(literals(subs.get(from..)?, budget)?);
        Self::from_parts(parts)
    }

    /// `parts` are literals and gaps in turn.
    fn from_parts(parts: Vec<Part>) -> Option<Self> {
        let mut merged: Vec<Part> = Vec::new();
        let last = parts.len() - 1;
        for (i, part) in parts.into_iter().enumerate() {
            match (part, merged.last_mut()) {
                // Nothing between two gaps makes them one.
                (Part::Literals(texts), Some(_)) if i < last && is_empty(&texts) => {}
                (Part::Gap(more), Some(Part::Gap(min_chars))) => *min_chars += more,
                (part, _) => merged.push(part),
            }
        }
        let mut parts = merged.into_iter();
        let (Some(Part::Literals(mut prefixes)), Some(Part::Gap(first_gap))) =
            (parts.next(), parts.next())
        else {
            return None;
        };
        prefixes.sort_by_key(String::len);
        let (mut inner, mut suffixes) = (Vec::new(), Vec::new());
        while let Some(Part::Literals(texts)) = parts.next() {
            match parts.next() {
                Some(Part::Gap(min_chars)) => inner.push((Inner::new(texts)?, min_chars)),
                _ => suffixes = texts,
            }
        }
        Some(Self {
            prefixes,
            first_gap,
            inner,
            suffixes,
        })
    }

    /// About the memory that it holds.
    pub(super) fn bytes(&self) -> usize {
        let inner = self.inner.iter().map(|(inner, _)| match inner {
            Inner::One(finder) => size_of_val(finder.as_ref()) + finder.needle().len(),
            Inner::Some(automaton) => automaton.memory_usage(),
        });
        set::total_len(&self.prefixes) + set::total_len(&self.suffixes) + inner.sum::<usize>()
    }

    /// What a value can start with.
    pub(super) fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    /// Whether this is `.*` or `.+` or the like, alone.
    pub(super) fn is_only_a_gap_of(&self, min_chars: usize) -> bool {
        self.first_gap == min_chars
            && self.inner.is_empty()
            && is_empty(&self.prefixes)
            && is_empty(&self.suffixes)
    }

    pub(super) fn is_match(&self, value: &str) -> bool {
        self.ends_within(value.as_bytes()).is_some()
    }

    fn ends_within(&self, value: &[u8]) -> Option<()> {
        let mut rest = self
            .prefixes
            .iter()
            .find_map(|p| value.strip_prefix(p.as_bytes()))?;
        rest = skip_chars(rest, self.first_gap)?;
        for (inner, min_chars) in &self.inner {
            rest = skip_chars(inner.find(rest)?, *min_chars)?;
        }
        self.suffixes
            .iter()
            .any(|s| rest.ends_with(s.as_bytes()))
            .then_some(())
    }
}

impl Inner {
    fn new(mut texts: Vec<String>) -> Option<Self> {
        if texts.len() == 1 {
            return Some(Self::One(Box::new(Finder::new(&texts.pop()?).into_owned())));
        }
        let is_long = set::total_len(&texts) > MAX_DENSE_BYTES;
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(is_long.then_some(AhoCorasickKind::ContiguousNFA))
            .build(texts);
        automaton.ok().map(Self::Some)
    }

    /// What follows the first match to end.
    fn find<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]> {
        let end = match self {
            Self::One(finder) => finder.find(value)? + finder.needle().len(),
            Self::Some(automaton) => automaton.find(value)?.end(),
        };
        value.get(end..)
    }
}

/// Skips `count` characters of UTF-8, if there are as many.
fn skip_chars(mut text: &[u8], count: usize) -> Option<&[u8]> {
    for _ in 0..count {
        let (_, rest) = text.split_first()?;
        let continued = rest.iter().take_while(|b| **b & 0xC0 == 0x80).count();
        text = rest.get(continued..)?;
    }
    Some(text)
}

/// The least size of `hir`, if it accepts everything from that size on.
fn gap(hir: &Hir) -> Option<usize> {
    let HirKind::Repetition(repetition) = hir.kind() else {
        return None;
    };
    let HirKind::Class(Class::Unicode(class)) = repetition.sub.kind() else {
        return None;
    };
    let is_any = class
        .ranges()
        .first()
        .is_some_and(|r| r.start() == '\0' && r.end() == char::MAX);
    (is_any && repetition.max.is_none()).then_some(repetition.min as usize)
}

fn literals(subs: &[Hir], budget: &mut Budget) -> Option<Part> {
    // A set without values cannot be told from the absence of a part; it is rare.
    let values = set::values(&Hir::concat(subs.to_vec()), *budget)?;
    budget.spend(&values);
    (!values.is_empty()).then_some(Part::Literals(values))
}

fn is_empty(texts: &[String]) -> bool {
    matches!(texts, [text] if text.is_empty())
}
