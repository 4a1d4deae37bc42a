//! Native histograms for people and in the JSON of Prometheus's query API.

use rutile_model::{FloatHistogram, Span};
use serde_json::{Value, json};

use crate::output::golang::float;

/// What a bucket includes of its bounds, in the numbers of the query API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounds {
    OpenLeft = 0,
    OpenRight = 1,
    Closed = 3,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    bounds: Bounds,
    lower: f64,
    upper: f64,
    count: f64,
}

/// One line: count, sum, and the filled buckets.
pub(crate) fn text(histogram: &FloatHistogram) -> String {
    let mut parts = vec![
        format!("count:{}", float(histogram.count)),
        format!("sum:{}", float(histogram.sum)),
    ];
    for bucket in buckets(histogram) {
        let (open, close) = match bucket.bounds {
            Bounds::OpenLeft => ('(', ']'),
            Bounds::OpenRight => ('[', ')'),
            Bounds::Closed => ('[', ']'),
        };
        parts.push(format!(
            "{open}{},{}{close}:{}",
            float(bucket.lower),
            float(bucket.upper),
            float(bucket.count)
        ));
    }
    format!("{{{}}}", parts.join(", "))
}

/// The object that the query API puts behind a timestamp.
pub(crate) fn json(histogram: &FloatHistogram) -> Value {
    let buckets: Vec<Value> = buckets(histogram)
        .iter()
        .map(|bucket| {
            json!([
                bucket.bounds as u8,
                float(bucket.lower),
                float(bucket.upper),
                float(bucket.count)
            ])
        })
        .collect();
    let mut object = json!({ "count": float(histogram.count), "sum": float(histogram.sum) });
    if let (false, Some(fields)) = (buckets.is_empty(), object.as_object_mut()) {
        fields.insert("buckets".to_owned(), buckets.into());
    }
    object
}

/// The filled buckets in ascending order.
fn buckets(histogram: &FloatHistogram) -> Vec<Bucket> {
    let mut all = Vec::new();
    for (index, count) in indexed(&histogram.negative_spans, &histogram.negative_buckets) {
        all.push(Bucket {
            bounds: Bounds::OpenRight,
            lower: -bound(histogram, index),
            upper: -bound(histogram, index - 1),
            count,
        });
    }
    all.reverse();
    all.push(Bucket {
        bounds: Bounds::Closed,
        lower: -histogram.zero_threshold,
        upper: histogram.zero_threshold,
        count: histogram.zero_count,
    });
    for (index, count) in indexed(&histogram.positive_spans, &histogram.positive_buckets) {
        all.push(Bucket {
            bounds: Bounds::OpenLeft,
            lower: bound(histogram, index - 1),
            upper: bound(histogram, index),
            count,
        });
    }
    all.retain(|bucket| bucket.count != 0.0);
    all
}

/// Index and count of each bucket. Spans that promise more buckets than there are end with these.
fn indexed<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + use<'a> {
    let mut next = 0_i32;
    let indices = spans.iter().flat_map(move |span| {
        let first = next.saturating_add(span.offset);
        next = first.saturating_add_unsigned(span.length);
        first..next
    });
    indices.zip(counts.iter().copied())
}

/// The upper bound of the bucket with this index.
fn bound(histogram: &FloatHistogram, index: i32) -> f64 {
    if histogram.uses_custom_buckets() {
        let Ok(position) = usize::try_from(index) else {
            return f64::NEG_INFINITY;
        };
        return histogram
            .custom_values
            .get(position)
            .copied()
            .unwrap_or(f64::INFINITY);
    }
    // Exact where a power of two is due; elsewhere the last digit may differ from the reference's.
    (f64::from(index) / f64::from(histogram.schema).exp2()).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram() -> FloatHistogram {
        FloatHistogram {
            schema: 0,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 10.0,
            sum: 18.5,
            positive_spans: vec![
                Span {
                    offset: 0,
                    length: 2,
                },
                Span {
                    offset: 1,
                    length: 1,
                },
            ],
            positive_buckets: vec![1.0, 0.0, 3.0],
            negative_spans: vec![Span {
                offset: 1,
                length: 1,
            }],
            negative_buckets: vec![4.0],
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn filled_buckets_are_listed_in_order() {
        assert_eq!(
            text(&histogram()),
            "{count:10, sum:18.5, [-2,-1):4, [-0.001,0.001]:2, (0.5,1]:1, (4,8]:3}"
        );
        assert_eq!(
            json(&histogram()),
            json!({"count": "10", "sum": "18.5", "buckets": [
                [1, "-2", "-1", "4"], [3, "-0.001", "0.001", "2"], [0, "0.5", "1", "1"], [0, "4", "8", "3"],
            ]})
        );
    }

    #[test]
    fn custom_bounds_end_in_infinity() {
        let custom = FloatHistogram {
            schema: rutile_model::sample::CUSTOM_BUCKETS_SCHEMA,
            count: 3.0,
            sum: 4.0,
            positive_spans: vec![Span {
                offset: 0,
                length: 3,
            }],
            positive_buckets: vec![1.0, 1.0, 1.0],
            custom_values: vec![0.5, 1.0],
            ..FloatHistogram::default()
        };
        assert_eq!(
            text(&custom),
            "{count:3, sum:4, (-Inf,0.5]:1, (0.5,1]:1, (1,+Inf]:1}"
        );
    }

    #[test]
    fn spans_that_claim_too_much_end_with_the_buckets() {
        let hostile = FloatHistogram {
            positive_spans: vec![Span {
                offset: i32::MAX,
                length: u32::MAX,
            }],
            positive_buckets: vec![1.0],
            count: 1.0,
            ..FloatHistogram::default()
        };
        assert!(text(&hostile).starts_with("{count:1, sum:0"));
    }
}
