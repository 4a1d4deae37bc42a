//! Applies rules to label sets.

use md5::{Digest, Md5};

use super::{RelabelAction, RelabelConfig};
use crate::{Labels, LabelsBuilder};

/// Applies `rules` in order. `None` if one of them drops the set.
#[must_use]
pub fn process(labels: &Labels, rules: &[RelabelConfig]) -> Option<Labels> {
    let mut builder = labels.to_builder();
    rules
        .iter()
        .all(|rule| rule.apply(&mut builder))
        .then(|| builder.build())
}

impl RelabelConfig {
    /// Changes `labels`; false means to drop them.
    fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        let source = self.source(labels);
        match self.action {
            RelabelAction::Keep => return self.regex.is_match(&source),
            RelabelAction::Drop => return !self.regex.is_match(&source),
            RelabelAction::KeepEqual => return labels.value(&self.target_label) == source,
            RelabelAction::DropEqual => return labels.value(&self.target_label) != source,
            RelabelAction::Replace => self.replace(&source, labels),
            RelabelAction::HashMod => {
                let hash = hash(&source) % self.modulus.max(1);
                labels.set(&self.target_label, hash.to_string());
            }
            RelabelAction::Lowercase => {
                labels.set(&self.target_label, source.to_lowercase());
            }
            RelabelAction::Uppercase => {
                labels.set(&self.target_label, source.to_uppercase());
            }
            RelabelAction::LabelMap => self.map_names(labels),
            RelabelAction::LabelDrop => self.remove_names(labels, true),
            RelabelAction::LabelKeep => self.remove_names(labels, false),
        }
        true
    }

    fn source(&self, labels: &LabelsBuilder) -> String {
        let values: Vec<_> = self
            .source_labels
            .iter()
            .map(|name| labels.value(name))
            .collect();
        values.join(&self.separator)
    }

    fn replace(&self, source: &str, labels: &mut LabelsBuilder) {
        let Some(matched) = self.capturing.as_ref().and_then(|r| r.match_whole(source)) else {
            return;
        };
        let target = matched.expand(&self.target);
        if !target.is_empty() {
            labels.set(target, matched.expand(&self.replacement));
        }
    }

    fn map_names(&self, labels: &mut LabelsBuilder) {
        let Some(regex) = &self.capturing else {
            return;
        };
        let renamed: Vec<_> = labels
            .iter()
            .filter_map(|(name, value)| {
                Some((
                    regex.match_whole(name)?.expand(&self.replacement),
                    value.to_owned(),
                ))
            })
            .collect();
        for (name, value) in renamed {
            labels.set(name, value);
        }
    }

    fn remove_names(&self, labels: &mut LabelsBuilder, matching: bool) {
        let names: Vec<_> = labels
            .iter()
            .filter(|(name, _)| self.regex.is_match(name) == matching)
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in names {
            labels.remove(&name);
        }
    }
}

/// The last eight bytes of the MD5 sum, big-endian.
fn hash(text: &str) -> u64 {
    let sum: [u8; 16] = Md5::digest(text.as_bytes()).into();
    u128::from_be_bytes(sum) as u64
}
