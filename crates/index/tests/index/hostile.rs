//! Damage: truncated, flipped, spliced, with huge lengths. Never a panic, never an allocation that
//! the size of the input does not explain.

#![allow(unsafe_code, reason = "counts what is allocated")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use rutile_index::{
    Header, IndexReader, PostingsList, SeriesEntry, build_header, decode_cached, encode_cached,
    read_tombstones, series_len_hint,
};

use crate::v1::index_v1;

/// Allocates from the system and notes the largest request of each thread.
struct Counting;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Not there any more while the thread ends.
        let _ended = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: as of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as of the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs a reader and checks that no single allocation was larger than a small multiple of `len`.
fn bounded(len: usize, read: impl FnOnce()) {
    LARGEST.set(0);
    read();
    let largest = LARGEST.get();
    assert!(
        largest <= 32 * len + 4096,
        "allocated {largest} bytes for an input of {len}"
    );
}

/// One way to damage bytes. Positions are taken modulo the length.
#[derive(Debug, Clone)]
enum Damage {
    Cut(usize),
    Flip(usize, u8),
    Overwrite(usize, Vec<u8>),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let huge = prop_oneof![
        Just(vec![0xff; 4]),
        Just(vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
        Just(vec![
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01
        ]),
        Just(vec![0x7f, 0xff, 0xff, 0xff]),
        proptest::collection::vec(any::<u8>(), 1..12),
    ];
    prop_oneof![
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 1..=u8::MAX).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        (any::<usize>(), huge.clone()).prop_map(|(at, bytes)| Damage::Overwrite(at, bytes)),
        (any::<usize>(), 1..20_usize).prop_map(|(at, len)| Damage::Remove(at, len)),
        (any::<usize>(), huge).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        let within = |at: &usize| at % (len + 1);
        match self {
            Self::Cut(at) => bytes.truncate(within(at)),
            Self::Flip(at, mask) => {
                if let Some(byte) = bytes.get_mut(within(at)) {
                    *byte ^= mask;
                }
            }
            Self::Overwrite(at, new) => {
                let end = (within(at) + new.len()).min(len);
                bytes.splice(within(at)..end, new.iter().copied());
            }
            Self::Remove(at, count) => {
                bytes.drain(within(at)..(within(at) + count).min(len));
            }
            Self::Insert(at, new) => {
                bytes.splice(within(at)..within(at), new.iter().copied());
            }
        }
    }
}

/// Damages, and where asked mends the checksums of the tables of contents, so that the damage
/// gets past the first check.
fn damaged(original: &[u8], damages: &[Damage], mend: impl Fn(&mut [u8])) -> Bytes {
    let mut bytes = original.to_vec();
    for damage in damages {
        damage.apply(&mut bytes);
    }
    mend(&mut bytes);
    bytes.into()
}

fn mend_crc(bytes: &mut [u8], end: usize, covered: usize) {
    if let Some(start) = end.checked_sub(covered + 4)
        && let Some(table) = bytes.get_mut(start..end)
    {
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &table[..covered]);
        table[covered..].copy_from_slice(&crc.to_be_bytes()[4..]);
    }
}

fn mend_index(bytes: &mut [u8]) {
    let len = bytes.len();
    mend_crc(bytes, len, 48);
}

fn mend_header(bytes: &mut [u8]) {
    let len = bytes.len();
    mend_crc(bytes, len, 16);
    mend_crc(bytes, len.saturating_sub(20), 48);
}

fn small_index() -> Bytes {
    let (_, index) = crate::naive::blocks()
        .into_iter()
        .min_by_key(|(_, i)| i.len())
        .unwrap();
    index
}

fn use_header(bytes: Bytes) {
    bounded(bytes.len(), || {
        let Ok(header) = Header::open(bytes) else {
            return;
        };
        let _verified = header.verify();
        for name in header.label_names() {
            for value in header.label_values(name) {
                let _range = header.postings_range(name, value);
            }
            let ranges = header.label_values_with_ranges(name, Some("1"));
            assert!(
                ranges
                    .map(|(_, range)| range.byte_len())
                    .all(|len| len >= 4)
            );
        }
        for symbol in [0, 1, 31, 32, 33, 1000, u32::MAX] {
            let _symbol = header.symbol(symbol);
        }
        for string in ["", "job", "zzz"] {
            let _symbol = header.lookup_symbol(string);
        }
        let _all = header.all_postings_range();
    });
}

fn use_entry(entry: &SeriesEntry<'_>) {
    assert!(entry.labels().count() <= entry.label_count());
    assert!(entry.chunks().count() <= entry.chunk_count());
}

