//! Sums of rows are those of the histograms that the rows stand for.

use proptest::prelude::*;

use super::{
    super::{Compensation, HistogramLayout, HistogramMatrix, HistogramRows, HistogramSums},
    compacted, span,
};
use crate::sample::{CounterResetHint, FloatHistogram, Span};

const STEPS: usize = 3;

/// Histograms of one series at some steps: they have the same buckets.
type Series = Vec<Option<FloatHistogram>>;

fn side() -> impl Strategy<Value = Vec<Span>> {
    let spans = prop::collection::vec((0..3_i32, 1..3_u32), 0..4);
    (spans, 1..9_i32).prop_map(|(spans, first)| {
        let spans = spans.into_iter().enumerate();
        let offset = |i, offset| if i == 0 { first + offset } else { offset };
        spans.map(|(i, (o, l))| span(offset(i, o), l)).collect()
    })
}

fn series(schema: i32) -> impl Strategy<Value = Series> {
    let number = prop_oneof![
        Just(0.0),
        (1..1000_u32).prop_map(|n| f64::from(n) / 7.0),
        Just(1e17),
        Just(-0.25)
    ];
    let buckets = |spans: &[Span]| spans.iter().map(|span| span.length as usize).sum::<usize>();
    (side(), side()).prop_flat_map(move |(positive, negative)| {
        let numbers =
            prop::collection::vec(number.clone(), 3 + buckets(&positive) + buckets(&negative));
        let at_step = numbers.prop_map(move |numbers| {
            let (positive_buckets, negative_buckets) = numbers[3..].split_at(buckets(&positive));
            FloatHistogram {
                counter_reset_hint: CounterResetHint::Gauge,
                schema,
                zero_threshold: 0.001,
                count: numbers[0],
                zero_count: numbers[1],
                sum: numbers[2],
                positive_spans: positive.clone(),
                negative_spans: negative.clone(),
                positive_buckets: positive_buckets.to_vec(),
                negative_buckets: negative_buckets.to_vec(),
                ..FloatHistogram::default()
            }
        });
        prop::collection::vec(prop::option::weighted(0.8, at_step), STEPS)
    })
}

fn layout(histogram: &FloatHistogram) -> Option<HistogramLayout> {
    let spans = [&histogram.positive_spans[..], &histogram.negative_spans[..]];
    let buckets = [&histogram.positive_buckets, &histogram.negative_buckets].map(Vec::len);
    HistogramLayout::new(histogram.schema, histogram.zero_threshold, spans, buckets)
}

fn matrix(series: &Series) -> Option<HistogramMatrix> {
    let layout = layout(series.iter().flatten().next()?)?;
    let mut matrix = HistogramMatrix::absent(layout, STEPS);
    for (step, histogram) in series.iter().enumerate() {
        let Some(h) = histogram else {
            continue;
        };
        let scalars = [h.count, h.zero_count, h.sum];
        let numbers = [&scalars[..], &h.positive_buckets, &h.negative_buckets].concat();
        matrix.row_mut(step).copy_from_slice(&numbers);
    }
    Some(matrix)
}

/// The sum at one step, one histogram after the other.
fn sum_at(all: &[Series], step: usize) -> Option<FloatHistogram> {
    let mut histograms = all.iter().filter_map(|series| series[step].clone());
    let (mut sum, mut carry) = (compacted(histograms.next()?), Compensation::default());
    for histogram in histograms {
        let added = sum.kahan_add(&compacted(histogram), &mut carry);
        assert!(added.is_ok());
    }
    sum.add_compensation(&carry);
    Some(compacted(sum))
}

/// The bits of all numbers, and where the buckets are.
fn bits(histogram: &FloatHistogram) -> (Vec<u64>, [Vec<Span>; 2]) {
    let h = histogram;
    let scalars = [h.count, h.zero_count, h.sum, h.zero_threshold];
    let numbers = [&scalars[..], &h.positive_buckets, &h.negative_buckets].concat();
    let spans = [h.positive_spans.clone(), h.negative_spans.clone()];
    (numbers.into_iter().map(f64::to_bits).collect(), spans)
}

proptest! {
    #[test]
    fn rows_add_up_to_the_same_bits(all in prop::collection::vec(series(1), 1..6)) {
        let matrices: Vec<_> = all.iter().filter_map(matrix).collect();
        let Some((first, others)) = matrices.split_first() else {
            return Ok(());
        };
        let mut sums = HistogramSums::of(first);
        for matrix in others {
            prop_assert!(sums.add(matrix));
        }
        for (step, sum) in sums.into_sums().enumerate() {
            let sum = sum.map(|(mut sum, carry)| {
                sum.add_compensation(&carry);
                bits(&compacted(sum))
            });
            prop_assert_eq!(sum, sum_at(&all, step).as_ref().map(bits));
        }
    }
}

#[test]
fn another_schema_is_refused_and_so_are_buckets_that_need_care() {
    let of = |schema, zero_threshold| {
        let spans = [&[span(0, 2)][..], &[]];
        HistogramLayout::new(schema, zero_threshold, spans, [2, 0])
    };
    let absent = |layout: Option<_>| HistogramMatrix::absent(layout.expect("plain"), STEPS);
    let mut sums = HistogramSums::of(&absent(of(1, 0.001)));
    assert!(!sums.add(&absent(of(2, 0.001))));
    assert!(of(1, 1.0).is_none(), "a bucket lies in the zero bucket");
    assert!(of(1, f64::NAN).is_none());
    assert!(of(crate::sample::CUSTOM_BUCKETS_SCHEMA, 0.0).is_none());
    let contradicting = [&[span(0, 2)][..], &[]];
    assert!(HistogramLayout::new(1, 0.001, contradicting, [3, 0]).is_none());
}

#[test]
fn a_count_that_goes_down_is_a_reset_and_a_sum_is_not() {
    let mut rows = HistogramRows::default();
    let spans = [&[span(0, 1)][..], &[]];
    assert!(rows.expect(0, 0.0, spans, [1, 0]));
    for (time, row) in [
        (0, [5.0, 1.0, 9.0, 4.0]),
        (1, [6.0, 1.0, 8.0, 5.0]),
        (2, [7.0, 3.0, 8.0, 4.0]),
        (3, [7.0, 2.0, 8.0, 5.0]),
    ] {
        rows.push(time, true, |numbers| numbers.copy_from_slice(&row));
    }
    assert_eq!(rows.resets(), [2, 3]);
    assert!(!rows.expect(0, 0.0, [&[span(1, 1)], &[]], [1, 0]));
    rows.clear();
    assert!(rows.expect(0, 0.0, [&[span(1, 1)], &[]], [1, 0]));
    assert!(rows.times().is_empty() && rows.resets().is_empty());
}
