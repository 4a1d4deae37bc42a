//! The small fields between the payloads, and how long they are.

/// A few small fields, put together on the stack and appended at once.
#[derive(Clone, Copy, Default)]
pub(super) struct Header {
    bytes: [u8; Self::CAPACITY],
    pub(super) len: usize,
}

impl Header {
    /// The longest: tag, length, tag, encoding, tag, length.
    pub(super) const CAPACITY: usize = 32;
    /// Bytes of the longest varint.
    pub(super) const MAX_VARINT: usize = 10;

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.byte(value.to_le_bytes()[0]);
    }

    /// A number, unless it is 0: the default is not written.
    #[inline]
    pub(super) fn varint_field(&mut self, tag: u8, value: u64) {
        if value != 0 {
            self.byte(tag);
            self.varint(value);
        }
    }

    /// What stands before `len` bytes, unless there are none: the default is not written.
    #[inline]
    pub(super) fn bytes_field(&mut self, tag: u8, len: usize) {
        self.varint_field(tag, len as u64);
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Bytes of a varint.
#[inline]
pub(super) fn varint_len(value: u64) -> usize {
    // Seven bits to a byte, computed without a loop or a division.
    ((value | 1).ilog2() as usize * 9 + 73) / 64
}

/// Bytes of a number's field, which is left out when it is 0.
#[inline]
pub(super) fn varint_field_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value) }
}

/// Bytes of a field of `len` bytes, which is left out when it is empty.
#[inline]
pub(super) fn bytes_field_len(len: usize) -> usize {
    if len == 0 { 0 } else { message_field_len(len) }
}

/// Bytes of a message field, which is written even when it is empty.
#[inline]
pub(super) fn message_field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}
