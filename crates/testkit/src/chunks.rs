//! Indexes whose chunks are not as they should be: the index writer would not write them.
//!
//! All of it panics where an index is not one of golden data.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

/// Names the first chunk of the first series twice, in place of its last two.
pub fn name_the_first_chunk_twice(index: &mut [u8]) {
    change_first_series(index, |chunks| {
        let first = uvarint(&chunks[0], 0).1;
        let (length, _) = uvarint(&chunks[0], first);
        let last = chunks.split_off(chunks.len() - 2).concat();
        // It begins its length before the end of the one before, which is itself, and lies where that does.
        let mut again = padded(0_u64.wrapping_sub(length as u64), 10);
        again.extend(padded(length as u64, last.len() - 11));
        again.push(0);
        chunks.insert(1, again);
    });
}

/// Writes the chunks of the first series anew, each as its bytes: of the first its time, length and place, of others what differs
/// from the one before. They must become neither more nor less bytes.
pub fn change_first_series(index: &mut [u8], change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let toc = &index[index.len() - 52..];
    let series = u64::from_be_bytes(toc[8..16].try_into().unwrap()) as usize;
    let start = series.next_multiple_of(16);
    // Length; labels, each two references; number of chunks.
    let (content_len, content) = uvarint(index, start);
    let (labels, mut at) = uvarint(index, content);
    for _ in 0..2 * labels {
        at = uvarint(index, at).1;
    }
    let (count, first) = uvarint(index, at);
    assert_eq!(first, at + 1, "a number of one byte");
    let end = content + content_len;
    let mut chunks = Vec::new();
    let mut before = first;
    for _ in 0..count {
        let end = (0..3).fold(before, |at, _| uvarint(index, at).1);
        chunks.push(index[before..end].to_vec());
        before = end;
    }
    change(&mut chunks);
    index[at] = chunks.len() as u8;
    index[first..end].copy_from_slice(&chunks.concat());
    let crc = crc_fast::crc32_iscsi(&index[content..end]);
    index[end..end + 4].copy_from_slice(&crc.to_be_bytes());
}

/// A number in so many bytes, most of them needlessly.
#[must_use]
pub fn padded(number: u64, len: usize) -> Vec<u8> {
    let digits =
        (0..len).map(|at| (number.checked_shr(7 * at as u32).unwrap_or(0) & 0x7f) as u8 | 0x80);
    let mut bytes: Vec<u8> = digits.collect();
    bytes[len - 1] &= 0x7f;
    bytes
}

/// The number at `at`, and where it ends.
#[must_use]
pub fn uvarint(bytes: &[u8], at: usize) -> (usize, usize) {
    let len = bytes[at..].iter().position(|byte| *byte < 0x80).unwrap() + 1;
    let digits = bytes[at..at + len].iter().rev();
    let value = digits.fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    (value, at + len)
}
