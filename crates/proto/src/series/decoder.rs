//! Reads series from the bytes of `SeriesResponse` messages.
//!
//! What nearly every message is, one series or one batch of well-formed ones, is read here. All else,
//! be it a warning, a part that is there twice, or damage, is left to the protobuf library, so that no
//! message is understood otherwise than that has it.

use bytes::Bytes;
use rutile_model::LabelsDecoder;

use super::{
    AggrChunk, Series,
    fields::{Fields, Value},
};
use crate::thanos::{Aggr, Chunk};

/// Decodes the series of messages, in memory that it keeps between them.
#[derive(Debug, Default)]
pub struct SeriesDecoder {
    labels: LabelsDecoder,
    /// Of the series at hand.
    chunks: Vec<AggrChunk>,
}

/// Numbers of fields.
mod field {
    /// `SeriesResponse.series` and `SeriesBatch.series`.
    pub(super) const SERIES: u32 = 1;
    pub(super) const BATCH: u32 = 4;
    pub(super) const LABEL: u32 = 1;
    pub(super) const AGGR_CHUNK: u32 = 2;
    pub(super) const LABEL_NAME: u32 = 1;
    pub(super) const LABEL_VALUE: u32 = 2;
    pub(super) const MIN_TIME: u32 = 1;
    pub(super) const MAX_TIME: u32 = 2;
    pub(super) const CHUNK_TYPE: u32 = 1;
    pub(super) const CHUNK_DATA: u32 = 2;
    pub(super) const CHUNK_HASH: u32 = 3;
}

impl SeriesDecoder {
    /// Adds the series of an encoded `SeriesResponse` to `out`, with payloads that are slices of it.
    ///
    /// `None`, and nothing is added, if the message is to be decoded as
    /// [`SeriesResponse`](crate::thanos::SeriesResponse): it may be right or wrong. What is decoded
    /// here is what would be found there. Memory is taken for what is there, not for what is claimed.
    #[must_use]
    pub fn add_series(&mut self, message: &Bytes, out: &mut Vec<Series>) -> Option<()> {
        let before = out.len();
        let added = self.message(message, out);
        if added.is_none() {
            out.truncate(before);
        }
        added
    }

    fn message(&mut self, message: &Bytes, out: &mut Vec<Series>) -> Option<()> {
        let mut fields = Fields::of(message);
        let field = fields.next()??;
        if fields.next().is_some() {
            return None;
        }
        match field {
            (field::SERIES, Value::Bytes(series)) => out.push(self.series(message, series)?),
            (field::BATCH, Value::Bytes(batch)) => {
                out.reserve(Fields::of(batch).count());
                for field in Fields::of(batch) {
                    match field? {
                        (field::SERIES, Value::Bytes(series)) => {
                            out.push(self.series(message, series)?);
                        }
                        (field::SERIES, _) => return None,
                        _ => {}
                    }
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn series(&mut self, message: &Bytes, series: &[u8]) -> Option<Series> {
        self.chunks.clear();
        self.labels.clear();
        for field in Fields::of(series) {
            match field? {
                (field::LABEL, Value::Bytes(label)) => self.label(label)?,
                (field::AGGR_CHUNK, Value::Bytes(chunk)) => {
                    self.chunks.push(aggr_chunk(message, chunk)?);
                }
                (field::LABEL | field::AGGR_CHUNK, _) => return None,
                _ => {}
            }
        }
        Some(Series {
            labels: self.labels.take()?,
            // No more memory than they need.
            chunks: self.chunks.drain(..).collect(),
        })
    }

    fn label(&mut self, label: &[u8]) -> Option<()> {
        let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in Fields::of(label) {
            match field? {
                (field::LABEL_NAME, Value::Bytes(bytes)) if name.is_empty() => name = bytes,
                (field::LABEL_VALUE, Value::Bytes(bytes)) if value.is_empty() => value = bytes,
                (field::LABEL_NAME | field::LABEL_VALUE, _) => return None,
                _ => {}
            }
        }
        self.labels.push(name, value);
        Some(())
    }
}

fn aggr_chunk(message: &Bytes, bytes: &[u8]) -> Option<AggrChunk> {
    let mut chunk = AggrChunk::default();
    for field in Fields::of(bytes) {
        let (number, value) = field?;
        match (number, value) {
            (field::MIN_TIME, Value::Number(time)) => chunk.min_time = time.cast_signed(),
            (field::MAX_TIME, Value::Number(time)) => chunk.max_time = time.cast_signed(),
            (field::MIN_TIME | field::MAX_TIME, _) => return None,
            _ => match (aggregate(number), value) {
                (Some(aggr), Value::Bytes(bytes)) => chunk.push(aggr, part(message, bytes)?)?,
                (Some(_), _) => return None,
                (None, _) => {}
            },
        }
    }
    Some(chunk)
}

/// What the field of an `AggrChunk` holds.
fn aggregate(number: u32) -> Option<Aggr> {
    Some(match number {
        3 => Aggr::Raw,
        4 => Aggr::Count,
        5 => Aggr::Sum,
        6 => Aggr::Min,
        7 => Aggr::Max,
        8 => Aggr::Counter,
        _ => return None,
    })
}

fn part(message: &Bytes, bytes: &[u8]) -> Option<Chunk> {
    let mut chunk = Chunk::default();
    for field in Fields::of(bytes) {
        match field? {
            (field::CHUNK_TYPE, Value::Number(number)) => chunk.r#type = enumeration(number),
            (field::CHUNK_DATA, Value::Bytes(data)) => chunk.data = message.slice_ref(data),
            (field::CHUNK_HASH, Value::Number(hash)) => chunk.hash = hash,
            (field::CHUNK_TYPE | field::CHUNK_DATA | field::CHUNK_HASH, _) => return None,
            _ => {}
        }
    }
    Some(chunk)
}

/// The number of an enumeration: protobuf cuts what is too large.
fn enumeration(number: u64) -> i32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests;
