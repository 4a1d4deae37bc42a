//! Chunks made by Prometheus's own package: read as it reads them, written as it writes them.
//!
//! `testdata/README.md` says how they were made.

#![expect(clippy::unwrap_used, reason = "a test that meets bad data has failed")]

use rutile_chunk::{
    Appended, Chunk, ChunkIter, Encoding, Float, HistogramAppender, Int, Value, WireEncoding,
    XorAppender, transcode_for_thanos,
};
use rutile_model::{CounterResetHint, FloatHistogram, Histogram, Span};

const FLOATS: &str = include_str!("../testdata/floats.tsv");
const HISTOGRAMS: &str = include_str!("../testdata/histograms.tsv");

/// A chunk and its samples as text, from any encoding.
struct Recorded {
    encoding: Encoding,
    data: Vec<u8>,
    samples: Vec<String>,
}

impl Recorded {
    fn new(encoding: &str, hex: &str, samples: &str) -> Self {
        let encoding = Encoding::from_byte(encoding.parse().unwrap()).unwrap();
        let digits: Vec<_> = hex.chars().map(|c| c.to_digit(16).unwrap()).collect();
        let data = digits
            .chunks(2)
            .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap());
        let samples = samples.split(' ').map(str::to_owned).collect();
        Self {
            encoding,
            data: data.collect(),
            samples,
        }
    }

    fn chunk(&self) -> Chunk<'_> {
        Chunk {
            encoding: self.encoding,
            data: &self.data,
        }
    }
}

/// The samples of a chunk in the form of the recorded ones.
fn read(chunk: Chunk<'_>) -> Vec<String> {
    let mut iter = chunk.iter().unwrap();
    let mut samples = Vec::new();
    while let Some(sample) = iter.next() {
        let sample = sample.unwrap();
        let start = match &iter {
            ChunkIter::Xor(_) => 0,
            ChunkIter::Xor2(iter) => iter.start_time(),
            ChunkIter::Histogram(iter) => iter.start_time(),
            ChunkIter::FloatHistogram(iter) => iter.start_time(),
        };
        samples.push(format!(
            "{start}:{}:{}",
            sample.time_ms,
            text(&sample.value)
        ));
    }
    samples
}

fn without_start(sample: &str) -> &str {
    sample.split_once(':').unwrap().1
}

#[test]
fn float_chunks_are_read_and_written() {
    let mut lines = 0;
    for line in FLOATS.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, encoding, hex, samples] = fields[..] else {
            panic!("bad line: {line}")
        };
        let recorded = Recorded::new(encoding, hex, samples);
        assert_eq!(read(recorded.chunk()), recorded.samples, "{name}");
        assert_eq!(
            usize::from(recorded.chunk().num_samples().unwrap()),
            recorded.samples.len()
        );

        let mut appender = XorAppender::new();
        for sample in &recorded.samples {
            let (t, bits) = without_start(sample).split_once(':').unwrap();
            appender.append(t.parse().unwrap(), float(bits)).unwrap();
        }
        if recorded.encoding == Encoding::Xor {
            assert_eq!(appender.bytes(), recorded.data, "{name}");
        }
        let (wire, data) = transcode_for_thanos(recorded.chunk()).unwrap();
        assert_eq!(
            (wire, &*data),
            (WireEncoding::Xor, appender.bytes()),
            "{name}"
        );
        lines += 1;
    }
    assert!(lines > 50);
}

#[test]
fn histogram_chunks_are_read() {
    let mut chunks = 0;
    for line in HISTOGRAMS.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, encoding, _, _, recorded @ ..] = &fields[..] else {
            panic!("bad line: {line}")
        };
        for chunk in recorded {
            let (hex, samples) = chunk.split_once('|').unwrap();
            let recorded = Recorded::new(encoding, hex, samples);
            assert_eq!(read(recorded.chunk()), recorded.samples, "{name}");
            let count = usize::from(recorded.chunk().num_samples().unwrap());
            assert_eq!(count, recorded.samples.len(), "{name}");

            let (wire, data) = transcode_for_thanos(recorded.chunk()).unwrap();
            let transcoded = Chunk {
                encoding: wire.into(),
                data: &data,
            };
            let flag = |chunk: Chunk<'_>| chunk.counter_reset().unwrap().unwrap();
            assert_eq!(flag(transcoded), flag(recorded.chunk()), "{name}");
            let samples = read(transcoded);
            let samples = samples.iter().map(|sample| without_start(sample));
            assert!(
                samples.eq(recorded.samples.iter().map(|s| without_start(s))),
                "{name}"
            );
            chunks += 1;
        }
    }
    assert!(chunks > 200);
}

#[test]
fn histogram_chunks_are_written_and_cut() {
    let mut lines = 0;
    for line in HISTOGRAMS.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, encoding, continued, samples, recorded @ ..] = &fields[..] else {
            panic!("bad line: {line}")
        };
        let continued = *continued == "true";
        let wanted: Vec<_> = recorded
            .iter()
            .map(|chunk| chunk.split_once('|').unwrap().0.to_owned())
            .collect();
        let found = match *encoding {
            "2" => write_ints(samples, continued),
            "3" => write_floats(samples, continued),
            _ => continue,
        };
        assert_eq!(found, wanted, "{name} {encoding}");
        lines += 1;
    }
    assert!(lines > 100);
}

