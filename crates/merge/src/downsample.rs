//! Batches of a block that is downsampled, while they are read.
//!
//! Each series by itself, so that as many batches are under way as are read at a time. What the merge sees of the block is
//! what is left of it.

use std::fmt;

use parking_lot::Mutex;
use rutile_chunk::{Chunk, Encoding};
use rutile_downsample::{Downsampler, Piece};

use crate::batch::Batch;
use crate::error::{Reason, Result};
use crate::input::Input;
use crate::rewrite::put_frame;

/// From one resolution to a lower one.
pub(crate) struct Downsample {
    /// Of the input, ms; 0 for raw samples.
    from_ms: i64,
    /// Of the output, ms.
    to_ms: i64,
    /// Those that nobody uses now, for their buffers: as many as were ever used at a time.
    idle: Mutex<Vec<Downsampler>>,
}

impl Downsample {
    pub(crate) fn new(from_ms: i64, to_ms: i64) -> Self {
        Self {
            from_ms,
            to_ms,
            idle: Mutex::default(),
        }
    }

    /// What is left of a batch. A series of which nothing is left has no chunks.
    pub(crate) fn batch(&self, input: &Input, batch: Batch) -> Result<Batch> {
        let idle = self.idle.lock().pop();
        let mut downsampler = idle.unwrap_or_else(|| Downsampler::new(self.from_ms, self.to_ms));
        let (mut bytes, mut chunks) = (Vec::new(), Vec::new());
        let mut pieces = Vec::new();
        let mut series = batch.series.clone();
        let failed = |what: &dyn fmt::Display| {
            let message = format!("a series cannot be downsampled: {what}");
            input.fault(Reason::ChunkChecksum, message)
        };
        for (at, series) in series.iter_mut().enumerate() {
            pieces.clear();
            pieces.extend(batch.chunks_of(at).iter().map(|chunk| Piece {
                min_time: chunk.min_time,
                max_time: chunk.max_time,
                chunk: chunk.content(&batch.bytes),
            }));
            for made in downsampler.series(&pieces).map_err(|e| failed(&e))? {
                let content = Chunk {
                    encoding: Encoding::Aggregate,
                    data: &made.data,
                };
                let frame = put_frame(&mut bytes, made.min_time, made.max_time, content);
                chunks.push(frame.ok_or_else(|| failed(&"its chunks are longer than 4 GiB"))?);
            }
            series.chunks_end = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        }
        self.idle.lock().push(downsampler);
        Ok(Batch {
            series,
            chunks,
            bytes: bytes.into(),
            ..batch
        })
    }
}

impl fmt::Debug for Downsample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downsample")
            .field("from_ms", &self.from_ms)
            .field("to_ms", &self.to_ms)
            .finish_non_exhaustive()
    }
}
