//! Label sets from bytes.

use std::sync::Arc;

use super::{Inner, Iter, Labels};

/// Makes label sets of names and values that come as bytes, one set after the other, in memory that
/// it keeps: for those who read many series.
#[derive(Debug, Default)]
pub struct LabelsDecoder {
    /// Names and values as in [`Labels`].
    text: Vec<u8>,
    ends: Vec<u32>,
    /// Where the last name stands.
    last_name: std::ops::Range<usize>,
    /// Whether a name is not greater than the one before it.
    is_unsorted: bool,
}

impl LabelsDecoder {
    /// Adds a label, in any order; of equal names the last one counts.
    #[inline]
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.is_unsorted |= !self.ends.is_empty() && &self.text[self.last_name.clone()] >= name;
        for part in [name, value] {
            self.text.extend_from_slice(part);
            // As for all label sets: none has 4 GiB.
            self.ends
                .push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        }
        self.last_name = start..start + name.len();
    }

    /// The set of what was added since the last one; `None` if a name or a value is not UTF-8.
    #[must_use]
    pub fn take(&mut self) -> Option<Labels> {
        let labels = self.labels();
        self.clear();
        labels
    }

    /// Forgets what was added.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.is_unsorted = false;
    }

    fn labels(&self) -> Option<Labels> {
        if self.ends.is_empty() {
            return Some(Labels::empty());
        }
        // The parts are UTF-8 if the whole is, and no character lies in two of them.
        let text = str::from_utf8(&self.text).ok()?;
        let is_between = |end: &u32| text.is_char_boundary(*end as usize);
        if !self.ends.iter().all(is_between) {
            return None;
        }
        let ends = &*self.ends;
        if self.is_unsorted {
            return Some(Iter { text, ends, at: 0 }.collect());
        }
        Some(Labels(Some(Arc::new(Inner {
            text: text.into(),
            ends: ends.into(),
        }))))
    }
}
