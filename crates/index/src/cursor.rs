//! Reading fields one after the other, with the offset at hand for the error.

use crate::varint::{read_string, read_uvarint, read_varint};
use crate::{Error, Result};

/// A position in a section of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// Offset in the file of the end of `rest`.
    end: u64,
}

impl<'a> Cursor<'a> {
    /// Starts at `bytes`, which lie at `base` in the file.
    pub(crate) fn new(bytes: &'a [u8], base: u64) -> Self {
        Self {
            rest: bytes,
            end: base.saturating_add(bytes.len() as u64),
        }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Offset in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.end - self.rest.len() as u64
    }

    #[cold]
    pub(crate) fn fail(&self, expected: &'static str) -> Error {
        Error::corrupt(self.offset(), expected)
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize, expected: &'static str) -> Result<&'a [u8]> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.fail(expected))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn u8(&mut self, expected: &'static str) -> Result<u8> {
        let (&byte, rest) = self.rest.split_first().ok_or_else(|| self.fail(expected))?;
        self.rest = rest;
        Ok(byte)
    }

    pub(crate) fn be32(&mut self, expected: &'static str) -> Result<u32> {
        let (head, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.fail(expected))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*head))
    }

    pub(crate) fn be64(&mut self, expected: &'static str) -> Result<u64> {
        let (head, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.fail(expected))?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*head))
    }

    #[inline]
    pub(crate) fn uvarint(&mut self, expected: &'static str) -> Result<u64> {
        read_uvarint(&mut self.rest).ok_or_else(|| self.fail(expected))
    }

    #[inline]
    pub(crate) fn varint(&mut self, expected: &'static str) -> Result<i64> {
        read_varint(&mut self.rest).ok_or_else(|| self.fail(expected))
    }

    #[inline]
    pub(crate) fn string(&mut self, expected: &'static str) -> Result<&'a [u8]> {
        read_string(&mut self.rest).ok_or_else(|| self.fail(expected))
    }
}

/// A section of the form `be32 length | content | be32 crc of content`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section<'a> {
    /// What the crc covers.
    pub(crate) content: &'a [u8],
    crc: u32,
    /// Offset in the file of the content.
    pub(crate) base: u64,
}

impl<'a> Section<'a> {
    /// Cuts the section from the start of `bytes`, which may go on behind it.
    pub(crate) fn cut(bytes: &'a [u8], base: u64) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, base);
        let len = cursor.be32("the length of a section")?;
        let len = usize::try_from(len).map_err(|_| cursor.fail("a section that fits memory"))?;
        let base = cursor.offset();
        let content = cursor.take(len, "a section as long as its length says")?;
        let crc = cursor.be32("the checksum of a section")?;
        Ok(Self { content, crc, base })
    }

    /// Checks the content against its checksum.
    pub(crate) fn verify(&self) -> Result<()> {
        if crc32c(self.content) == self.crc {
            return Ok(());
        }
        Err(Error::corrupt(
            self.base,
            "a section that matches its checksum",
        ))
    }
}

/// CRC-32 Castagnoli.
#[inline]
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}
