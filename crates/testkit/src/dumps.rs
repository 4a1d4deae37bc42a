//! The dumps of golden blocks: every chunk, and for a few blocks every sample, one a line, in the block's order.

use std::fs::File;
use std::io::{BufRead, BufReader};

use flate2::read::MultiGzDecoder;

use crate::golden;

/// One line of `dumps/<ULID>.chunks.gz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpedChunk {
    /// The series, as [`crate::label_text`] writes it; external labels are not among them.
    pub labels: String,
    /// Time of the first sample, ms.
    pub min_time: i64,
    /// Time of the last sample, ms.
    pub max_time: i64,
    /// Prometheus's number: 1 XOR, 2 histogram, 3 float histogram, 255 a downsampled aggregate chunk.
    pub encoding: u8,
    /// Length of the payload.
    pub bytes: usize,
    /// [`crate::digest`] of the payload.
    pub digest: String,
}

/// One line of `dumps/<ULID>.samples.gz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpedSample {
    /// The series, as [`crate::label_text`] writes it.
    pub labels: String,
    /// `raw`, or the aggregate of a downsampled block: `count`, `sum`, `min`, `max`, `counter`.
    pub aggregate: String,
    /// Time, ms.
    pub timestamp: i64,
    /// A float as Go prints it shortest, or a native histogram as Prometheus's `FloatHistogram.String` does.
    pub value: String,
}

/// The chunks of a golden block.
///
/// # Panics
/// When there is no such dump; the iterator panics on a malformed line.
pub fn chunks(block: &str) -> impl Iterator<Item = DumpedChunk> + use<> {
    parsed(format!("{block}.chunks.gz"), parse_chunk)
}

/// The samples of a golden block; there are dumps for `long`'s 1 h block and for the 8 h block of `ha/penalty`.
///
/// # Panics
/// When there is no such dump; the iterator panics on a malformed line.
pub fn samples(block: &str) -> impl Iterator<Item = DumpedSample> + use<> {
    parsed(format!("{block}.samples.gz"), parse_sample)
}

fn parsed<T>(name: String, parse: fn(&str) -> Option<T>) -> impl Iterator<Item = T> + use<T> {
    let path = golden().join("dumps").join(&name);
    let file = File::open(&path).unwrap_or_else(|error| panic!("cannot open {name}: {error}"));
    BufReader::new(MultiGzDecoder::new(file))
        .lines()
        .map(move |line| {
            let line = line.unwrap_or_else(|error| panic!("cannot read {name}: {error}"));
            parse(&line).unwrap_or_else(|| panic!("bad line in {name}: {line}"))
        })
}

fn parse_chunk(line: &str) -> Option<DumpedChunk> {
    let (labels, rest) = split_labels(line)?;
    let mut fields = rest.split_ascii_whitespace();
    let chunk = DumpedChunk {
        labels: labels.to_owned(),
        min_time: fields.next()?.parse().ok()?,
        max_time: fields.next()?.parse().ok()?,
        encoding: fields.next()?.parse().ok()?,
        bytes: fields.next()?.parse().ok()?,
        digest: fields.next()?.to_owned(),
    };
    fields.next().is_none().then_some(chunk)
}

fn parse_sample(line: &str) -> Option<DumpedSample> {
    let (labels, rest) = split_labels(line)?;
    let mut fields = rest.trim_start().splitn(3, ' ');
    Some(DumpedSample {
        labels: labels.to_owned(),
        aggregate: fields.next()?.to_owned(),
        timestamp: fields.next()?.parse().ok()?,
        value: fields.next()?.to_owned(),
    })
}

/// Splits a line after the brace that closes its labels; quoted values may hold braces themselves.
pub(crate) fn split_labels(line: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (position, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return line.split_at_checked(position + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dump_parses() {
        let mut chunk_dumps = 0;
        let mut sample_dumps = 0;
        for path in crate::entries(&golden().join("dumps")) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let (block, kind) = name.split_once('.').unwrap();
            if kind == "chunks.gz" {
                chunk_dumps += 1;
                assert!(
                    chunks(block).all(|chunk| chunk.min_time <= chunk.max_time),
                    "{name}"
                );
            } else {
                sample_dumps += 1;
                assert!(samples(block).next().is_some(), "{name}");
            }
        }
        assert!(chunk_dumps > 50, "{chunk_dumps}");
        assert_eq!(sample_dumps, 2);
    }

    #[test]
    fn labels_end_at_the_closing_brace_outside_quotes() {
        assert_eq!(
            split_labels(r#"{a="}\"}"} 1 2"#),
            Some((r#"{a="}\"}"}"#, " 1 2"))
        );
        assert_eq!(split_labels(r#"{a="}"#), None);
        assert_eq!(parse_chunk("{} 1 2 1 4 ab cd"), None);
        assert_eq!(
            parse_sample("{} raw 5 {count:1, sum:2}").unwrap().value,
            "{count:1, sum:2}".to_owned()
        );
    }
}
