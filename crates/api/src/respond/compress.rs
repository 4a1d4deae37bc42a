//! Compression of answers: zstd and gzip, as the client accepts them.

use std::future::ready;
use std::io::{Result, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, header};

/// Shorter answers are sent as they are, as in Thanos.
const MIN_BYTES: usize = 1024;
/// Fast: answers are compressed while they are sent.
const ZSTD_LEVEL: i32 = 1;

/// How an answer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Takes what is to be compressed.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Compression {
    /// What the client prefers; of what it likes equally zstd, which is the cheapest.
    pub(super) fn accepted(request: &HeaderMap) -> Self {
        let mut best = (0.0, Self::None);
        let values = request.get_all(header::ACCEPT_ENCODING).iter();
        for part in values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
        {
            let mut pieces = part.split(';').map(str::trim);
            let compression = match pieces.next() {
                Some("zstd") => Self::Zstd,
                Some("gzip") => Self::Gzip,
                _ => continue,
            };
            let weight = pieces.find_map(|piece| piece.strip_prefix("q=")?.parse().ok());
            let weight: f32 = weight.unwrap_or(1.0);
            if weight > best.0 || weight == best.0 && weight > 0.0 && compression == Self::Zstd {
                best = (weight, compression);
            }
        }
        best.1
    }

    /// The same, or none for an answer that is known to be short.
    pub(super) fn for_length(self, len: Option<usize>) -> Self {
        match len {
            Some(len) if len < MIN_BYTES => Self::None,
            _ => self,
        }
    }

    pub(super) fn encoder(self) -> Option<Encoder> {
        match self {
            Self::None => None,
            Self::Gzip => Some(Encoder::Gzip(GzEncoder::new(
                Vec::new(),
                flate2::Compression::fast(),
            ))),
            Self::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL);
                encoder.ok().map(Encoder::Zstd)
            }
        }
    }
}

impl Encoder {
    /// Its name in the header.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
        }
    }

    fn write(&mut self, piece: &[u8]) -> Result<Bytes> {
        let out = match self {
            Self::Gzip(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
        };
        Ok(Bytes::from(std::mem::take(out)))
    }

    fn finish(self) -> Result<Bytes> {
        let out = match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        };
        out.map(Bytes::from)
    }
}

/// The compressed pieces; those in which nothing came out are left out.
pub(super) fn pieces(
    encoder: Encoder,
    plain: impl Stream<Item = Bytes> + Send,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let pieces = plain.map(Some).chain(stream::once(async { None }));
    let compressed = pieces.scan(Some(encoder), |encoder, piece| {
        let piece = match piece {
            Some(piece) => encoder.as_mut().map(|encoder| encoder.write(&piece)),
            None => encoder.take().map(Encoder::finish),
        };
        ready(piece)
    });
    compressed.filter(|piece| ready(!matches!(piece, Ok(piece) if piece.is_empty())))
}
