//! Messages survive any cutting, compressed or not.

use proptest::{collection::vec, prelude::*};

use super::*;

const ALL: [Compression; 4] = [
    Compression::Identity,
    Compression::Gzip,
    Compression::Zstd,
    Compression::Snappy,
];

/// The messages as a body, each compressed or not as flagged.
fn body(messages: &[(Vec<u8>, bool)], compression: Compression) -> Bytes {
    let mut body = Vec::new();
    for (message, compress) in messages {
        let start = body.len();
        body.extend_from_slice(&[0; PREFIX]);
        let compress = *compress && compression != Compression::Identity;
        if compress {
            compression.compress(message, &mut body).unwrap();
        } else {
            body.extend_from_slice(message);
        }
        set_prefix(&mut body, start, compress).unwrap();
    }
    body.into()
}

fn deframe(mut body: Bytes, cuts: &[usize], deframer: &mut Deframer) -> Result<Vec<Bytes>> {
    let mut messages = Vec::new();
    let mut cuts = cuts.iter().cycle();
    while !body.is_empty() {
        let cut = body.len().min(*cuts.next().unwrap());
        deframer.push(body.split_to(cut));
        while let Some(frames) = deframer.next_frames()? {
            messages.extend(frames.messages());
        }
    }
    Ok(messages)
}

proptest! {
    #[test]
    fn any_cut(
        messages in vec((vec(0_u8..4, 0..400), any::<bool>()), 0..20),
        cuts in vec(1_usize..600, 1..10),
        compression in 0_usize..4,
    ) {
        let compression = ALL[compression];
        let mut deframer = Deframer::new(compression, 1 << 20);
        let found = deframe(body(&messages, compression), &cuts, &mut deframer).unwrap();
        let expected: Vec<_> = messages.into_iter().map(|(message, _)| Bytes::from(message)).collect();
        prop_assert_eq!(found, expected);
        prop_assert!(deframer.is_between_messages());
    }

    #[test]
    fn garbage_does_not_panic(bytes in vec(any::<u8>(), 0..100), cut in 1_usize..50, flag in 0_u8..3) {
        for compression in ALL {
            let mut garbage = vec![flag, 0, 0, 0, u8::try_from(bytes.len()).unwrap()];
            garbage.extend_from_slice(&bytes);
            for limit in [10, 1 << 20] {
                let mut deframer = Deframer::new(compression, limit);
                let _outcome = deframe(garbage.clone().into(), &[cut], &mut deframer);
            }
        }
    }
}

#[test]
fn limits_hold() {
    let long = vec![7; 1000];
    for compression in ALL {
        for (limit, fits) in [(1000, true), (999, false)] {
            let body = body(&[(long.clone(), true)], compression);
            let mut deframer = Deframer::new(compression, limit);
            let result = deframe(body, &[300], &mut deframer);
            assert_eq!(result.is_ok(), fits, "{compression:?} with limit {limit}");
        }
    }
}

#[test]
fn a_claimed_length_costs_nothing() {
    let mut deframer = Deframer::new(Compression::Identity, i32::MAX as usize);
    deframer.push(Bytes::from_static(&[0, 0x7f, 0xff, 0xff, 0xff, 1, 2]));
    assert!(deframer.next_frames().unwrap().is_none());
    assert!(deframer.partial.capacity() <= 2 * FIRST_RESERVE);
    assert!(!deframer.is_between_messages());
}

#[test]
fn compressed_without_announcement() {
    let mut deframer = Deframer::new(Compression::Identity, 100);
    deframer.push(Bytes::from_static(&[1, 0, 0, 0, 1, 9]));
    assert_eq!(
        deframer.next_frames().unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}