fn use_index(bytes: Bytes) {
    bounded(bytes.len(), || {
        let _header = build_header(&bytes);
        let Ok(reader) = IndexReader::open(bytes) else {
            return;
        };
        let _verified = reader.verify();
        for (_, entry) in reader.series().flatten() {
            use_entry(&entry);
        }
        for name in reader.label_names() {
            for value in reader.label_values(name) {
                let _list = reader.postings(name, value);
            }
        }
        for reference in [0, 5, 100, u32::MAX] {
            let _entry = reader.series_at(reference);
        }
    });
}

fn series_bytes() -> Vec<u8> {
    let index = small_index();
    let reader = IndexReader::open(index.clone()).unwrap();
    let (reference, _) = reader.series().next().unwrap().unwrap();
    let start = usize::try_from(reader.version().series_offset(reference)).unwrap();
    let (_, len) = SeriesEntry::parse_checked(&index[start..]).unwrap();
    assert_eq!(series_len_hint(&index[start..start + 10]), Some(len as u64));
    index[start..start + len].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn header(damages in proptest::collection::vec(damage(), 1..4), mend: bool, old: bool) {
        let index = if old { index_v1().0 } else { small_index() };
        let header = build_header(&index).unwrap();
        let mend: fn(&mut [u8]) = if mend { mend_header } else { |_| {} };
        use_header(damaged(&header, &damages, mend));
    }

    #[test]
    fn index(damages in proptest::collection::vec(damage(), 1..4), mend: bool, old: bool) {
        let index = if old { index_v1().0 } else { small_index() };
        let mend: fn(&mut [u8]) = if mend { mend_index } else { |_| {} };
        use_index(damaged(&index, &damages, mend));
    }

    #[test]
    fn series(damages in proptest::collection::vec(damage(), 1..4)) {
        let original = series_bytes();
        let bytes = damaged(&original, &damages, |_| {});
        bounded(bytes.len(), || {
            if let Ok((entry, len)) = SeriesEntry::parse(&bytes) {
                assert!(len <= bytes.len());
                use_entry(&entry);
            }
            let _hint = series_len_hint(&bytes);
        });
    }

    #[test]
    fn postings(bytes in proptest::collection::vec(any::<u8>(), 0..40), huge: bool) {
        let mut bytes = bytes;
        if !huge && let Some(count) = bytes.first_chunk_mut::<4>() {
            *count = [0, 0, 0, count[3] % 12];
        }
        let bytes = Bytes::from(bytes);
        bounded(bytes.len(), || {
            let _checked = PostingsList::parse_checked(&bytes);
            if let Ok(list) = PostingsList::parse(&bytes) {
                assert!(list.to_vec().len() * 4 < bytes.len());
            }
        });
    }

    #[test]
    fn cached_postings(damages in proptest::collection::vec(damage(), 1..4)) {
        let refs: Vec<u32> = (0..500).map(|i| i * 3).collect();
        let encoded = encode_cached(refs.as_slice()).unwrap();
        let bytes = damaged(&encoded, &damages, |_| {});
        // A snappy stream comes in blocks of 64 KiB, whatever its length.
        bounded(bytes.len() + 8192, || {
            if let Ok(decoded) = decode_cached(&bytes, 500) {
                assert!(decoded.len() <= 500 && decoded.is_sorted());
            }
        });
    }

    #[test]
    fn tombstones(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut bytes = [&[0x01, 0x30, 0xba, 0x30, 1][..], &bytes].concat();
        let len = bytes.len();
        mend_crc(&mut bytes, len, len.saturating_sub(9));
        bounded(bytes.len(), || drop(read_tombstones(&bytes)));
    }
}

#[test]
fn every_truncation_and_every_flip_of_a_section_is_found() {
    let index = small_index();
    let header = build_header(&index).unwrap();
    let intact = |bytes: &[u8]| {
        Header::open(Bytes::copy_from_slice(bytes))
            .and_then(|header| header.verify())
            .is_ok()
    };
    assert!(intact(&header));
    for len in (0..header.len()).step_by(7) {
        assert!(!intact(&header[..len]), "cut to {len}");
    }
    for at in (0..header.len()).step_by(3) {
        let mut flipped = header.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(!intact(&flipped), "flipped at {at}");
    }
}

/// Offsets close to the end of the number range, with checksums that are right.
#[test]
fn header_of_an_impossibly_long_index() {
    let header = build_header(&small_index()).unwrap();
    for postings_end in [
        u64::MAX,
        u64::MAX - 60,
        u64::MAX - (header.len() as u64),
        1 << 63,
    ] {
        let mut bytes = header.clone();
        bytes[6..14].copy_from_slice(&postings_end.to_be_bytes());
        let table = bytes.len() - 20 - 52 + 40;
        bytes[table..table + 8].copy_from_slice(&postings_end.to_be_bytes());
        mend_header(&mut bytes);
        if let Ok(header) = Header::open(bytes.clone().into()) {
            assert!(header.index_len() > postings_end);
        }
        use_header(bytes.into());
    }
}
