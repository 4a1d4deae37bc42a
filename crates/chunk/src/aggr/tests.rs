use super::*;

const A: Chunk<'_> = Chunk {
    encoding: Encoding::Xor,
    data: &[0, 1, 9, 9],
};
const B: Chunk<'_> = Chunk {
    encoding: Encoding::FloatHistogram,
    data: &[0, 2, 0],
};

#[test]
fn absent_aggregates_are_absent_wherever_they_stand() {
    for mask in 0..32 {
        let parts = [0, 1, 2, 3, 4]
            .map(|i| (mask & (1 << i) != 0).then_some(if i % 2 == 0 { A } else { B }));
        let bytes = AggrChunk::new(parts).encode();
        let parsed = AggrChunk::parse(&bytes).unwrap();
        assert_eq!(Aggregate::ALL.map(|aggregate| parsed.get(aggregate)), parts);
        assert_eq!(parsed.num_samples(), Ok(if mask & 1 == 0 { 0 } else { 1 }));
        assert_eq!(parsed.encode(), bytes);
    }
}

#[test]
fn damage_is_found_and_located() {
    let bytes = AggrChunk::new([Some(A), None, None, None, Some(B)]).encode();
    for end in 0..bytes.len() {
        AggrChunk::parse(&bytes[..end]).unwrap_err();
    }
    let mut long = bytes.clone();
    long.push(0);
    let error = AggrChunk::parse(&long).unwrap_err().to_string();
    assert!(
        error.ends_with("expected no bytes behind the fifth aggregate"),
        "{error}"
    );
    // No aggregates in aggregates, no unknown encodings, no lengths beyond the bytes.
    for bad in [
        &[1, 0xFF, 0, 0, 0, 0, 0][..],
        &[1, 9, 0, 0, 0, 0, 0],
        &[0xFF; 12],
        &[0xFF, 1, 1],
    ] {
        AggrChunk::parse(bad).unwrap_err();
    }
}
