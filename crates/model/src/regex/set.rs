//! Patterns that accept a few values only, and sets of values.

use std::collections::HashSet;

use foldhash::fast::FixedState;
use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

/// Products of classes and alternatives up to this size are sets, as in the reference.
const MAX_VALUES: usize = 256;

/// Up to this size a set is searched from front to back.
const MAX_SCANNED: usize = 8;

/// How many values may be made of a pattern. A list of alternatives is as long as its pattern.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    values: usize,
    bytes: usize,
}

impl Budget {
    pub(super) fn of_pattern(pattern_len: usize) -> Self {
        Self {
            values: MAX_VALUES.max(pattern_len),
            bytes: (64 << 10) + 4 * pattern_len,
        }
    }

    /// No more bytes than this.
    pub(super) fn at_most(self, bytes: usize) -> Self {
        Self {
            bytes: self.bytes.min(bytes),
            ..self
        }
    }

    /// What is left beside these.
    pub(super) fn spend(&mut self, values: &[String]) {
        self.values = self.values.saturating_sub(values.len());
        self.bytes = self.bytes.saturating_sub(total_len(values));
    }

    fn allows(self, values: &[String]) -> bool {
        values.len() <= self.values && total_len(values) <= self.bytes
    }
}

/// All values that `hir` accepts, perhaps with repetitions, if it accepts few.
pub(super) fn values(hir: &Hir, budget: Budget) -> Option<Vec<String>> {
    let values = match hir.kind() {
        HirKind::Empty => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8(literal.0.to_vec()).ok()?],
        HirKind::Class(Class::Unicode(class)) => {
            if class.ranges().iter().map(|r| r.len()).sum::<usize>() > MAX_VALUES {
                return None;
            }
            let chars = class.ranges().iter().flat_map(|r| r.start()..=r.end());
            chars.map(String::from).collect()
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => return None,
        HirKind::Repetition(repetition) => repeated(repetition, budget)?,
        HirKind::Capture(capture) => values(&capture.sub, budget)?,
        HirKind::Concat(subs) => {
            let mut product = vec![String::new()];
            for sub in subs {
                product = multiply(&product, &values(sub, budget)?, budget)?;
            }
            product
        }
        HirKind::Alternation(subs) => {
            let mut sum = Vec::new();
            for sub in subs {
                sum.append(&mut values(sub, budget)?);
                if sum.len() > budget.values {
                    return None;
                }
            }
            sum
        }
    };
    budget.allows(&values).then_some(values)
}

fn repeated(repetition: &Repetition, budget: Budget) -> Option<Vec<String>> {
    let max = repetition.max?;
    let once = values(&repetition.sub, budget)?;
    let mut power = vec![String::new()];
    for _ in 0..repetition.min {
        power = multiply(&power, &once, budget)?;
    }
    let mut sum = power.clone();
    for _ in repetition.min..max {
        power = multiply(&power, &once, budget)?;
        sum.extend(power.iter().cloned());
        if !budget.allows(&sum) {
            return None;
        }
    }
    Some(sum)
}

fn multiply(left: &[String], right: &[String], budget: Budget) -> Option<Vec<String>> {
    let count = left.len().checked_mul(right.len())?;
    let bytes = total_len(left) * right.len() + total_len(right) * left.len();
    if count > budget.values || bytes > budget.bytes {
        return None;
    }
    Some(
        left.iter()
            .flat_map(|l| right.iter().map(move |r| format!("{l}{r}")))
            .collect(),
    )
}

pub(super) fn total_len(values: &[String]) -> usize {
    values.iter().map(String::len).sum()
}

/// What all values start with.
pub(super) fn common_prefix<'v>(mut values: impl Iterator<Item = &'v str>) -> &'v str {
    let first = values.next().unwrap_or_default();
    values.fold(first, |prefix, value| {
        let same = prefix
            .chars()
            .zip(value.chars())
            .take_while(|(a, b)| a == b);
        let len = same.map(|(c, _)| c.len_utf8()).sum();
        prefix.get(..len).unwrap_or_default()
    })
}

/// Values to look up.
#[derive(Debug)]
pub(super) struct ValueSet {
    sorted: Vec<String>,
    /// The same values, if they are many.
    hashed: HashSet<String, FixedState>,
}

impl ValueSet {
    pub(super) fn new(mut values: Vec<String>) -> Self {
        values.sort_unstable();
        values.dedup();
        let many = values.len() > MAX_SCANNED;
        let hashed = values.iter().filter(|_| many).cloned().collect();
        Self {
            sorted: values,
            hashed,
        }
    }

    pub(super) fn contains(&self, value: &str) -> bool {
        if self.sorted.len() > MAX_SCANNED {
            return self.hashed.contains(value);
        }
        self.sorted.iter().any(|v| v == value)
    }

    /// About the memory that it holds.
    pub(super) fn bytes(&self) -> usize {
        let copies = if self.hashed.is_empty() { 1 } else { 2 };
        copies * (size_of_val(self.sorted.as_slice()) + total_len(&self.sorted))
    }

    pub(super) fn sorted(&self) -> &[String] {
        &self.sorted
    }

    pub(super) fn common_prefix(&self) -> &str {
        match (self.sorted.first(), self.sorted.last()) {
            (Some(first), Some(last)) => common_prefix([first.as_str(), last].into_iter()),
            _ => "",
        }
    }
}
