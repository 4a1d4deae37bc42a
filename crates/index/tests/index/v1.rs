//! An index of version 1. No program writes these any more, so one is put together here.

use bytes::Bytes;
use rutile_index::{
    ChunkMeta, Header, IndexReader, IndexVersion, SortedRefs, Toc, build_header, varint,
};

use crate::naive::Naive;

const SERIES: [&[(&str, &str)]; 4] = [
    &[("a", "1"), ("job", "x")],
    &[("a", "1"), ("job", "y")],
    &[("a", "2"), ("job", "x")],
    &[("b", "\u{fc}"), ("job", "z")],
];

fn crc(bytes: &[u8]) -> [u8; 4] {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes).to_be_bytes()[4..]
        .try_into()
        .unwrap()
}

fn section(out: &mut Vec<u8>, content: &[u8]) {
    out.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
    out.extend(content);
    out.extend(crc(content));
}

fn be32(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_be_bytes()
}

/// Chunks of series `i`.
fn chunks(i: u8) -> [ChunkMeta; 2] {
    let at = i64::from(i) * 10;
    let chunk_ref = u64::from(i) << 32 | 8;
    [
        ChunkMeta {
            min_time: at - 5,
            max_time: at + 400,
            chunk_ref,
        },
        ChunkMeta {
            min_time: at + 401,
            max_time: at + 401,
            chunk_ref: chunk_ref + 300,
        },
    ]
}

fn entry(labels: &[(usize, usize)], chunks: &[ChunkMeta; 2]) -> Vec<u8> {
    let mut content = Vec::new();
    varint::put_uvarint(&mut content, labels.len() as u64);
    for &(name, value) in labels {
        varint::put_uvarint(&mut content, name as u64);
        varint::put_uvarint(&mut content, value as u64);
    }
    let [first, second] = chunks;
    varint::put_uvarint(&mut content, 2);
    varint::put_varint(&mut content, first.min_time);
    varint::put_uvarint(
        &mut content,
        (first.max_time - first.min_time).cast_unsigned(),
    );
    varint::put_uvarint(&mut content, first.chunk_ref);
    varint::put_uvarint(
        &mut content,
        (second.min_time - first.max_time).cast_unsigned(),
    );
    varint::put_uvarint(
        &mut content,
        (second.max_time - second.min_time).cast_unsigned(),
    );
    varint::put_varint(
        &mut content,
        (second.chunk_ref - first.chunk_ref).cast_signed(),
    );
    let mut out = Vec::new();
    varint::put_uvarint(&mut out, content.len() as u64);
    out.extend(&content);
    out.extend(crc(&content));
    out
}

/// The index, and the offset of each series.
pub(crate) fn index_v1() -> (Bytes, Vec<u32>) {
    let mut out = vec![0xba, 0xaa, 0xd7, 0x00, 1];
    let mut strings: Vec<&str> = SERIES
        .iter()
        .flat_map(|s| s.iter())
        .flat_map(|&(n, v)| [n, v])
        .collect();
    strings.sort_unstable();
    strings.dedup();
    let mut content = be32(strings.len()).to_vec();
    let mut offsets = std::collections::BTreeMap::new();
    for string in &strings {
        offsets.insert(*string, out.len() + 4 + content.len());
        varint::put_string(&mut content, string.as_bytes());
    }
    let mut toc = Toc {
        symbols: 5,
        ..Toc::default()
    };
    section(&mut out, &content);

    toc.series = out.len() as u64;
    let mut refs = Vec::new();
    let mut lists: std::collections::BTreeMap<(&str, &str), Vec<usize>> = Default::default();
    for (i, labels) in (0..).zip(SERIES) {
        let at = out.len();
        let pairs: Vec<_> = labels
            .iter()
            .map(|(n, v)| (offsets[n], offsets[v]))
            .collect();
        out.extend(entry(&pairs, &chunks(i)));
        refs.push(u32::try_from(at).unwrap());
        for &label in labels {
            lists.entry(label).or_default().push(at);
        }
        lists.entry(("", "")).or_default().push(at);
    }
    // No label indices, but their table, empty: the slot of the first is 0 then.
    toc.postings = out.len() as u64;
    out.resize(out.len().next_multiple_of(4), 0);
    let mut table = Vec::new();
    // Any order but the sorted one.
    for ((name, value), refs) in lists.iter().rev() {
        varint::put_uvarint(&mut table, 2);
        varint::put_string(&mut table, name.as_bytes());
        varint::put_string(&mut table, value.as_bytes());
        varint::put_uvarint(&mut table, out.len() as u64);
        let content: Vec<u8> = [refs.len()]
            .iter()
            .chain(refs)
            .flat_map(|&value| be32(value))
            .collect();
        section(&mut out, &content);
    }
    toc.label_indices_table = out.len() as u64;
    section(&mut out, &be32(0));
    toc.postings_table = out.len() as u64;
    section(&mut out, &[&be32(lists.len())[..], &table].concat());
    toc.write(&mut out);
    (out.into(), refs)
}

#[test]
fn series_and_postings() {
    let (index, refs) = index_v1();
    let reader = IndexReader::open(index.clone()).unwrap();
    reader.verify().unwrap();
    assert_eq!(reader.version(), IndexVersion::V1);
    let mut seen = Vec::new();
    for (i, series) in (0..).zip(reader.series()) {
        let (reference, entry) = series.unwrap();
        seen.push(reference);
        assert_eq!(
            entry.chunks().map(Result::unwrap).collect::<Vec<_>>(),
            chunks(i)
        );
        let symbol = |r| reader.symbols().get_str(r).unwrap();
        let labels: Vec<_> = entry
            .labels()
            .map(Result::unwrap)
            .map(|(n, v)| (symbol(n), symbol(v)))
            .collect();
        assert_eq!(labels, SERIES[usize::from(i)]);
    }
    assert_eq!(seen, refs);
    let list = reader.postings("job", "x").unwrap().unwrap();
    assert_eq!(list.to_vec(), [refs[0], refs[2]]);
    assert_eq!(list.seek(0, refs[1]), 1);
    assert_eq!(reader.postings("", "").unwrap().unwrap().to_vec(), refs);
    assert_eq!(
        reader.label_values("job").collect::<Vec<_>>(),
        ["x", "y", "z"]
    );
    assert_eq!(reader.postings("job", "w").unwrap(), None);
}

#[test]
fn header_lookups() {
    let (index, _) = index_v1();
    let header = Header::open(build_header(&index).unwrap().into()).unwrap();
    header.verify().unwrap();
    assert_eq!(header.index_version(), IndexVersion::V1);
    assert_eq!(header.index_len(), index.len() as u64);
    check_in_order_of_file(&index, &header);
}

/// The naive reader takes the next entry of the file for the end of a list, and so does a header.
fn check_in_order_of_file(index: &[u8], header: &Header) {
    let naive = Naive::read(index);
    naive.check_header(header);
    for ((name, value), (range, refs)) in &naive.postings {
        let found = header.postings_range(name, value).unwrap().unwrap();
        assert_eq!(found, *range);
        assert!(found.max_series() >= refs.len() as u64);
    }
}
