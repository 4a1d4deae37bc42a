//! Series as a table, as samples, and as JSON.
//!
//! Samples and JSON are written as they come; a table needs all its rows, which is why it has a limit.

use std::io::Write;

use anyhow::Result;
use rutile_chunk::{Sample, Value};
use rutile_model::labels::METRIC_NAME;
use rutile_model::time::format_rfc3339;
use rutile_model::{FloatHistogram, Labels};
use serde_json::json;

use super::Output;
use super::decode::{Series, Stream};
use super::histogram;
use crate::output::golang::{float, thousands};
use crate::output::screen::{Screen, Style};
use crate::output::table::{Cell, Column, Table};

/// Shows series one after the other.
#[derive(Debug)]
pub(super) struct Printer {
    output: Output,
    limit: i64,
    skip_chunks: bool,
    screen: Screen,
    /// For the table: each series with its streams' figures, samples dropped.
    rows: Vec<(Labels, Vec<Figures>)>,
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

/// What the table shows of a stream.
#[derive(Debug)]
struct Figures {
    aggregate: Option<&'static str>,
    chunks: usize,
    bytes: usize,
    samples: usize,
    first: Option<i64>,
    last: Option<Sample>,
}

impl From<Stream> for Figures {
    fn from(stream: Stream) -> Self {
        Self {
            aggregate: stream.aggregate,
            chunks: stream.chunks,
            bytes: stream.bytes,
            samples: stream.samples.len(),
            first: stream.samples.iter().map(|sample| sample.time_ms).min(),
            last: stream
                .samples
                .into_iter()
                .max_by_key(|sample| sample.time_ms),
        }
    }
}

impl Printer {
    pub(super) fn new(output: Output, limit: i64, skip_chunks: bool, screen: Screen) -> Self {
        Self {
            output,
            limit,
            skip_chunks,
            screen,
            rows: Vec::new(),
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
            Output::Table => {
                let figures = series.streams.into_iter().map(Figures::from).collect();
                self.rows.push((series.labels, figures));
            }
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
                    out.write_all(self.table().as_bytes())?;
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

    fn table(&self) -> String {
        let common = common_labels(self.rows.iter().map(|(labels, _)| labels));
        let mut text = String::new();
        if !common.is_empty() {
            let labels: Vec<_> = common.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
            let note = format!("all with {{{}}}\n", labels.join(", "));
            text += &self.screen.paint(Style::Faint, note);
        }
        let names: Vec<&str> = common.iter().map(|(name, _)| *name).collect();
        if self.skip_chunks {
            let mut table = Table::new([Column::left("SERIES", 0)]);
            for (labels, _) in &self.rows {
                table.row([metric(labels, &names).into()]);
            }
            return text + &table.render(self.screen);
        }
        let mut table = Table::new([
            Column::left("SERIES", 0),
            Column::left("AGGREGATE", 0),
            Column::right("CHUNKS", 2),
            Column::right("BYTES", 4),
            Column::right("SAMPLES", 0),
            Column::left("FIRST", 1),
            Column::left("LAST", 3),
            Column::left("VALUE", 0),
        ]);
        for (labels, streams) in &self.rows {
            for figures in streams {
                table.row(row(metric(labels, &names), figures));
            }
        }
        text + &table.render(self.screen)
    }
}

/// How the query API's answer begins.
const JSON_OPEN: &str = r#"{"status":"success","data":{"resultType":"matrix","result":["#;

fn row(series: String, figures: &Figures) -> Vec<Cell> {
    let last = figures.last.as_ref();
    vec![
        series.into(),
        figures.aggregate.unwrap_or("raw").into(),
        thousands(figures.chunks as u64).into(),
        thousands(figures.bytes as u64).into(),
        thousands(figures.samples as u64).into(),
        figures.first.map(format_rfc3339).unwrap_or_default().into(),
        last.map(|sample| format_rfc3339(sample.time_ms))
            .unwrap_or_default()
            .into(),
        last.map(|sample| value_summary(&sample.value))
            .unwrap_or_default()
            .into(),
    ]
}

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

/// The labels that all of several series have, the metric's name aside. A single series keeps its own.
fn common_labels<'a>(mut all: impl Iterator<Item = &'a Labels> + Clone) -> Vec<(&'a str, &'a str)> {
    if all.clone().nth(1).is_none() {
        return Vec::new();
    }
    let Some(first) = all.next() else {
        return Vec::new();
    };
    let mut common: Vec<_> = first
        .iter()
        .filter(|(name, _)| *name != METRIC_NAME)
        .collect();
    for labels in all {
        common.retain(|(name, value)| labels.get(name) == Some(value));
    }
    common
}

/// The labels as PromQL writes them, without those named in `hidden`.
fn metric(labels: &Labels, hidden: &[&str]) -> String {
    let name = labels.value(METRIC_NAME).to_owned();
    let mut rest = labels.without(hidden).to_builder();
    rest.remove(METRIC_NAME);
    let rest = rest.build();
    if rest.is_empty() && !name.is_empty() {
        name
    } else {
        format!("{name}{rest}")
    }
}

/// A time in the query API: seconds, with a fraction only where there is one.
fn seconds(ms: i64) -> serde_json::Value {
    if ms % 1000 == 0 {
        json!(ms / 1000)
    } else {
        json!(ms as f64 / 1000.0)
    }
}

/// Does one thing with a float and another with a histogram of any kind.
fn fold<T>(
    value: &Value,
    on_float: impl FnOnce(f64) -> T,
    on_histogram: impl FnOnce(&FloatHistogram) -> T,
) -> T {
    match value {
        Value::Float(value) => on_float(*value),
        Value::Histogram(histogram) => on_histogram(&histogram.to_float()),
        Value::FloatHistogram(histogram) => on_histogram(histogram),
    }
}

fn value_text(value: &Value) -> String {
    fold(value, float, histogram::text)
}

/// A value that leaves room for others in its row.
fn value_summary(value: &Value) -> String {
    fold(value, float, |found| {
        format!(
            "histogram of {}, sum {}",
            float(found.count),
            float(found.sum)
        )
    })
}

#[cfg(test)]
mod tests {
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
