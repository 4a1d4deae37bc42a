//! Label sets as the bytes in which they leave: the repeated field `labels` of a StoreAPI `Series`.
//!
//! A label set is encoded once, when its series entry is decoded. From then on it is compared,
//! merged and sent as a slice: two equal sets are equal bytes, and the order of two different ones
//! is found by walking both to the first label that differs.

use std::cmp::Ordering;

const NAME_FIELD: u8 = 0x0a; // field 1, length-delimited

/// Reads a varint of our own making: it is complete, and fits.
fn take_varint(bytes: &[u8]) -> (usize, usize) {
    let (mut value, mut shift) = (0usize, 0);
    for (i, byte) in bytes.iter().enumerate() {
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (value, i + 1);
        }
        shift += 7;
    }
    (value, bytes.len())
}

/// Splits the first label off: its name, its value, the rest.
fn split_label(block: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (&_tag, rest) = block.split_first()?;
    let (len, used) = take_varint(rest);
    let (label, rest) = rest[used..].split_at(len);
    let (mut name, mut value) = (&label[..0], &label[..0]);
    let mut fields = label;
    while let Some((&tag, after)) = fields.split_first() {
        let (len, used) = take_varint(after);
        let (text, after) = after[used..].split_at(len);
        if tag == NAME_FIELD {
            name = text;
        } else {
            value = text;
        }
        fields = after;
    }
    Some((name, value, rest))
}

/// The labels of a block, in order.
pub(crate) fn labels(mut block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (name, value, rest) = split_label(block)?;
        block = rest;
        Some((name, value))
    })
}

/// Orders two label sets as Prometheus does: label by label, name before value, a prefix first.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (mut a, mut b) = (a, b);
    loop {
        match (split_label(a), split_label(b)) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some((a_name, a_value, a_rest)), Some((b_name, b_value, b_rest))) => {
                let order = a_name.cmp(b_name).then_with(|| a_value.cmp(b_value));
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (a_rest, b_rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use rutile_proto::thanos;
    use rutile_storeapi::encode_label;

    use super::*;

    type Pairs = Vec<(String, String)>;

    fn block(pairs: &Pairs) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in pairs {
            encode_label(&mut out, name.as_bytes(), value.as_bytes());
        }
        out
    }

    proptest! {
        #[test]
        fn a_block_is_what_prost_writes(
            pairs in prop::collection::vec(("[a-c]{0,3}", "[x-z]{0,200}"), 0..6)
        ) {
            let labels = pairs.iter().map(|(name, value)| thanos::Label {
                name: name.clone(),
                value: value.clone(),
            });
            let series = thanos::Series { labels: labels.collect(), chunks: Vec::new() };
            prop_assert_eq!(series.encode_to_vec(), block(&pairs));
            let back: Pairs = labels_of(&block(&pairs));
            prop_assert_eq!(back, pairs);
        }

        #[test]
        fn blocks_are_ordered_as_their_labels(
            a in prop::collection::vec(("[ab]{1,2}", "[xy]{0,130}"), 0..4),
            b in prop::collection::vec(("[ab]{1,2}", "[xy]{0,130}"), 0..4),
        ) {
            prop_assert_eq!(compare(&block(&a), &block(&b)), a.cmp(&b));
        }
    }

    fn labels_of(block: &[u8]) -> Pairs {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        labels(block)
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }
}
