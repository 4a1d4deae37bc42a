//! The table of series: a line for each series, or for each aggregate of it; labels that all have are said once.

use rutile_chunk::{Sample, Value};
use rutile_model::labels::METRIC_NAME;
use rutile_model::time::format_rfc3339;
use rutile_model::{FloatHistogram, Labels};

use super::super::decode::{Series, Stream};
use crate::output::golang::{float, thousands};
use crate::output::screen::{Screen, Style};
use crate::output::table::{Cell, Column, Table};

/// Each series with its streams' figures, samples dropped.
#[derive(Debug, Default)]
pub(super) struct Rows {
    series: Vec<(Labels, Vec<Figures>)>,
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

impl Rows {
    pub(super) fn push(&mut self, series: Series) {
        let figures = series.streams.into_iter().map(Figures::from).collect();
        self.series.push((series.labels, figures));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(super) fn render(&self, skip_chunks: bool, screen: Screen) -> String {
        let common = common_labels(self.series.iter().map(|(labels, _)| labels));
        let mut text = String::new();
        if !common.is_empty() {
            let labels: Vec<_> = common.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
            let note = format!("all with {{{}}}\n", labels.join(", "));
            text += &screen.paint(Style::Faint, note);
        }
        let names: Vec<&str> = common.iter().map(|(name, _)| *name).collect();
        if skip_chunks {
            let mut table = Table::new([Column::left("SERIES", 0)]);
            for (labels, _) in &self.series {
                table.row([metric(labels, &names).into()]);
            }
            return text + &table.render(screen);
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
        for (labels, streams) in &self.series {
            for figures in streams {
                table.row(row(metric(labels, &names), figures));
            }
        }
        text + &table.render(screen)
    }
}

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
pub(super) fn metric(labels: &Labels, hidden: &[&str]) -> String {
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

/// Does one thing with a float and another with a histogram of any kind.
pub(super) fn fold<T>(
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
