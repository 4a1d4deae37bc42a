//! Series as a table, as samples, and as JSON.
//!
//! Samples and JSON are written as they come; a table needs all its rows, which is why it has a limit.

mod rows;

use std::io::Write;

use anyhow::Result;
use rutile_chunk::Value;
use rutile_model::time::format_rfc3339;
use serde_json::json;

use super::Output;
use super::decode::{Series, Stream};
use super::histogram;
use crate::output::golang::{float, thousands};
use crate::output::screen::{Screen, Style};
use rows::{Rows, fold, metric};

/// Shows series one after the other.
#[derive(Debug)]
pub(super) struct Printer {
    output: Output,
    limit: i64,
    skip_chunks: bool,
    screen: Screen,
    rows: Rows,
    warnings: Vec<String>,
    shown: Totals,
}

#[derive(Debug, Default)]
struct Totals {
    series: u64,
    chunks: u64,
    samples: u64,
    entries: u64,
}

impl Printer {
    pub(super) fn new(output: Output, limit: i64, skip_chunks: bool, screen: Screen) -> Self {
        Self {
            output,
            limit,
            skip_chunks,
            screen,
            rows: Rows::default(),
            warnings: Vec::new(),
            shown: Totals::default(),
        }
    }

    /// Shows a series, or keeps it for the table.
    pub(super) fn series(&mut self, series: Series, out: &mut dyn Write) -> Result<()> {
        // A server may know nothing of limits.
        if self.limit > 0 && self.shown.series >= self.limit.unsigned_abs() {
            return Ok(());
        }
        self.shown.series += 1;
        for stream in &series.streams {
            self.shown.chunks += stream.chunks as u64;
            self.shown.samples += stream.samples.len() as u64;
        }
        match self.output {
            Output::Table => self.rows.push(series),
            Output::Samples => self.samples(&series, out)?,
            Output::Json => self.json(&series, out)?,
        }
        Ok(())
    }

