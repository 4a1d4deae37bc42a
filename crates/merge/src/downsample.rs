//! Downsampling as a merge of one block.

use parking_lot::Mutex;
use rutile_chunk::{Chunk, Encoding};
use rutile_downsample::Downsampler;

use crate::function::{ChunkSink, MergeFunction, Piece, Refusal};

/// Puts out what is left of each series at a lower resolution. Of one input.
#[derive(Debug)]
pub struct Downsample {
    from_ms: i64,
    to_ms: i64,
    /// Those that nobody uses now, for their buffers.
    idle: Mutex<Vec<Downsampler>>,
}

impl Downsample {
    /// From the resolution of the input, ms, 0 for raw samples, to that of the output.
    #[must_use]
    pub fn new(from_ms: i64, to_ms: i64) -> Self {
        Self {
            from_ms,
            to_ms,
            idle: Mutex::default(),
        }
    }
}

impl MergeFunction for Downsample {
    fn resolution(&self, _: i64) -> i64 {
        self.to_ms
    }

    fn merge(&self, pieces: &[Piece<'_>], out: &mut dyn ChunkSink) -> Result<(), Refusal> {
        let [piece] = pieces else {
            let input = pieces.first().map_or(0, |piece| piece.input);
            let what = "blocks are downsampled one by one".to_owned();
            return Err(Refusal::Damaged { input, what });
        };
        let idle = self.idle.lock().pop();
        let mut downsampler = idle.unwrap_or_else(|| Downsampler::new(self.from_ms, self.to_ms));
        let chunks: Vec<rutile_downsample::Piece<'_>> = { piece.chunks() }
            .map(|(min_time, max_time, chunk)| rutile_downsample::Piece {
                min_time,
                max_time,
                chunk,
            })
            .collect();
        let made = downsampler.series(&chunks);
        self.idle.lock().push(downsampler);
        let made = made.map_err(|error| Refusal::Damaged {
            input: piece.input,
            what: error.to_string(),
        })?;
        for made in made {
            let chunk = Chunk {
                encoding: Encoding::Aggregate,
                data: &made.data,
            };
            out.put(made.min_time, made.max_time, chunk);
        }
        Ok(())
    }
}
