//! Block identifiers: ULIDs, 48 bits of creation time in ms and 80 bits of entropy.

use std::fmt;
use std::str::FromStr;

use rutile_runtime::Entropy;
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Crockford's base 32.
const ALPHABET: [u8; 32] = *b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TEXT_LEN: usize = 26;
/// What the lenient decoder gives for a character that is not in the alphabet.
const GARBAGE: u8 = 0xFF;
const DECODE: [u8; 256] = decode_table();

/// The name of a block. Ordered by creation time, as its text is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BlockId([u8; 16]);

/// A text that is not a block identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a block id: a ULID has 26 characters of 0-9 and A-Z without I, L, O, U, the first at most 7"
)]
pub struct InvalidBlockId;

impl BlockId {
    /// The identifier with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, most significant first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A new identifier. `now_ms` is cut to the 48 bits that a ULID holds, from 1970 to the year 10889.
    #[must_use]
    pub fn generate(now_ms: i64, entropy: &dyn Entropy) -> Self {
        let time = u64::try_from(now_ms).unwrap_or(0).min((1 << 48) - 1);
        let mut random = [0_u8; 10];
        entropy.fill(&mut random);
        Self::from_parts(time, random)
    }

    /// An identifier of a known time (ms since the epoch, 48 bits) and known entropy.
    #[must_use]
    pub fn from_parts(time_ms: u64, entropy: [u8; 10]) -> Self {
        let [_, _, t0, t1, t2, t3, t4, t5] = time_ms.to_be_bytes();
        let [e0, e1, e2, e3, e4, e5, e6, e7, e8, e9] = entropy;
        Self([
            t0, t1, t2, t3, t4, t5, e0, e1, e2, e3, e4, e5, e6, e7, e8, e9,
        ])
    }

    /// When it was made, by its maker's clock: ms since the Unix epoch.
    #[must_use]
    pub fn time_ms(&self) -> i64 {
        self.0
            .iter()
            .take(6)
            .fold(0, |time, byte| (time << 8) | i64::from(*byte))
    }

    /// Reads the name of a folder as Thanos does when it lists a bucket: 26 bytes of which the
    /// first is at most `7`. Lower case counts as upper case, and characters outside the alphabet
    /// are let through as garbage bits, so that both see the same folders as blocks.
    #[must_use]
    pub fn parse_dir_name(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        if bytes.len() != TEXT_LEN || *bytes.first()? > b'7' {
            return None;
        }
        // Character j holds the bits [5j-2, 5j+3) of the 128. The shifts are those of bytes, so
        // that garbage spills into the same neighbours as there.
        let mut id = [0_u8; 16];
        for (j, character) in bytes.iter().enumerate() {
            let value = DECODE
                .get(usize::from(*character))
                .copied()
                .unwrap_or(GARBAGE);
            let (start, end) = ((5 * j).saturating_sub(2), 5 * j + 3);
            let last = (end - 1) / 8;
            let shift = 8 * (last + 1) - end;
            *id.get_mut(last)? |= value << shift;
            if start / 8 != last {
                *id.get_mut(start / 8)? |= value >> (8 - shift);
            }
        }
        Some(Self(id))
    }

    /// Whether `name` is this identifier's own spelling. Only below such a folder does anything lie
    /// that a key made from the identifier reaches.
    #[must_use]
    pub fn is_canonical(&self, name: &str) -> bool {
        self.text() == name.as_bytes()
    }

    fn text(&self) -> [u8; TEXT_LEN] {
        let bits = u128::from_be_bytes(self.0);
        let mut text = [b'0'; TEXT_LEN];
        for (j, character) in text.iter_mut().enumerate() {
            let shift = 5 * (TEXT_LEN - 1 - j);
            let digit = usize::from(
                bits.checked_shr(u32::try_from(shift).unwrap_or(0))
                    .unwrap_or(0)
                    .to_le_bytes()[0]
                    & 31,
            );
            *character = ALPHABET.get(digit).copied().unwrap_or(b'0');
        }
        text
    }
}

impl FromStr for BlockId {
    type Err = InvalidBlockId;

    /// Strict: every character must be one of the alphabet, in either case.
    fn from_str(text: &str) -> Result<Self, InvalidBlockId> {
        let known = |c: u8| DECODE.get(usize::from(c)).is_some_and(|v| *v != GARBAGE);
        if !text.bytes().all(known) {
            return Err(InvalidBlockId);
        }
        Self::parse_dir_name(text).ok_or(InvalidBlockId)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        f.pad(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for BlockId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text();
        serializer.serialize_str(str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for BlockId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = BlockId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a ULID")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<BlockId, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

const fn decode_table() -> [u8; 256] {
    let mut table = [GARBAGE; 256];
    let mut digit = 0;
    while digit < 32 {
        #[expect(
            clippy::indexing_slicing,
            reason = "evaluated by the compiler, within bounds"
        )]
        let character = ALPHABET[digit];
        #[expect(
            clippy::indexing_slicing,
            clippy::cast_possible_truncation,
            reason = "evaluated by the compiler, within bounds"
        )]
        {
            table[character as usize] = digit as u8;
            table[character.to_ascii_lowercase() as usize] = digit as u8;
        }
        digit += 1;
    }
    table
}

#[cfg(test)]
mod tests;
