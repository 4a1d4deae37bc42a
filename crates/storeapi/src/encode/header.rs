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

    /// Appends a number, seven bits to a byte: all at once, because times and hashes take up to ten.
    #[inline]
    pub(super) fn varint(&mut self, value: u64) {
        let len = varint_len(value);
        let quads = (value & 0x0fff_ffff) | (value << 4 & 0x0fff_ffff_0000_0000);
        let pairs = (quads & 0x3fff_0000_3fff) | (quads << 2 & 0x3fff_0000_3fff_0000);
        let groups = (pairs & 0x007f_007f_007f_007f) | (pairs << 1 & 0x7f00_7f00_7f00_7f00);
        let [.., top] = value.to_le_bytes();
        let room = &mut self.bytes[self.len..][..Self::MAX_VARINT];
        room[..8].copy_from_slice(&(groups | 0x8080_8080_8080_8080).to_le_bytes());
        room[8..].copy_from_slice(&[top | 0x80, top >> 7]);
        room[len - 1] &= 0x7f;
        self.len += len;
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
