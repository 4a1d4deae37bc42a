//! From matchers to the postings lists that decide them, without reading any.

use std::collections::BTreeMap;

use rutile_index::{Header, PostingsRange, Result};
use rutile_model::Matcher;

/// A group with at most this many lists goes through the cache; a larger one is as good as unique.
const CACHED_KEYS: usize = 64;

/// The lists of one label name.
#[derive(Debug)]
pub(crate) struct Group {
    /// The label name.
    pub(crate) name: Box<str>,
    /// Whether the series in the lists are the ones wanted, or the ones not wanted.
    pub(crate) keep: bool,
    /// Where the lists lie, in order of the values.
    pub(crate) ranges: Vec<PostingsRange>,
    /// The values, if there are few.
    pub(crate) values: Option<Vec<Box<str>>>,
    /// What the group stands for, to be applied to series instead.
    pub(crate) matchers: Vec<Matcher>,
}

impl Group {
    /// Bytes of all lists.
    pub(crate) fn bytes(&self) -> u64 {
        self.ranges.iter().map(PostingsRange::byte_len).sum()
    }

    /// Series in all lists, or somewhat more.
    pub(crate) fn series(&self) -> u64 {
        self.ranges.iter().map(PostingsRange::max_series).sum()
    }
}

/// The groups of a set of matchers; `None` if no series can match.
pub(crate) fn groups(header: &Header, matchers: &[Matcher]) -> Result<Option<Vec<Group>>> {
    let mut by_name: BTreeMap<&str, Vec<&Matcher>> = BTreeMap::new();
    for matcher in matchers {
        by_name.entry(matcher.name()).or_default().push(matcher);
    }
    let mut groups = Vec::with_capacity(by_name.len());
    for (name, matchers) in by_name {
        let missing_ok = matchers.iter().all(|matcher| matcher.matches_empty());
        let mut builder = Builder {
            header,
            name,
            ranges: Vec::new(),
            values: Some(Vec::new()),
        };
        if missing_ok {
            if matchers.iter().all(|matcher| matcher.matches_all()) {
                continue;
            }
            builder.unwanted(&matchers)?;
            if builder.ranges.is_empty() {
                continue;
            }
        } else {
            builder.wanted(&matchers)?;
            if builder.ranges.is_empty() {
                return Ok(None);
            }
        }
        groups.push(Group {
            name: name.into(),
            keep: !missing_ok,
            ranges: builder.ranges,
            values: builder.values,
            matchers: matchers.into_iter().cloned().collect(),
        });
    }
    Ok(Some(groups))
}

struct Builder<'a> {
    header: &'a Header,
    name: &'a str,
    ranges: Vec<PostingsRange>,
    values: Option<Vec<Box<str>>>,
}

impl Builder<'_> {
    /// Collects the lists of the values that all matchers accept; the label must be there.
    fn wanted(&mut self, matchers: &[&Matcher]) -> Result<()> {
        let accepted = |value: &str| matchers.iter().all(|matcher| matcher.matches(value));
        let sets = matchers.iter().filter_map(|matcher| matcher.set_matches());
        if let Some(set) = sets.min_by_key(|set| set.len()) {
            return self.named(set.iter().map(String::as_str), |value| accepted(value));
        }
        let prefix = matchers
            .iter()
            .map(|matcher| matcher.prefix())
            .max_by_key(|p| p.len());
        let any = matchers.iter().all(|m| m.is_not_empty() || m.matches_all());
        self.enumerated(prefix, |value| any || accepted(value));
        Ok(())
    }

    /// Collects the lists of the values that some matcher refuses; series without the label stay.
    fn unwanted(&mut self, matchers: &[&Matcher]) -> Result<()> {
        let refused = |value: &str| !matchers.iter().all(|matcher| matcher.matches(value));
        let inverses: Vec<Matcher> = matchers.iter().map(|matcher| matcher.inverse()).collect();
        let sets: Option<Vec<&[String]>> = inverses.iter().map(Matcher::set_matches).collect();
        if let Some(sets) = sets {
            return self.named(sets.concat().iter().map(String::as_str), |_| true);
        }
        self.enumerated(None, refused);
        Ok(())
    }

    fn named<'v>(
        &mut self,
        values: impl Iterator<Item = &'v str>,
        take: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let mut values: Vec<&str> = values
            .filter(|value| !value.is_empty() && take(value))
            .collect();
        values.sort_unstable();
        values.dedup();
        let ranges = self.header.postings_ranges(self.name, &values)?;
        for (value, range) in values.iter().zip(ranges) {
            if let Some(range) = range {
                self.push(value, range);
            }
        }
        Ok(())
    }

    fn enumerated(&mut self, prefix: Option<&str>, take: impl Fn(&str) -> bool) {
        for (value, range) in self.header.label_values_with_ranges(self.name, prefix) {
            if take(value) {
                self.push(value, range);
            }
        }
    }

    fn push(&mut self, value: &str, range: PostingsRange) {
        self.ranges.push(range);
        match &mut self.values {
            Some(values) if values.len() < CACHED_KEYS => values.push(value.into()),
            values => *values = None,
        }
    }
}
