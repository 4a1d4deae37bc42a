//! Classic histograms as native ones with custom buckets: what `load_with_nhcb` adds.

use std::collections::BTreeMap;

use rutile_model::sample::CUSTOM_BUCKETS_SCHEMA;
use rutile_model::{FloatHistogram, Labels, Span};
use rutile_promql::SeriesValue;

use super::script::Load;
use super::storage::Histograms;

/// A classic histogram at a time, as far as it was read.
#[derive(Debug, Default)]
struct Classic {
    /// Upper bounds and cumulative counts, ascending.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// Which part of a classic histogram a series holds.
#[derive(Debug, Clone, Copy)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// The native histograms of all classic ones, by their labels.
pub(crate) fn convert(load: &Load) -> Result<BTreeMap<Labels, Histograms>, String> {
    let mut classics: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for series in &load.series {
        let Some((labels, part)) = part_of(&series.labels) else {
            continue;
        };
        let classic = classics.entry(labels).or_default();
        for (i, value) in series.values.iter().enumerate() {
            let Some(SeriesValue::Float(value)) = value else {
                continue;
            };
            let at = classic.entry(i as i64 * load.step_ms).or_default();
            match part {
                Part::Bucket(bound) => at.add_bucket(bound, *value),
                Part::Count => at.count = Some(*value),
                Part::Sum => at.sum = *value,
            }
        }
    }
    let mut converted = BTreeMap::new();
    for (labels, by_time) in classics {
        let mut histograms = Vec::new();
        for (time, classic) in by_time {
            histograms.push((
                time,
                classic.convert().map_err(|e| format!("{labels}: {e}"))?,
            ));
        }
        converted.insert(labels, histograms);
    }
    Ok(converted)
}

fn part_of(labels: &Labels) -> Option<(Labels, Part)> {
    let name = labels.value("__name__");
    let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
        let bound: f64 = labels.value("le").parse().ok()?;
        if bound.is_nan() {
            return None;
        }
        (base, Part::Bucket(bound))
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Part::Count)
    } else {
        (name.strip_suffix("_sum")?, Part::Sum)
    };
    let mut builder = labels.to_builder();
    builder.remove("le").set("__name__", base);
    Some((builder.build(), part))
}

impl Classic {
    /// The first one of a bound counts.
    fn add_bucket(&mut self, bound: f64, count: f64) {
        let at = self.buckets.partition_point(|(other, _)| *other < bound);
        if self
            .buckets
            .get(at)
            .is_none_or(|(other, _)| *other != bound)
        {
            self.buckets.insert(at, (bound, count));
        }
    }

    fn convert(mut self) -> Result<FloatHistogram, String> {
        let last = self.buckets.last().copied();
        let count = self.count.or(last.map(|(_, count)| count)).unwrap_or(0.0);
        if last.is_none_or(|(bound, _)| bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        if !self.buckets.is_sorted_by(|a, b| a.1 <= b.1) {
            return Err("counts are not cumulative".to_owned());
        }
        if self.buckets.last().is_some_and(|(_, last)| *last != count) {
            return Err("the count is not that of the last bucket".to_owned());
        }
        let whole = |value: f64| value == value.round();
        let integer = whole(count) && self.buckets.iter().all(|(_, count)| whole(*count));
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span {
                offset: 0,
                length: self.buckets.len() as u32,
            }],
            ..FloatHistogram::default()
        };
        let mut before = 0.0;
        for (bound, count) in self.buckets {
            histogram.positive_buckets.push(count - before);
            before = count;
            if bound != f64::INFINITY {
                histogram.custom_values.push(bound);
            }
        }
        histogram.compact(if integer { 2 } else { 0 });
        histogram.validate().map_err(|error| error.to_string())?;
        Ok(histogram)
    }
}
