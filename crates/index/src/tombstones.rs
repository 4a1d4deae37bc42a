//! Tombstones: intervals of a series that are deleted but not yet rewritten. Local blocks only.
//!
//! `be32 0x0130BA30 | byte 1 | entries | be32 crc of the entries`, an entry being
//! `uvarint series | varint min | varint max`. Without entries the file is 9 bytes long.

use crate::cursor::{Cursor, crc32c};
use crate::varint::{put_uvarint, put_varint};
use crate::{Error, Result};

const MAGIC: u32 = 0x0130_BA30;
const VERSION: u8 = 1;

/// A deleted interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tombstone {
    /// Reference of the series in the index beside.
    pub series: u64,
    /// First deleted time, milliseconds.
    pub min_time: i64,
    /// Last deleted time, milliseconds, inclusive.
    pub max_time: i64,
}

/// Reads a tombstones file.
pub fn read_tombstones(bytes: &[u8]) -> Result<Vec<Tombstone>> {
    let mut head = Cursor::new(bytes, 0);
    if head.be32("the magic number of tombstones")? != MAGIC {
        return Err(Error::corrupt(0, "the magic number 0130ba30 of tombstones"));
    }
    let version = head.u8("the version of tombstones")?;
    if version != VERSION {
        return Err(Error::Unsupported {
            format: "tombstones",
            version,
        });
    }
    let (entries, crc) = head
        .rest()
        .split_last_chunk::<4>()
        .ok_or_else(|| head.fail("a checksum"))?;
    if crc32c(entries) != u32::from_be_bytes(*crc) {
        return Err(head.fail("tombstones that match their checksum"));
    }
    let mut cursor = Cursor::new(entries, head.offset());
    let mut tombstones = Vec::new();
    while !cursor.rest().is_empty() {
        tombstones.push(Tombstone {
            series: cursor.uvarint("a series reference")?,
            min_time: cursor.varint("the start of a deleted interval")?,
            max_time: cursor.varint("the end of a deleted interval")?,
        });
    }
    Ok(tombstones)
}

/// The bytes of a tombstones file.
#[must_use]
pub fn write_tombstones(tombstones: &[Tombstone]) -> Vec<u8> {
    let mut entries = Vec::new();
    for tombstone in tombstones {
        put_uvarint(&mut entries, tombstone.series);
        put_varint(&mut entries, tombstone.min_time);
        put_varint(&mut entries, tombstone.max_time);
    }
    let crc = crc32c(&entries).to_be_bytes();
    [MAGIC.to_be_bytes().as_slice(), &[VERSION], &entries, &crc].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_again() {
        assert_eq!(write_tombstones(&[]).len(), 9);
        let some = [
            Tombstone {
                series: 3,
                min_time: i64::MIN,
                max_time: -1,
            },
            Tombstone {
                series: u64::MAX,
                min_time: 5,
                max_time: i64::MAX,
            },
        ];
        let bytes = write_tombstones(&some);
        assert_eq!(read_tombstones(&bytes).unwrap(), some);
        for len in 0..bytes.len() {
            read_tombstones(&bytes[..len]).unwrap_err();
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            read_tombstones(&flipped).unwrap_err();
        }
    }
}
