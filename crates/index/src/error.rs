//! The error of everything that reads or writes an index.

use rutile_model::ErrorKind;

/// Why bytes could not be read, or could not be written. The caller adds the name of the object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not what the format demands.
    #[error("damaged at byte {offset}: expected {expected}")]
    Corrupt {
        /// Where, counted from the start of the bytes given (see [`Error::shifted`]).
        offset: u64,
        /// What should have been there.
        expected: &'static str,
    },
    /// A format version that this crate does not read.
    #[error("unsupported {format} version {version}")]
    Unsupported {
        /// `index`, `index-header`, `tombstones`.
        format: &'static str,
        /// The version found.
        version: u8,
    },
    /// What was to be written breaks a rule of the format.
    #[error("{0}")]
    Invalid(Box<str>),
    /// What was to be written exceeds what the format can hold.
    #[error("{what} exceeds the {limit} bytes that the format can address")]
    TooLarge {
        /// `the index`, `the symbol table`, …
        what: &'static str,
        /// The bound in bytes.
        limit: u64,
    },
    /// Postings could not be kept outside of memory, or not be read back.
    #[error("postings beyond the memory bound: {0}")]
    Spill(String),
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::TooLarge { .. } => ErrorKind::Exhausted,
            Self::Spill(_) => ErrorKind::Unavailable,
        }
    }

    /// The same error for bytes that start at `base` within a larger object.
    #[must_use]
    pub fn shifted(self, base: u64) -> Self {
        match self {
            Self::Corrupt { offset, expected } => Self::Corrupt {
                offset: offset.saturating_add(base),
                expected,
            },
            other => other,
        }
    }

    #[cold]
    pub(crate) fn corrupt(offset: u64, expected: &'static str) -> Self {
        Self::Corrupt { offset, expected }
    }
}

/// The result of reading or writing an index.
pub type Result<T, E = Error> = std::result::Result<T, E>;
