use std::collections::BTreeSet;

use proptest::prelude::{Strategy, any, proptest};

use super::*;

/// Lists of very different lengths over a range small enough to overlap.
fn lists() -> impl Strategy<Value = Vec<Vec<u32>>> {
    let list = (0..400_usize, any::<bool>()).prop_flat_map(|(len, dense)| {
        let top = if dense { 500 } else { u32::MAX };
        proptest::collection::btree_set(0..=top, 0..=len)
    });
    proptest::collection::vec(list.prop_map(|set| set.into_iter().collect()), 0..6)
}

fn raw(refs: &[u32]) -> PostingsList {
    let count = u32::try_from(refs.len()).unwrap();
    let content: Vec<u8> = [count]
        .iter()
        .chain(refs)
        .flat_map(|n| n.to_be_bytes())
        .collect();
    let bytes: Bytes = [&content[..], &crc32c(&content).to_be_bytes(), b"behind"]
        .concat()
        .into();
    let list = PostingsList::parse_checked(&bytes).unwrap();
    assert_eq!(list, PostingsList::parse(&bytes).unwrap());
    list
}

fn set(refs: &[u32]) -> BTreeSet<u32> {
    refs.iter().copied().collect()
}

proptest! {
    #[test]
    fn algebra_agrees_with_sets(lists in lists()) {
        // Half of them as they lie in an index, half decoded.
        let mixed: Vec<Postings> = lists.iter().enumerate().map(|(i, refs)| {
            if i % 2 == 0 { Postings::Raw(raw(refs)) } else { Postings::Decoded(refs.clone()) }
        }).collect();
        let sets: Vec<_> = lists.iter().map(|refs| set(refs)).collect();
        let all: BTreeSet<u32> = sets.iter().flatten().copied().collect();
        assert_eq!(union(&mixed), all.into_iter().collect::<Vec<_>>());
        let common = sets.iter().cloned().reduce(|a, b| &a & &b).unwrap_or_default();
        assert_eq!(intersect(&mixed), common.into_iter().collect::<Vec<_>>());
        if let (Some((base, drop)), Some((first, rest))) = (mixed.split_first(), sets.split_first()) {
            let kept = rest.iter().fold(first.clone(), |kept, set| &kept - set);
            assert_eq!(without(base, drop), kept.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn seek_finds_the_first_not_below(lists in lists(), from in 0..500_usize, target: u32) {
        for refs in lists {
            let list = raw(&refs);
            for target in [target, target % 600] {
                let expected = refs.iter().enumerate().skip(from)
                    .find(|&(_, &r)| r >= target).map_or(refs.len(), |(i, _)| i);
                assert_eq!(list.seek(from, target), expected);
                assert_eq!(refs.seek(from, target), expected);
            }
        }
    }

    #[test]
    fn codec_round_trip(lists in lists()) {
        for refs in lists {
            let encoded = encode_cached(&raw(&refs)).unwrap();
            assert_eq!(decode_cached(&encoded, refs.len()).unwrap(), refs);
            if !refs.is_empty() {
                decode_cached(&encoded, refs.len() - 1).unwrap_err();
            }
        }
    }
}

#[test]
fn list_gives_what_it_holds() {
    let list = raw(&[3, 5, 8]);
    assert_eq!(
        (list.len(), list.byte_len(), list.is_empty()),
        (3, 12, false)
    );
    assert_eq!(
        (list.get(2), list.get(3), list.at(3)),
        (Some(8), None, u32::MAX)
    );
    assert_eq!(list.to_vec(), [3, 5, 8]);
    assert_eq!(Postings::Raw(list).into_vec(), [3, 5, 8]);
    assert_eq!(raw(&[]).seek(0, 1), 0);
}

#[test]
fn list_that_is_damaged() {
    for bytes in [
        &[][..],
        &[0, 0, 0],
        &[0, 0, 0, 1],
        &[0, 0, 0, 1, 9, 9, 9],
        &[0xff; 8],
    ] {
        let error = PostingsList::parse(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(error.kind(), rutile_model::ErrorKind::Corrupt);
    }
    let unordered = [0_u32, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1].map(|n| u8::try_from(n).unwrap());
    let bytes: Bytes = [&unordered[..], &crc32c(&unordered).to_be_bytes()]
        .concat()
        .into();
    assert_eq!(PostingsList::parse(&bytes).unwrap().to_vec(), [2, 1]);
    PostingsList::parse_checked(&bytes).unwrap_err();
    encode_cached(&PostingsList::parse(&bytes).unwrap()).unwrap_err();
}

#[test]
fn codec_of_older_releases_is_read() {
    // Differences 5, 0, 300 in one snappy block.
    let block = snap::raw::Encoder::new()
        .compress_vec(&[5, 0, 0xac, 0x02])
        .unwrap();
    let bytes = [b"dvs", block.as_slice()].concat();
    assert_eq!(decode_cached(&bytes, 10).unwrap(), [5, 5, 305]);
    decode_cached(&bytes, 2).unwrap_err();
    decode_cached(b"xyz123", 10).unwrap_err();
    decode_cached(b"", 10).unwrap_err();
    // A block that claims 4 GiB.
    decode_cached(b"dvs\xff\xff\xff\xff\x0f", usize::MAX).unwrap_err();
}

#[test]
fn codec_writes_a_stream_with_its_identifier() {
    let encoded = encode_cached(&vec![16, 32, 48]).unwrap();
    assert!(encoded.starts_with(b"dss\xff\x06\x00\x00sNaPpY"));
    let long: Vec<u32> = (0..100_000).map(|i| i * 7).collect();
    assert_eq!(
        decode_cached(&encode_cached(&long).unwrap(), long.len()).unwrap(),
        long
    );
}
