//! Sample encodings, aggregate chunks, segment files.

use rutile_chunk::segment::{self, Verify};
use rutile_chunk::{
    AggrChunk, Aggregate, Appended, Chunk, Encoding, Float, HistogramAppender, Int, Value,
    XorAppender, decode_ends, decode_floats, decode_samples, transcode_for_thanos,
};
use rutile_model::{Samples, WindowTimes};

/// Reads all samples, and those at the ends of windows: of both there are as many.
fn same_times(chunk: Chunk<'_>) {
    let (mut all, mut ends) = (Samples::default(), Samples::default());
    let read_all = decode_samples(chunk, &mut all);
    let first = all.times.first().copied().unwrap_or_default();
    let windows = WindowTimes {
        first_end_ms: first,
        last_end_ms: first.saturating_add(1 << 40),
        interval_ms: 60_000,
        range_ms: 300_000,
    };
    let read_ends = decode_ends(chunk, &windows, &mut ends);
    assert_eq!(read_all, read_ends);
    if read_all.is_ok() {
        assert_eq!(all.times, ends.times);
        assert_eq!(all.histograms.len(), ends.histograms.len());
    }
}

/// Reads all samples, and writes them again: what comes out must read the same.
fn check(encoding: Encoding, data: &[u8]) {
    let chunk = Chunk { encoding, data };
    let _count = chunk.num_samples();
    if let Ok((wire, transcoded)) = transcode_for_thanos(chunk) {
        let again = Chunk {
            encoding: wire.into(),
            data: &transcoded,
        };
        if encoding == Encoding::Xor2 {
            let same = chunk
                .iter()
                .unwrap()
                .flatten()
                .eq(again.iter().unwrap().flatten());
            assert!(same, "transcoding changed the samples");
        }
        again.iter().map(Iterator::last).ok();
    }
    same_times(chunk);
    let Ok(iter) = chunk.iter() else { return };
    let mut floats = XorAppender::new();
    let mut ints = HistogramAppender::<Int>::new();
    let mut float_histograms = HistogramAppender::<Float>::new();
    for sample in iter {
        let Ok(sample) = sample else { break };
        let appended = match &sample.value {
            Value::Float(value) => floats
                .append(sample.time_ms, *value)
                .map(|()| Appended::InPlace),
            Value::Histogram(h) => ints.append(sample.time_ms, h, None),
            Value::FloatHistogram(h) => float_histograms.append(sample.time_ms, h, None),
        };
        if appended.is_err() {
            break;
        }
    }
    let written = [
        (Encoding::Xor, floats.into_bytes()),
        (Encoding::Histogram, ints.into_bytes()),
        (Encoding::FloatHistogram, float_histograms.into_bytes()),
    ];
    for (encoding, data) in written {
        for sample in (Chunk {
            encoding,
            data: &data,
        })
        .iter()
        .unwrap()
        {
            sample.unwrap();
        }
    }
}

pub fn xor(data: &[u8]) {
    check(Encoding::Xor, data);
    let (mut times, mut values) = (Vec::new(), Vec::new());
    let decoded = decode_floats(data, &mut times, &mut values);
    if let Ok(iter) = (Chunk {
        encoding: Encoding::Xor,
        data,
    })
    .iter()
    {
        // One by one: four samples may lie in a byte, and each takes much more than a float.
        let (mut t, mut v) = (times.iter(), values.iter());
        let mut samples = iter.flatten();
        assert!(samples.all(|s| Some(&s.time_ms) == t.next()
            && Some(&s.value) == v.next().map(|v| Value::Float(*v)).as_ref()));
        assert_eq!(t.len(), 0, "samples that only one of them decodes");
    } else {
        assert!(decoded.is_err());
    }
}

pub fn histogram(data: &[u8]) {
    check(Encoding::Histogram, data);
}

pub fn float_histogram(data: &[u8]) {
    check(Encoding::FloatHistogram, data);
}

pub fn xor2(data: &[u8]) {
    check(Encoding::Xor2, data);
}

pub fn histogram_st(data: &[u8]) {
    check(Encoding::HistogramSt, data);
}

pub fn float_histogram_st(data: &[u8]) {
    check(Encoding::FloatHistogramSt, data);
}

pub fn aggregate(data: &[u8]) {
    let _count = (Chunk {
        encoding: Encoding::Aggregate,
        data,
    })
    .num_samples();
    let Ok(chunk) = AggrChunk::parse(data) else {
        return;
    };
    assert_eq!(AggrChunk::parse(&chunk.encode()), Ok(chunk));
    for part in Aggregate::ALL
        .into_iter()
        .filter_map(|aggregate| chunk.get(aggregate))
    {
        if let Ok(iter) = part.iter() {
            iter.last();
        }
    }
}

pub fn segment(data: &[u8]) {
    let _header = segment::parse_header(data);
    let mut offset = segment::HEADER_LEN;
    loop {
        let _len = segment::frame_len(data.get(offset..).unwrap_or_default());
        let trusted = segment::parse_frame(data, offset, Verify::Nothing);
        let checked = segment::parse_frame(data, offset, Verify::Checksum);
        assert!(checked.is_err() || checked == trusted);
        let Ok(frame) = trusted else { break };
        offset += frame.total_len;
    }
}