    /// Keeps a warning for the end of the JSON.
    pub(super) fn warning(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Writes what remains.
    pub(super) fn finish(self, out: &mut dyn Write) -> Result<()> {
        match self.output {
            Output::Table => {
                if !self.rows.is_empty() {
                    out.write_all(self.rows.render(self.skip_chunks, self.screen).as_bytes())?;
                }
                writeln!(out, "{}", self.screen.paint(Style::Faint, self.summary()))?;
            }
            Output::Samples => {}
            Output::Json => {
                let (open, close) = if self.shown.entries == 0 {
                    (JSON_OPEN, "")
                } else {
                    ("", "\n")
                };
                let warnings = match self.warnings.as_slice() {
                    [] => String::new(),
                    warnings => format!(",\"warnings\":{}", json!(warnings)),
                };
                writeln!(out, "{open}{close}]}}{warnings}}}")?;
            }
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let Totals {
            series,
            chunks,
            samples,
            ..
        } = self.shown;
        let mut summary = format!("{} series", thousands(series));
        if !self.skip_chunks {
            summary += &format!(
                ", {} chunks, {} samples",
                thousands(chunks),
                thousands(samples)
            );
        }
        if self.limit > 0 && series >= self.limit.unsigned_abs() {
            summary += &format!("; the limit is {}, --limit 0 shows all", self.limit);
        }
        summary
    }

    fn samples(&self, series: &Series, out: &mut dyn Write) -> Result<()> {
        let heading = |aggregate: Option<&str>| match aggregate {
            Some(aggregate) => format!("{} {aggregate}", metric(&series.labels, &[])),
            None => metric(&series.labels, &[]),
        };
        if series.streams.is_empty() {
            writeln!(out, "{}", heading(None))?;
        }
        for stream in &series.streams {
            writeln!(
                out,
                "{}",
                self.screen.paint(Style::Heading, heading(stream.aggregate))
            )?;
            for sample in &stream.samples {
                writeln!(
                    out,
                    "  {}  {}",
                    format_rfc3339(sample.time_ms),
                    value_text(&sample.value)
                )?;
            }
        }
        Ok(())
    }

    fn json(&mut self, series: &Series, out: &mut dyn Write) -> Result<()> {
        let metric: serde_json::Map<_, _> = series
            .labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let empty = [Stream::default()];
        let streams = if series.streams.is_empty() {
            &empty
        } else {
            series.streams.as_slice()
        };
        for stream in streams {
            let mut entry = serde_json::Map::new();
            entry.insert("metric".to_owned(), metric.clone().into());
            if let Some(aggregate) = stream.aggregate {
                entry.insert("aggregate".to_owned(), aggregate.into());
            }
            let mut values = Vec::new();
            let mut histograms = Vec::new();
            for sample in &stream.samples {
                let seconds = seconds(sample.time_ms);
                fold(
                    &sample.value,
                    |value| values.push(json!([seconds, float(value)])),
                    |found| histograms.push(json!([seconds, histogram::json(found)])),
                );
            }
            if !values.is_empty() {
                entry.insert("values".to_owned(), values.into());
            }
            if !histograms.is_empty() {
                entry.insert("histograms".to_owned(), histograms.into());
            }
            let before = if self.shown.entries == 0 {
                JSON_OPEN
            } else {
                ","
            };
            write!(out, "{before}\n{}", serde_json::Value::Object(entry))?;
            self.shown.entries += 1;
        }
        Ok(())
    }
}

/// How the query API's answer begins.
const JSON_OPEN: &str = r#"{"status":"success","data":{"resultType":"matrix","result":["#;

/// One name or value a line.
pub(super) fn labels_text(
    found: &[String],
    limit: i64,
    screen: Screen,
    out: &mut dyn Write,
) -> Result<()> {
    for item in found {
        writeln!(out, "{item}")?;
    }
    if screen.width.is_some() && limit > 0 && found.len() as u64 >= limit.unsigned_abs() {
        let note = format!("the limit is {limit}, --limit 0 shows all");
        writeln!(out, "{}", screen.paint(Style::Faint, note))?;
    }
    Ok(())
}

/// Names or values in the form of Prometheus's query API.
pub(super) fn labels_json(
    found: &[String],
    warnings: &[String],
    out: &mut dyn Write,
) -> Result<()> {
    let mut answer = json!({ "status": "success", "data": found });
    if let (false, Some(fields)) = (warnings.is_empty(), answer.as_object_mut()) {
        fields.insert("warnings".to_owned(), json!(warnings));
    }
    writeln!(out, "{answer}")?;
    Ok(())
}

/// A time in the query API: seconds, with a fraction only where there is one.
fn seconds(ms: i64) -> serde_json::Value {
    if ms % 1000 == 0 {
        json!(ms / 1000)
    } else {
        json!(ms as f64 / 1000.0)
    }
}

fn value_text(value: &Value) -> String {
    fold(value, float, histogram::text)
}

#[cfg(test)]
mod tests {
    use rutile_chunk::Sample;
    use rutile_model::Labels;
    use rutile_model::labels::METRIC_NAME;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let mut builder = Labels::builder();
        for (name, value) in pairs {
            builder.set(*name, *value);
        }
        builder.build()
    }

    fn series(pod: &str, values: &[(i64, f64)]) -> Series {
        Series {
            labels: labels(&[(METRIC_NAME, "up"), ("cluster", "eu1"), ("pod", pod)]),
            streams: vec![Stream {
                chunks: 1,
                bytes: 40,
                samples: values
                    .iter()
                    .map(|&(time_ms, value)| Sample {
                        time_ms,
                        value: Value::Float(value),
                    })
                    .collect(),
                ..Stream::default()
            }],
        }
    }

    fn print(output: Output, limit: i64, all: &[Series]) -> String {
        let mut printer = Printer::new(output, limit, false, Screen::plain());
        let mut out = Vec::new();
        for series in all {
            printer.series(series.clone(), &mut out).unwrap();
        }
        printer.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_names_common_labels_once() {
        let all = [
            series("a", &[(0, 1.0), (1000, 0.5)]),
            series("b", &[(500, 2.0)]),
        ];
        assert_eq!(
            print(Output::Table, 0, &all),
            "all with {cluster=\"eu1\"}\n\
             SERIES       AGGREGATE  CHUNKS  BYTES  SAMPLES  FIRST                   LAST                    VALUE\n\
             up{pod=\"a\"}  raw             1     40        2  1970-01-01T00:00:00Z    1970-01-01T00:00:01Z    0.5\n\
             up{pod=\"b\"}  raw             1     40        1  1970-01-01T00:00:00.5Z  1970-01-01T00:00:00.5Z  2\n\
             2 series, 2 chunks, 3 samples\n"
        );
    }

    #[test]
    fn the_limit_holds_even_if_the_server_ignores_it() {
        let all = [series("a", &[(0, 1.0)]), series("b", &[(0, 1.0)])];
        let text = print(Output::Table, 1, &all);
        assert!(
            text.ends_with("1 series, 1 chunks, 1 samples; the limit is 1, --limit 0 shows all\n"),
            "{text}"
        );
    }

    #[test]
    fn samples_follow_their_series() {
        assert_eq!(
            print(Output::Samples, 0, &[series("a", &[(1500, f64::NAN)])]),
            "up{cluster=\"eu1\", pod=\"a\"}\n  1970-01-01T00:00:01.5Z  NaN\n"
        );
    }

    #[test]
    fn json_is_that_of_the_query_api() {
        let all = [series("a", &[(1500, 1.0)]), series("b", &[])];
        let answer: serde_json::Value =
            serde_json::from_str(&print(Output::Json, 0, &all)).unwrap();
        assert_eq!(
            answer,
            json!({"status": "success", "data": {"resultType": "matrix", "result": [
                {"metric": {"__name__": "up", "cluster": "eu1", "pod": "a"}, "values": [[1.5, "1"]]},
                {"metric": {"__name__": "up", "cluster": "eu1", "pod": "b"}},
            ]}})
        );
        let none: serde_json::Value = serde_json::from_str(&print(Output::Json, 0, &[])).unwrap();
        assert_eq!(none["data"]["result"], json!([]));
    }
}
