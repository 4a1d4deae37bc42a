//! One rule, as a file states it, checked and compiled when it is read.

use std::fmt;

use serde::{Deserialize, de};

use crate::{
    Error, Regex,
    quote::quote,
    regex::{CapturingRegex, Template},
};

const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REPLACEMENT: &str = "$1";

/// What a rule does. In files in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RelabelAction {
    /// Sets the target label to the replacement, if the source matches.
    #[default]
    Replace,
    /// Drops the set unless the source matches.
    Keep,
    /// Drops the set if the source matches.
    Drop,
    /// Drops the set unless the target label equals the source.
    KeepEqual,
    /// Drops the set if the target label equals the source.
    DropEqual,
    /// Sets the target label to the hash of the source modulo `modulus`.
    HashMod,
    /// Copies labels whose names match to the replacement as name.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Sets the target label to the source in lower case.
    Lowercase,
    /// Sets the target label to the source in upper case.
    Uppercase,
}

impl RelabelAction {
    const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    /// The name in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }
}

impl fmt::Display for RelabelAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RelabelAction {
    fn deserialize<D: de::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let name = String::deserialize(source)?;
        let named = |action: &Self| action.as_str() == name.to_lowercase();
        Self::ALL.into_iter().find(named).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            de::Error::custom(format!(
                "unknown relabel action {}: use {known}",
                quote(&name)
            ))
        })
    }
}

/// A rule. Deserializes from Prometheus' form, unknown fields refused, and is valid then.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Fields")]
pub struct RelabelConfig {
    pub(super) source_labels: Vec<String>,
    pub(super) separator: String,
    pub(super) modulus: u64,
    pub(super) target_label: String,
    pub(super) action: RelabelAction,
    pub(super) regex: std::sync::Arc<Regex>,
    /// For the actions that expand templates.
    pub(super) capturing: Option<CapturingRegex>,
    pub(super) target: Template,
    pub(super) replacement: Template,
}

/// The fields of a rule in a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    source_labels: Option<Vec<String>>,
    #[serde(default = "default_separator")]
    separator: String,
    #[serde(default = "default_regex")]
    regex: String,
    #[serde(default)]
    modulus: u64,
    #[serde(default)]
    target_label: String,
    #[serde(default = "default_replacement")]
    replacement: String,
    #[serde(default)]
    action: RelabelAction,
}

fn default_separator() -> String {
    DEFAULT_SEPARATOR.to_owned()
}

fn default_regex() -> String {
    DEFAULT_REGEX.to_owned()
}

fn default_replacement() -> String {
    DEFAULT_REPLACEMENT.to_owned()
}

impl TryFrom<Fields> for RelabelConfig {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self, Error> {
        let action = fields.action;
        fields
            .check()
            .map_err(|e| e.within(&format!("relabel rule {action}")))?;
        let context = |e: Error| e.within(&format!("relabel rule {action}: regex"));
        let expands = matches!(action, RelabelAction::Replace | RelabelAction::LabelMap);
        let capturing = expands.then(|| CapturingRegex::new(&fields.regex).map_err(context));
        Ok(Self {
            regex: Regex::new(&fields.regex).map_err(context)?.into(),
            capturing: capturing.transpose()?,
            target: Template::new(&fields.target_label),
            replacement: Template::new(&fields.replacement),
            source_labels: fields.source_labels.unwrap_or_default(),
            separator: fields.separator,
            modulus: fields.modulus,
            target_label: fields.target_label,
            action,
        })
    }
}

impl Fields {
    fn check(&self) -> Result<(), Error> {
        use RelabelAction::{
            DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace,
            Uppercase,
        };
        let action = self.action;
        let needs_target = matches!(
            action,
            Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual
        );
        let is_default = |value: &str, default: &str| value == default;
        let only_defaults = self.modulus == 0
            && is_default(&self.separator, DEFAULT_SEPARATOR)
            && is_default(&self.replacement, DEFAULT_REPLACEMENT);
        let problem = match action {
            HashMod if self.modulus == 0 => "set modulus to at least 1",
            _ if needs_target && self.target_label.is_empty() => "set target_label",
            Lowercase | Uppercase | KeepEqual | DropEqual
                if !is_default(&self.replacement, DEFAULT_REPLACEMENT) =>
            {
                "remove replacement"
            }
            LabelMap if self.replacement.is_empty() => "replacement must be a label name",
            KeepEqual | DropEqual if !only_defaults || !is_default(&self.regex, DEFAULT_REGEX) => {
                "keep only source_labels and target_label"
            }
            LabelDrop | LabelKeep
                if !only_defaults
                    || self.source_labels.is_some()
                    || !self.target_label.is_empty() =>
            {
                "keep only regex"
            }
            _ => return Ok(()),
        };
        Err(Error::invalid(problem))
    }
}

impl RelabelConfig {
    /// What the rule does.
    #[must_use]
    pub fn action(&self) -> RelabelAction {
        self.action
    }

    /// Checks that the rule can select the blocks of a shard: it must not change external labels.
    ///
    /// # Errors
    ///
    /// The action is none of `keep`, `drop` and `hashmod`.
    pub fn validate_for_sharding(&self) -> crate::Result<()> {
        match self.action {
            RelabelAction::Keep | RelabelAction::Drop | RelabelAction::HashMod => Ok(()),
            action => Err(Error::invalid(format!(
                "relabel action {action} cannot select blocks: use keep, drop or hashmod"
            ))),
        }
    }
}
