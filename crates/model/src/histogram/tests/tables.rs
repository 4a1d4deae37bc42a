//! Cases by hand, for what the recorded answers do not tell: errors, flags, invalid input.

use super::{
    super::{Compensation, HistogramError, Keep, NanObservations, classic},
    compacted, span,
};
use crate::{
    ErrorKind,
    sample::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram},
};

fn positive(spans: &[(i32, u32)], counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        count: counts.iter().sum(),
        positive_spans: spans.iter().map(|&(o, l)| span(o, l)).collect(),
        positive_buckets: counts.to_vec(),
        ..FloatHistogram::default()
    }
}

fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        custom_values: bounds.to_vec(),
        ..positive(&[(0, u32::try_from(counts.len()).unwrap())], counts)
    }
}

#[test]
fn missing_buckets_join_the_span_that_is_next_to_them() {
    let check = |to: &[(i32, u32)], other: &[(i32, u32)], expected: &[(i32, u32)]| {
        let of = |spans: &[(i32, u32)]| {
            let buckets: u32 = spans.iter().map(|span| span.1).sum();
            positive(spans, &vec![1.0; buckets as usize])
        };
        let mut sum = of(to);
        sum.add(&of(other)).unwrap();
        assert_eq!(
            sum.positive_spans,
            of(expected).positive_spans,
            "{to:?} + {other:?}"
        );
        assert_eq!(sum.positive_buckets.iter().sum::<f64>(), sum.count);
    };
    check(&[(0, 2)], &[(2, 1)], &[(0, 3)]);
    check(&[(3, 2)], &[(2, 1)], &[(2, 3)]);
    check(&[(3, 2)], &[(0, 1)], &[(0, 1), (2, 2)]);
    check(&[(0, 1), (1, 1)], &[(1, 1)], &[(0, 2), (0, 1)]);
    check(&[(0, 1), (3, 1)], &[(2, 2)], &[(0, 1), (1, 2), (0, 1)]);
    check(&[(0, 1), (3, 1)], &[(3, 1)], &[(0, 1), (2, 2)]);
    check(&[], &[(-5, 2), (3, 1)], &[(-5, 2), (3, 1)]);
}

#[test]
fn what_was_reconciled_is_told() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    for (own, other, hint, collision) in [
        (Unknown, Reset, Unknown, false),
        (Reset, Unknown, Unknown, false),
        (Reset, NotReset, Unknown, true),
        (NotReset, Reset, Unknown, true),
        (Reset, Reset, Reset, false),
        (Gauge, Reset, Gauge, false),
        (NotReset, Gauge, Gauge, false),
    ] {
        let with = |counter_reset_hint| FloatHistogram {
            counter_reset_hint,
            ..positive(&[(0, 1)], &[1.0])
        };
        let mut sum = with(own);
        let reconciled = sum.sub(&with(other)).unwrap();
        assert_eq!(
            (sum.counter_reset_hint, reconciled.reset_collision),
            (hint, collision),
            "{own:?} and {other:?}"
        );
    }
    let mut sum = custom(&[1.0, 2.0, 5.0], &[1.0, 2.0, 4.0, 8.0]);
    let reconciled = sum.add(&custom(&[1.0, 5.0], &[16.0, 32.0, 64.0])).unwrap();
    assert!(reconciled.custom_bounds);
    assert_eq!(sum.custom_values, [1.0, 5.0]);
    assert_eq!(sum.positive_buckets, [17.0, 38.0, 72.0]);
}

