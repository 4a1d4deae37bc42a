//! Sorted rows as the frames of an answer.

use std::iter::Peekable;
use std::vec::IntoIter;

use futures::{StreamExt, stream};
use rutile_promclient::{ReadChunk, WireEncoding};
use rutile_proto::thanos::chunk::Encoding;
use rutile_storeapi::{ChunkRef, FrameWriter, Result, SeriesStream};
use xxhash_rust::xxh64::xxh64;

use super::rows::{Row, Rows};

/// What is left to write.
struct Left {
    rows: Peekable<IntoIter<Row>>,
    writer: FrameWriter,
    /// Series that are still wanted.
    limit: usize,
    /// What the rows were taken from: holds their memory in the ledger.
    source: Rows,
}

/// Encodes rows that are sorted: warnings first, then at most `limit` series, `batch_size` to a frame. Rows
/// with the same labels are one series.
pub(super) fn encode(mut source: Rows, batch_size: usize, limit: usize) -> SeriesStream {
    let left = Left {
        rows: std::mem::take(&mut source.rows).into_iter().peekable(),
        writer: FrameWriter::new(batch_size),
        limit,
        source,
    };
    stream::try_unfold(Some(left), |left| {
        futures::future::ready(left.map_or(Ok(None), |left| left.frames()))
    })
    .boxed()
}

impl Left {
    /// As many frames as are worth a hand-over, and what is left after them.
    fn frames(mut self) -> Result<Option<(rutile_storeapi::Frames, Option<Self>)>> {
        for warning in self.source.warnings.drain(..) {
            self.writer.warning(warning)?;
        }
        while !self.writer.is_full() {
            if self.limit == 0 || !self.series()? {
                return Ok(Some((self.writer.finish()?, None)));
            }
            self.limit -= 1;
        }
        Ok(Some((self.writer.take(), Some(self))))
    }

    /// Writes the next series, if there is one.
    fn series(&mut self) -> Result<bool> {
        let Some(Row { labels, mut chunks }) = self.rows.next() else {
            return Ok(false);
        };
        while let Some(more) = self.rows.next_if(|row| row.labels == labels) {
            chunks.extend(more.chunks);
        }
        if !chunks.is_sorted_by_key(times) {
            chunks.sort_by_key(times);
        }
        let mut series = self.writer.series();
        for (name, value) in &labels {
            series.label(name.as_bytes(), value.as_bytes());
        }
        for chunk in &chunks {
            let encoding = match chunk.encoding {
                WireEncoding::Xor => Encoding::Xor,
                WireEncoding::Histogram => Encoding::Histogram,
                WireEncoding::FloatHistogram => Encoding::FloatHistogram,
            };
            let payload = ChunkRef {
                encoding: encoding.into(),
                data: &chunk.data,
                hash: xxh64(&chunk.data, 0),
            };
            series.raw(chunk.min_time, chunk.max_time, payload);
        }
        series.finish()?;
        Ok(true)
    }
}

fn times(chunk: &ReadChunk) -> (i64, i64) {
    (chunk.min_time, chunk.max_time)
}
