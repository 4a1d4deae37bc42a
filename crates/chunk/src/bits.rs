//! Bit streams, most significant bit first: what every sample encoding is written in.
//!
//! The reader keeps 56 to 63 bits at hand and refills by whole words, so that the common short
//! codes cost a shift and a compare. It never reads beyond its slice; running out is an error that
//! names the byte. What is rarely called gets a copy of the reader, or none: a reader whose address
//! nobody has can stay in registers. The unused low bits of the last byte are zero by format and not looked at.

use crate::error::{Error, Result};

/// Longest LEB128 number of 64 bits.
const MAX_VARINT_LEN: u32 = 10;

#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    /// Bytes that are not in `word` yet.
    rest: &'a [u8],
    /// The next bits, top aligned. Below the top `valid` bits are either zeros or the right bits.
    word: u64,
    valid: u32,
    /// Length of the whole chunk, for the offsets of errors.
    len: usize,
    what: &'static str,
}

impl<'a> BitReader<'a> {
    /// Reads the bits of `data` behind its first `header` bytes. `what` names it in errors.
    pub(crate) fn new(data: &'a [u8], header: usize, what: &'static str) -> Self {
        let rest = data.get(header..).unwrap_or_default();
        Self {
            rest,
            word: 0,
            valid: 0,
            len: data.len(),
            what,
        }
    }

    /// How many bits are left, padding included.
    #[inline]
    pub(crate) fn bits_left(&self) -> usize {
        self.rest.len() * 8 + self.valid as usize
    }

    /// An error at the present position.
    #[inline(always)]
    pub(crate) fn corrupt(&self, expected: &'static str) -> Error {
        corrupt(self.what, self.len, self.bits_left(), expected)
    }

    /// Brings the bits at hand to at least 56, or to all that are left.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(head) = self.rest.first_chunk::<8>() {
            self.word |= u64::from_be_bytes(*head) >> self.valid;
            let taken = (63 - self.valid) / 8;
            self.rest = self.rest.get(taken as usize..).unwrap_or_default();
            self.valid += taken * 8;
        } else {
            let mut copy = self.clone();
            copy.refill_tail();
            *self = copy;
        }
    }

    #[cold]
    fn refill_tail(&mut self) {
        while self.valid <= 56
            && let Some((&byte, rest)) = self.rest.split_first()
        {
            self.word |= u64::from(byte) << (56 - self.valid);
            self.valid += 8;
            self.rest = rest;
        }
    }

    #[inline(always)]
    fn take(&mut self, count: u32) -> Result<u64> {
        debug_assert!((1..=56).contains(&count));
        if self.valid < count {
            self.refill();
            if self.valid < count {
                return Err(self.corrupt("more bits"));
            }
        }
        let bits = self.word >> (64 - count);
        self.word <<= count;
        self.valid -= count;
        Ok(bits)
    }

    /// Reads 1 to 64 bits as an unsigned number.
    #[inline(always)]
    pub(crate) fn read_bits(&mut self, count: u32) -> Result<u64> {
        if count <= 56 {
            return self.take(count);
        }
        let high = self.take(count - 32)?;
        Ok((high << 32) | self.take(32)?)
    }

    #[inline(always)]
    pub(crate) fn read_bit(&mut self) -> Result<bool> {
        Ok(self.take(1)? == 1)
    }

    /// Reads ones up to a zero, which is consumed too, or up to `max` ones; returns how many.
    #[inline(always)]
    pub(crate) fn read_ones(&mut self, max: u32) -> Result<u32> {
        if self.valid < max {
            self.refill();
        }
        let ones = self.word.leading_ones().min(max);
        let used = (ones + 1).min(max);
        if used > self.valid {
            return Err(self.corrupt("more bits"));
        }
        self.word <<= used;
        self.valid -= used;
        Ok(ones)
    }

    /// The next bits, top aligned, and how many of them are there: at least `wanted`, up to 56, unless
    /// the end is near.
    #[inline(always)]
    pub(crate) fn peek(&mut self, wanted: u32) -> (u64, u32) {
        if self.valid < wanted {
            self.refill();
        }
        (self.word, self.valid)
    }

    /// The same, with all bits that can be at hand: at least 56, unless the end is near. It does not branch on how many
    /// there were, which nothing tells beforehand.
    #[inline(always)]
    pub(crate) fn peek_all(&mut self) -> (u64, u32) {
        self.refill();
        (self.word, self.valid)
    }

    /// Consumes bits that [`Self::peek`] has shown to be there, fewer than 64.
    #[inline(always)]
    pub(crate) fn consume(&mut self, count: u32) {
        debug_assert!(count <= self.valid);
        self.word = self.word.wrapping_shl(count);
        self.valid -= count;
    }

    /// Consumes zeros, `max` at most and fewer than 64; how many. There may be more behind them.
    #[inline(always)]
    pub(crate) fn skip_zeros(&mut self, max: u32) -> u32 {
        if self.valid < max {
            self.refill();
        }
        let zeros = self.word.leading_zeros().min(self.valid).min(max);
        self.word = self.word.wrapping_shl(zeros);
        self.valid -= zeros;
        zeros
    }

    #[inline(always)]
    pub(crate) fn read_f64(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.read_bits(64)?))
    }

    /// LEB128, its bytes not aligned to those of the stream.
    pub(crate) fn read_uvarint(&mut self) -> Result<u64> {
        let mut value = 0;
        for i in 0..MAX_VARINT_LEN {
            let byte = self.take(8)?;
            if i == MAX_VARINT_LEN - 1 && byte > 1 {
                break;
            }
            value |= (byte & 0x7F) << (7 * i);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.corrupt("a varint of at most 64 bits"))
    }

    /// Zigzag LEB128.
    pub(crate) fn read_varint(&mut self) -> Result<i64> {
        let zigzag = self.read_uvarint()?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }
}

