//! Whatever is appended comes back; whatever the bytes, reading them ends.

#![expect(clippy::unwrap_used, reason = "a test that meets bad data has failed")]

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use rutile_chunk::{
    AggrChunk, Appended, Chunk, Encoding, Float, HistogramAppender, Int, Value, XorAppender,
    decode_ends, decode_floats, decode_rows, decode_samples, fits_rows, transcode_for_thanos,
};
use rutile_model::histogram::HistogramRows;
use rutile_model::{CounterResetHint, FloatHistogram, Histogram, Samples, Span, WindowTimes};

const ENCODINGS: [Encoding; 6] = [
    Encoding::Xor,
    Encoding::Histogram,
    Encoding::FloatHistogram,
    Encoding::Xor2,
    Encoding::HistogramSt,
    Encoding::FloatHistogramSt,
];

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (0..100_i32).prop_map(f64::from)
    ]
}

/// Buckets at some of the indices -20 … 20, as spans and counts.
fn side() -> impl Strategy<Value = (Vec<Span>, Vec<i64>)> {
    vec(proptest::option::weighted(0.3, 0..50_i64), 40).prop_map(|slots| {
        let (mut spans, mut buckets, mut before) = (Vec::<Span>::new(), Vec::new(), 0);
        let mut gap = -20;
        for slot in slots {
            let Some(count) = slot else {
                gap += 1;
                continue;
            };
            match spans.last_mut() {
                Some(span) if gap == 0 => span.length += 1,
                _ => spans.push(Span {
                    offset: gap,
                    length: 1,
                }),
            }
            gap = 0;
            buckets.push(count - before);
            before = count;
        }
        (spans, buckets)
    })
}

fn histogram() -> impl Strategy<Value = Histogram> {
    let hint = prop_oneof![
        4 => Just(CounterResetHint::Unknown),
        4 => Just(CounterResetHint::Gauge),
        1 => Just(CounterResetHint::Reset)
    ];
    let scalars = (hint, 0..2_i32, 0..9_u64, any::<u32>(), float());
    (scalars, side(), side()).prop_map(|((hint, schema, zero_count, count, sum), pos, neg)| {
        Histogram {
            counter_reset_hint: hint,
            schema,
            zero_threshold: 0.001,
            zero_count,
            count: count.into(),
            sum,
            positive_spans: pos.0,
            positive_buckets: pos.1,
            negative_spans: neg.0,
            negative_buckets: neg.1,
            custom_values: Vec::new(),
        }
    })
}

/// Count of every bucket that is not empty, by side and index: what widening must not change.
fn content(h: &Histogram) -> Vec<(bool, i64, i64)> {
    let side = |positive, spans: &[Span], buckets: &[i64]| {
        let (mut index, mut count, mut deltas) = (0, 0, buckets.iter());
        let mut found = Vec::new();
        for span in spans {
            index += i64::from(span.offset);
            for _ in 0..span.length {
                count += deltas.next().unwrap();
                if count != 0 {
                    found.push((positive, index, count));
                }
                index += 1;
            }
        }
        found
    };
    let mut all = side(true, &h.positive_spans, &h.positive_buckets);
    all.extend(side(false, &h.negative_spans, &h.negative_buckets));
    all
}

/// Columns get what is read sample by sample, or the same error. `used` held others before.
fn check_columns(chunk: Chunk<'_>, used: &mut Samples) {
    let read: Result<Vec<_>, _> = chunk.iter().and_then(Iterator::collect);
    used.clear();
    let decoded = decode_samples(chunk, used);
    let samples = match (read, decoded) {
        (Ok(samples), Ok(())) => samples,
        (read, decoded) => return assert_eq!(read.err(), decoded.err()),
    };
    assert_eq!(samples.len(), used.len());
    for (i, sample) in samples.into_iter().enumerate() {
        assert_eq!(used.times[i], sample.time_ms);
        match (sample.value, used.histogram(i)) {
            (Value::Float(value), None) => assert_eq!(value.to_bits(), used.floats[i].to_bits()),
            (Value::Histogram(h), Some(found)) => assert_eq!(h.into_float(), **found),
            (Value::FloatHistogram(h), Some(found)) => assert_eq!(h, **found),
            (value, found) => panic!("{value:?} as {found:?}"),
        }
    }
    check_ends(chunk, used);
}

/// Whether a sample is the first or the last one of a window.
fn is_at_an_end(windows: &WindowTimes, times: &[i64], place: usize) -> bool {
    let count = (windows.last_end_ms - windows.first_end_ms) / windows.interval_ms + 1;
    (0..count).any(|i| {
        let end = windows.first_end_ms + i * windows.interval_ms;
        let within = |time: &i64| *time > end - windows.range_ms && *time <= end;
        let ends = [
            times.iter().position(within),
            times.iter().rposition(within),
        ];
        ends.contains(&Some(place))
    })
}

