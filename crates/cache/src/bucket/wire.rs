//! Values as bytes, for caches that processes share: the end of the lifetime, the kind, and what that kind has.
//!
//! Numbers are little-endian. What cannot be read is no value.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rutile_objstore::{Attributes, Entry};

use super::timed::Value;

const CONTENT: u8 = 0;
const EXISTS: u8 = 1;
const ATTRIBUTES: u8 = 2;
const LISTING: u8 = 3;

/// A value that lives until `until_ms`, in milliseconds since the Unix epoch.
pub(super) fn encode(value: &Value, until_ms: i64) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i64_le(until_ms);
    match value {
        Value::Content(content) => {
            out.put_u8(CONTENT);
            out.put_slice(content);
        }
        Value::Exists(exists) => {
            out.put_u8(EXISTS);
            out.put_u8((*exists).into());
        }
        Value::Attributes(attributes) => {
            out.put_u8(ATTRIBUTES);
            put_attributes(&mut out, attributes);
        }
        Value::Listing(entries) => {
            out.put_u8(LISTING);
            for entry in entries.iter() {
                out.put_u64_le(entry.key.len() as u64);
                out.put_slice(entry.key.as_bytes());
                out.put_u8(entry.attributes.is_some().into());
                if let Some(attributes) = &entry.attributes {
                    put_attributes(&mut out, attributes);
                }
            }
        }
    }
    out.freeze()
}

/// A value and until when it lives.
pub(super) fn decode(bytes: &Bytes) -> Option<(Value, i64)> {
    let mut rest = bytes.clone();
    let until_ms = rest.try_get_i64_le().ok()?;
    let value = match rest.try_get_u8().ok()? {
        CONTENT => Value::Content(std::mem::take(&mut rest)),
        EXISTS => Value::Exists(flag(&mut rest)?),
        ATTRIBUTES => Value::Attributes(attributes(&mut rest)?),
        LISTING => {
            let mut entries = Vec::new();
            while rest.has_remaining() {
                entries.push(entry(&mut rest)?);
            }
            Value::Listing(entries.into())
        }
        _ => return None,
    };
    rest.is_empty().then_some((value, until_ms))
}

fn entry(rest: &mut Bytes) -> Option<Entry> {
    let length = usize::try_from(rest.try_get_u64_le().ok()?).ok()?;
    if length > rest.len() {
        return None;
    }
    let key = String::from_utf8(rest.split_to(length).into()).ok()?;
    let attributes = if flag(rest)? {
        Some(attributes(rest)?)
    } else {
        None
    };
    Some(Entry { key, attributes })
}

fn flag(rest: &mut Bytes) -> Option<bool> {
    match rest.try_get_u8().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn attributes(rest: &mut Bytes) -> Option<Attributes> {
    Some(Attributes {
        size: rest.try_get_u64_le().ok()?,
        last_modified_ms: rest.try_get_i64_le().ok()?,
    })
}

fn put_attributes(out: &mut BytesMut, attributes: &Attributes) {
    out.put_u64_le(attributes.size);
    out.put_i64_le(attributes.last_modified_ms);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Vec<Value> {
        let attributes = Attributes {
            size: u64::MAX,
            last_modified_ms: -1,
        };
        let entry = |key: &str, attributes| Entry {
            key: key.to_owned(),
            attributes,
        };
        let entries = [
            entry("a/", None),
            entry("\u{e4}", Some(attributes)),
            entry("", None),
        ];
        vec![
            Value::Content(Bytes::new()),
            Value::Content(Bytes::from_static(b"abc")),
            Value::Exists(true),
            Value::Exists(false),
            Value::Attributes(attributes),
            Value::Listing([].into()),
            Value::Listing(entries.into()),
        ]
    }

    #[test]
    fn values_come_back_and_what_is_cut_off_does_not() {
        for value in values() {
            let encoded = encode(&value, -7);
            let (decoded, until_ms) = decode(&encoded).unwrap();
            assert_eq!(
                (format!("{decoded:?}"), until_ms),
                (format!("{value:?}"), -7)
            );
            for length in 0..encoded.len() {
                let decoded = decode(&encoded.slice(..length));
                // Content and listings may end anywhere, or at any entry: their digest is checked before.
                let may_end = matches!(value, Value::Content(_) | Value::Listing(_));
                assert!(decoded.is_none() || may_end, "{value:?} of {length} bytes");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, kind in 0..5_u8) {
            let mut told = [0; 9].to_vec();
            told[8] = kind;
            told.extend(bytes);
            // What comes of it does not matter.
            drop(decode(&told.into()));
        }
    }
}
