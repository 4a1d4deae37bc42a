//! Keys of the index cache: owned in it, borrowed in a look-up.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;
use rutile_block::BlockId;

use crate::IndexItem;

#[derive(Debug, Clone)]
pub(super) enum Key {
    /// Name and value in one allocation, the name of this length.
    Postings(BlockId, Box<str>, u32),
    Expanded(BlockId, Box<str>),
    Series(BlockId, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KeyRef<'a> {
    Postings(BlockId, &'a str, &'a str),
    Expanded(BlockId, &'a str),
    Series(BlockId, u32),
}

impl Key {
    pub(super) fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Self::Postings(block, label, name_len) => {
                let (name, value) = label
                    .split_at_checked(*name_len as usize)
                    .unwrap_or((label, ""));
                KeyRef::Postings(*block, name, value)
            }
            Self::Expanded(block, matchers) => KeyRef::Expanded(*block, matchers),
            Self::Series(block, series) => KeyRef::Series(*block, *series),
        }
    }

    /// Bytes that the key owns besides itself.
    pub(super) fn heap_bytes(&self) -> u64 {
        match self {
            Self::Postings(_, text, _) | Self::Expanded(_, text) => text.len() as u64,
            Self::Series(..) => 0,
        }
    }
}

impl KeyRef<'_> {
    pub(super) fn to_key(self) -> Key {
        match self {
            Self::Postings(block, name, value) => {
                // A name has less than 4 GiB, as the format of an index demands.
                let name_len = u32::try_from(name.len()).unwrap_or(u32::MAX);
                Key::Postings(block, [name, value].concat().into(), name_len)
            }
            Self::Expanded(block, matchers) => Key::Expanded(block, matchers.into()),
            Self::Series(block, series) => Key::Series(block, series),
        }
    }

    pub(super) fn item(self) -> IndexItem {
        match self {
            Self::Postings(..) => IndexItem::Postings,
            Self::Expanded(..) => IndexItem::ExpandedPostings,
            Self::Series(..) => IndexItem::Series,
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.as_ref()
    }
}
