//! The index file, its header, postings, series entries, tombstones.

use bytes::Bytes;
use rutile_index::{
    Header, IndexReader, PostingsList, SeriesEntry, build_header, decode_cached, encode_cached,
    read_tombstones, series_len_hint, write_tombstones,
};

/// Most steps of a walk: an input of a few KB may name the same bytes again and again.
const MAX_STEPS: usize = 1000;

pub fn file(data: &[u8]) {
    let _header = build_header(data);
    let Ok(index) = IndexReader::open(Bytes::copy_from_slice(data)) else {
        return;
    };
    let _verified = index.verify();
    for series in index.series().take(MAX_STEPS) {
        let Ok((_, entry)) = series else { break };
        for (name, value) in entry.labels().take(MAX_STEPS).flatten() {
            let _name = index.symbols().get_str(name);
            let _value = index.symbols().get_str(value);
        }
        entry.chunks().take(MAX_STEPS).last();
    }
    for name in index.label_names().take(MAX_STEPS) {
        for value in index.label_values(name).take(MAX_STEPS) {
            walk(index.postings(name, value));
        }
    }
}

fn walk(list: rutile_index::Result<Option<PostingsList>>) {
    if let Ok(Some(list)) = list {
        list.iter().last();
    }
}

pub fn header(data: &[u8]) {
    for sampling in [1, 32] {
        let Ok(header) = Header::open_sampled(Bytes::copy_from_slice(data), sampling) else {
            continue;
        };
        let _verified = header.verify();
        let _all = header.all_postings_range();
        for name in header.label_names().take(MAX_STEPS) {
            let _ranges = header.postings_ranges(name, &["", "a", "zz"]);
            for value in header.label_values(name).take(MAX_STEPS) {
                let _range = header.postings_range(name, value);
                let _symbol = header.lookup_symbol(value);
            }
        }
        for symbol in 0..100 {
            let _symbol = header.symbol(symbol);
        }
    }
}

pub fn postings(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let checked = PostingsList::parse_checked(&bytes);
    let Ok(list) = PostingsList::parse(&bytes) else {
        assert!(checked.is_err());
        return;
    };
    assert_eq!(list.iter().count(), list.len());
    assert_eq!(list.to_vec().len(), list.len());
}

pub fn postings_cached(data: &[u8]) {
    if let Ok(list) = decode_cached(data, 1 << 16) {
        assert!(list.len() <= 1 << 16);
        if let Ok(encoded) = encode_cached(list.as_slice()) {
            assert_eq!(decode_cached(&encoded, 1 << 16).unwrap(), list);
        }
    }
}

pub fn series_entry(data: &[u8]) {
    let _hint = series_len_hint(data);
    let checked = SeriesEntry::parse_checked(data);
    let Ok((entry, len)) = SeriesEntry::parse(data) else {
        assert!(checked.is_err());
        return;
    };
    assert!(len <= data.len());
    entry.labels().last();
    entry.chunks().last();
}

pub fn tombstones(data: &[u8]) {
    if let Ok(tombstones) = read_tombstones(data) {
        let written = write_tombstones(&tombstones);
        assert_eq!(read_tombstones(&written).unwrap(), tombstones);
    }
}
