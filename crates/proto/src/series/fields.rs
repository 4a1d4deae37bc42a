//! The fields of a message, one after the other.

/// Bytes of the longest varint.
const MAX_VARINT: usize = 10;

/// Reads fields: their numbers and values. Yields `None`, and then ends, where the bytes are damaged,
/// or hold a group, which no message of today does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    /// Any integer.
    Number(u64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
    /// Four or eight bytes, which no field of a series has.
    Fixed,
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline(always)]
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = u32::try_from(self.varint()?).ok()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.bytes(8).map(|_| Value::Fixed)?,
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.bytes(len)?)
            }
            5 => self.bytes(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        let number = key >> 3;
        (number > 0).then_some((number, value))
    }

    #[inline(always)]
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    #[inline(always)]
    fn varint(&mut self) -> Option<u64> {
        let (first, rest) = self.rest.split_first()?;
        if *first < 0x80 {
            self.rest = rest;
            return Some(u64::from(*first));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Option<u64> {
        let (mut value, mut read) = (0, 0);
        if let Some((word, _)) = self.rest.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            let ends = !word & 0x8080_8080_8080_8080;
            // The top bit of the last byte is not set: times have six bytes, hashes mostly ten.
            let len = (ends.trailing_zeros() as usize + 1).div_ceil(8).min(8);
            self.rest = self.rest.get(len..)?;
            value = seven_of_eight(word & (u64::MAX >> (64 - 8 * len)));
            if ends != 0 {
                return Some(value);
            }
            read = len;
        }
        for i in read..MAX_VARINT {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                // Of the last byte, one bit belongs to the number.
                return (i + 1 < MAX_VARINT || *byte < 2).then_some(value);
            }
        }
        None
    }
}

/// The low seven bits of each byte, one behind the other.
#[inline(always)]
fn seven_of_eight(word: u64) -> u64 {
    let pairs = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let fours = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    (fours & 0x0000_0000_0fff_ffff) | ((fours & 0x0fff_ffff_0000_0000) >> 4)
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u32, Value<'a>)>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field)
    }
}
