//! What holds of any series: windows are those of the samples, whatever the chunks, and nothing that was sampled is lost.
#![expect(clippy::unwrap_used, reason = "a test that meets bad data has failed")]

use proptest::prelude::*;
use rutile_chunk::{AggrChunk, Aggregate, Chunk, Encoding, XorAppender, decode_floats};
use rutile_downsample::{Aggregated, Downsampler, FIVE_MINUTES_MS, ONE_HOUR_MS, Piece};

/// Stale marker, as Prometheus writes it.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Samples some seconds apart, now and then hours: counters with resets, NaN and stale markers among them.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let step = prop_oneof![8 => 1_000_i64..60_000, 1 => 60_000_i64..20_000_000];
    let value = prop_oneof![
        12 => (0_u32..1000).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(f64::from_bits(STALE)),
        1 => Just(f64::NEG_INFINITY),
    ];
    let start = 0_i64..1_800_000_000_000;
    (start, proptest::collection::vec((step, value), 1..3000)).prop_map(|(start, steps)| {
        let mut t = start;
        let sample = |(step, value)| {
            t += step;
            (t, value)
        };
        steps.into_iter().map(sample).collect()
    })
}

struct Made {
    min_time: i64,
    max_time: i64,
    encoding: Encoding,
    data: Vec<u8>,
}

fn chunks(samples: &[(i64, f64)], size: usize) -> Vec<Made> {
    let of = |samples: &[(i64, f64)]| {
        let mut appender = XorAppender::new();
        for (t, value) in samples {
            appender.append(*t, *value).unwrap();
        }
        Made {
            min_time: samples[0].0,
            max_time: samples[samples.len() - 1].0,
            encoding: Encoding::Xor,
            data: appender.into_bytes(),
        }
    };
    samples.chunks(size).map(of).collect()
}

fn downsample(from: i64, to: i64, chunks: &[Made]) -> Vec<Made> {
    let pieces: Vec<Piece<'_>> = { chunks.iter() }
        .map(|chunk| Piece {
            min_time: chunk.min_time,
            max_time: chunk.max_time,
            chunk: Chunk {
                encoding: chunk.encoding,
                data: &chunk.data,
            },
        })
        .collect();
    let made = Downsampler::new(from, to).series(&pieces).unwrap();
    let made = made.into_iter().map(|made: Aggregated| Made {
        min_time: made.min_time,
        max_time: made.max_time,
        encoding: Encoding::Aggregate,
        data: made.data,
    });
    made.collect()
}

/// One aggregate of all chunks.
fn read(chunks: &[Made], aggregate: Aggregate) -> Vec<(i64, f64)> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let parts = AggrChunk::parse(&chunk.data).unwrap();
        decode_floats(parts.get(aggregate).unwrap().data, &mut times, &mut values).unwrap();
    }
    times.into_iter().zip(values).collect()
}

/// The increase over all that a counter tells: of raw samples, or of aggregates, whose last raw values come twice.
fn increase(samples: &[(i64, f64)]) -> f64 {
    let mut total = 0.0;
    let mut last: Option<(i64, f64)> = None;
    for &(t, value) in samples {
        match last {
            Some((last_t, _)) if t < last_t => continue,
            Some((last_t, before)) if t > last_t => {
                total += if value < before {
                    value
                } else {
                    value - before
                };
            }
            _ => {}
        }
        last = Some((t, value));
    }
    total
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn nothing_is_lost(samples in samples(), size in 1_usize..300) {
        let five = downsample(0, FIVE_MINUTES_MS, &chunks(&samples, size));
        let numbers: Vec<(i64, f64)> = { samples.iter().copied() }
            .filter(|(_, value)| !value.is_nan())
            .collect();
        prop_assert_eq!(five.is_empty(), numbers.is_empty());
        let hours = downsample(FIVE_MINUTES_MS, ONE_HOUR_MS, &five);
        for (made, resolution) in [(&five, FIVE_MINUTES_MS), (&hours, ONE_HOUR_MS)] {
            let count = read(made, Aggregate::Count);
            let total: f64 = count.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(total, numbers.len() as f64);
            // In order, at most one a window, and none behind the last sample.
            prop_assert!(count.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(count.last().is_none_or(|last| last.0 <= numbers.last().unwrap().0));
            let least = numbers.iter().map(|sample| sample.1).fold(f64::INFINITY, f64::min);
            let min = read(made, Aggregate::Min);
            prop_assert_eq!(min.iter().map(|sample| sample.1).fold(f64::INFINITY, f64::min), least);
            let max = read(made, Aggregate::Max);
            // A window of nothing but -Inf has that as its greatest.
            for ((end, least), (_, greatest)) in min.iter().zip(&max) {
                prop_assert!(least <= greatest, "{least} {greatest} at {end} of {resolution}");
            }
            for chunk in made {
                prop_assert!(chunk.min_time <= chunk.max_time);
            }
        }
        // Resets are seen within chunks and between them. Sums of infinite values are no numbers.
        if numbers.iter().all(|(_, value)| value.is_finite()) {
            let raw = increase(&numbers);
            for made in [&five, &hours] {
                prop_assert_eq!(increase(&read(made, Aggregate::Counter)), raw);
            }
        }
    }

    /// Bytes from anywhere are an error, or are read: they never panic.
    #[test]
    fn damage_is_told(data in proptest::collection::vec(any::<u8>(), 0..200), encoding in 1_u8..8, from in 0_u8..2) {
        let encoding = Encoding::from_byte(encoding).unwrap_or(Encoding::Aggregate);
        let chunk = Chunk { encoding, data: &data };
        let piece = Piece { min_time: 0, max_time: 1000, chunk };
        let resolutions = [(0, FIVE_MINUTES_MS), (FIVE_MINUTES_MS, ONE_HOUR_MS)];
        let (from, to) = resolutions[usize::from(from)];
        let _outcome = Downsampler::new(from, to).series(&[piece]);
    }
}
