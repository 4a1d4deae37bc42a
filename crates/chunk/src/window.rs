//! The value code of Gorilla: a float as the XOR with its predecessor, cut to the window of bits
//! that differ.

use crate::bits::{BitReader, BitWriter, MAX_PEEK};
use crate::error::Result;

/// Bits of the longest code before the bits of a value.
pub(crate) const MAX_VALUE_CODE: u32 = 13;

/// Five bits hold the number of leading zeros.
const MAX_LEADING: u32 = 31;

/// The bits in which a value may differ from its predecessor: what the next value may reuse.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Significant bits, 1 to 64.
    width: u32,
    /// Zeros below them.
    trailing: u32,
}

impl Default for Window {
    /// Some writers reuse a window before they have defined one; it is the whole word.
    fn default() -> Self {
        Self {
            width: 64,
            trailing: 0,
        }
    }
}

impl Window {
    /// Reads a value, given the bits of the one before.
    #[inline(always)]
    pub(crate) fn read(&mut self, reader: &mut BitReader<'_>, previous: u64) -> Result<u64> {
        match reader.read_ones(2)? {
            0 => Ok(previous),
            1 => self.read_reused(reader, previous),
            _ => self.read_new(reader, previous),
        }
    }

    /// [`Self::read`] of a value whose code was peeked at: it is at the top of `bits`, whole, and behind
    /// `before` bits, which are consumed with it.
    #[inline(always)]
    pub(crate) fn read_peeked(
        &mut self,
        reader: &mut BitReader<'_>,
        bits: u64,
        before: u32,
        previous: u64,
    ) -> Result<u64> {
        let [a, b, c, d, ..] = bits.to_be_bytes();
        let code = u32::from_be_bytes([a, b, c, d]);
        if code >> 31 == 0 {
            reader.consume(before + 1);
            return Ok(previous);
        }
        // All ones if the window is a new one: there is no branch for what cannot be foreseen.
        let new = (code >> 30 & 1).wrapping_neg();
        let lengths = code << 2 >> 21;
        let (leading, significant) = (lengths >> 6, lengths & 0x3F);
        let significant = if significant == 0 { 64 } else { significant };
        let trailing = 64_u32.wrapping_sub(leading + significant);
        reader.consume(before + 2 + (new & 11));
        if new & trailing > 63 {
            return Err(reader.corrupt("at most 64 leading and significant bits"));
        }
        self.width = new & significant | !new & self.width;
        self.trailing = new & trailing | !new & self.trailing;
        let (bits, valid) = reader.peek(MAX_PEEK);
        if self.width > valid {
            return self.read_reused(reader, previous);
        }
        reader.consume(self.width);
        Ok(previous ^ (bits >> (64 - self.width) << self.trailing))
    }

    #[inline(always)]
    pub(crate) fn read_reused(&self, reader: &mut BitReader<'_>, previous: u64) -> Result<u64> {
        Ok(previous ^ (reader.read_bits(self.width)? << self.trailing))
    }

    #[inline(always)]
    pub(crate) fn read_new(&mut self, reader: &mut BitReader<'_>, previous: u64) -> Result<u64> {
        let lengths = reader.read_bits(11)?;
        // 64 significant bits do not fit into six bits and are written as 0.
        let (leading, significant) = (lengths >> 6, lengths & 0x3F);
        let significant = if significant == 0 { 64 } else { significant };
        let Some(trailing) = 64_u64.checked_sub(leading + significant) else {
            return Err(reader.corrupt("at most 64 leading and significant bits"));
        };
        // Both are below 65.
        let [.., width] = significant.to_be_bytes();
        let [.., trailing] = trailing.to_be_bytes();
        *self = Self {
            width: width.into(),
            trailing: trailing.into(),
        };
        self.read_reused(reader, previous)
    }
}

/// A series of floats, read or written: the last one and its window.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct XorField {
    bits: u64,
    /// `None` before the first window; then a writer has none to reuse.
    window: Option<Window>,
}

impl XorField {
    /// Continues from a value that stands in full.
    pub(crate) fn new(first: f64) -> Self {
        Self {
            bits: first.to_bits(),
            window: None,
        }
    }

    pub(crate) fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }

    #[inline(always)]
    pub(crate) fn read(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        let mut window = self.window.unwrap_or_default();
        self.bits = window.read(reader, self.bits)?;
        self.window = Some(window);
        Ok(())
    }

    pub(crate) fn write(&mut self, writer: &mut BitWriter, value: f64) {
        let xor = value.to_bits() ^ self.bits;
        self.bits = value.to_bits();
        if xor == 0 {
            writer.write_bit(false);
            return;
        }
        let (leading, trailing) = (xor.leading_zeros().min(MAX_LEADING), xor.trailing_zeros());
        if let Some(window) = self.window
            && leading >= 64 - window.width - window.trailing
            && trailing >= window.trailing
        {
            writer.write_bits(0b10, 2);
            writer.write_bits(xor >> window.trailing, window.width);
            return;
        }
        let width = 64 - leading - trailing;
        self.window = Some(Window { width, trailing });
        writer.write_bits(0b11, 2);
        writer.write_bits(u64::from(leading), 5);
        writer.write_bits(u64::from(width), 6);
        writer.write_bits(xor >> trailing, width);
    }
}
