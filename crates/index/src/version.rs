//! What differs between the versions of the index format.

use crate::{Error, Result};

/// Magic number at the start of an index.
pub(crate) const INDEX_MAGIC: u32 = 0xBAAA_D700;
/// Length of magic number and version byte.
pub(crate) const INDEX_PREFIX_LEN: usize = 5;

/// The version of an index file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IndexVersion {
    /// Symbols are referred to by byte offset, series by byte offset, the postings offset table is
    /// unsorted. Written before Prometheus 2.1.
    V1,
    /// Symbols are referred to by ordinal, series by offset / 16, the offset table is sorted.
    V2,
    /// Reads as version 2. Accepted by Prometheus 3, written by nobody yet.
    V3,
}

impl IndexVersion {
    /// Alignment of series entries, and so the unit of a series reference, in bytes.
    #[must_use]
    pub fn series_align(self) -> u64 {
        match self {
            Self::V1 => 1,
            Self::V2 | Self::V3 => 16,
        }
    }

    /// Byte offset in the index of the series entry that a posting refers to.
    #[inline]
    #[must_use]
    pub fn series_offset(self, series: u32) -> u64 {
        u64::from(series) * self.series_align()
    }

    /// The version byte.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Result<Self> {
        match byte {
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            3 => Ok(Self::V3),
            version => Err(Error::Unsupported {
                format: "index",
                version,
            }),
        }
    }

    /// Reads the first five bytes of an index: magic number and version.
    pub fn parse_prefix(head: &[u8]) -> Result<Self> {
        let Some(&[a, b, c, d, version]) = head.first_chunk::<INDEX_PREFIX_LEN>() else {
            return Err(Error::corrupt(0, "magic number and version of an index"));
        };
        if u32::from_be_bytes([a, b, c, d]) != INDEX_MAGIC {
            return Err(Error::corrupt(0, "the magic number baaad700 of an index"));
        }
        Self::from_byte(version)
    }
}