#[cold]
#[inline(never)]
fn corrupt(what: &'static str, len: usize, bits_left: usize, expected: &'static str) -> Error {
    Error::Corrupt {
        what,
        offset: len.saturating_sub(bits_left.div_ceil(8)),
        expected,
    }
}

/// Room of a new chunk, bytes: most are no longer.
const START_LEN: usize = 256;

/// The bytes of a chunk that grows bit by bit.
#[derive(Debug, Clone, Default)]
pub(crate) struct BitWriter {
    /// What was written, and zeros.
    bytes: Vec<u8>,
    /// How many bits were written.
    len: usize,
}

impl BitWriter {
    /// Starts behind `header`.
    pub(crate) fn new(header: &[u8]) -> Self {
        let mut bytes = vec![0; START_LEN];
        if let Some(start) = bytes.get_mut(..header.len()) {
            start.copy_from_slice(header);
        }
        Self {
            bytes,
            len: header.len() * 8,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.div_ceil(8)).unwrap_or_default()
    }

    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.len.div_ceil(8));
        self.bytes
    }

    /// The first bytes, which a chunk rewrites while it grows.
    pub(crate) fn header_mut<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.bytes.first_chunk_mut()
    }

    pub(crate) fn write_bit(&mut self, bit: bool) {
        self.write_bits(u64::from(bit), 1);
    }

    /// Writes the low `count` bits of `value`, 1 to 64.
    #[inline]
    pub(crate) fn write_bits(&mut self, value: u64, count: u32) {
        debug_assert!((1..=64).contains(&count));
        let bits = value << (64 - count);
        let used = self.len % 8;
        loop {
            let room = self.bytes.get_mut(self.len / 8..).unwrap_or_default();
            // Nine bytes hold 64 bits wherever they begin; whatever the count, it is a load and two stores.
            if let Some([head @ .., tail]) = room.first_chunk_mut::<9>() {
                *head = (u64::from_be_bytes(*head) | (bits >> used)).to_be_bytes();
                [.., *tail] = (bits << (8 - used)).to_be_bytes();
                self.len += count as usize;
                return;
            }
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let len = self.bytes.len().max(64) * 2;
        self.bytes.resize(len, 0);
    }

    pub(crate) fn write_f64(&mut self, value: f64) {
        self.write_bits(value.to_bits(), 64);
    }

    /// LEB128, its bytes not aligned to those of the stream.
    pub(crate) fn write_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.write_bits((value & 0x7F) | 0x80, 8);
            value >>= 7;
        }
        self.write_bits(value, 8);
    }

    /// Zigzag LEB128.
    pub(crate) fn write_varint(&mut self, value: i64) {
        self.write_uvarint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }
}
