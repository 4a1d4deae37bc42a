//! The chunk of a downsampled block: up to five chunks, one for each aggregate.
//!
//! Source: Thanos `pkg/compact/downsample/aggr.go`; see docs/formats/chunks.md.

use crate::chunk::Chunk;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::segment::write_uvarint;

const WHAT: &str = "aggregate chunk";

/// What a window of samples was condensed to; the order is that of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Aggregate {
    /// How many samples.
    Count = 0,
    /// Their sum.
    Sum = 1,
    /// The smallest.
    Min = 2,
    /// The greatest.
    Max = 3,
    /// The running total of a counter, resets taken out.
    Counter = 4,
}

impl Aggregate {
    /// All of them in the order of the format.
    pub const ALL: [Self; 5] = [Self::Count, Self::Sum, Self::Min, Self::Max, Self::Counter];
}

/// The parts of an aggregate chunk, borrowed from its bytes.
///
/// Reading one that is absent is `None` wherever it stands. (The reference calls an absent
/// aggregate at the end of the chunk damaged.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AggrChunk<'a> {
    parts: [Option<Chunk<'a>>; 5],
}

impl<'a> AggrChunk<'a> {
    /// From up to five chunks in the order of [`Aggregate::ALL`]. An empty chunk counts as absent:
    /// the format cannot tell them apart.
    #[must_use]
    pub fn new(parts: [Option<Chunk<'a>>; 5]) -> Self {
        Self {
            parts: parts.map(|part| part.filter(|chunk| !chunk.data.is_empty())),
        }
    }

    /// Takes the bytes of a chunk with encoding [`Encoding::Aggregate`] apart.
    ///
    /// # Errors
    /// Damage, bytes behind the last aggregate included. The parts are not decoded.
    pub fn parse(data: &'a [u8]) -> Result<Self> {
        let mut rest = data;
        let mut parts = [None; 5];
        for part in &mut parts {
            *part = parse_part(&mut rest, data.len())?;
        }
        if !rest.is_empty() {
            return Err(corrupt(
                data.len() - rest.len(),
                "no bytes behind the fifth aggregate",
            ));
        }
        Ok(Self { parts })
    }

    /// The chunk of one aggregate, if there is one.
    #[must_use]
    pub fn get(&self, aggregate: Aggregate) -> Option<Chunk<'a>> {
        self.parts.get(aggregate as usize).copied().flatten()
    }

    /// How many windows there are: the sample count of [`Aggregate::Count`], 0 without it.
    pub fn num_samples(&self) -> Result<u16> {
        self.get(Aggregate::Count)
            .map_or(Ok(0), |chunk| chunk.num_samples())
    }

    /// The bytes of the chunk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let data: usize = self
            .parts
            .iter()
            .flatten()
            .map(|chunk| chunk.data.len())
            .sum();
        let mut out = Vec::with_capacity(data + self.parts.len() * 6);
        for part in &self.parts {
            let Some(chunk) = part else {
                out.push(0);
                continue;
            };
            write_uvarint(&mut out, chunk.data.len() as u64);
            out.push(chunk.encoding.as_byte());
            out.extend_from_slice(chunk.data);
        }
        out
    }
}

fn corrupt(offset: usize, expected: &'static str) -> Error {
    Error::Corrupt {
        what: WHAT,
        offset,
        expected,
    }
}

/// Cuts the next part off `rest`; `total` is the length of the whole chunk.
fn parse_part<'a>(rest: &mut &'a [u8], total: usize) -> Result<Option<Chunk<'a>>> {
    let start = total - rest.len();
    let len = parse_len(rest).ok_or_else(|| corrupt(start, "the length of an aggregate"))?;
    if len == 0 {
        return Ok(None);
    }
    let offset = total - rest.len();
    let (&byte, body) = rest
        .split_first()
        .ok_or_else(|| corrupt(offset, "an encoding"))?;
    let encoding = Encoding::from_byte(byte)
        .filter(|encoding| *encoding != Encoding::Aggregate)
        .ok_or(Error::Encoding {
            what: WHAT,
            offset,
            found: byte,
        })?;
    let (data, behind) = usize::try_from(len)
        .ok()
        .and_then(|len| body.split_at_checked(len))
        .ok_or_else(|| corrupt(start, "as many bytes as the length says"))?;
    *rest = behind;
    Ok(Some(Chunk { encoding, data }))
}

/// Cuts a LEB128 number of at most 64 bits off `rest`.
fn parse_len(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        let bits = u64::from(byte & 0x7F);
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
