use proptest::prelude::*;

use super::*;

/// A frame whose whole length is `total`.
fn data(total: usize) -> Vec<u8> {
    vec![7; total - 1 - ENCODING_LEN - CHECKSUM_LEN]
}

fn chunks(data: &[Vec<u8>]) -> Vec<Chunk<'_>> {
    data.iter()
        .map(|data| Chunk {
            encoding: Encoding::Xor,
            data,
        })
        .collect()
}

#[test]
fn references_are_segment_and_offset() {
    let reference = ChunkRef::new(3, 0xFFFF_FFF0);
    assert_eq!(reference.as_u64(), 0x3_FFFF_FFF0);
    assert_eq!((reference.segment(), reference.offset()), (3, 0xFFFF_FFF0));
    assert_eq!(ChunkRef::from_u64(reference.as_u64()), reference);
}

#[test]
fn headers_other_than_version_1_are_refused() {
    assert_eq!(parse_header(&HEADER), Ok(()));
    for (offset, bad) in [(0, 0x84), (3, 0), (4, 2)] {
        let mut header = HEADER;
        header[offset] = bad;
        assert!(parse_header(&header).is_err());
    }
    assert_eq!(
        parse_header(&HEADER[..7]).unwrap_err().to_string(),
        "segment header is damaged at byte 7: expected 8 bytes"
    );
}

/// Segment limit, chunks of each series, segment and offset of each chunk.
type Cut = (u64, Vec<Vec<Vec<u8>>>, &'static [(u32, u32)]);

#[test]
fn series_are_cut_into_segments_by_the_longest_possible_frames() {
    // Frames of 100 bytes count as 104, of 50 as 54; a header is 8.
    let (long, short) = (data(100), data(50));
    let cases: [Cut; 5] = [
        // As many as fit, exactly.
        (
            216,
            vec![vec![long.clone(), long.clone(), long.clone()]],
            &[(0, 8), (0, 108), (1, 8)],
        ),
        // The second series begins in the first one's segment file.
        (
            216,
            vec![vec![long.clone()], vec![long.clone(), short.clone()]],
            &[(0, 8), (0, 108), (1, 8)],
        ),
        // It does not fit there: nothing is left empty.
        (
            150,
            vec![vec![long.clone()], vec![short.clone()]],
            &[(0, 8), (1, 8)],
        ),
        // A chunk that fits nowhere gets a file of its own.
        (
            50,
            vec![vec![long.clone(), short.clone()]],
            &[(0, 8), (1, 8)],
        ),
        (
            1 << 20,
            vec![vec![], vec![short.clone()], vec![short]],
            &[(0, 8), (0, 58)],
        ),
    ];
    for (limit, series, wanted) in cases {
        let mut writer = SegmentWriter::new(limit);
        assert_eq!(writer.segments(), 0);
        let (mut files, mut refs) = (vec![], vec![]);
        for data in series {
            let mut out = vec![];
            let cuts = writer.write(&chunks(&data), &mut out, &mut refs).unwrap();
            let mut rest = &out[..];
            for cut in cuts.iter().rev() {
                let (before, file) = rest.split_at(*cut);
                files.insert(
                    files.len() - cuts.iter().filter(|c| *c > cut).count(),
                    file.to_vec(),
                );
                rest = before;
            }
            if !rest.is_empty() {
                let last = files.len() - 1 - cuts.len();
                files[last].extend_from_slice(rest);
            }
        }
        let found: Vec<_> = refs.iter().map(|r| (r.segment(), r.offset())).collect();
        assert_eq!(found, wanted, "limit {limit}");
        assert_eq!(writer.segments() as usize, files.len());
        for r in refs {
            let file = &files[r.segment() as usize];
            parse_header(file).unwrap();
            let frame = parse_frame(file, r.offset() as usize, Verify::Checksum).unwrap();
            assert!(frame.data.iter().all(|byte| *byte == 7));
        }
    }
}

#[test]
fn damage_is_found_and_located() {
    let mut out = vec![];
    let data = [data(50)];
    SegmentWriter::new(1 << 20)
        .write(&chunks(&data), &mut out, &mut vec![])
        .unwrap();
    let whole = parse_frame(&out, 8, Verify::Checksum).unwrap();
    assert_eq!((whole.data, whole.total_len), (&data[0][..], 50));
    for bit in 8 * 8..out.len() * 8 {
        let mut damaged = out.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        parse_frame(&damaged, 8, Verify::Checksum).unwrap_err();
    }
    for end in 0..out.len() {
        let error = parse_frame(&out[..end], 8, Verify::Nothing).unwrap_err();
        assert_eq!(error.kind(), rutile_model::ErrorKind::Corrupt);
    }
    out[20] ^= 1;
    assert!(parse_frame(&out, 8, Verify::Nothing).is_ok());
    let error = parse_frame(&out, 8, Verify::Checksum).unwrap_err();
    assert!(
        matches!(error, Error::Checksum { offset: 8, .. }),
        "{error}"
    );
    // A hostile length is no reason to allocate or to overflow.
    let hostile = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1];
    assert_eq!(frame_len(&hostile), Ok(Some(5 + 1 + 0xFFFF_FFFF + 4)));
    parse_frame(&hostile, 0, Verify::Nothing).unwrap_err();
    parse_frame(&[0xFF; 20], 0, Verify::Nothing).unwrap_err();
    parse_frame(&hostile, usize::MAX, Verify::Nothing).unwrap_err();
    assert_eq!(frame_len(&[0x80]), Ok(None));
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, offset in 0_usize..64) {
        let _header = parse_header(&bytes);
        let _len = frame_len(&bytes);
        let _frame = parse_frame(&bytes, offset, Verify::Nothing);
    }
}
