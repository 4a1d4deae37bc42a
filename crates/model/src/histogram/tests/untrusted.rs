//! Whatever a block may hold: nothing panics, and nothing takes long or much memory.

use proptest::prelude::*;

use super::{
    super::{Compensation, Keep},
    span,
};
use crate::sample::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Span};

fn float() -> impl Strategy<Value = f64> {
    let special = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        3.5,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e300,
    ];
    prop_oneof![prop::sample::select(special), any::<f64>()]
}

fn spans() -> impl Strategy<Value = Vec<Span>> {
    let offset = prop_oneof![0..3_i32, any::<i32>(), Just(i32::MAX), Just(i32::MIN)];
    let length = prop_oneof![0..3_u32, any::<u32>(), Just(u32::MAX)];
    let span = (offset, length).prop_map(|(offset, length)| span(offset, length));
    prop::collection::vec(span, 0..5)
}

/// Spans with as many buckets as they claim, or with any others.
fn side() -> impl Strategy<Value = (Vec<Span>, Vec<f64>)> {
    let wild = (spans(), prop::collection::vec(float(), 0..8));
    let offset = prop_oneof![0..3_i32, Just(1 << 28), Just(-1)];
    let mild = prop::collection::vec((offset, 0..3_u32), 0..4).prop_flat_map(|spans| {
        let buckets = spans.iter().map(|span| span.1 as usize).sum::<usize>();
        let spans: Vec<Span> = spans.into_iter().map(|(o, l)| span(o, l)).collect();
        (Just(spans), prop::collection::vec(float(), buckets))
    });
    prop_oneof![wild, mild]
}

fn histogram() -> impl Strategy<Value = FloatHistogram> {
    let schema = prop_oneof![-9..9_i32, Just(CUSTOM_BUCKETS_SCHEMA), any::<i32>()];
    let bounds = prop::collection::vec(float(), 0..4);
    (
        schema,
        [float(), float(), float(), float()],
        side(),
        side(),
        bounds,
    )
        .prop_map(
            |(
                schema,
                [zero_threshold, zero_count, count, sum],
                positive,
                negative,
                custom_values,
            )| {
                FloatHistogram {
                    counter_reset_hint: CounterResetHint::Unknown,
                    schema,
                    zero_threshold,
                    zero_count,
                    count,
                    sum,
                    positive_spans: positive.0,
                    positive_buckets: positive.1,
                    negative_spans: negative.0,
                    negative_buckets: negative.1,
                    custom_values,
                }
            },
        )
}

fn ignore<T>(_: T) {}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn two_histograms(a in histogram(), b in histogram(), sorted in any::<bool>()) {
        let sort = |mut h: FloatHistogram| {
            if sorted {
                h.custom_values.sort_by(f64::total_cmp);
            }
            h
        };
        let (a, b) = (sort(a), sort(b));
        let mut carry = Compensation::new();
        let mut sum = a.clone();
        for other in [&b, &a, &b] {
            ignore(sum.kahan_add(other, &mut carry));
            carry.mul(0.5);
        }
        sum.add_compensation(&carry);
        ignore(a.clone().add(&b));
        ignore(a.clone().sub(&b));
        ignore(a.detect_reset(&b));
        prop_assert!(a.equals(&a.clone()) || a.custom_values.iter().any(|v| v.is_nan())
            || a.zero_threshold.is_nan());
        ignore(a.equals(&b));
    }

    #[test]
    fn one_histogram(a in histogram(), value in float(), schema in any::<i32>(), most in any::<usize>()) {
        ignore(a.validate());
        ignore(a.to_string());
        ignore(a.quantile(value.rem_euclid(1.0)));
        ignore(a.quantile(0.75));
        ignore(a.fraction(value, value + 1.0));
        ignore((a.variance(), a.is_empty(), a.size(), a.has_overflow()));
        prop_assert_eq!(a.buckets().count(), a.buckets().rev().count());
        ignore(a.copy_to_schema(schema));
        ignore(a.copy_to_schema(-4));
        for keep in [Keep::Above, Keep::Below] {
            a.clone().trim(value, keep);
        }
        let mut compact = a;
        compact.compact(0);
        compact.compact(most);
        prop_assert!(compact.positive_buckets.len() <= (1 << 20) + 20);
    }
}

#[test]
fn what_spans_claim_is_not_walked() {
    let claims = FloatHistogram {
        positive_spans: vec![span(i32::MAX, u32::MAX); 1000],
        negative_spans: vec![span(0, u32::MAX); 1000],
        positive_buckets: vec![1.0],
        count: 5.0,
        ..FloatHistogram::default()
    };
    assert_eq!(claims.buckets().count(), 1);
    assert!(claims.clone().add(&claims).is_err());
    assert!(!claims.detect_reset(&claims));
    assert!(claims.test_expression().is_err());
}