/// What is at an end of a window, or beside a reset that no hint rules out, is as it was; all else at least looks so.
/// How many histograms were left out.
fn check_ends(chunk: Chunk<'_>, all: &Samples) -> usize {
    let (Some(first), Some(last)) = (all.times.first(), all.times.last()) else {
        return 0;
    };
    let interval_ms = (last / 16 - first / 16).max(1);
    // Far from the ends of numbers.
    let first_end_ms = first / 2;
    let windows = WindowTimes {
        first_end_ms,
        last_end_ms: first_end_ms + 8 * interval_ms,
        interval_ms,
        range_ms: 3 * interval_ms,
    };
    let mut ends = Samples::default();
    decode_ends(chunk, &windows, &mut ends).unwrap();
    check_rows(chunk, &windows, all);
    assert_eq!(ends.times, all.times);
    assert_eq!(ends.histograms.len(), all.histograms.len());
    let mut left_out = 0;
    for (i, [found, expected]) in (0..all.len()).map(|i| (i, [&ends, all].map(|s| s.histogram(i))))
    {
        if found == expected {
            continue;
        }
        left_out += 1;
        let (found, expected) = (found.unwrap(), expected.unwrap());
        let hints = [found, expected].map(|h| h.counter_reset_hint);
        assert_eq!(hints, [CounterResetHint::NotReset; 2]);
        assert_eq!(found.schema, expected.schema);
        assert_eq!(found.size(), expected.size());
        assert!(Arc::ptr_eq(found, ends.histogram(i - 1).unwrap()));
        assert!(i > 0 && i + 1 < all.len() && !found.is_stale() && !expected.is_stale());
        assert!(!is_at_an_end(&windows, &all.times, i), "{windows:?}: {i}");
    }
    left_out
}

/// If a chunk can be read as rows, these are right at the ends of windows. Whether it can.
fn check_rows(chunk: Chunk<'_>, windows: &WindowTimes, all: &Samples) -> bool {
    let (mut rows, mut all) = (HistogramRows::default(), all.clone());
    let fits = fits_rows(chunk, &mut rows).unwrap();
    if !decode_rows(chunk, windows, &mut rows).unwrap() {
        return false;
    }
    all.drop_stale();
    assert!(fits);
    assert_eq!(rows.times(), all.times);
    assert!(rows.resets().is_empty());
    for i in (0..all.len()).filter(|i| is_at_an_end(windows, &all.times, *i)) {
        let histogram = all.histogram(i).unwrap();
        let bits = |numbers: &[f64]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(rows.row(i)), bits(&numbers(histogram)));
        let layout = rows.layout().unwrap();
        assert_eq!(layout.histogram_size(), histogram.size());
    }
    true
}

/// What stands in a row.
fn numbers(h: &FloatHistogram) -> Vec<f64> {
    let scalars = [h.count, h.zero_count, h.sum];
    [&scalars[..], &h.positive_buckets, &h.negative_buckets].concat()
}

#[test]
fn histograms_that_nobody_looks_at_are_left_out() {
    let mut appender = HistogramAppender::<Int>::new();
    let mut histogram = Histogram {
        count: 3,
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        positive_buckets: vec![1, 1],
        ..Histogram::default()
    };
    let mut append = |t, histogram: &Histogram| {
        assert!(matches!(
            appender.append(t, histogram, None),
            Ok(Appended::InPlace)
        ));
        (Encoding::Histogram, appender.bytes().to_vec())
    };
    let mut chunk = (Encoding::Histogram, Vec::new());
    for i in 0..100 {
        histogram.count += 1;
        histogram.positive_buckets[0] += 1;
        histogram.positive_buckets[1] -= 1;
        chunk = append(i * 15_000, &histogram);
    }
    let check = |(encoding, data): &(Encoding, Vec<u8>)| {
        let (encoding, mut all) = (*encoding, Samples::default());
        let chunk = Chunk { encoding, data };
        decode_samples(chunk, &mut all).unwrap();
        check_ends(chunk, &all)
    };
    let left_out = check(&chunk);
    assert!(left_out > 60, "{left_out}");
    // What comes before a marker may be the last one of a window that ends behind it.
    let stale = Histogram {
        sum: rutile_model::sample::STALE_NAN,
        ..Histogram::default()
    };
    chunk = append(100 * 15_000, &stale);
    assert_eq!(check(&chunk), 0);
}