/// The two kinds differ in their types only.
macro_rules! write {
    ($form:ty, $parse:ident, $samples:ident, $continued:ident) => {{
        let samples: Vec<_> = $samples.split(' ').collect();
        let mut appender = HistogramAppender::<$form>::new();
        let mut chunks = Vec::new();
        for (i, sample) in samples.iter().enumerate() {
            let (t, histogram) = sample.split_once(':').unwrap();
            let (t, histogram) = (t.parse().unwrap(), $parse(histogram));
            if $continued && i == samples.len() - 1 {
                let before = std::mem::take(&mut appender);
                let appended = appender.append(t, &histogram, Some(&before)).unwrap();
                assert_eq!(appended, Appended::InPlace);
                chunks.push(before.into_bytes());
            } else if let Appended::Cut(chunk) = appender.append(t, &histogram, None).unwrap() {
                chunks.push(chunk);
            }
        }
        chunks.push(appender.into_bytes());
        chunks.iter().map(|chunk| hex(chunk)).collect()
    }};
}

fn write_ints(samples: &str, continued: bool) -> Vec<String> {
    write!(Int, histogram, samples, continued)
}

fn write_floats(samples: &str, continued: bool) -> Vec<String> {
    write!(Float, float_histogram, samples, continued)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn float(hex: &str) -> f64 {
    f64::from_bits(u64::from_str_radix(hex, 16).unwrap())
}

fn list<T>(text: &str, parse: impl Fn(&str) -> T) -> Vec<T> {
    text.split(',')
        .filter(|item| !item.is_empty())
        .map(parse)
        .collect()
}

fn spans(text: &str) -> Vec<Span> {
    list(text, |span| {
        let (offset, length) = span.split_once('+').unwrap();
        Span {
            offset: offset.parse().unwrap(),
            length: length.parse().unwrap(),
        }
    })
}

fn hint(text: &str) -> CounterResetHint {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    [Unknown, Reset, NotReset, Gauge][text.parse::<usize>().unwrap()]
}

fn histogram(text: &str) -> Histogram {
    let f: Vec<_> = text.split(';').collect();
    Histogram {
        counter_reset_hint: hint(f[0]),
        schema: f[1].parse().unwrap(),
        zero_threshold: float(f[2]),
        zero_count: f[3].parse().unwrap(),
        count: f[4].parse().unwrap(),
        sum: float(f[5]),
        positive_spans: spans(f[6]),
        negative_spans: spans(f[7]),
        positive_buckets: list(f[8], |b| b.parse().unwrap()),
        negative_buckets: list(f[9], |b| b.parse().unwrap()),
        custom_values: list(f[10], float),
    }
}

fn float_histogram(text: &str) -> FloatHistogram {
    let f: Vec<_> = text.split(';').collect();
    FloatHistogram {
        counter_reset_hint: hint(f[0]),
        schema: f[1].parse().unwrap(),
        zero_threshold: float(f[2]),
        zero_count: float(f[3]),
        count: float(f[4]),
        sum: float(f[5]),
        positive_spans: spans(f[6]),
        negative_spans: spans(f[7]),
        positive_buckets: list(f[8], float),
        negative_buckets: list(f[9], float),
        custom_values: list(f[10], float),
    }
}

fn text(value: &Value) -> String {
    let bits = |value: &f64| format!("{:016x}", value.to_bits());
    let spans = |spans: &[Span]| {
        spans
            .iter()
            .map(|s| format!("{}+{}", s.offset, s.length))
            .collect::<Vec<_>>()
            .join(",")
    };
    let floats = |values: &[f64]| values.iter().map(bits).collect::<Vec<_>>().join(",");
    let ints = |values: &[i64]| {
        values
            .iter()
            .map(i64::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let hint = |hint| match hint {
        CounterResetHint::Unknown => "0",
        CounterResetHint::Reset => "1",
        CounterResetHint::NotReset => "2",
        CounterResetHint::Gauge => "3",
    };
    let fields = match value {
        Value::Float(value) => return bits(value),
        Value::Histogram(h) => vec![
            hint(h.counter_reset_hint).to_owned(),
            h.schema.to_string(),
            bits(&h.zero_threshold),
            h.zero_count.to_string(),
            h.count.to_string(),
            bits(&h.sum),
            spans(&h.positive_spans),
            spans(&h.negative_spans),
            ints(&h.positive_buckets),
            ints(&h.negative_buckets),
            floats(&h.custom_values),
        ],
        Value::FloatHistogram(h) => vec![
            hint(h.counter_reset_hint).to_owned(),
            h.schema.to_string(),
            bits(&h.zero_threshold),
            bits(&h.zero_count),
            bits(&h.count),
            bits(&h.sum),
            spans(&h.positive_spans),
            spans(&h.negative_spans),
            floats(&h.positive_buckets),
            floats(&h.negative_buckets),
            floats(&h.custom_values),
        ],
    };
    fields.join(";")
}
