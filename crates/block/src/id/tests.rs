use super::*;

#[derive(Debug)]
struct Fixed(u8);

impl Entropy for Fixed {
    fn next_u64(&self) -> u64 {
        u64::from_be_bytes([self.0; 8])
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

/// The reference decoder, spelled out byte by byte from the ULID layout.
fn spelled_out(name: &[u8]) -> [u8; 16] {
    let d = |i: usize| DECODE[usize::from(name[i])];
    let mut id = [0; 16];
    id[0] = (d(0) << 5) | d(1);
    id[1] = (d(2) << 3) | (d(3) >> 2);
    id[2] = (d(3) << 6) | (d(4) << 1) | (d(5) >> 4);
    id[3] = (d(5) << 4) | (d(6) >> 1);
    id[4] = (d(6) << 7) | (d(7) << 2) | (d(8) >> 3);
    id[5] = (d(8) << 5) | d(9);
    for half in 0..2 {
        let (b, c) = (6 + 5 * half, 10 + 8 * half);
        id[b] = (d(c) << 3) | (d(c + 1) >> 2);
        id[b + 1] = (d(c + 1) << 6) | (d(c + 2) << 1) | (d(c + 3) >> 4);
        id[b + 2] = (d(c + 3) << 4) | (d(c + 4) >> 1);
        id[b + 3] = (d(c + 4) << 7) | (d(c + 5) << 2) | (d(c + 6) >> 3);
        id[b + 4] = (d(c + 6) << 5) | d(c + 7);
    }
    id
}

#[test]
fn text_and_bytes_round_trip() {
    for text in [
        "01M820PHAWJ4QN17XR7HF3SM97",
        "00000000000000000000000000",
        "7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
    ] {
        let id: BlockId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(*id.as_bytes(), spelled_out(text.as_bytes()));
        assert_eq!(BlockId::parse_dir_name(text), Some(id));
        assert!(id.is_canonical(text));
        let lower = text.to_lowercase();
        assert_eq!(lower.parse::<BlockId>(), Ok(id));
        assert_eq!(id.is_canonical(&lower), lower == text);
    }
}

#[test]
fn garbage_is_a_block_for_the_lister_only() {
    for name in [
        "!!!!!!!!!!!!!!!!!!!!!!!!!!",
        "01M820PHAWJ4QN17XR7HF3SMIL",
        "0_M820PH-WJ4QN17XR7HFuSM9U",
    ] {
        let id = BlockId::parse_dir_name(name).unwrap();
        assert_eq!(*id.as_bytes(), spelled_out(name.as_bytes()), "{name}");
        assert_eq!(name.parse::<BlockId>(), Err(InvalidBlockId));
        assert!(!id.is_canonical(name));
    }
}

#[test]
fn neither_reader_takes_other_lengths_or_overflow() {
    for name in [
        "",
        "debug",
        "01M820PHAWJ4QN17XR7HF3SM9",
        "01M820PHAWJ4QN17XR7HF3SM977",
        "80000000000000000000000000",
    ] {
        assert_eq!(BlockId::parse_dir_name(name), None);
        assert!(name.parse::<BlockId>().is_err());
    }
}

#[test]
fn generated_ids_carry_their_time() {
    let id = BlockId::generate(1_767_247_200_123, &Fixed(0xAB));
    assert_eq!(id.time_ms(), 1_767_247_200_123);
    assert_eq!(id.as_bytes()[6..], [0xAB; 10]);
    assert_eq!(BlockId::generate(-5, &Fixed(0)).time_ms(), 0);
    assert_eq!(
        BlockId::generate(i64::MAX, &Fixed(0)).time_ms(),
        (1 << 48) - 1
    );
}

#[test]
fn order_is_that_of_the_text() {
    let mut ids: Vec<BlockId> = (0..200_u64)
        .map(|i| {
            BlockId::from_parts(
                i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16,
                [u8::try_from(i).unwrap(); 10],
            )
        })
        .collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|w| w[0].to_string() < w[1].to_string()));
}
