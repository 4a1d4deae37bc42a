//! The part of Go's templates that people use to list blocks: text, and fields such as `{{.ULID}}` or
//! `{{.Thanos.Labels.cluster}}`. Anything else is refused with a message that says so.

use anyhow::{Result, bail};
use serde_json::Value;

/// A parsed template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Vec<String>),
}

/// What Go prints for a field that JSON leaves out when it is empty.
#[derive(Debug, Clone, Copy)]
enum Absent {
    Empty,
    Zero,
    False,
    List,
    Map,
    Struct,
}

/// Go's name of each field of a block's metadata, its key in JSON, and what it is when that is absent.
const FIELDS: [(&str, &str, Absent); 32] = [
    ("ULID", "ulid", Absent::Empty),
    ("MinTime", "minTime", Absent::Zero),
    ("MaxTime", "maxTime", Absent::Zero),
    ("Version", "version", Absent::Zero),
    ("Stats", "stats", Absent::Struct),
    ("NumSamples", "numSamples", Absent::Zero),
    ("NumFloatSamples", "numFloatSamples", Absent::Zero),
    ("NumHistogramSamples", "numHistogramSamples", Absent::Zero),
    ("NumSeries", "numSeries", Absent::Zero),
    ("NumChunks", "numChunks", Absent::Zero),
    ("NumTombstones", "numTombstones", Absent::Zero),
    ("Compaction", "compaction", Absent::Struct),
    ("Level", "level", Absent::Zero),
    ("Sources", "sources", Absent::List),
    ("Deletable", "deletable", Absent::False),
    ("Parents", "parents", Absent::List),
    ("Failed", "failed", Absent::False),
    ("Hints", "hints", Absent::List),
    ("Thanos", "thanos", Absent::Struct),
    ("Labels", "labels", Absent::Map),
    ("Downsample", "downsample", Absent::Struct),
    ("Resolution", "resolution", Absent::Zero),
    ("Source", "source", Absent::Empty),
    ("SegmentFiles", "segment_files", Absent::List),
    ("Files", "files", Absent::List),
    ("Rewrites", "rewrites", Absent::List),
    ("IndexStats", "index_stats", Absent::Struct),
    ("SeriesMaxSize", "series_max_size", Absent::Zero),
    ("ChunkMaxSize", "chunk_max_size", Absent::Zero),
    ("Extensions", "extensions", Absent::Empty),
    ("UploadTime", "upload_time", Absent::Empty),
    ("BlockMeta", "", Absent::Struct),
];

impl Template {
    /// Parses a template and checks that its fields exist.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((action, remaining)) = after.split_once("}}") else {
                bail!("invalid template: `{{{{` without `}}}}` in {text:?}");
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Field(parse_field(action.trim())?));
            rest = remaining;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Fills in a block's metadata, given as JSON.
    pub(crate) fn render(&self, meta: &Value) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Field(path) => resolve(meta, path),
            })
            .collect()
    }
}

fn parse_field(action: &str) -> Result<Vec<String>> {
    let names: Vec<&str> = action.split('.').skip(1).collect();
    let plain =
        |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !action.starts_with('.') || !names.iter().all(plain) {
        bail!(
            "invalid template: {{{{{action}}}}} is not supported, only fields are: \
             {{{{.ULID}}}}, {{{{.Compaction.Level}}}}, {{{{.Thanos.Labels.cluster}}}}; \
             use -o json and jq for more"
        );
    }
    let mut in_map = false;
    for name in &names {
        if !in_map && !FIELDS.iter().any(|(go_name, ..)| go_name == name) {
            bail!(
                "invalid template: a block's metadata has no field {name:?} (in {{{{{action}}}}})"
            );
        }
        in_map = *name == "Labels";
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn resolve(meta: &Value, path: &[String]) -> String {
    let mut value = Some(meta);
    let mut absent = Absent::Empty;
    let mut in_map = false;
    for name in path {
        if in_map {
            // Go prints this for a key that a map of strings lacks, inside a template: nothing.
            value = value.and_then(|value| value.get(name.as_str()));
            absent = Absent::Empty;
        } else if let Some((_, key, default)) = FIELDS.iter().find(|(go_name, ..)| go_name == name)
        {
            absent = *default;
            if !key.is_empty() {
                value = value.and_then(|value| value.get(key));
            }
        }
        in_map = name == "Labels";
    }
    value
        .filter(|value| !value.is_null())
        .map_or_else(|| absent_text(absent), go_text)
}

fn absent_text(absent: Absent) -> String {
    match absent {
        Absent::Empty => "",
        Absent::Zero => "0",
        Absent::False => "false",
        Absent::List => "[]",
        Absent::Map => "map[]",
        Absent::Struct => "{}",
    }
    .to_owned()
}

/// A value as Go's `%v` prints it; structures as their fields' values in order.
fn go_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{key}:{}", go_text(value)))
                .collect();
            fields.sort();
            format!("map[{}]", fields.join(" "))
        }
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_filled_in() {
        let meta = json!({
            "ulid": "01M820Q9TTYVEY9S7VQHAQVG39",
            "minTime": 5,
            "stats": {"numSeries": 7},
            "compaction": {"level": 2, "sources": ["a", "b"]},
            "thanos": {"labels": {"replica": "a", "cluster": "eu1"}, "downsample": {"resolution": 0}},
        });
        for (template, expected) in [
            ("{{.ULID}}", "01M820Q9TTYVEY9S7VQHAQVG39"),
            (
                "{{ .BlockMeta.ULID }} {{.MinTime}}",
                "01M820Q9TTYVEY9S7VQHAQVG39 5",
            ),
            (
                "{{.Thanos.Labels.cluster}}/{{.Thanos.Labels.none}}.",
                "eu1/.",
            ),
            ("{{.Thanos.Labels}}", "map[cluster:eu1 replica:a]"),
            (
                "{{.Compaction.Sources}} {{.Compaction.Parents}}",
                "[a b] []",
            ),
            (
                "{{.Stats.NumSeries}} {{.Stats.NumChunks}} {{.Compaction.Failed}}",
                "7 0 false",
            ),
            ("plain", "plain"),
        ] {
            assert_eq!(
                Template::parse(template).unwrap().render(&meta),
                expected,
                "{template}"
            );
        }
    }

    #[test]
    fn anything_but_fields_is_refused() {
        for (template, message) in [
            ("{{.ULID", "without"),
            ("{{range .Files}}x{{end}}", "only fields"),
            ("{{.ULID | len}}", "only fields"),
            ("{{.Ulid}}", "no field \"Ulid\""),
            ("{{}}", "only fields"),
        ] {
            let error = Template::parse(template).unwrap_err().to_string();
            assert!(error.contains(message), "{template}: {error}");
        }
    }
}
