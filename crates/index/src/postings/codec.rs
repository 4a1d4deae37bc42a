//! The form in which postings lie in a shared index cache: differences as uvarints, compressed.
//!
//! `dss` + snappy stream is written; `dvs` + one snappy block, written by older releases, is read.

use std::io::{Read, Write};

use super::SortedRefs;
use crate::varint::{put_uvarint, read_uvarint};
use crate::{Error, Result};

const STREAMED: &[u8; 3] = b"dss";
const BLOCK: &[u8; 3] = b"dvs";
/// Bytes that snappy makes at most of one: a copy of 64 bytes takes three.
const MAX_EXPANSION: usize = 22;

/// Encodes a list. Fails if its references do not increase.
pub fn encode_cached<L: SortedRefs + ?Sized>(list: &L) -> Result<Vec<u8>> {
    let mut differences = Vec::with_capacity(list.count() + list.count() / 4);
    let mut last = 0;
    for i in 0..list.count() {
        let reference = list.at(i);
        let difference = reference.checked_sub(last).ok_or_else(|| {
            Error::Invalid(format!("series reference {reference} follows {last}").into())
        })?;
        put_uvarint(&mut differences, u64::from(difference));
        last = reference;
    }
    let out = [STREAMED.as_slice()].concat();
    let mut encoder = snap::write::FrameEncoder::new(out);
    encoder
        .write_all(&differences)
        .map_err(|error| Error::Invalid(error.to_string().into()))?;
    encoder
        .into_inner()
        .map_err(|error| Error::Invalid(error.to_string().into()))
}

/// Decodes a list of at most `max_len` references.
///
/// Bytes decompress to at most 22 times their length whatever they claim, and decompression stops
/// at what `max_len` references can take.
pub fn decode_cached(bytes: &[u8], max_len: usize) -> Result<Vec<u32>> {
    let corrupt = |expected| Error::corrupt(0, expected);
    let limit = bytes
        .len()
        .saturating_mul(MAX_EXPANSION)
        .min(max_len.saturating_mul(5));
    let (header, body) = bytes
        .split_first_chunk()
        .ok_or_else(|| corrupt("a postings codec"))?;
    let mut differences = Vec::new();
    match header {
        STREAMED => {
            snap::read::FrameDecoder::new(body)
                .take(limit as u64 + 1)
                .read_to_end(&mut differences)
                .map_err(|_| corrupt("a snappy stream"))?;
        }
        BLOCK => {
            let len = snap::raw::decompress_len(body).map_err(|_| corrupt("a snappy block"))?;
            if len > limit {
                return Err(corrupt("a snappy block not larger than its postings"));
            }
            differences = snap::raw::Decoder::new()
                .decompress_vec(body)
                .map_err(|_| corrupt("a snappy block"))?;
        }
        _ => return Err(corrupt("the postings codec dss or dvs")),
    }
    let mut rest = differences.as_slice();
    let mut refs: Vec<u32> = Vec::with_capacity(rest.len().min(max_len));
    while !rest.is_empty() {
        let last = refs.last().copied().unwrap_or_default();
        let reference = read_uvarint(&mut rest)
            .and_then(|difference| u32::try_from(difference).ok())
            .and_then(|difference| last.checked_add(difference))
            .filter(|_| refs.len() < max_len)
            .ok_or_else(|| corrupt("increasing series references within the bound"))?;
        refs.push(reference);
    }
    Ok(refs)
}
