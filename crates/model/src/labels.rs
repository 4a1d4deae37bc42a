//! Label sets: sorted, unique names, immutable, cheap to clone.
//!
//! A set is one shared allocation of text plus the ends of its strings, so that a clone is a
//! reference count and a comparison walks contiguous memory. The order is that of Prometheus'
//! `labels.Compare`: pairs by name, then by value, a prefix before what it is a prefix of.

mod decoder;

use std::{cmp::Ordering, collections::BTreeMap, fmt, hash, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use xxhash_rust::xxh64::Xxh64;

pub use self::decoder::LabelsDecoder;
use crate::quote::quote;

/// Name of the label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// Separates names and values in what is hashed; it cannot occur in UTF-8.
const SEPARATOR: &[u8] = &[0xFF];

/// One name and its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Label {
    /// Any UTF-8; not empty in a valid set.
    pub name: String,
    /// Any UTF-8; an absent label and one with an empty value match alike.
    pub value: String,
}

/// A set of labels, sorted by name, each name once.
#[derive(Clone, Default)]
pub struct Labels(Option<Arc<Inner>>);

struct Inner {
    /// All names and values, one after the other: name, value, name, value.
    text: Box<str>,
    /// Where each of these strings ends in `text`.
    ends: Box<[u32]>,
}

impl Labels {
    /// The set without labels; does not allocate.
    #[must_use]
    pub fn empty() -> Self {
        Self(None)
    }

    /// Starts an empty builder.
    #[must_use]
    pub fn builder() -> LabelsBuilder {
        LabelsBuilder::default()
    }

    /// A builder that starts with these labels.
    #[must_use]
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder {
            labels: self
                .iter()
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect(),
        }
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| inner.ends.len() / 2)
    }

    /// The memory that they hold, shared with their clones, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| {
            size_of::<[usize; 2]>()
                + size_of::<Inner>()
                + inner.text.len()
                + size_of_val(&*inner.ends)
        })
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value of `name`, if it is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .take_while(|(n, _)| *n <= name)
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v)
    }

    /// The value of `name`, or the empty string: to a matcher both are the same.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Names and values in order of the names.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        match &self.0 {
            Some(inner) => Iter {
                text: &inner.text,
                ends: &inner.ends,
                at: 0,
            },
            None => Iter {
                text: "",
                ends: &[],
                at: 0,
            },
        }
    }

    /// This set without the labels named in `names`.
    #[must_use]
    pub fn without<S: AsRef<str>>(&self, names: &[S]) -> Self {
        let named = |name: &str| names.iter().any(|n| n.as_ref() == name);
        if !self.iter().any(|(name, _)| named(name)) {
            return self.clone();
        }
        Self::from_sorted(self.iter().filter(|(name, _)| !named(name)))
    }

    /// This set with all of `other`'s labels; where both have a name, `other`'s value counts.
    #[must_use]
    pub fn extended_with(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        self.iter().chain(other.iter()).collect()
    }

    /// `xxhash64` over `name 0xFF value 0xFF` of all labels.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = Xxh64::new(0);
        for (name, value) in self.iter() {
            hasher.update(name.as_bytes());
            hasher.update(SEPARATOR);
            hasher.update(value.as_bytes());
            hasher.update(SEPARATOR);
        }
        hasher.digest()
    }

    /// Takes pairs that are sorted by name and unique.
    fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        let lengths = pairs.clone().map(|(name, value)| name.len() + value.len());
        let (count, len) = lengths.fold((0, 0), |(count, sum), len| (count + 1, sum + len));
        let (mut text, mut ends) = (String::with_capacity(len), Vec::with_capacity(2 * count));
        for (name, value) in pairs {
            for part in [name, value] {
                text.push_str(part);
                // A label set of 4 GiB cannot come from any format that is read.
                ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
            }
        }
        if ends.is_empty() {
            return Self(None);
        }
        Self(Some(Arc::new(Inner {
            text: text.into(),
            ends: ends.into(),
        })))
    }
}

/// Names and values of a [`Labels`] in order.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    text: &'a str,
    ends: &'a [u32],
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[name_end, value_end], rest) = self.ends.split_first_chunk()?;
        let name = self.text.get(self.at..name_end as usize)?;
        let value = self.text.get(name_end as usize..value_end as usize)?;
        self.ends = rest;
        self.at = value_end as usize;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.ends.len() / 2, Some(self.ends.len() / 2))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Collects pairs in any order; of equal names the last one counts, empty values are kept.
impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        if !pairs.is_sorted_by(|a, b| a.0.as_ref() < b.0.as_ref()) {
            pairs.reverse();
            pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
            pairs.dedup_by(|later, kept| later.0.as_ref() == kept.0.as_ref());
        }
        Self::from_sorted(pairs.iter().map(|(n, v)| (n.as_ref(), v.as_ref())))
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        labels.into_iter().map(|l| (l.name, l.value)).collect()
    }
}

impl<const LEN: usize> From<[(&str, &str); LEN]> for Labels {
    fn from(pairs: [(&str, &str); LEN]) -> Self {
        pairs.into_iter().collect()
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            _ => self.iter().cmp(other.iter()),
        }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || (a.text == b.text && a.ends == b.ends),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

impl Eq for Labels {}

impl hash::Hash for Labels {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        if let Some(inner) = &self.0 {
            inner.text.hash(state);
            inner.ends.hash(state);
        }
    }
}

/// `{a="1", b="2"}`, values (and names that are not plain identifiers) quoted as Go's `%q` does.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            if is_plain_name(name) {
                f.write_str(name)?;
            } else {
                f.write_str(&quote(name))?;
            }
            write!(f, "={}", quote(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LabelsVisitor)
    }
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of label names and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry::<String, String>()? {
            pairs.push(pair);
        }
        Ok(pairs.into_iter().collect())
    }
}

/// Changes labels one at a time. A label that is set to the empty value is removed.
#[derive(Debug, Clone, Default)]
pub struct LabelsBuilder {
    labels: BTreeMap<String, String>,
}

impl LabelsBuilder {
    /// Sets `name`, or removes it if `value` is empty.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() {
            self.labels.remove(&name);
        } else {
            self.labels.insert(name, value);
        }
        self
    }

    /// Removes `name`, if it is there.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.labels.remove(name);
        self
    }

    /// The present value of `name`, or the empty string.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Present names and values in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The finished set.
    #[must_use]
    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }
}

/// Whether `name` is of the old, ASCII-only form `[a-zA-Z_][a-zA-Z0-9_]*`, which needs no quotes.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests;
