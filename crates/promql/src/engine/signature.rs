//! Which series belong together: the part of their labels that counts.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rutile_model::Labels;

use super::eval::METRIC_NAME;

/// Separates names and values in a key; it cannot occur in UTF-8.
const SEPARATOR: u8 = 0xFF;

/// Numbers the parts of label sets: equal parts have equal numbers, in the order in which they are met.
#[derive(Debug)]
pub(crate) struct Signatures {
    names: Vec<Box<str>>,
    /// Whether `names` are the part, and not all but them.
    keep: bool,
    numbers: HashMap<Box<[u8]>, usize, FixedState>,
    key: Vec<u8>,
    /// Of all keys.
    key_bytes: usize,
}

impl Signatures {
    /// The part are the labels of these names: of `by` and `on`.
    pub(crate) fn keeping(names: &[String]) -> Self {
        Self::new(names.iter().map(String::as_str).collect(), true)
    }

    /// The part are all labels but those of these names and the metric's name: of `without` and `ignoring`.
    pub(crate) fn without(names: &[String]) -> Self {
        let names = names.iter().map(String::as_str);
        Self::new(names.chain([METRIC_NAME]).collect(), false)
    }

    fn new(names: Vec<&str>, keep: bool) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            keep,
            numbers: HashMap::default(),
            key: Vec::new(),
            key_bytes: 0,
        }
    }

    /// How many parts were met.
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The memory that the parts take, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<(Box<[u8]>, usize)>() + self.key_bytes
    }

    /// The number of the part of these labels.
    pub(crate) fn number(&mut self, labels: &Labels) -> usize {
        self.key.clear();
        for (name, value) in labels {
            if self.names.iter().any(|n| **n == *name) == self.keep {
                for text in [name, value] {
                    self.key.extend_from_slice(text.as_bytes());
                    self.key.push(SEPARATOR);
                }
            }
        }
        if let Some(number) = self.numbers.get(self.key.as_slice()) {
            return *number;
        }
        let number = self.numbers.len();
        self.key_bytes += self.key.len();
        self.numbers.insert(self.key.as_slice().into(), number);
        number
    }

    /// The part itself.
    pub(crate) fn part(&self, labels: &Labels) -> Labels {
        if self.keep {
            let kept = labels
                .iter()
                .filter(|(name, _)| self.names.iter().any(|n| **n == **name));
            kept.collect()
        } else {
            labels.without(&self.names)
        }
    }
}