#[test]
fn histograms_that_do_not_fit_are_refused_unchanged() {
    let good = positive(&[(0, 1)], &[1.0]);
    for (bad, error) in [
        (custom(&[1.0], &[1.0]), HistogramError::MixedSchemas),
        (
            FloatHistogram {
                schema: 9,
                ..good.clone()
            },
            HistogramError::UnsupportedSchema(9),
        ),
        (
            positive(&[(0, 2)], &[1.0]),
            HistogramError::BucketMismatch {
                needed: 2,
                found: 1,
            },
        ),
        (
            positive(&[(0, 1), (-1, 1)], &[1.0, 1.0]),
            HistogramError::NegativeOffset {
                span: 2,
                offset: -1,
            },
        ),
        (
            positive(&[(i32::MAX, 1), (5, 1)], &[1.0, 1.0]),
            HistogramError::IndexOutOfRange,
        ),
        (
            FloatHistogram {
                zero_threshold: f64::NAN,
                ..good.clone()
            },
            HistogramError::ThresholdNotANumber,
        ),
    ] {
        for (mut to, other) in [(good.clone(), &bad), (bad.clone(), &good)] {
            let before = to.clone();
            let mut carry = Compensation::new();
            assert_eq!(to.add(other), Err(error));
            assert_eq!(to.sub(other), Err(error));
            assert_eq!(to.kahan_add(other, &mut carry), Err(error));
            assert_eq!((&to, carry), (&before, Compensation::new()));
        }
        assert_eq!(crate::Error::from(error).kind(), ErrorKind::Invalid);
    }
}

#[test]
fn validation_finds_what_is_wrong() {
    let good = positive(&[(-3, 1)], &[1.0]);
    assert_eq!(good.validate(), Ok(()));
    for (bad, error) in [
        (
            FloatHistogram {
                schema: 9,
                ..good.clone()
            },
            HistogramError::UnsupportedSchema(9),
        ),
        (
            FloatHistogram {
                count: -1.0,
                ..good.clone()
            },
            HistogramError::NegativeCount(-1.0),
        ),
        (
            positive(&[(0, 2)], &[3.0, -2.0]),
            HistogramError::NegativeBucket {
                bucket: 2,
                count: -2.0,
            },
        ),
        (
            FloatHistogram {
                zero_count: -3.0,
                ..good.clone()
            },
            HistogramError::NegativeBucket {
                bucket: 0,
                count: -3.0,
            },
        ),
        (
            FloatHistogram {
                custom_values: vec![1.0],
                ..good
            },
            HistogramError::UnexpectedBounds,
        ),
    ] {
        assert_eq!(bad.validate(), Err(error));
    }
}

#[test]
fn validation_finds_what_is_wrong_with_custom_buckets() {
    assert_eq!(custom(&[1.0], &[1.0, 2.0]).validate(), Ok(()));
    for (bad, error) in [
        (custom(&[f64::NAN], &[1.0]), HistogramError::BoundNotANumber),
        (
            custom(&[f64::INFINITY], &[1.0]),
            HistogramError::InfiniteBound,
        ),
        (
            custom(&[2.0, 2.0], &[1.0]),
            HistogramError::BoundsNotIncreasing {
                previous: 2.0,
                bound: 2.0,
            },
        ),
        (
            custom(&[1.0], &[1.0; 3]),
            HistogramError::TooFewBounds {
                bounds: 1,
                needed: 3,
            },
        ),
        (
            FloatHistogram {
                zero_count: 1.0,
                ..custom(&[1.0], &[1.0])
            },
            HistogramError::UnexpectedZeroBucket,
        ),
        (
            FloatHistogram {
                negative_buckets: vec![1.0],
                ..custom(&[1.0], &[1.0])
            },
            HistogramError::UnexpectedNegativeBuckets,
        ),
    ] {
        assert_eq!(bad.validate(), Err(error));
    }
}

#[test]
fn only_a_lower_resolution_can_be_had() {
    let mut histogram = positive(&[(1, 2)], &[1.0, 2.0]);
    for schema in [0, 1, CUSTOM_BUCKETS_SCHEMA, -10] {
        let refused = HistogramError::NoSuchReduction {
            from: 0,
            to: schema,
        };
        assert_eq!(histogram.reduce_resolution(schema), Err(refused));
    }
    histogram.counter_reset_hint = CounterResetHint::Reset;
    assert_eq!(histogram.copy_to_schema(0).as_ref(), Ok(&histogram));
    let coarse = histogram.copy_to_schema(-1).unwrap();
    assert_eq!(coarse.positive_buckets, [3.0]);
    assert_eq!(coarse.counter_reset_hint, CounterResetHint::Unknown);
}

