//! Which stores can have something to say to a request.

use std::collections::{BTreeMap, BTreeSet};

use rutile_model::{Labels, Matcher, RelabelConfig, relabel};
use rutile_proto::thanos::{LabelMatcher, label_matcher::Type};

use crate::{Absent, Known, Metadata, Store};

/// Stands for the name of an endpoint in `storeMatch[]`.
const ADDRESS: &str = "__address__";

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// First and last time, in milliseconds, inclusive.
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    /// Those of the request, without the selector labels.
    pub(crate) matchers: &'a [Matcher],
    /// `storeMatch[]`: one of these sets must match the store. None is no restriction.
    pub(crate) store_matchers: &'a [Vec<Matcher>],
}

/// A store to ask, and the matchers that only it gets.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) store: Store,
    pub(crate) extra: Vec<LabelMatcher>,
}

/// The stores to ask. `relabel` keeps or drops them by their label sets.
pub(crate) fn select(
    stores: Vec<Store>,
    question: &Question<'_>,
    relabel: &[RelabelConfig],
) -> Vec<Chosen> {
    let choose = |store: Store| {
        let kept = kept_label_sets(&store.metadata, relabel)?;
        let chosen = question.concerns(&store.name, &store.metadata);
        let extra = if kept.len() == store.metadata.label_sets.len() {
            Vec::new()
        } else {
            matchers_of(&kept)
        };
        chosen.then_some(Chosen { store, extra })
    };
    stores.into_iter().filter_map(choose).collect()
}

/// What is to be said of the stores that would be asked if they could.
pub(crate) fn missing(
    absent: &[Absent],
    question: &Question<'_>,
    relabel: &[RelabelConfig],
) -> Vec<String> {
    let is_missed = |store: &&Absent| {
        kept_label_sets(&store.metadata, relabel).is_some()
            && question.concerns(&store.name, &store.metadata)
    };
    let missed = absent.iter().filter(is_missed);
    missed.map(Absent::warning).collect()
}

/// The label sets that the rules keep; `None` when there are some and all are dropped.
pub(crate) fn kept_label_sets<'a>(
    metadata: &'a Metadata,
    rules: &[RelabelConfig],
) -> Option<Vec<&'a Labels>> {
    let sets = &metadata.label_sets;
    let kept: Vec<_> = sets
        .iter()
        .filter(|labels| relabel::process(labels, rules).is_some())
        .collect();
    (sets.is_empty() || !kept.is_empty()).then_some(kept)
}

impl Question<'_> {
    /// Whether `storeMatch[]` names one of the stores, if only one that has nothing to say.
    pub(crate) fn names_any(&self, known: &Known) -> bool {
        let mut stores = known.stores.iter();
        let mut absent = known.absent.iter();
        stores.any(|store| self.wants_store(&store.name, &store.metadata))
            || absent.any(|store| self.wants_store(&store.name, &store.metadata))
    }

    fn concerns(&self, name: &str, metadata: &Metadata) -> bool {
        let (min_time, max_time) = metadata.time_range();
        self.min_time <= max_time
            && self.max_time >= min_time
            && self.wants_store(name, metadata)
            && self.wants_data(metadata)
    }

    /// Whether one of the label sets may have series that match.
    fn wants_data(&self, metadata: &Metadata) -> bool {
        let wants_set = |set: &Labels| {
            may_match(set, self.matchers) && metadata.begins_until(set, self.max_time)
        };
        let sets = &metadata.label_sets;
        sets.is_empty() || sets.iter().any(wants_set)
    }

    /// Whether `storeMatch[]` names the store, by its address and its external labels.
    fn wants_store(&self, name: &str, metadata: &Metadata) -> bool {
        let names_set = |matchers: &[Matcher], labels: &Labels| {
            matchers.iter().all(|matcher| match matcher.name() {
                ADDRESS => matcher.matches(name),
                label => matcher.matches(labels.value(label)),
            })
        };
        let sets = &metadata.label_sets;
        let names_store = |matchers: &Vec<Matcher>| {
            sets.iter().any(|set| names_set(matchers, set))
                || (sets.is_empty() && names_set(matchers, &Labels::empty()))
        };
        self.store_matchers.is_empty() || self.store_matchers.iter().any(names_store)
    }
}

/// Whether series with these external labels may match: a label that is not among them may be one of
/// the series' own.
pub(crate) fn may_match(external: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| {
        let value = external.get(matcher.name());
        value.is_none_or(|value| matcher.matches(value))
    })
}

/// Matchers that all of these label sets pass: for each label one of the values it has in them, or
/// none where a set lacks it.
fn matchers_of(sets: &[&Labels]) -> Vec<LabelMatcher> {
    let names: BTreeSet<&str> = sets
        .iter()
        .flat_map(|set| set.iter())
        .map(|(name, _)| name)
        .collect();
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for name in names {
        values.insert(name, sets.iter().map(|set| set.value(name)).collect());
    }
    let matcher = |(name, values): (&str, BTreeSet<&str>)| {
        let alternatives: Vec<_> = values.into_iter().map(escape).collect();
        LabelMatcher {
            r#type: Type::Re.into(),
            name: name.to_owned(),
            value: alternatives.join("|"),
        }
    };
    values.into_iter().map(matcher).collect()
}

/// A regular expression that matches only `text`.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests;
