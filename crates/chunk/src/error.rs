//! The error of this crate.

use rutile_model::ErrorKind;

/// What can be wrong with chunk bytes, or with samples that are to become some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes break the format.
    #[error("{what} is damaged at byte {offset}: expected {expected}")]
    Corrupt {
        /// The part of the format, such as `xor chunk`.
        what: &'static str,
        /// Byte offset within the slice that was given to the decoder.
        offset: usize,
        /// What the format wants there.
        expected: &'static str,
    },
    /// The checksum that is stored behind a chunk is not that of its bytes.
    #[error(
        "chunk frame at byte {offset} is damaged: expected crc32c {computed:08x}, found {stored:08x}"
    )]
    Checksum {
        /// Byte offset of the frame within the slice that was given to the decoder.
        offset: usize,
        /// The checksum of the bytes that are there.
        computed: u32,
        /// The checksum that was stored with them.
        stored: u32,
    },
    /// The encoding byte is none that is known, or none that is allowed at this place.
    #[error("{what} is damaged at byte {offset}: expected a chunk encoding, found {found:#04x}")]
    Encoding {
        /// The part of the format.
        what: &'static str,
        /// Byte offset of the encoding byte.
        offset: usize,
        /// The byte.
        found: u8,
    },
    /// A histogram that is to be written contradicts itself.
    #[error("histogram cannot be written: {reason}")]
    Histogram {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A chunk or a segment file would grow over what its format can address.
    #[error("{what} is full: the format has room for {limit} only")]
    Full {
        /// What is full.
        what: &'static str,
        /// How many samples or bytes fit.
        limit: u64,
    },
}

impl Error {
    /// What the receiver can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } | Self::Checksum { .. } | Self::Encoding { .. } => {
                ErrorKind::Corrupt
            }
            Self::Histogram { .. } => ErrorKind::Invalid,
            Self::Full { .. } => ErrorKind::Exhausted,
        }
    }
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
