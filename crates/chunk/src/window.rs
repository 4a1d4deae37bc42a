//! The value code of Gorilla: a float as the XOR with its predecessor, cut to the window of bits
//! that differ.

use crate::bits::{BitReader, BitWriter};
use crate::error::Result;

/// Five bits hold the number of leading zeros.
const MAX_LEADING: u32 = 31;
/// These, and six for the number of significant bits.
pub(crate) const LENGTHS_BITS: u32 = 11;

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

    #[inline(always)]
    pub(crate) fn read_reused(&self, reader: &mut BitReader<'_>, previous: u64) -> Result<u64> {
        Ok(previous ^ (reader.read_bits(self.width)? << self.trailing))
    }

    #[inline(always)]
    pub(crate) fn read_new(&mut self, reader: &mut BitReader<'_>, previous: u64) -> Result<u64> {
        let lengths = reader.read_bits(LENGTHS_BITS)?;
        self.replace_if(true, lengths, reader)?;
        self.read_reused(reader, previous)
    }

    /// Becomes the window of these lengths, if it `is_new`: without a branch, for nothing tells beforehand.
    #[inline(always)]
    pub(crate) fn replace_if(
        &mut self,
        is_new: bool,
        lengths: u64,
        reader: &BitReader<'_>,
    ) -> Result<()> {
        let [.., high, low] = (lengths << 2).to_be_bytes();
        let (leading, significant) = (u32::from(high), u32::from(low >> 2));
        // 64 significant bits do not fit into six bits and are written as 0.
        let width = if significant == 0 { 64 } else { significant };
        if is_new & (leading + width > 64) {
            return Err(reader.corrupt("at most 64 leading and significant bits"));
        }
        let trailing = 64_u32.wrapping_sub(leading + width);
        *self = Self {
            width: if is_new { width } else { self.width },
            trailing: if is_new { trailing } else { self.trailing },
        };
        Ok(())
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
            write_two(writer, (0b10, 2), (xor >> window.trailing, window.width));
            return;
        }
        let width = 64 - leading - trailing;
        self.window = Some(Window { width, trailing });
        // 64 significant bits do not fit into six bits and are written as 0.
        let lengths = u64::from(leading << 6 | width & 0x3F);
        let new = (0b11 << LENGTHS_BITS | lengths, 2 + LENGTHS_BITS);
        write_two(writer, new, (xor >> trailing, width));
    }
}

/// Writes two numbers, each with its width, at once where they fit into a word.
#[inline]
fn write_two(writer: &mut BitWriter, first: (u64, u32), second: (u64, u32)) {
    let width = first.1 + second.1;
    if width <= 64 {
        writer.write_bits(first.0 << second.1 | second.0, width);
    } else {
        writer.write_bits(first.0, first.1);
        writer.write_bits(second.0, second.1);
    }
}
