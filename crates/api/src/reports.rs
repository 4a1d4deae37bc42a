//! What components report of themselves: rules, alerts, targets, metadata, exemplars, statistics. As Thanos answers them
//! over HTTP, from the messages that it has for them over gRPC.
//!
//! The order of keys, and what is left out when it is empty, are those of the structs that Thanos gives to Go's encoder.

mod exemplars;
mod metadata;
mod rules;
mod statistics;
mod targets;

use prost_types::Timestamp;
use rutile_model::Labels;
use rutile_model::time::format_rfc3339;
use rutile_proto::thanos::ZLabelSet;
use serde_json::value::RawValue;

use crate::json::push_float;

pub use exemplars::exemplars;
pub use metadata::metadata;
pub use rules::{alerts, rules};
pub use statistics::tsdb_status;
pub use targets::targets;

/// JSON that is written already; null where there is none.
type Raw = Option<Box<RawValue>>;

/// Go's zero time, for what never happened.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn raw(push: impl FnOnce(&mut Vec<u8>)) -> Raw {
    let mut json = Vec::new();
    push(&mut json);
    RawValue::from_string(String::from_utf8(json).ok()?).ok()
}

/// A number as Go's encoder writes it. It refuses NaN and infinities, which become null here.
fn number(value: f64) -> Raw {
    let mut quoted = Vec::new();
    push_float(&mut quoted, value);
    let text = String::from_utf8(quoted).ok()?;
    let text = text.trim_matches('"');
    // An exponent has two digits otherwise.
    RawValue::from_string(text.replace("e-0", "e-")).ok()
}

fn labels(set: Option<&ZLabelSet>) -> Labels {
    let labels = set.map(|set| set.labels.as_slice()).unwrap_or_default();
    labels
        .iter()
        .map(|label| (&label.name, &label.value))
        .collect()
}

/// RFC 3339 with as many digits of a second as are needed, up to nine.
fn time(time: Option<&Timestamp>) -> String {
    let Some(time) = time else {
        return NEVER.to_owned();
    };
    let mut text = format_rfc3339(time.seconds.saturating_mul(1000));
    if let 1..1_000_000_000 = time.nanos
        && text.ends_with('Z')
    {
        text.pop();
        text += format!(".{:09}", time.nanos).trim_end_matches('0');
        text.push('Z');
    }
    text
}

#[cfg(test)]
mod tests;
