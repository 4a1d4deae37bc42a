//! What is left of samples at a resolution, worked out window by window, without the code under test.

use std::collections::BTreeMap;

use bytes::Bytes;
use rutile_chunk::{AggrChunk, Aggregate, Chunk};

use crate::cell::{Samples, each_chunk, floats};

/// The samples of a window. All values of a run are whole numbers, and grow within a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
    /// Its counter: without resets the last value.
    counter: f64,
}

/// Windows by series, and by their numbers since the Unix epoch.
pub(crate) type Windows = BTreeMap<String, BTreeMap<i64, Window>>;

const NOTHING: Window = Window {
    count: 0.0,
    sum: 0.0,
    min: f64::INFINITY,
    max: f64::NEG_INFINITY,
    counter: 0.0,
};

/// The windows of samples at a resolution, ms.
pub(crate) fn of(samples: &Samples, resolution: i64) -> Windows {
    let mut all = Windows::new();
    for (series, of_series) in samples {
        let windows = all.entry(series.clone()).or_default();
        for (t, value) in of_series {
            let value = f64::from_bits(*value);
            let number = t.div_euclid(resolution);
            let window = windows.entry(number).or_insert(NOTHING);
            window.count += 1.0;
            window.sum += value;
            window.min = window.min.min(value);
            window.max = window.max.max(value);
            window.counter = value;
        }
    }
    all
}

/// The windows of a downsampled block with one segment.
pub(crate) fn decode(index: &Bytes, chunks: &Bytes, resolution: i64) -> Result<Windows, String> {
    let mut all = Windows::new();
    each_chunk(index, chunks, |series, chunk| {
        let windows = all.entry(series.to_owned()).or_default();
        let parts = AggrChunk::parse(chunk.data).map_err(|e| e.to_string())?;
        let mut each = |aggregate, add: fn(&mut Window, f64)| {
            for (t, value) in part(&parts, aggregate)? {
                let number = t.div_euclid(resolution);
                add(windows.entry(number).or_insert(NOTHING), value);
            }
            Ok::<(), String>(())
        };
        each(Aggregate::Count, |window, value| window.count += value)?;
        each(Aggregate::Sum, |window, value| window.sum += value)?;
        each(Aggregate::Min, |window, value| {
            window.min = window.min.min(value);
        })?;
        each(Aggregate::Max, |window, value| {
            window.max = window.max.max(value);
        })?;
        // The first raw value and the last one stand there too.
        each(Aggregate::Counter, |window, value| window.counter = value)
    })?;
    Ok(all)
}

fn part(parts: &AggrChunk<'_>, aggregate: Aggregate) -> Result<Vec<(i64, f64)>, String> {
    let part: Chunk<'_> = parts.get(aggregate).ok_or("an aggregate is missing")?;
    floats(part.data)
}
