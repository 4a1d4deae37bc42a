use super::*;

#[test]
fn a_chunk_is_full_at_65535_samples() {
    let mut appender = XorAppender::new();
    for t in 0..i64::from(MAX_SAMPLES) {
        appender.append(t, 1.0).unwrap();
    }
    let before = appender.bytes().to_vec();
    assert!(matches!(
        appender.append(1 << 40, 1.0),
        Err(Error::Full { .. })
    ));
    assert_eq!(
        (appender.num_samples(), appender.bytes()),
        (MAX_SAMPLES, &before[..])
    );
    assert_eq!(
        XorIter::new(&before).unwrap().count(),
        usize::from(MAX_SAMPLES)
    );
}

#[test]
fn a_false_count_costs_no_memory_and_is_an_error() {
    let mut appender = XorAppender::new();
    appender.append(5, 1.0).unwrap();
    let mut bytes = appender.into_bytes();
    bytes[..2].fill(0xFF);
    let (mut times, mut values) = (Vec::new(), Vec::new());
    let error = decode_floats(&bytes, &mut times, &mut values).unwrap_err();
    assert_eq!(
        error.to_string(),
        "xor chunk is damaged at byte 11: expected more bits"
    );
    assert_eq!((&times[..], &values[..]), (&[5][..], &[1.0][..]));
    assert!(times.capacity() < 64);
    let mut iter = XorIter::new(&bytes).unwrap();
    assert!(iter.next().unwrap().is_ok() && iter.next().unwrap().is_err());
    assert!(iter.next().is_none());
}

#[test]
fn a_window_wider_than_a_float_is_damage() {
    let mut writer = BitWriter::new(&[0, 2]);
    writer.write_varint(5);
    writer.write_f64(1.0);
    writer.write_uvarint(15);
    // A new window with 31 leading and 63 significant bits.
    writer.write_bits((0b11 << 11) | (31 << 6) | 63, 13);
    writer.write_bits(0, 64);
    let error = XorIter::new(writer.bytes())
        .unwrap()
        .last()
        .unwrap()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("at most 64 leading and significant bits"),
        "{error}"
    );
}
