//! Histograms as rows: between chunks, and at their ends.

#![expect(clippy::unwrap_used, reason = "a test that meets bad data has failed")]

use rutile_chunk::{Appended, Chunk, Encoding, HistogramAppender, Int, decode_rows, fits_rows};
use rutile_model::histogram::HistogramRows;
use rutile_model::sample::STALE_NAN;
use rutile_model::{Histogram, Span, WindowTimes};

const WINDOWS: WindowTimes = WindowTimes {
    first_end_ms: 0,
    last_end_ms: 600_000,
    interval_ms: 60_000,
    range_ms: 300_000,
};

/// Nine histograms of one bucket, one each 20 seconds, that count up by one.
fn appender(from: i64, count: u64, offset: i32) -> HistogramAppender<Int> {
    let mut appender = HistogramAppender::<Int>::new();
    for i in 0..9 {
        let histogram = Histogram {
            count: count + i,
            positive_spans: vec![Span { offset, length: 1 }],
            positive_buckets: vec![i64::try_from(count + i).unwrap()],
            ..Histogram::default()
        };
        let time = from + 20_000 * i64::try_from(i).unwrap();
        let appended = appender.append(time, &histogram, None);
        assert_eq!(appended, Ok(Appended::InPlace));
    }
    appender
}

fn append(appender: &HistogramAppender<Int>, rows: &mut HistogramRows) -> bool {
    let (encoding, data) = (Encoding::Histogram, appender.bytes());
    decode_rows(Chunk { encoding, data }, &WINDOWS, rows).unwrap()
}

#[test]
fn a_reset_between_two_chunks_is_seen() {
    let mut rows = HistogramRows::default();
    assert!(append(&appender(0, 100, 3), &mut rows));
    assert!(append(&appender(180_000, 109, 3), &mut rows));
    assert!(append(&appender(360_000, 5, 3), &mut rows));
    assert!(
        !append(&appender(360_000, 20, 3), &mut rows),
        "goes back in time"
    );
    assert!(
        !append(&appender(900_000, 20, 4), &mut rows),
        "has another bucket"
    );
    assert_eq!(rows.resets(), [18]);
    assert_eq!(rows.row(17), [117.0, 0.0, 0.0, 117.0]);
    assert_eq!(rows.row(18), [5.0, 0.0, 0.0, 5.0]);
}

#[test]
fn what_comes_before_a_stale_marker_may_be_the_last_of_a_window() {
    let mut marked = appender(0, 100, 3);
    let stale = Histogram {
        sum: STALE_NAN,
        ..Histogram::default()
    };
    assert_eq!(marked.append(180_000, &stale, None), Ok(Appended::InPlace));
    let mut rows = HistogramRows::default();
    assert!(append(&marked, &mut rows));
    assert_eq!(rows.times().last(), Some(&160_000));
    assert_eq!(rows.row(8), [108.0, 0.0, 0.0, 108.0]);
    assert!(append(&appender(200_000, 107, 3), &mut rows));
    assert_eq!(rows.resets(), [9]);
}

#[test]
fn whether_a_chunk_fits_shows_before_it_is_read() {
    let mut rows = HistogramRows::default();
    let mut fits = |encoding, offset| {
        let appender = appender(0, 1, offset);
        let data = appender.bytes();
        fits_rows(Chunk { encoding, data }, &mut rows).unwrap()
    };
    assert!(fits(Encoding::Histogram, 3));
    assert!(!fits(Encoding::Histogram, 4));
    assert!(!fits(Encoding::Xor, 3));
    assert!(rows.times().is_empty());
}
