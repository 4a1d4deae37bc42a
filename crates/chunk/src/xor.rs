//! Float samples, encoding 1: a 16-bit count, then Gorilla codes.
//!
//! Timestamps are deltas of deltas, values XORs. The first sample stands in full, the second one's
//! timestamp as a delta. [`decode_floats`] is the fast way; [`XorIter`] yields one by one.
//!
//! Source: Prometheus `tsdb/chunkenc/xor.go`; see docs/formats/chunks.md.

use crate::bits::{BitReader, BitWriter};
use crate::chunk::{Countdown, read_count};
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::varbit::{offset_decode, offset_fits};
use crate::window::{LENGTHS_BITS, Window, XorField};

const HEADER_LEN: usize = 2;
/// Fewest bits of a sample behind the first: one for the timestamp, one for the value.
const MIN_SAMPLE_BITS: usize = 2;
/// Payload widths of a timestamp's delta of deltas, by the number of ones before them.
const DOD_WIDTHS: [u32; 5] = [0, 14, 17, 20, 64];

/// The longest code that is seen by one look at the reader: 14 bits of a delta of deltas, the lengths of a new window,
/// and what stands before both.
const SHORT_CODE_BITS: u32 = 2 + 14 + 2 + LENGTHS_BITS;

/// Most samples that a chunk has room for.
pub(crate) const MAX_SAMPLES: u16 = u16::MAX;

/// Reads a chunk sample by sample, in order.
#[derive(Debug, Clone)]
pub struct XorIter<'a> {
    reader: BitReader<'a>,
    samples: Countdown,
    t: i64,
    t_delta: i64,
    value: u64,
    window: Window,
}

impl<'a> XorIter<'a> {
    /// Starts before the first sample.
    pub fn new(data: &'a [u8]) -> Result<Self> {
        Ok(Self {
            samples: Countdown::new(read_count(data, Encoding::Xor.name())?),
            reader: BitReader::new(data, HEADER_LEN, Encoding::Xor.name()),
            t: 0,
            t_delta: 0,
            value: 0,
            window: Window::default(),
        })
    }

    /// Samples that are left, by the header and by the bits: no more than this.
    fn at_most(&self) -> usize {
        self.samples
            .left()
            .min(self.reader.bits_left() / MIN_SAMPLE_BITS)
    }

    fn read_first(&mut self) -> Result<()> {
        self.t = self.reader.read_varint()?;
        self.value = self.reader.read_bits(64)?;
        Ok(())
    }

    fn read_second(&mut self) -> Result<()> {
        self.t_delta = self.reader.read_uvarint()?.cast_signed();
        self.t = self.t.wrapping_add(self.t_delta);
        self.value = self.window.read(&mut self.reader, self.value)?;
        Ok(())
    }

    /// Nearly all samples are an interval that differs by a few seconds at most, and a value of which at most 56 bits
    /// differ. Their codes are told apart without branches where nothing tells beforehand which one comes.
    #[inline(always)]
    fn read_later(&mut self) -> Result<()> {
        let (word, valid) = self.reader.peek_all();
        if valid < SHORT_CODE_BITS || word >> 62 == 0b11 {
            let mut copy = self.clone();
            let read = copy.read_long();
            *self = copy;
            return read;
        }
        let has_dod = word >> 63;
        let dod = offset_decode((word >> 48) & 0x3FFF, 14) & has_dod.wrapping_neg().cast_signed();
        self.t_delta = self.t_delta.wrapping_add(dod);
        self.t = self.t.wrapping_add(self.t_delta);
        let used = if has_dod == 1 { 16 } else { 1 };
        let rest = word << used;
        if rest >> 63 == 0 {
            self.reader.consume(used + 1);
            return Ok(());
        }
        let is_new = rest >> 62 == 0b11;
        let lengths = (rest >> (62 - LENGTHS_BITS)) & ((1 << LENGTHS_BITS) - 1);
        self.window.replace_if(is_new, lengths, &self.reader)?;
        let of_window = if is_new { 2 + LENGTHS_BITS } else { 2 };
        self.reader.consume(used + of_window);
        self.value = self.window.read_reused(&mut self.reader, self.value)?;
        Ok(())
    }

