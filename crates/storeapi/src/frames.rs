//! Encoded answers of a Series call, in the form in which they travel.

use std::fmt;

use bytes::{Buf, Bytes};
use prost::Message;
use rutile_model::ErrorKind;
use rutile_proto::thanos::{SeriesResponse, series_response};

use crate::{Error, FrameWriter, Result};

/// Length of the prefix of a gRPC message: a flag and the length, big endian.
pub(crate) const PREFIX: usize = 5;

/// One or more encoded `SeriesResponse` messages, each behind its five-byte gRPC prefix.
///
/// These bytes are what the socket is given. Messages are not compressed; none is empty by accident:
/// the prefixes add up to the length. Cloning is cheap.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Frames {
    bytes: Bytes,
}

impl Frames {
    /// Takes bytes whose prefixes are known to be right.
    pub(crate) fn from_wire(bytes: Bytes) -> Self {
        debug_assert!(is_whole(&bytes), "prefixes do not add up to the length");
        Self { bytes }
    }

    /// Takes length-prefixed, uncompressed messages, for example recorded ones.
    ///
    /// # Errors
    /// `Corrupt` when the prefixes do not add up to the length or a message is flagged as compressed.
    pub fn parse(bytes: Bytes) -> Result<Self> {
        if !is_whole(&bytes) {
            let message = format!("{} bytes are not a sequence of gRPC messages", bytes.len());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(Self { bytes })
    }

    /// Encodes one message.
    ///
    /// # Errors
    /// `Exhausted` when it is longer than a gRPC message can be.
    pub fn encode(message: &impl Message) -> Result<Self> {
        let mut writer = FrameWriter::new(1);
        writer.message(message)?;
        writer.finish()
    }

    /// A frame that carries a warning.
    ///
    /// # Errors
    /// `Exhausted` when it is longer than a gRPC message can be.
    pub fn warning(text: impl Into<String>) -> Result<Self> {
        let result = Some(series_response::Result::Warning(text.into()));
        Self::encode(&SeriesResponse { result })
    }

    /// Keeps `guard` alive until the last byte was sent or dropped: a memory reservation goes with
    /// the memory.
    #[must_use]
    pub fn with_guard(self, guard: impl Send + 'static) -> Self {
        Self {
            bytes: Bytes::from_owner(Guarded {
                bytes: self.bytes,
                _guard: guard,
            }),
        }
    }

    /// The bytes as they travel, prefixes included.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes as they travel, prefixes included.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Length in bytes, prefixes included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no message at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The messages without their prefixes, as slices of the same memory.
    pub fn messages(&self) -> impl Iterator<Item = Bytes> + use<> {
        let mut rest = self.bytes.clone();
        std::iter::from_fn(move || {
            let len = message_len(&rest)?;
            rest.advance(PREFIX);
            Some(rest.split_to(len))
        })
    }

    /// Decodes all messages.
    ///
    /// # Errors
    /// `Corrupt` when one is not a `SeriesResponse`.
    pub fn decode(&self) -> Result<Vec<SeriesResponse>> {
        self.messages().map(decode).collect()
    }
}

/// Decodes one message.
///
/// # Errors
/// `Corrupt` when it is not a `SeriesResponse`.
pub(crate) fn decode(message: Bytes) -> Result<SeriesResponse> {
    SeriesResponse::decode(message).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "cannot decode a SeriesResponse").with_source(error)
    })
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = self.messages().count();
        f.debug_struct("Frames")
            .field("bytes", &self.len())
            .field("messages", &messages)
            .finish()
    }
}

struct Guarded<G> {
    bytes: Bytes,
    _guard: G,
}

impl<G> AsRef<[u8]> for Guarded<G> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Length of the first message, if there is a prefix.
pub(crate) fn message_len(bytes: &[u8]) -> Option<usize> {
    let (prefix, _) = bytes.split_first_chunk::<PREFIX>()?;
    let [_, length @ ..] = prefix;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

/// Whether the bytes are whole, uncompressed messages and nothing else.
fn is_whole(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let rest = message_len(bytes).and_then(|len| bytes.get(PREFIX.checked_add(len)?..));
        match rest {
            Some(rest) if bytes.first() == Some(&0) => bytes = rest,
            _ => return false,
        }
    }
    true
}
