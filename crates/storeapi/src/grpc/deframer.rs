//! Cuts a body into messages, wherever the network has cut it.

use bytes::Bytes;
use rutile_model::ErrorKind;

use super::Compression;
use crate::{
    Error, Frames, Result,
    frames::{PREFIX, message_len},
};

/// What is set aside at once for a message that arrives in pieces; the rest follows its arrival, so
/// that a length which is only claimed costs nothing.
const FIRST_RESERVE: usize = 256 * 1024;

/// Whole messages out of pieces of a body: [`Deframer::push`] a piece, then take
/// [`Deframer::next_frames`] until there are none.
///
/// Messages that lie in one piece are passed on as slices of it; only those that straddle two are
/// copied.
#[derive(Debug)]
pub(super) struct Deframer {
    compression: Compression,
    /// Most bytes of a message, compressed and decompressed.
    limit: usize,
    /// The last piece, as far as it was not looked at.
    rest: Bytes,
    /// The beginning of a message, prefix included, that did not end in the piece it began in.
    partial: Vec<u8>,
}

impl Deframer {
    pub(super) fn new(compression: Compression, limit: usize) -> Self {
        Self {
            compression,
            limit,
            rest: Bytes::new(),
            partial: Vec::new(),
        }
    }

    /// Adds the next piece. All messages of the one before must have been taken.
    pub(super) fn push(&mut self, piece: Bytes) {
        debug_assert!(
            self.rest.is_empty(),
            "messages of the last piece were not taken"
        );
        self.rest = piece;
    }

    /// As many messages as can be passed on at once, uncompressed; `None` when more bytes are needed.
    ///
    /// # Errors
    /// `Exhausted` for a message beyond the limit, `Corrupt` for one that cannot be decompressed.
    pub(super) fn next_frames(&mut self) -> Result<Option<Frames>> {
        if !self.partial.is_empty() {
            return self.complete_partial();
        }
        let run = self.whole_messages()?;
        if run > 0 {
            return Ok(Some(Frames::from_wire(self.rest.split_to(run))));
        }
        match self.length(&self.rest)? {
            // The run stopped before it, so it is compressed.
            Some(len) if PREFIX + len <= self.rest.len() => {
                let message = self.rest.split_to(PREFIX + len);
                self.decompress(&message).map(Some)
            }
            _ => {
                if !self.rest.is_empty() {
                    let piece = std::mem::take(&mut self.rest);
                    self.partial.extend_from_slice(&piece);
                    self.reserve_partial()?;
                }
                Ok(None)
            }
        }
    }

    /// Whether the body may end here.
    pub(super) fn is_between_messages(&self) -> bool {
        self.rest.is_empty() && self.partial.is_empty()
    }

    /// Length of the uncompressed messages that lie whole in the piece.
    fn whole_messages(&self) -> Result<usize> {
        let mut end = 0;
        loop {
            let message = &self.rest[end..];
            match self.length(message)? {
                Some(len) if message[0] == 0 && PREFIX + len <= message.len() => {
                    end += PREFIX + len;
                }
                _ => return Ok(end),
            }
        }
    }

    fn complete_partial(&mut self) -> Result<Option<Frames>> {
        let had_length = self.length(&self.partial)?.is_some();
        if !had_length {
            self.fill_partial(PREFIX);
            self.reserve_partial()?;
        }
        let Some(len) = self.length(&self.partial)? else {
            return Ok(None);
        };
        self.fill_partial(PREFIX + len);
        if self.partial.len() < PREFIX + len {
            return Ok(None);
        }
        let message = std::mem::take(&mut self.partial);
        if message[0] == 0 {
            Ok(Some(Frames::from_wire(message.into())))
        } else {
            self.decompress(&message).map(Some)
        }
    }

    /// Moves bytes of the piece to the message until that has `len` bytes.
    fn fill_partial(&mut self, len: usize) {
        let missing = len.saturating_sub(self.partial.len()).min(self.rest.len());
        let bytes = self.rest.split_to(missing);
        self.partial.extend_from_slice(&bytes);
    }

    fn reserve_partial(&mut self) -> Result<()> {
        if let Some(len) = self.length(&self.partial)? {
            let missing = (PREFIX + len).saturating_sub(self.partial.len());
            self.partial.reserve(missing.min(FIRST_RESERVE));
        }
        Ok(())
    }

    /// Length of the message that starts here, once its prefix is there.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>> {
        match message_len(bytes) {
            Some(len) if len > self.limit => {
                let message = format!("a message of {len} bytes, at most {} are taken", self.limit);
                Err(Error::new(ErrorKind::Exhausted, message))
            }
            len => Ok(len),
        }
    }

    fn decompress(&self, framed: &[u8]) -> Result<Frames> {
        let compressed = &framed[PREFIX..];
        if framed[0] != 1 || self.compression == Compression::Identity {
            let message = "a message is flagged as compressed, but no compression was announced";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let mut out = vec![0; PREFIX];
        self.compression
            .decompress(compressed, &mut out, self.limit)
            .map_err(|error| {
                let message = format!("cannot decompress a {} message", self.compression.as_str());
                Error::new(ErrorKind::Corrupt, message).with_source(error)
            })?;
        set_prefix(&mut out, 0, false)?;
        Ok(Frames::from_wire(out.into()))
    }
}

/// Writes the prefix of the message that ends the buffer, into the bytes left for it at `start`.
pub(super) fn set_prefix(buf: &mut [u8], start: usize, compressed: bool) -> Result<()> {
    let len = buf.len() - start - PREFIX;
    let len = u32::try_from(len).map_err(|_| {
        Error::new(
            ErrorKind::Exhausted,
            format!("{len} bytes do not fit a gRPC message"),
        )
    })?;
    buf[start] = u8::from(compressed);
    buf[start + 1..start + PREFIX].copy_from_slice(&len.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
