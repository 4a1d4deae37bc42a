//! How values are tested against a pattern: the cheapest way that answers as the automaton would.

use memchr::memmem::Finder;
use regex_automata::{Anchored, Input, meta};
use regex_syntax::hir::{Hir, HirKind, Look};

use super::{
    glob::Glob,
    set::{self, Budget, ValueSet},
};

/// More alternatives than this are left to the automaton.
const MAX_GLOBS: usize = 32;

/// What a byte of a literal takes at most that is looked for together with others.
const BYTES_PER_LITERAL_BYTE: usize = 64;

/// A test of values.
#[derive(Debug)]
pub(super) enum Plan {
    /// Every value passes.
    All,
    /// Every value but the empty one passes.
    NotEmpty,
    /// These pass.
    Set(ValueSet),
    /// What is in the set or fits one of the globs passes.
    Globs {
        exact: ValueSet,
        globs: Vec<Glob>,
        prefix: String,
    },
    /// What the automaton accepts passes.
    Engine(Box<Engine>),
}

/// An automaton, and cheaper tests that every accepted value passes.
#[derive(Debug)]
pub(super) struct Engine {
    regex: meta::Regex,
    min_len: usize,
    max_len: usize,
    prefix: String,
    suffix: String,
    /// What must occur in this order between prefix and suffix.
    contains: Vec<Finder<'static>>,
}

impl Plan {
    pub(super) fn is_match(&self, value: &str) -> bool {
        match self {
            Self::All => true,
            Self::NotEmpty => !value.is_empty(),
            Self::Set(set) => set.contains(value),
            Self::Globs { exact, globs, .. } => {
                globs.iter().any(|glob| glob.is_match(value)) || exact.contains(value)
            }
            Self::Engine(engine) => engine.is_match(value),
        }
    }

    /// About the memory that it holds, an automaton apart.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::All | Self::NotEmpty | Self::Engine(_) => 0,
            Self::Set(set) => set.bytes(),
            Self::Globs { exact, globs, .. } => {
                let globs = globs.iter().map(|glob| size_of_val(glob) + glob.bytes());
                exact.bytes() + globs.sum::<usize>()
            }
        }
    }

    pub(super) fn set(&self) -> Option<&[String]> {
        match self {
            Self::Set(set) => Some(set.sorted()),
            _ => None,
        }
    }

    pub(super) fn prefix(&self) -> &str {
        match self {
            Self::All | Self::NotEmpty => "",
            Self::Set(set) => set.common_prefix(),
            Self::Globs { prefix, .. } => prefix,
            Self::Engine(engine) => &engine.prefix,
        }
    }

    /// A plan that runs `regex`, the automaton of `hir`.
    pub(super) fn engine(hir: &Hir, regex: meta::Regex) -> Self {
        let parts = match hir.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(hir),
        };
        let (first, last) = (
            parts.first().and_then(literal),
            parts.last().and_then(literal),
        );
        let inner = parts
            .get(1..parts.len().saturating_sub(1))
            .unwrap_or_default();
        let properties = hir.properties();
        Self::Engine(Box::new(Engine {
            regex,
            min_len: properties.minimum_len().unwrap_or(0),
            max_len: properties.maximum_len().unwrap_or(usize::MAX),
            prefix: first.unwrap_or_default().to_owned(),
            suffix: last.unwrap_or_default().to_owned(),
            contains: inner
                .iter()
                .filter_map(literal)
                .map(|text| Finder::new(text).into_owned())
                .collect(),
        }))
    }
}

impl Engine {
    fn is_match(&self, value: &str) -> bool {
        // Prefix and suffix may overlap here: the automaton has the last word.
        (self.min_len..=self.max_len).contains(&value.len())
            && value.starts_with(&self.prefix)
            && value.ends_with(&self.suffix)
            && self.contains_in_order(value)
            && self
                .regex
                .is_match(Input::new(value).anchored(Anchored::Yes))
    }

    fn contains_in_order(&self, value: &str) -> bool {
        let mut rest = value.as_bytes();
        self.contains.iter().all(|finder| match finder.find(rest) {
            Some(at) => {
                rest = rest.get(at + finder.needle().len()..).unwrap_or_default();
                true
            }
            None => false,
        })
    }
}

fn literal(hir: &Hir) -> Option<&str> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok(),
        _ => None,
    }
}

/// A plan for `hir` that needs no automaton, if there is one within `room` bytes.
pub(super) fn without_engine(hir: &Hir, pattern_len: usize, room: usize) -> Option<Plan> {
    let budget = Budget::of_pattern(pattern_len);
    if let Some(values) = set::values(hir, budget) {
        return Some(Plan::Set(ValueSet::new(values)));
    }
    let alternatives = match hir.kind() {
        HirKind::Alternation(alternatives) => alternatives.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let (mut exact, mut globs) = (Vec::new(), Vec::new());
    let (mut of_exact, mut of_globs) = (budget, budget.at_most(room / BYTES_PER_LITERAL_BYTE));
    for alternative in alternatives {
        match set::values(alternative, of_exact) {
            Some(values) => {
                of_exact.spend(&values);
                exact.extend(values);
            }
            None if globs.len() < MAX_GLOBS => globs.push(Glob::of(alternative, &mut of_globs)?),
            None => return None,
        }
    }
    let exact = ValueSet::new(exact);
    let accepts_all = |min_chars| globs.iter().any(|glob| glob.is_only_a_gap_of(min_chars));
    if accepts_all(0) || (accepts_all(1) && exact.contains("")) {
        return Some(Plan::All);
    }
    if accepts_all(1) && !globs.iter().any(|glob| glob.is_match("")) {
        return Some(Plan::NotEmpty);
    }
    let prefixes = globs.iter().flat_map(Glob::prefixes).chain(exact.sorted());
    let prefix = set::common_prefix(prefixes.map(String::as_str)).to_owned();
    Some(Plan::Globs {
        exact,
        globs,
        prefix,
    })
}

/// `hir` without the anchors that hold anyway, because the whole value is matched.
pub(super) fn without_anchors(hir: &Hir) -> Hir {
    strip(hir, true, true)
}

/// `at_start` and `at_end` say that only the ends of the value can lie before and after `hir`.
fn strip(hir: &Hir, at_start: bool, at_end: bool) -> Hir {
    match hir.kind() {
        HirKind::Look(Look::Start | Look::StartLF) if at_start => Hir::empty(),
        HirKind::Look(Look::End | Look::EndLF) if at_end => Hir::empty(),
        HirKind::Capture(capture) => strip(&capture.sub, at_start, at_end),
        HirKind::Alternation(subs) => Hir::alternation(
            subs.iter()
                .map(|sub| strip(sub, at_start, at_end))
                .collect(),
        ),
        HirKind::Concat(subs) => {
            let is_start =
                |sub: &Hir| matches!(sub.kind(), HirKind::Look(Look::Start | Look::StartLF));
            let is_end = |sub: &Hir| matches!(sub.kind(), HirKind::Look(Look::End | Look::EndLF));
            let mut subs = subs.as_slice();
            while let Some((first, rest)) = subs.split_first()
                && at_start
                && is_start(first)
            {
                subs = rest;
            }
            while let Some((last, rest)) = subs.split_last()
                && at_end
                && is_end(last)
            {
                subs = rest;
            }
            let last = subs.len().saturating_sub(1);
            let strip_at = |(i, sub)| strip(sub, at_start && i == 0, at_end && i == last);
            Hir::concat(subs.iter().enumerate().map(strip_at).collect())
        }
        _ => hir.clone(),
    }
}
