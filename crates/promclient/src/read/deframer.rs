//! Takes a streamed answer apart: length as a varint, CRC-32C big endian, message.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use rutile_model::ErrorKind;

use crate::{Error, Result};

/// Longest message that is taken, as in Prometheus (`DefaultChunkedReadLimit`), bytes.
pub const MAX_FRAME_BYTES: u64 = 50_000_000;

/// Bytes of the longest length and of the checksum.
const MAX_VARINT: usize = 10;
const CHECKSUM: usize = 4;

/// Makes messages of the pieces in which an answer comes. Holds what is not a whole message yet, and
/// allocates for a message only when all of it is there.
#[derive(Debug, Default)]
pub struct Deframer {
    pieces: VecDeque<Bytes>,
    held: usize,
    /// Of the next message, for errors.
    offset: u64,
}

impl Deframer {
    /// Takes the next bytes.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.held = self.held.saturating_add(piece.len());
            self.pieces.push_back(piece);
        }
    }

    /// The next message; `None` until there is a whole one.
    ///
    /// # Errors
    /// `Corrupt` for a wrong length or checksum, `Exhausted` for a message that is too long.
    pub fn message(&mut self) -> Result<Option<Bytes>> {
        let Some((length, width)) = self.length()? else {
            return Ok(None);
        };
        if length > MAX_FRAME_BYTES {
            let message = format!(
                "the frame at offset {} has {length} bytes, more than the {MAX_FRAME_BYTES} allowed",
                self.offset
            );
            return Err(Error::new(ErrorKind::Exhausted, message));
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let header = width + CHECKSUM;
        if self.held < header.saturating_add(length) {
            return Ok(None);
        }
        let header = self.take(header);
        let stored = header.get(width..).unwrap_or_default();
        let message = self.take(length);
        let computed = crc_fast::crc32_iscsi(&message);
        if stored != computed.to_be_bytes() {
            let message = format!("the frame at offset {} has a wrong checksum", self.offset);
            return Err(Error::corrupt(message));
        }
        self.offset += (width + CHECKSUM + length) as u64;
        Ok(Some(message))
    }

    /// No more bytes will come.
    ///
    /// # Errors
    /// `Corrupt` within a message.
    pub fn end(&self) -> Result<()> {
        if self.held == 0 {
            return Ok(());
        }
        let message = format!(
            "the answer ends within the frame at offset {}, after {} bytes of it",
            self.offset, self.held
        );
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// The length before the next message, and how many bytes it takes.
    fn length(&self) -> Result<Option<(u64, usize)>> {
        let bytes = self.pieces.iter().flat_map(|piece| piece.iter());
        let mut length = 0_u64;
        for (i, &byte) in bytes.take(MAX_VARINT).enumerate() {
            let shift = 7 * u32::try_from(i).unwrap_or(u32::MAX);
            let bits = u64::from(byte & 0x7f);
            if bits.leading_zeros() < shift {
                break;
            }
            length |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(Some((length, i + 1)));
            }
            if i + 1 == MAX_VARINT {
                break;
            }
        }
        if self.held < MAX_VARINT && self.starts_a_varint() {
            return Ok(None);
        }
        let message = format!("the frame at offset {} has no length", self.offset);
        Err(Error::corrupt(message))
    }

    /// Whether all that is held are bytes that go on.
    fn starts_a_varint(&self) -> bool {
        let mut bytes = self.pieces.iter().flat_map(|piece| piece.iter());
        bytes.all(|byte| byte & 0x80 != 0)
    }

    /// The next `len` bytes, which are there, in memory of their own.
    fn take(&mut self, len: usize) -> Bytes {
        let mut taken = Vec::with_capacity(len.min(self.held));
        while taken.len() < len {
            let Some(first) = self.pieces.front_mut() else {
                break;
            };
            let part = first.split_to(first.len().min(len - taken.len()));
            taken.extend_from_slice(&part);
            if !first.has_remaining() {
                self.pieces.pop_front();
            }
        }
        self.held -= taken.len();
        taken.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        prost::encode_length_delimiter(message.len(), &mut out).unwrap();
        out.extend(crc_fast::crc32_iscsi(message).to_be_bytes());
        out.extend(message);
        out
    }

    /// All messages, when the bytes come in pieces of `size`.
    fn deframed(bytes: &[u8], size: usize) -> Result<Vec<Bytes>> {
        let (mut deframer, mut messages) = (Deframer::default(), Vec::new());
        for piece in bytes.chunks(size.max(1)) {
            deframer.push(Bytes::copy_from_slice(piece));
            while let Some(message) = deframer.message()? {
                messages.push(message);
            }
        }
        deframer.end()?;
        Ok(messages)
    }

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let messages: [&[u8]; 4] = [b"one", b"", &[7; 300], b"end"];
        let bytes: Vec<u8> = messages
            .iter()
            .flat_map(|message| framed(message))
            .collect();
        for size in [1, 2, 3, 7, 100, 1000] {
            assert_eq!(
                deframed(&bytes, size).unwrap(),
                messages,
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn damage_is_told_with_its_offset() {
        let refused = |bytes: &[u8], kind: ErrorKind, why: &str| {
            for size in [1, 5, 1000] {
                let error = deframed(bytes, size).unwrap_err();
                assert_eq!(error.kind(), kind, "{error}");
                assert!(error.to_string().contains(why), "{error}");
            }
        };
        let good = framed(b"one");
        let mut flipped = [good.clone(), framed(b"two")].concat();
        *flipped.last_mut().unwrap() ^= 1;
        refused(
            &flipped,
            ErrorKind::Corrupt,
            "offset 8 has a wrong checksum",
        );
        refused(&good[..5], ErrorKind::Unavailable, "after 5 bytes");
        refused(&[0x80; 11], ErrorKind::Corrupt, "no length");
        refused(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            ErrorKind::Corrupt,
            "no length",
        );
        let mut long = Vec::new();
        prost::encode_length_delimiter(50_000_001, &mut long).unwrap();
        refused(&long, ErrorKind::Exhausted, "50000001 bytes");
    }

    proptest! {
        #[test]
        fn any_bytes_are_messages_or_an_error(bytes: Vec<u8>, size in 1_usize..20) {
            let messages = deframed(&bytes, size).unwrap_or_default();
            let total: usize = messages.iter().map(Bytes::len).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
