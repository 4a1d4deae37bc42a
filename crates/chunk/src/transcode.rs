//! Chunks for peers that know encodings 1 to 3 only.

use std::borrow::Cow;

use crate::chunk::Chunk;
use crate::encoding::{Encoding, WireEncoding};
use crate::error::{Error, Result};
use crate::histogram::{Float, Form, HistogramAppender, Int, RawReader};
use crate::xor::XorAppender;
use crate::xor2::Xor2Iter;

/// The same samples in an encoding that every StoreAPI peer reads.
///
/// Encodings 1 to 3 come back as they are, not even looked at. Those with start timestamps (4 to 6)
/// are written anew without them, as one chunk with the same flag and the same bucket layout.
///
/// # Errors
/// Damage, and [`Error::Encoding`] for a downsampled chunk: its parts are sent one by one.
pub fn transcode_for_thanos(chunk: Chunk<'_>) -> Result<(WireEncoding, Cow<'_, [u8]>)> {
    if let Some(wire) = chunk.encoding.wire() {
        return Ok((wire, Cow::Borrowed(chunk.data)));
    }
    match chunk.encoding {
        Encoding::Xor2 => Ok((WireEncoding::Xor, Cow::Owned(transcode_floats(chunk.data)?))),
        Encoding::HistogramSt => Ok((
            WireEncoding::Histogram,
            Cow::Owned(transcode_histograms::<Int>(chunk)?),
        )),
        Encoding::FloatHistogramSt => Ok((
            WireEncoding::FloatHistogram,
            Cow::Owned(transcode_histograms::<Float>(chunk)?),
        )),
        other => Err(Error::Encoding {
            what: "chunk for a peer",
            offset: 0,
            found: other.as_byte(),
        }),
    }
}

fn transcode_floats(data: &[u8]) -> Result<Vec<u8>> {
    let mut appender = XorAppender::new();
    for sample in Xor2Iter::new(data)? {
        let (t, value) = sample?;
        appender.append(t, value)?;
    }
    Ok(appender.into_bytes())
}

/// Copies the numbers without the rules of appending: the chunk was made by them already.
fn transcode_histograms<F: Form>(chunk: Chunk<'_>) -> Result<Vec<u8>> {
    let mut raw = RawReader::<F>::new(chunk)?;
    let mut appender = HistogramAppender::<F>::new();
    while let Some(t) = raw.read() {
        appender.write(t?, &raw.parts());
    }
    appender.set_counter_reset(raw.flag);
    Ok(appender.into_bytes())
}
