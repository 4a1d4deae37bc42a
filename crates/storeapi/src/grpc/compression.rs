//! Compression of single messages, by gRPC's names.

use std::io::{self, Read, Write};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{GRPC_ACCEPT_ENCODING, GRPC_ENCODING};

/// The largest window that a zstd message may ask for: 2 to this power bytes, the size that every
/// decoder must support.
const ZSTD_MAX_WINDOW_LOG: u32 = 23;

/// How the messages of a call are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    Identity,
    /// Fastest level.
    Gzip,
    /// Fastest level.
    Zstd,
    /// Snappy's framed format: what Thanos offers.
    Snappy,
}

impl Compression {
    /// All of them, as the value of `grpc-accept-encoding`.
    pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("snappy,zstd,gzip");

    /// gRPC's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
        }
    }

    /// The compression with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Identity, Self::Gzip, Self::Zstd, Self::Snappy]
            .into_iter()
            .find(|compression| compression.as_str() == name)
    }

    /// How the messages behind these headers are compressed. The error is the name if unknown.
    pub(super) fn of_messages(headers: &HeaderMap) -> Result<Self, String> {
        let Some(name) = headers.get(GRPC_ENCODING) else {
            return Ok(Self::Identity);
        };
        let name = String::from_utf8_lossy(name.as_bytes());
        Self::from_name(&name).ok_or_else(|| name.into_owned())
    }

    /// How to answer a request with these headers, whose messages are compressed like this.
    ///
    /// As it asks, so it is answered, like grpc-go: a Go client names all that it could read, gzip
    /// among them, even when it wants no compression.
    pub(super) fn of_answer(self, headers: &HeaderMap) -> Self {
        let accepted = headers
            .get(GRPC_ACCEPT_ENCODING)
            .is_none_or(|names| header_lists(names, self.as_str()));
        if accepted { self } else { Self::Identity }
    }

    /// The header that announces compressed messages.
    pub(super) fn header(self) -> Option<(HeaderName, HeaderValue)> {
        (self != Self::Identity).then(|| (GRPC_ENCODING, HeaderValue::from_static(self.as_str())))
    }

    /// Appends the compressed message.
    pub(super) fn compress(self, message: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Identity => out.write_all(message),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
                encoder.write_all(message)?;
                encoder.finish().map(drop)
            }
            Self::Zstd => zstd::stream::copy_encode(message, out, 1),
            Self::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(out);
                encoder.write_all(message)?;
                encoder.flush()
            }
        }
    }

    /// Appends the message that was compressed, at most `limit` bytes of it.
    pub(super) fn decompress(
        self,
        compressed: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> io::Result<()> {
        match self {
            Self::Identity => read_limited(compressed, out, limit),
            Self::Gzip => read_limited(flate2::read::MultiGzDecoder::new(compressed), out, limit),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
                decoder.window_log_max(ZSTD_MAX_WINDOW_LOG)?;
                read_limited(decoder, out, limit)
            }
            Self::Snappy => read_limited(snap::read::FrameDecoder::new(compressed), out, limit),
        }
    }
}

/// Whether a comma-separated header has this name; `identity` always counts.
fn header_lists(names: &HeaderValue, name: &str) -> bool {
    name == "identity"
        || names
            .to_str()
            .is_ok_and(|names| names.split(',').any(|candidate| candidate.trim() == name))
}

fn read_limited(from: impl Read, out: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    let more_than_allowed = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = from.take(more_than_allowed).read_to_end(out)?;
    if read > limit {
        let message = format!("the message is longer than {limit} bytes when decompressed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(())
}
