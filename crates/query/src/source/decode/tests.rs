use rutile_chunk::{HistogramAppender, Int, XorAppender};
use rutile_model::Histogram;

use super::*;

fn xor(samples: &[(i64, f64)]) -> thanos::Chunk {
    let mut appender = XorAppender::new();
    for (time, value) in samples {
        appender.append(*time, *value).unwrap();
    }
    thanos::Chunk {
        r#type: WireEncoding::Xor.as_i32(),
        data: appender.into_bytes().into(),
        hash: 0,
    }
}

fn raw(samples: &[(i64, f64)]) -> thanos::AggrChunk {
    thanos::AggrChunk {
        min_time: samples[0].0,
        max_time: samples[samples.len() - 1].0,
        raw: Some(xor(samples)),
        ..thanos::AggrChunk::default()
    }
}

fn counter(samples: &[(i64, f64)]) -> thanos::AggrChunk {
    thanos::AggrChunk {
        raw: None,
        counter: Some(xor(samples)),
        ..raw(samples)
    }
}

fn averaged(count: &[(i64, f64)], sum: &[(i64, f64)]) -> thanos::AggrChunk {
    thanos::AggrChunk {
        raw: None,
        count: Some(xor(count)),
        sum: Some(xor(sum)),
        ..raw(sum)
    }
}

fn decoded(chunks: &[thanos::AggrChunk], take: Take) -> Result<Vec<(i64, f64)>> {
    let chunks: Vec<_> = chunks.iter().cloned().map(AggrChunk::from).collect();
    let mut out = Samples::default();
    append(chunks.iter(), take, &mut out)?;
    assert_eq!(out.times.len(), out.floats.len());
    Ok(out.times.into_iter().zip(out.floats).collect())
}

#[test]
fn of_chunks_that_overlap_the_first_counts() {
    let chunks = [
        raw(&[(1, 1.0), (2, 2.0), (5, 5.0)]),
        raw(&[(4, 40.0), (5, 50.0), (6, 60.0)]),
        raw(&[(3, 30.0), (6, 61.0)]),
        raw(&[(7, 7.0)]),
    ];
    let expected = [(1, 1.0), (2, 2.0), (5, 5.0), (6, 60.0), (7, 7.0)];
    for take in [Take::Average, Take::Min, Take::Counter] {
        assert_eq!(decoded(&chunks, take).unwrap(), expected);
    }
}

#[test]
fn averages_are_sums_by_counts() {
    let chunk = averaged(&[(1, 2.0), (2, 4.0)], &[(1, 3.0), (2, 2.0)]);
    assert_eq!(
        decoded(&[chunk.clone(), raw(&[(3, 9.0)])], Take::Average).unwrap(),
        [(1, 1.5), (2, 0.5), (3, 9.0)]
    );
    assert_eq!(
        decoded(std::slice::from_ref(&chunk), Take::Sum).unwrap(),
        [(1, 3.0), (2, 2.0)]
    );
    assert_eq!(
        decoded(std::slice::from_ref(&chunk), Take::Count).unwrap(),
        [(1, 2.0), (2, 4.0)]
    );
    assert!(matches!(
        decoded(&[chunk], Take::Max),
        Err(DecodeError::NoPart)
    ));
    for count in [&[(1, 2.0)][..], &[(1, 2.0), (3, 4.0)]] {
        let chunk = averaged(count, &[(1, 3.0), (2, 2.0)]);
        assert!(matches!(
            decoded(&[chunk], Take::Average),
            Err(DecodeError::NotAligned)
        ));
    }
}

#[test]
fn counters_never_go_down() {
    let chunks = [
        // The last one tells the last raw value of the chunk.
        counter(&[(1, 5.0), (2, 8.0), (3, f64::NAN), (4, 2.0), (4, 1.0)]),
        // Not lower than what was shown, lower than what was there: no reset.
        counter(&[(3, 100.0), (5, 1.5)]),
        raw(&[(6, 0.5), (7, 2.5)]),
    ];
    let expected = [
        (1, 5.0),
        (2, 8.0),
        (4, 10.0),
        (5, 10.5),
        (6, 11.0),
        (7, 13.0),
    ];
    assert_eq!(decoded(&chunks, Take::Counter).unwrap(), expected);
    // Raw samples are left to the engine.
    assert_eq!(
        decoded(&[raw(&[(1, 5.0), (2, 1.0)])], Take::Counter).unwrap(),
        [(1, 5.0), (2, 1.0)]
    );
}

#[test]
fn floats_and_histograms_stand_in_one_order() {
    let mut appender = HistogramAppender::<Int>::new();
    let histogram = Histogram {
        count: 3,
        sum: 6.0,
        zero_count: 3,
        ..Histogram::default()
    };
    for time in [3, 4] {
        drop(appender.append(time, &histogram, None).unwrap());
    }
    let chunk = thanos::Chunk {
        r#type: WireEncoding::Histogram.as_i32(),
        data: appender.into_bytes().into(),
        hash: 0,
    };
    let chunk = thanos::AggrChunk {
        raw: Some(chunk),
        ..thanos::AggrChunk::default()
    };
    let mut out = Samples::default();
    append(
        [
            raw(&[(1, 1.0), (3, 2.0)]),
            chunk,
            raw(&[(4, 4.0), (5, 5.0)]),
        ]
        .map(AggrChunk::from)
        .iter(),
        Take::Average,
        &mut out,
    )
    .unwrap();
    assert_eq!(out.times, [1, 3, 4, 5]);
    let counts: Vec<_> = (0..4)
        .map(|i| out.histogram(i).map(|histogram| histogram.count))
        .collect();
    assert_eq!(counts, [None, None, Some(3.0), None]);
    assert_eq!((out.floats[3], out.histograms.len()), (5.0, 4));
}

#[test]
fn damage_is_an_error() {
    let chunk = |kind: i32, data: &'static [u8]| thanos::AggrChunk {
        raw: Some(thanos::Chunk {
            r#type: kind,
            data: data.into(),
            hash: 0,
        }),
        ..thanos::AggrChunk::default()
    };
    assert!(matches!(
        decoded(&[chunk(0, b"\0\x05abc")], Take::Average),
        Err(DecodeError::Chunk(_))
    ));
    assert!(matches!(
        decoded(&[chunk(1, b"")], Take::Average),
        Err(DecodeError::Chunk(_))
    ));
    assert!(matches!(
        decoded(&[chunk(3, b"")], Take::Average),
        Err(DecodeError::Encoding(3))
    ));
    assert!(matches!(
        decoded(&[thanos::AggrChunk::default()], Take::Average),
        Err(DecodeError::NoPart)
    ));
}
