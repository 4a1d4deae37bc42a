//! Sorts the rows of a vector into native histograms and classic ones.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use rutile_model::Labels;
use rutile_model::histogram::classic::Bucket;
use rutile_model::quote;
use rutile_model::sample::{STALE_NAN, is_stale_nan};

use super::CallContext;
use crate::ast::Span;
use crate::engine::column::Row;
use crate::engine::eval::METRIC_NAME;

/// The label that holds a bucket's upper bound.
const BUCKET: &str = "le";

/// Classic histograms by the labels of their series but the bound.
#[derive(Debug, Default)]
struct Index {
    classics: Vec<Classic>,
    /// Places in `classics`. Only the first series of each histogram needs labels of its own.
    places: HashTable<usize>,
    hasher: FixedState,
}

/// The histograms of a vector. Where a native and a classic one have the same labels at the same step,
/// neither is there any more.
#[derive(Debug)]
pub(super) struct Histograms {
    pub(super) natives: Vec<Row>,
    pub(super) classics: Vec<Classic>,
}

/// A classic histogram at all steps.
#[derive(Debug)]
pub(super) struct Classic {
    /// Of its series, without the bound; with the metric name.
    pub(super) labels: Labels,
    /// Upper bounds and counts of the buckets, by bound.
    buckets: Vec<(f64, Vec<f64>)>,
}

impl Histograms {
    /// Sorts out what the argument at `span` yielded; says what is no histogram.
    pub(super) fn new(context: &mut CallContext<'_>, rows: Vec<Row>, span: Span) -> Self {
        let mut natives = Vec::new();
        let mut index = Index::default();
        for mut row in rows {
            let floats = std::mem::take(&mut row.column.floats);
            let has_floats = !floats.iter().all(|value| is_stale_nan(*value));
            let labels = row.labels.clone();
            if !row.column.histograms.is_empty() {
                row.column.floats = vec![STALE_NAN; floats.len()];
                natives.push(row);
            }
            if !has_floats {
                continue;
            }
            match parse_bound(labels.value(BUCKET)) {
                Some(bound) => index.of(&labels).buckets.push((bound, floats)),
                None => warn_of_label(context, &labels, span),
            }
        }
        for native in &mut natives {
            if native.labels.get(BUCKET).is_none()
                && let Some(place) = index.find(&native.labels)
                && let Some(classic) = index.classics.get_mut(place)
                && drop_both(native, classic)
            {
                let what = "vector contains a mix of classic and native histograms";
                let message = with_name(what.to_owned(), context, &native.labels);
                context.annotations.warn(span, message);
            }
        }
        let mut classics = index.classics;
        for classic in &mut classics {
            classic.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        Self { natives, classics }
    }
}

impl Index {
    fn find(&self, labels: &Labels) -> Option<usize> {
        let is_same = |place: &usize| {
            let known = self.classics.get(*place);
            known.is_some_and(|known| known.labels.iter().eq(without_bound(labels)))
        };
        let hash = hash_of(&self.hasher, labels);
        self.places.find(hash, is_same).copied()
    }

    /// The histogram that a series is part of.
    fn of(&mut self, labels: &Labels) -> &mut Classic {
        let place = self.find(labels).unwrap_or_else(|| {
            let place = self.classics.len();
            self.classics.push(Classic {
                labels: labels.without(&[BUCKET]),
                buckets: Vec::new(),
            });
            let hash = |place: &usize| hash_of(&self.hasher, &self.classics[*place].labels);
            self.places.insert_unique(hash(&place), place, hash);
            place
        });
        &mut self.classics[place]
    }
}

fn hash_of(hasher: &FixedState, labels: &Labels) -> u64 {
    let mut hasher = hasher.build_hasher();
    for label in without_bound(labels) {
        label.hash(&mut hasher);
    }
    hasher.finish()
}

fn without_bound(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().filter(|(name, _)| *name != BUCKET)
}

impl Classic {
    /// Puts the buckets of a step in place of what was in `out`; false if there is none.
    pub(super) fn buckets(&self, step: usize, out: &mut Vec<Bucket>) -> bool {
        out.clear();
        for (upper_bound, counts) in &self.buckets {
            match counts.get(step) {
                Some(count) if !is_stale_nan(*count) => out.push(Bucket {
                    upper_bound: *upper_bound,
                    count: *count,
                }),
                _ => {}
            }
        }
        !out.is_empty()
    }
}

/// What an annotation says of a metric, with its name: with delayed name removal only, as the name may
/// be gone otherwise.
pub(super) fn with_name(what: String, context: &CallContext<'_>, labels: &Labels) -> String {
    let name = labels.value(METRIC_NAME);
    if name.is_empty() || !context.options.delayed_name_removal {
        return what;
    }
    format!("{what} for metric name {}", quote(name))
}

fn warn_of_label(context: &mut CallContext<'_>, labels: &Labels, span: Span) {
    let value = quote(labels.value(BUCKET));
    let what = format!("bucket label \"le\" is missing or has a malformed value of {value}");
    let message = with_name(what, context, labels);
    context.annotations.warn(span, message);
}

/// Takes away what both have at the same step; whether there was any.
fn drop_both(native: &mut Row, classic: &mut Classic) -> bool {
    let mut any = false;
    for step in 0..native.column.len() {
        let present = |(_, counts): &(f64, Vec<f64>)| {
            counts.get(step).is_some_and(|count| !is_stale_nan(*count))
        };
        if native.column.histogram(step).is_none() || !classic.buckets.iter().any(present) {
            continue;
        }
        any = true;
        native.column.set(step, None);
        for (_, counts) in &mut classic.buckets {
            if let Some(count) = counts.get_mut(step) {
                *count = STALE_NAN;
            }
        }
    }
    any
}

/// A bound as Go reads it: what is finite in writing must be so in fact, and NaN has no sign.
fn parse_bound(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let written = text.trim_start_matches(['+', '-']);
    let is_word = written.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_fine = match value {
        _ if value.is_nan() => written == text,
        _ if value.is_infinite() => is_word,
        _ => true,
    };
    is_fine.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_go_does() {
        for (text, want) in [
            ("0.5", Some(0.5)),
            ("+Inf", Some(f64::INFINITY)),
            ("inf", Some(f64::INFINITY)),
            ("-1e3", Some(-1000.0)),
            ("1e999", None),
            ("+NaN", None),
            ("", None),
            ("Hello World", None),
            ("1 ", None),
        ] {
            assert_eq!(parse_bound(text), want, "{text}");
        }
        assert!(parse_bound("NaN").is_some_and(f64::is_nan));
    }
}
