//! JSON that is kept as it is.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::go_json;

/// A JSON value whose meaning is somebody else's: keys in their order, numbers in their digits,
/// without white space.
#[derive(Clone)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Takes JSON text; `None` when it is not valid.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// One array of the elements of several, in order, each once; none when they have none. What is no array has none.
    pub(super) fn united<'a>(arrays: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut all: Vec<Box<RawValue>> = Vec::new();
        for array in arrays {
            let elements: Vec<Box<RawValue>> =
                serde_json::from_str(array.as_str()).unwrap_or_default();
            for element in elements {
                if all.iter().all(|known| known.get() != element.get()) {
                    all.push(element);
                }
            }
        }
        let text = serde_json::to_string(&all)
            .ok()
            .filter(|_| !all.is_empty())?;
        Self::from_text(&text)
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RawJson {}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let compact =
            String::from_utf8(go_json::compact(&raw)).map_err(serde::de::Error::custom)?;
        RawValue::from_string(compact)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}