    /// Any sample.
    #[cold]
    #[inline(never)]
    fn read_long(&mut self) -> Result<()> {
        let ones = self.reader.read_ones(4)?;
        if ones > 0 {
            let width = DOD_WIDTHS.get(ones as usize).copied().unwrap_or(64);
            let dod = offset_decode(self.reader.read_bits(width)?, width);
            self.t_delta = self.t_delta.wrapping_add(dod);
        }
        self.t = self.t.wrapping_add(self.t_delta);
        self.value = self.window.read(&mut self.reader, self.value)?;
        Ok(())
    }
}

impl Iterator for XorIter<'_> {
    type Item = Result<(i64, f64)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let read = match self.samples.next()? {
            0 => self.read_first(),
            1 => self.read_second(),
            _ => self.read_later(),
        };
        if let Err(error) = read {
            self.samples.stop();
            return Some(Err(error));
        }
        Some(Ok((self.t, f64::from_bits(self.value))))
    }
}

/// Appends the samples of an XOR chunk to two columns, as one tight loop.
///
/// # Errors
/// Damage; the samples before it have then been appended.
pub fn decode_floats(data: &[u8], times: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<()> {
    let mut iter = XorIter::new(data)?;
    let count = iter.at_most();
    times.reserve(count);
    values.reserve(count);
    for _ in 0..2 {
        let Some(sample) = iter.next() else {
            return Ok(());
        };
        let (t, v) = sample?;
        times.push(t);
        values.push(v);
    }
    for _ in 0..iter.samples.left() {
        iter.read_later()?;
        times.push(iter.t);
        values.push(f64::from_bits(iter.value));
    }
    Ok(())
}

/// Writes a chunk sample by sample; its bytes are those that Prometheus's appender makes.
#[derive(Debug, Clone)]
pub struct XorAppender {
    writer: BitWriter,
    samples: u16,
    t: i64,
    t_delta: i64,
    value: XorField,
}

impl Default for XorAppender {
    fn default() -> Self {
        Self::new()
    }
}

impl XorAppender {
    /// An empty chunk.
    #[must_use]
    pub fn new() -> Self {
        Self {
            writer: BitWriter::new(&[0; HEADER_LEN]),
            samples: 0,
            t: 0,
            t_delta: 0,
            value: XorField::new(0.0),
        }
    }

    /// Appends a sample at `t` (ms), by convention later than the last one.
    ///
    /// # Errors
    /// [`Error::Full`] at 65,535 samples.
    pub fn append(&mut self, t: i64, value: f64) -> Result<()> {
        if self.samples == MAX_SAMPLES {
            return Err(Error::Full {
                what: "xor chunk",
                limit: MAX_SAMPLES.into(),
            });
        }
        let t_delta = if self.samples == 0 {
            0
        } else {
            t.wrapping_sub(self.t)
        };
        match self.samples {
            0 => {
                self.writer.write_varint(t);
                self.writer.write_f64(value);
                self.value = XorField::new(value);
            }
            1 => self.writer.write_uvarint(t_delta.cast_unsigned()),
            _ => self.write_dod(t_delta.wrapping_sub(self.t_delta)),
        }
        if self.samples > 0 {
            self.value.write(&mut self.writer, value);
        }
        self.t = t;
        self.t_delta = t_delta;
        self.samples += 1;
        if let Some(header) = self.writer.header_mut() {
            *header = self.samples.to_be_bytes();
        }
        Ok(())
    }

    fn write_dod(&mut self, dod: i64) {
        let bits = dod.cast_unsigned();
        match dod {
            0 => self.writer.write_bit(false),
            _ if offset_fits(dod, 14) => {
                self.writer.write_bits((0b10 << 14) | (bits & 0x3FFF), 16);
            }
            _ if offset_fits(dod, 17) => {
                self.writer
                    .write_bits((0b110 << 17) | (bits & 0x1_FFFF), 20);
            }
            _ if offset_fits(dod, 20) => {
                self.writer
                    .write_bits((0b1110 << 20) | (bits & 0xF_FFFF), 24);
            }
            _ => {
                self.writer.write_bits(0b1111, 4);
                self.writer.write_bits(bits, 64);
            }
        }
    }

    /// How many samples were appended.
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        self.samples
    }

    /// The bytes so far: a whole chunk at any time.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    /// The finished chunk.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.writer.into_bytes()
    }
}

#[cfg(test)]
mod tests;
