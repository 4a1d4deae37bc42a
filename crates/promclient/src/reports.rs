//! What a server reports beside its samples: rules, targets, metadata, exemplars, statistics.
//!
//! The JSON of the HTTP API, read into the messages of the StoreAPI's sister services.

mod exemplars;
mod metadata;
mod rules;
mod statistics;
mod targets;

use prost_types::Timestamp;
use rutile_model::Labels;
use rutile_proto::thanos::{Label, ZLabelSet};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Labels as a message.
fn label_set(labels: &Labels) -> ZLabelSet {
    let label = |(name, value): (&str, &str)| Label {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    ZLabelSet {
        labels: labels.iter().map(label).collect(),
    }
}

/// A time as the API writes it: RFC 3339; `null`, nothing and the empty text are none.
fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let wrong = |_| D::Error::custom(format!("{text:?} is no time as RFC 3339 has it"));
    text.parse().map(Some).map_err(wrong)
}

/// `null` is the default.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
