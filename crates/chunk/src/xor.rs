//! Float samples, encoding 1: a 16-bit count, then Gorilla codes.
//!
//! Timestamps are deltas of deltas, values XORs. The first sample stands in full, the second one's
//! timestamp as a delta. [`decode_floats`] is the fast way; [`XorIter`] yields one by one.
//!
//! Source: Prometheus `tsdb/chunkenc/xor.go`; see docs/formats/chunks.md.

use crate::bits::{BitReader, BitWriter, MAX_PEEK};
use crate::chunk::{Countdown, read_count};
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::varbit::{offset_decode, offset_fits};
use crate::window::{MAX_VALUE_CODE, Window, XorField};

const HEADER_LEN: usize = 2;
/// Fewest bits of a sample behind the first: one for the timestamp, one for the value.
const MIN_SAMPLE_BITS: usize = 2;
/// Payload widths of a timestamp's delta of deltas, by the number of ones before them.
const DOD_WIDTHS: [u32; 5] = [0, 14, 17, 20, 64];

/// Those of them that fit into what is peeked at.
const SHORT_DOD_WIDTHS: [u32; 4] = [0, 14, 17, 20];
/// Bits of the longest of these with the ones and the zero before it, and of the code of a value.
const MAX_SHORT_CODES: u32 = 24 + MAX_VALUE_CODE;

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

    /// What cannot be foreseen, the codes of a timestamp that jitters and of a value that changes, is
    /// read without branches.
    #[inline(always)]
    fn read_later(&mut self) -> Result<()> {
        let (bits, valid) = self.reader.peek(MAX_PEEK);
        if valid < MAX_SHORT_CODES {
            return self.read_by_code();
        }
        if bits >> 62 == 0 {
            // The same interval and the same value again: by far the commonest sample.
            self.reader.consume(2);
            self.t = self.t.wrapping_add(self.t_delta);
            return Ok(());
        }
        let ones = bits.leading_ones();
        let Some(&width) = SHORT_DOD_WIDTHS.get(ones as usize) else {
            return self.read_by_code();
        };
        let dod = (bits << (ones + 1)) >> 1 >> (63 - width);
        // As in `offset_decode`, of no bits too.
        let is_negative = dod > (1_u64 << width) >> 1;
        let dod = dod.wrapping_sub(u64::from(is_negative) << width);
        self.t_delta = self.t_delta.wrapping_add(dod.cast_signed());
        self.t = self.t.wrapping_add(self.t_delta);
        let used = ones + 1 + width;
        self.value = (self.window).read_peeked(&mut self.reader, bits << used, used, self.value)?;
        Ok(())
    }

    /// The same, code by code: near the end, and of timestamps far away. By a copy, so that `self` can stay
    /// in registers.
    #[inline(always)]
    fn read_by_code(&mut self) -> Result<()> {
        let mut copy = self.clone();
        let read = copy.read_codes();
        *self = copy;
        read
    }

    #[inline(never)]
    fn read_codes(&mut self) -> Result<()> {
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
    // In a place of its own: of this one nobody has the address, so that it can stay in registers.
    let mut rest = iter.clone();
    for _ in 0..iter.samples.left() {
        rest.read_later()?;
        times.push(rest.t);
        values.push(f64::from_bits(rest.value));
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
