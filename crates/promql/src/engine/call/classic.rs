//! Sorts the rows of a vector into native histograms and classic ones.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
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
        let mut classics: Vec<Classic> = Vec::new();
        let mut places = HashMap::with_hasher(FixedState::default());
        for mut row in rows {
            let floats = std::mem::take(&mut row.column.floats);
            let has_floats = !floats.iter().all(|value| is_stale_nan(*value));
            if !row.column.histograms.is_empty() {
                row.column.floats = vec![STALE_NAN; floats.len()];
                natives.push(row.clone());
            }
            if !has_floats {
                continue;
            }
            let Some(bound) = parse_bound(row.labels.value(BUCKET)) else {
                warn_of_label(context, &row.labels, span);
                continue;
            };
            let labels = row.labels.without(&[BUCKET]);
            let place = *places.entry(labels).or_insert_with_key(|labels| {
                classics.push(Classic {
                    labels: labels.clone(),
                    buckets: Vec::new(),
                });
                classics.len() - 1
            });
            if let Some(classic) = classics.get_mut(place) {
                classic.buckets.push((bound, floats));
            }
        }
        for native in &mut natives {
            if let Some(place) = places.get(&native.labels)
                && let Some(classic) = classics.get_mut(*place)
                && drop_both(native, classic)
            {
                let what = "vector contains a mix of classic and native histograms";
                let message = with_name(what.to_owned(), context, &native.labels);
                context.annotations.warn(span, message);
            }
        }
        for classic in &mut classics {
            classic.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        Self { natives, classics }
    }
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
