//! Variable-width numbers of histogram chunks and start timestamps: a prefix of ones names the
//! width of the payload.

use crate::bits::{BitReader, BitWriter};
use crate::error::Result;

/// Payload widths by the number of ones before them; eight ones have no zero behind them.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// The classes whose whole code is seen by one look at the reader, and the bits of the longest.
const SHORT_WIDTHS: [u32; 7] = [0, 3, 6, 9, 12, 18, 25];
const SHORT_BITS: u32 = 32;

/// Undoes the offset code of `width` bits, which covers −(2^(w−1)−1) … 2^(w−1): unlike two's
/// complement the pattern 10…0 is positive.
#[inline]
pub(crate) fn offset_decode(bits: u64, width: u32) -> i64 {
    if width < 64 && bits > 1 << (width - 1) {
        bits.wrapping_sub(1 << width).cast_signed()
    } else {
        bits.cast_signed()
    }
}

/// Whether the offset code of `width` bits can hold `value`.
#[inline]
pub(crate) fn offset_fits(value: i64, width: u32) -> bool {
    width >= 64 || (-((1 << (width - 1)) - 1)..=1 << (width - 1)).contains(&value)
}

/// Reads a signed varbit number.
#[inline(always)]
pub(crate) fn read_int(reader: &mut BitReader<'_>) -> Result<i64> {
    let (word, valid) = reader.peek(SHORT_BITS);
    let ones = word.leading_ones();
    if let Some(&width) = SHORT_WIDTHS.get(ones as usize)
        && ones + 1 + width <= valid
    {
        reader.consume(ones + 1 + width);
        // As `offset_decode`, but without a case for the width of nothing, and without a branch.
        let bits = (word.wrapping_shl(ones + 1) >> 1).wrapping_shr(63 - width);
        let range = 1_u64.wrapping_shl(width);
        let excess = if bits > range >> 1 { range } else { 0 };
        return Ok(bits.wrapping_sub(excess).cast_signed());
    }
    let mut copy = reader.clone();
    let value = read_long_int(&mut copy);
    *reader = copy;
    value
}

/// The wide classes, and numbers that are cut off.
#[cold]
#[inline(never)]
fn read_long_int(reader: &mut BitReader<'_>) -> Result<i64> {
    let width = read_width(reader)?;
    if width == 0 {
        return Ok(0);
    }
    Ok(offset_decode(reader.read_bits(width)?, width))
}

/// Reads an unsigned varbit number.
#[inline]
pub(crate) fn read_uint(reader: &mut BitReader<'_>) -> Result<u64> {
    let width = read_width(reader)?;
    if width == 0 {
        Ok(0)
    } else {
        reader.read_bits(width)
    }
}

#[inline]
fn read_width(reader: &mut BitReader<'_>) -> Result<u32> {
    let ones = reader.read_ones(8)?;
    Ok(WIDTHS.get(ones as usize).copied().unwrap_or(64))
}

/// Writes a signed varbit number.
pub(crate) fn write_int(writer: &mut BitWriter, value: i64) {
    write(writer, value.cast_unsigned(), |width| {
        if width == 0 {
            value == 0
        } else {
            offset_fits(value, width)
        }
    });
}

/// Writes an unsigned varbit number.
pub(crate) fn write_uint(writer: &mut BitWriter, value: u64) {
    write(writer, value, |width| width >= 64 || value >> width == 0);
}

/// Writes the narrowest class that fits.
fn write(writer: &mut BitWriter, value: u64, fits: impl Fn(u32) -> bool) {
    for (ones, width) in (0..).zip(WIDTHS) {
        if fits(width) {
            match ones {
                0 => writer.write_bit(false),
                8 => writer.write_bits(0xFF, 8),
                _ => writer.write_bits((1 << (ones + 1)) - 2, ones + 1),
            }
            if width > 0 {
                writer.write_bits(value, width);
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_the_edges_of_every_class_come_back() {
        let mut ints = vec![0, 1, -1, i64::MIN, i64::MAX];
        let mut uints = vec![0, 1, u64::MAX];
        for width in [3, 6, 9, 12, 18, 25, 56] {
            let half = 1_i64 << (width - 1);
            ints.extend([
                half - 1,
                half,
                half + 1,
                -half + 2,
                -half + 1,
                -half,
                -half - 1,
            ]);
            uints.extend([(1 << width) - 1, 1 << width]);
        }
        let mut writer = BitWriter::new(&[]);
        for &value in &ints {
            write_int(&mut writer, value);
        }
        for &value in &uints {
            write_uint(&mut writer, value);
        }
        let bytes = writer.into_bytes();
        let mut reader = BitReader::new(&bytes, 0, "test");
        for value in ints {
            assert_eq!(read_int(&mut reader), Ok(value));
        }
        for value in uints {
            assert_eq!(read_uint(&mut reader), Ok(value));
        }
        assert!(reader.bits_left() < 8);
    }

    #[test]
    fn classes_have_the_documented_widths() {
        // Value, bits of its code.
        for (value, bits) in [(0, 1), (4, 5), (-3, 5), (5, 9), (-4, 9), (32, 9), (256, 13)] {
            let mut writer = BitWriter::new(&[]);
            write_int(&mut writer, value);
            assert_eq!(writer.bytes().len(), usize::div_ceil(bits, 8), "{value}");
        }
    }
}
