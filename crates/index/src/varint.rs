//! LEB128 integers as Go's `encoding/binary` writes them: `uvarint`, and `varint` with zigzag.
//!
//! Readers take a `&mut &[u8]` and advance it; `None` means that the bytes end within the number or
//! that it does not fit 64 bits. On `None` the slice is left where it was.

/// Longest encoding of a 64-bit number.
pub const MAX_LEN: usize = 10;

const CONTINUATION: u64 = 0x8080_8080_8080_8080;

/// Reads an unsigned number.
#[inline(always)]
pub fn read_uvarint(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        *bytes = rest;
        return Some(u64::from(first));
    }
    let (value, rest) = read_long(bytes)?;
    *bytes = rest;
    Some(value)
}

/// Reads an unsigned number that must fit 32 bits.
#[inline(always)]
pub fn read_uvarint32(bytes: &mut &[u8]) -> Option<u32> {
    let mut ahead = *bytes;
    let value = u32::try_from(read_uvarint(&mut ahead)?).ok()?;
    *bytes = ahead;
    Some(value)
}

/// Reads a signed (zigzag) number.
#[inline(always)]
pub fn read_varint(bytes: &mut &[u8]) -> Option<i64> {
    let raw = read_uvarint(bytes)?;
    Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
}

/// Reads a string: its length, then its bytes.
#[inline(always)]
pub fn read_string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut ahead = *bytes;
    let len = usize::try_from(read_uvarint(&mut ahead)?).ok()?;
    let (string, rest) = ahead.split_at_checked(len)?;
    *bytes = rest;
    Some(string)
}

/// A number of two bytes or more, and what follows it. Takes the slice by value: were its address
/// passed on, a caller could not keep it in registers.
#[inline(always)]
fn read_long(bytes: &[u8]) -> Option<(u64, &[u8])> {
    // Most symbols of an index take two bytes.
    if let [first, second, rest @ ..] = bytes
        && *second < 0x80
    {
        return Some((u64::from(first & 0x7f) | u64::from(*second) << 7, rest));
    }
    let Some(word) = bytes.first_chunk::<8>() else {
        return read_bytewise(bytes);
    };
    let word = u64::from_le_bytes(*word);
    let ends = !word & CONTINUATION;
    if ends == 0 {
        return read_bytewise(bytes);
    }
    // Up to eight bytes at once: the seven-bit groups of the loaded word are pushed together.
    // All bits up to and including the first cleared continuation bit.
    let used = ends ^ (ends - 1);
    let groups = word & used & !CONTINUATION;
    let pairs = (groups & 0x007f_007f_007f_007f) | ((groups & 0x7f00_7f00_7f00_7f00) >> 1);
    let quads = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    let value = (quads & 0x0fff_ffff) | ((quads & 0x0fff_ffff_0000_0000) >> 4);
    let rest = bytes.get((ends.trailing_zeros() / 8 + 1) as usize..)?;
    Some((value, rest))
}

#[cold]
fn read_bytewise(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (i, &byte) in bytes.iter().take(MAX_LEN).enumerate() {
        // The tenth byte holds the topmost bit alone.
        if i == MAX_LEN - 1 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((value, bytes.get(i + 1..)?));
        }
    }
    None
}

/// Length in bytes of `count` numbers at the start of `bytes`, without decoding them.
#[inline]
#[must_use]
pub fn len_of_many(bytes: &[u8], count: usize) -> Option<usize> {
    let mut left = count;
    let mut at = 0;
    // Each cleared continuation bit ends one number.
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let ends = (!u64::from_le_bytes(*word) & CONTINUATION).count_ones() as usize;
        if ends >= left {
            break;
        }
        left -= ends;
        at += 8;
    }
    while left > 0 {
        left -= usize::from(*bytes.get(at)? < 0x80);
        at += 1;
    }
    Some(at)
}

/// Appends an unsigned number.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the low seven bits are meant"
)]
pub fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed (zigzag) number.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Appends a string: its length, then its bytes.
#[inline]
pub fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    put_uvarint(out, string.len() as u64);
    out.extend_from_slice(string);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_at_every_length_with_and_without_slack() {
        let mut values = vec![0, 1, u64::MAX];
        values.extend((0..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + 1]
        }));
        for &value in &values {
            for slack in 0..10 {
                let mut out = Vec::new();
                put_uvarint(&mut out, value);
                let len = out.len();
                out.resize(len + slack, 0xff);
                let mut rest = out.as_slice();
                assert_eq!(read_uvarint(&mut rest), Some(value), "{value} with {slack}");
                assert_eq!(rest.len(), slack);
                assert_eq!(len_of_many(&out, 1), Some(len));
                let mut cut = out.get(..len - 1).unwrap();
                assert_eq!(read_uvarint(&mut cut), None);
            }
            let mut out = Vec::new();
            put_varint(&mut out, value.cast_signed());
            assert_eq!(read_varint(&mut out.as_slice()), Some(value.cast_signed()));
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let eleven = [
            0xff_u8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        assert_eq!(read_uvarint(&mut eleven.as_slice()), None);
        let high = [
            0xff_u8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
        ];
        assert_eq!(read_uvarint(&mut high.as_slice()), None);
        let mut out = Vec::new();
        put_uvarint(&mut out, 1 << 32);
        assert_eq!(read_uvarint32(&mut out.as_slice()), None);
        assert_eq!(
            read_string(&mut [0xff_u8, 0xff, 0xff, 0x7f, 1].as_slice()),
            None
        );
    }
}
