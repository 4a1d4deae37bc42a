//! Samples into chunks, as a store has them.

use std::sync::Arc;

use futures::TryStreamExt;
use rutile_chunk::{Appended, Float, HistogramAppender, WireEncoding, XorAppender};
use rutile_model::{FloatHistogram, Labels, MatchOp, Matcher, Samples};
use rutile_promql::{Select, Source};
use rutile_proto::thanos::{AggrChunk, Chunk};
use rutile_storeapi::memory::MemoryStore;

/// Samples of a float chunk, as in Prometheus.
const CHUNK_SAMPLES: usize = 120;

/// A store of all series of a source.
pub(super) async fn store(source: &Arc<dyn Source>) -> MemoryStore {
    let everything = Select {
        matchers: vec![Matcher::new(MatchOp::Regex, "__name__", ".*").unwrap()],
        min_time: i64::MIN,
        max_time: i64::MAX,
        step_ms: 0,
        range_ms: 0,
        function: None,
    };
    let parts: Vec<_> = source
        .select(&everything)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let series = parts.iter().flat_map(|part| &part.series).map(|series| {
        let mut samples = Samples::default();
        series.decode(&mut samples).unwrap();
        (series.labels().clone(), chunks(&samples))
    });
    MemoryStore::new(series.collect(), Labels::empty())
}

fn chunks(samples: &Samples) -> Vec<AggrChunk> {
    let mut chunks = Vec::new();
    let mut from = 0;
    while from < samples.len() {
        let is_histogram = samples.histogram(from).is_some();
        let same =
            (from..samples.len()).take_while(|i| samples.histogram(*i).is_some() == is_histogram);
        let to = from + same.count();
        if is_histogram {
            push_histograms(samples, from, to, &mut chunks);
        } else {
            push_floats(samples, from, to, &mut chunks);
        }
        from = to;
    }
    chunks
}

fn push_floats(samples: &Samples, from: usize, to: usize, chunks: &mut Vec<AggrChunk>) {
    for start in (from..to).step_by(CHUNK_SAMPLES) {
        let end = to.min(start + CHUNK_SAMPLES);
        let mut appender = XorAppender::new();
        for i in start..end {
            appender
                .append(samples.times[i], samples.floats[i])
                .unwrap();
        }
        let times = (samples.times[start], samples.times[end - 1]);
        chunks.push(chunk(WireEncoding::Xor, appender.into_bytes(), times));
    }
}

fn push_histograms(samples: &Samples, from: usize, to: usize, chunks: &mut Vec<AggrChunk>) {
    let mut appender = HistogramAppender::<Float>::new();
    let mut start = from;
    for i in from..to {
        let histogram: &FloatHistogram = samples.histogram(i).unwrap();
        if let Appended::Cut(data) = appender.append(samples.times[i], histogram, None).unwrap() {
            let times = (samples.times[start], samples.times[i - 1]);
            chunks.push(chunk(WireEncoding::FloatHistogram, data, times));
            start = i;
        }
    }
    let times = (samples.times[start], samples.times[to - 1]);
    chunks.push(chunk(
        WireEncoding::FloatHistogram,
        appender.into_bytes(),
        times,
    ));
}

fn chunk(encoding: WireEncoding, data: Vec<u8>, (min_time, max_time): (i64, i64)) -> AggrChunk {
    AggrChunk {
        min_time,
        max_time,
        raw: Some(Chunk {
            r#type: encoding.as_i32(),
            data: data.into(),
            hash: 0,
        }),
        ..AggrChunk::default()
    }
}
