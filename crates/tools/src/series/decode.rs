//! From the chunks of an answer to samples.

use anyhow::{Context, Result};
use rutile_chunk::{Chunk, Encoding, Sample, WireEncoding};
use rutile_model::Labels;
use rutile_proto::thanos;

/// A series with its samples, one stream for raw data or for each aggregate of downsampled data.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) streams: Vec<Stream>,
}

/// The samples of one aggregate, in the order of the chunks: overlapping chunks are not merged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    /// `None` for raw data.
    pub(crate) aggregate: Option<&'static str>,
    pub(crate) chunks: usize,
    /// Of the encoded chunks.
    pub(crate) bytes: usize,
    pub(crate) samples: Vec<Sample>,
}

/// Decodes a series.
pub(crate) fn series(answer: &thanos::Series) -> Result<Series> {
    let mut labels = Labels::builder();
    for label in &answer.labels {
        labels.set(label.name.as_str(), label.value.as_str());
    }
    let labels = labels.build();
    let mut streams = [const { None::<Stream> }; 6];
    for chunk in &answer.chunks {
        let parts = [
            (None, &chunk.raw),
            (Some("count"), &chunk.count),
            (Some("sum"), &chunk.sum),
            (Some("min"), &chunk.min),
            (Some("max"), &chunk.max),
            (Some("counter"), &chunk.counter),
        ];
        for (slot, (aggregate, part)) in streams.iter_mut().zip(parts) {
            let Some(part) = part else { continue };
            let stream = slot.get_or_insert_with(|| Stream {
                aggregate,
                ..Stream::default()
            });
            stream
                .append(part)
                .with_context(|| format!("chunk of {labels} at {} ms", chunk.min_time))?;
        }
    }
    Ok(Series {
        labels,
        streams: streams.into_iter().flatten().collect(),
    })
}

impl Stream {
    fn append(&mut self, part: &thanos::Chunk) -> Result<()> {
        let wire = WireEncoding::from_i32(part.r#type)
            .with_context(|| format!("unknown encoding {}", part.r#type))?;
        let encoding = match wire {
            WireEncoding::Xor => Encoding::Xor,
            WireEncoding::Histogram => Encoding::Histogram,
            WireEncoding::FloatHistogram => Encoding::FloatHistogram,
        };
        self.chunks += 1;
        self.bytes += part.data.len();
        for sample in (Chunk {
            encoding,
            data: &part.data,
        })
        .iter()?
        {
            self.samples.push(sample?);
        }
        Ok(())
    }
}