proptest! {
    #[test]
    fn floats_come_back(samples in vec((any::<i64>(), float()), 0..200)) {
        let mut appender = XorAppender::new();
        for &(t, value) in &samples {
            appender.append(t, value).unwrap();
        }
        let (mut times, mut values) = (Vec::new(), Vec::new());
        decode_floats(appender.bytes(), &mut times, &mut values).unwrap();
        let found = times.into_iter().zip(values.into_iter().map(f64::to_bits));
        prop_assert!(found.eq(samples.into_iter().map(|(t, value)| (t, value.to_bits()))));
    }

    #[test]
    fn histograms_come_back(samples in vec((any::<i64>(), histogram()), 1..40)) {
        let mut ints = HistogramAppender::<Int>::new();
        let mut floats = HistogramAppender::<Float>::new();
        let (mut int_chunks, mut float_chunks) = (Vec::new(), Vec::new());
        for (t, h) in &samples {
            if let Appended::Cut(chunk) = ints.append(*t, h, None).unwrap() {
                int_chunks.push((Encoding::Histogram, chunk));
            }
            if let Appended::Cut(chunk) = floats.append(*t, &h.to_float(), None).unwrap() {
                float_chunks.push((Encoding::FloatHistogram, chunk));
            }
        }
        int_chunks.push((Encoding::Histogram, ints.into_bytes()));
        float_chunks.push((Encoding::FloatHistogram, floats.into_bytes()));
        for chunks in [int_chunks, float_chunks] {
            let mut wanted = samples.iter();
            for (encoding, data) in &chunks {
                for sample in (Chunk { encoding: *encoding, data }).iter().unwrap() {
                    let sample = sample.unwrap();
                    let (t, h) = wanted.next().unwrap();
                    prop_assert_eq!(sample.time_ms, *t);
                    match sample.value {
                        Value::Histogram(found) if !h.is_stale() => {
                            prop_assert_eq!(content(&found), content(h));
                            prop_assert_eq!(found.count, h.count);
                            prop_assert_eq!(found.sum.to_bits(), h.sum.to_bits());
                        }
                        Value::FloatHistogram(found) if !h.is_stale() => {
                            let total: f64 = found.positive_buckets.iter().sum();
                            let wanted: f64 = h.to_float().positive_buckets.iter().sum();
                            prop_assert_eq!(total.to_bits(), wanted.to_bits());
                            prop_assert_eq!(found.sum.to_bits(), h.sum.to_bits());
                        }
                        _ => prop_assert!(h.is_stale()),
                    }
                }
            }
            prop_assert!(wanted.next().is_none());
        }
    }

    #[test]
    fn columns_hold_what_is_read_one_by_one(
        samples in vec((any::<i64>(), histogram()), 1..40),
        schema in prop_oneof![-4..9_i32, 9..12_i32, Just(-53)],
        nibbles in 0..9_u32,
    ) {
        let mut ints = HistogramAppender::<Int>::new();
        let mut floats = HistogramAppender::<Float>::new();
        let mut columns = Samples::default();
        for (t, mut h) in samples {
            h.schema = schema;
            if schema == -53 {
                h.custom_values = vec![0.5, 2.0, f64::INFINITY];
            }
            // Wide codes, too.
            h.count <<= nibbles * 4;
            let _cut = ints.append(t, &h, None).unwrap();
            let _cut = floats.append(t, &h.to_float(), None).unwrap();
            for (encoding, data) in [
                (Encoding::Histogram, ints.bytes()),
                (Encoding::FloatHistogram, floats.bytes()),
            ] {
                check_columns(Chunk { encoding, data }, &mut columns);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(data in vec(any::<u8>(), 0..200), which in 0..6_usize) {
        let chunk = Chunk { encoding: ENCODINGS[which], data: &data };
        if let Ok(iter) = chunk.iter() {
            prop_assert!(iter.count() <= usize::from(u16::MAX) + 1);
        }
        drop(transcode_for_thanos(chunk));
        let _parts = AggrChunk::parse(&data);
    }

    /// Damage to real chunks goes deeper than random bytes.
    #[test]
    fn flipped_bits_are_read_or_refused(
        samples in vec((0..1_000_000_i64, histogram()), 1..5),
        flips in vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let mut appender = HistogramAppender::<Int>::new();
        for (t, h) in &samples {
            let _appended = appender.append(*t, h, None).unwrap();
        }
        let mut data = appender.into_bytes();
        for flip in flips {
            let bit = flip.index(data.len() * 8);
            data[bit / 8] ^= 1 << (bit % 8);
        }
        let mut columns = Samples::default();
        for encoding in ENCODINGS {
            let chunk = Chunk { encoding, data: &data };
            check_columns(chunk, &mut columns);
            if let Ok(iter) = chunk.iter() {
                let _last = iter.last();
            }
            drop(transcode_for_thanos(chunk));
        }
    }
}