#[test]
fn scaling_by_less_than_nothing_makes_a_gauge() {
    let mut histogram = positive(&[(0, 1)], &[2.0]);
    histogram.div(0.5);
    assert_eq!(histogram.counter_reset_hint, CounterResetHint::Unknown);
    histogram.negate();
    assert_eq!(histogram.counter_reset_hint, CounterResetHint::Gauge);
    assert_eq!(
        (histogram.count, histogram.positive_buckets[0]),
        (-4.0, -4.0)
    );
    assert!(!histogram.has_overflow() && !histogram.is_empty());
    histogram.div(0.0);
    assert!(histogram.positive_spans.is_empty() && histogram.count.is_infinite());
    assert!(histogram.has_overflow());
    assert!(FloatHistogram::default().is_empty());
}

#[test]
fn a_histogram_as_text() {
    let histogram = FloatHistogram {
        zero_threshold: 0.5,
        zero_count: 1.0,
        sum: 1e6,
        negative_spans: vec![span(0, 1)],
        negative_buckets: vec![2.5],
        counter_reset_hint: CounterResetHint::Gauge,
        ..positive(&[(1, 1), (1, 1)], &[3.0, 4.0])
    };
    assert_eq!(
        histogram.to_string(),
        "{count:7, sum:1e+06, [-1,-0.5):2.5, [-0.5,0.5]:1, (1,2]:3, (4,8]:4}"
    );
    assert_eq!(
        histogram.test_expression().unwrap(),
        "{{count:7 sum:1e+06 z_bucket:1 z_bucket_w:0.5 counter_reset_hint:gauge offset:1 \
         buckets:[3 0 4] n_buckets:[2.5]}}"
    );
    let wide = positive(&[(0, 1), (1 << 30, 1)], &[1.0, 1.0]);
    assert_eq!(wide.test_expression(), Err(HistogramError::TooWide));
}

#[test]
fn observations_of_nan_are_told() {
    let with_nan = FloatHistogram {
        sum: f64::NAN,
        count: 4.0,
        ..positive(&[(1, 1)], &[2.0])
    };
    let (value, note) = with_nan.quantile(0.9);
    assert!(value.is_nan() && note == Some(NanObservations::Result));
    assert_eq!(with_nan.quantile(0.25).1, Some(NanObservations::Skew));
    let (fraction, note) = with_nan.fraction(f64::NEG_INFINITY, f64::INFINITY);
    assert_eq!((fraction, note), (0.5, Some(NanObservations::Excluded)));
}

#[test]
fn trimming_nothing_changes_nothing() {
    let histogram = FloatHistogram {
        sum: 123.0,
        ..positive(&[(0, 2)], &[0.0, 3.0])
    };
    let mut same = histogram.clone();
    same.trim(f64::INFINITY, Keep::Below);
    same.trim(f64::NEG_INFINITY, Keep::Above);
    assert_eq!(same, histogram);
    same.trim(1.0, Keep::Below);
    assert_eq!(compacted(same.clone()), same);
    assert!(same.is_empty());
}

#[test]
fn classic_histograms_without_buckets_or_end() {
    let bucket = |upper_bound, count| classic::Bucket { upper_bound, count };
    assert!(classic::quantile(0.5, &mut vec![]).value.is_nan());
    assert!(classic::fraction(0.0, 1.0, &mut vec![]).is_nan());
    assert!(
        classic::quantile(0.5, &mut vec![bucket(1.0, 1.0)])
            .value
            .is_nan()
    );
    let mut unordered = vec![
        bucket(f64::INFINITY, 3.0),
        bucket(1.0, 4.0),
        bucket(0.5, 2.0),
    ];
    let quantile = classic::quantile(0.5, &mut unordered);
    let forced = quantile.forced_monotonic.unwrap();
    assert_eq!((quantile.value, quantile.small_deltas), (0.5, false));
    assert_eq!((forced.lowest, forced.largest), (f64::INFINITY, 1.0));
    let mut odd = vec![bucket(f64::NAN, 1.0); 40];
    odd.push(bucket(f64::INFINITY, 1.0));
    assert!(classic::quantile(0.5, &mut odd).value.is_nan());
}
