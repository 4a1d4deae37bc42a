//! Laws that hold for all valid histograms.

use proptest::prelude::*;

use super::{
    super::{Bucket, Compensation},
    compacted, span,
};
use crate::sample::{FloatHistogram, Span};

/// Whole counts, so that sums are exact.
fn side() -> impl Strategy<Value = (Vec<Span>, Vec<f64>)> {
    let spans = prop::collection::vec((0..4_i32, 0..4_u32), 0..5);
    (spans, -20..20_i32).prop_flat_map(|(mut spans, first)| {
        if let Some(span) = spans.first_mut() {
            span.0 += first;
        }
        let buckets = spans.iter().map(|span| span.1 as usize).sum::<usize>();
        let spans: Vec<Span> = spans.into_iter().map(|(o, l)| span(o, l)).collect();
        let counts = prop::collection::vec((0..9_u8).prop_map(f64::from), buckets);
        (Just(spans), counts)
    })
}

fn histogram() -> impl Strategy<Value = FloatHistogram> {
    // Bounds in all of the schemas: else a bucket may come to lie partly in the zero bucket, and what
    // becomes of it depends on the order, in the reference, too.
    let threshold = prop::sample::select(vec![0.0, 0.0625, 1.0, 16.0]);
    (side(), side(), -2..4_i32, 0..9_u8, threshold).prop_map(
        |(positive, negative, schema, zero, zero_threshold)| {
            let zero_count = f64::from(zero);
            let mut histogram = FloatHistogram {
                schema,
                zero_threshold,
                sum: 1.0,
                positive_spans: positive.0,
                positive_buckets: positive.1,
                negative_spans: negative.0,
                negative_buckets: negative.1,
                ..FloatHistogram::default()
            };
            // No observations where the zero bucket is.
            let inside =
                |bucket: &Bucket| bucket.lower.abs().min(bucket.upper.abs()) < zero_threshold;
            let [positive, negative] = [histogram.positive(), histogram.negative()]
                .map(|buckets| buckets.take_while(inside).count());
            histogram.positive_buckets[..positive].fill(0.0);
            histogram.negative_buckets[..negative].fill(0.0);
            histogram.zero_count = zero_count;
            histogram.count = observations(&histogram);
            histogram
        },
    )
}

fn observations(histogram: &FloatHistogram) -> f64 {
    histogram
        .buckets()
        .fold(0.0, |sum, bucket| sum + bucket.count)
}

proptest! {
    #[test]
    fn what_was_added_can_be_subtracted(a in histogram(), mut b in histogram()) {
        // Alike but for the buckets, so that nothing is reconciled for good.
        b.schema = a.schema;
        b.zero_threshold = 0.0;
        let a = FloatHistogram { zero_threshold: 0.0, ..a };
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert_eq!(observations(&sum), observations(&a) + observations(&b));
        sum.sub(&b).unwrap();
        prop_assert_eq!(compacted(sum), compacted(a));
    }

    #[test]
    fn sums_do_not_depend_on_the_order(a in histogram(), b in histogram()) {
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.add(&b).unwrap();
        ba.add(&a).unwrap();
        prop_assert_eq!(compacted(ab.clone()), compacted(ba));
        let mut kahan = a;
        let mut carry = Compensation::new();
        kahan.kahan_add(&b, &mut carry).unwrap();
        kahan.add_compensation(&carry);
        prop_assert_eq!(compacted(kahan), compacted(ab));
    }

    #[test]
    fn sums_are_no_reset(a in histogram(), b in histogram()) {
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert!(!sum.detect_reset(&a), "{} after {}", sum, a);
        prop_assert!(!a.detect_reset(&a));
    }

    #[test]
    fn a_lower_resolution_keeps_all_observations(a in histogram(), by in 1..5_i32) {
        let coarse = a.copy_to_schema(a.schema - by).unwrap();
        prop_assert_eq!(observations(&coarse), observations(&a));
        prop_assert!(coarse.positive_buckets.len() <= a.positive_buckets.len());
        // In steps or at once.
        let mut steps = a.clone();
        for _ in 0..by {
            let schema = steps.schema - 1;
            steps.reduce_resolution(schema).unwrap();
        }
        prop_assert_eq!(steps, coarse);
    }

    #[test]
    fn a_compact_histogram_is_the_same(a in histogram(), most in 0..4_usize) {
        let mut compact = a.clone();
        compact.compact(most);
        prop_assert_eq!(compact.to_string(), a.to_string());
        prop_assert_eq!(compact.validate(), Ok(()));
        let again = { let mut again = compact.clone(); again.compact(most); again };
        prop_assert_eq!(&again, &compact);
        prop_assert_eq!(compacted(compact), compacted(a));
    }

    #[test]
    fn buckets_ascend(a in histogram()) {
        let all: Vec<_> = a.buckets().collect();
        let mut backward: Vec<_> = a.buckets().rev().collect();
        backward.reverse();
        prop_assert_eq!(&all, &backward);
        prop_assert_eq!(all.len(), a.buckets().len());
        let populated = all.iter().filter(|bucket| bucket.count != 0.0);
        let lowers: Vec<f64> = populated.map(|bucket| bucket.lower).collect();
        prop_assert!(lowers.is_sorted());
    }

    #[test]
    fn fractions_reverse_quantiles(a in histogram(), q in 0.0..1.0_f64) {
        let (value, _) = a.quantile(q);
        let (fraction, _) = a.fraction(f64::NEG_INFINITY, value);
        // Without a zero bucket that all of its observations are at one point of.
        if a.zero_threshold == 0.0 && a.count > 0.0 && value != 0.0 {
            prop_assert!((fraction - q).abs() < 1e-9, "{} of {}", fraction, q);
        }
    }
}
