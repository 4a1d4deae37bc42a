//! What a query yields.

use std::sync::Arc;

use rutile_model::sample::is_stale_nan;
use rutile_model::{FloatHistogram, Labels, Samples};
use rutile_runtime::Reservation;

use super::annotation::Annotations;
use super::column::{Operand, Row, SampleValue};
use super::eval::Evaluator;
use super::memory::Held;
use super::observe::{Analysis, QueryStats};
use super::plan::Node;
use super::{Error, Result};
use crate::ast::{Expr, ValueType};

/// The result of a query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What it is.
    pub value: Value,
    /// What is worth knowing about it.
    pub annotations: Annotations,
    /// What the sources had to say.
    pub warnings: Vec<String>,
    /// Figures of its evaluation.
    pub stats: QueryStats,
    /// Figures of each part of the query, if [`super::EngineOptions::analyze`] asks for them.
    pub analysis: Option<Analysis>,
    /// What the value holds of the memory ledger; given back with the last clone.
    pub memory: Option<Arc<Reservation>>,
}

/// The value of a query.
#[derive(Debug, Clone)]
pub enum Value {
    /// A number: of an instant query.
    Scalar {
        /// Milliseconds since the Unix epoch.
        time_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text: of an instant query.
    String {
        /// Milliseconds since the Unix epoch.
        time_ms: i64,
        /// The text.
        value: String,
    },
    /// A sample of each series, in the order of the evaluation: of an instant query.
    Vector(Vec<InstantSample>),
    /// Samples of each series, sorted by labels: of a range query, or of a range vector.
    Matrix(Vec<RangeSeries>),
}

/// A sample of a series.
#[derive(Debug, Clone)]
pub struct InstantSample {
    /// Of its series.
    pub labels: Labels,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// What it is.
    pub value: SampleValue,
}

/// A series of a matrix.
#[derive(Debug, Clone)]
pub struct RangeSeries {
    /// Its labels.
    pub labels: Labels,
    /// Times in ms, and values.
    pub floats: Vec<(i64, f64)>,
    /// Times in ms, and values.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
}

/// Refuses what has no value at every step.
pub(crate) fn require_ranged(expr: &Expr) -> Result<()> {
    match expr.value_type() {
        ValueType::Scalar | ValueType::Vector => Ok(()),
        other => Err(Error::invalid(format!(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            other.documented()
        ))),
    }
}

impl Answer {
    pub(crate) fn new(value: Value, evaluator: &mut Evaluator<'_>) -> Self {
        let memory = evaluator.memory.hand_over(value.bytes());
        Self {
            value,
            memory: memory.map(Arc::new),
            annotations: std::mem::take(&mut evaluator.annotations),
            warnings: std::mem::take(&mut evaluator.warnings),
            stats: QueryStats {
                samples: evaluator.samples_read,
                peak_samples: evaluator.memory.peak().samples,
                peak_bytes: evaluator.memory.peak().bytes,
            },
            analysis: None,
        }
    }

    /// With the figures of each node of the plan, if these were observed.
    pub(crate) fn analyzed(mut self, plan: &Node<'_>, evaluator: &Evaluator<'_>) -> Self {
        self.analysis = evaluator.observed.analysis(plan);
        self
    }

    /// The value at the one step.
    pub(crate) fn instant(operand: Operand, evaluator: &mut Evaluator<'_>) -> Result<Self> {
        let time_ms = evaluator.steps.start;
        let value = match operand {
            Operand::Scalar(values) => Value::Scalar {
                time_ms,
                value: values.first().copied().unwrap_or(f64::NAN),
            },
            Operand::String(value) => Value::String { time_ms, value },
            Operand::Vector(rows) => {
                let rows = evaluator.without_dropped_names(rows)?;
                let samples = rows.into_iter().filter_map(|row| {
                    let value = row.column.get(0)?;
                    Some(InstantSample {
                        labels: row.labels,
                        time_ms,
                        value,
                    })
                });
                Value::Vector(samples.collect())
            }
        };
        Ok(Self::new(value, evaluator))
    }

    /// The values at all steps.
    pub(crate) fn range(operand: Operand, evaluator: &mut Evaluator<'_>) -> Result<Self> {
        let steps = evaluator.steps;
        let mut series: Vec<RangeSeries> = match operand {
            Operand::Scalar(values) => vec![RangeSeries {
                labels: Labels::empty(),
                floats: steps.times().zip(values).collect(),
                histograms: Vec::new(),
            }],
            Operand::String(_) => Vec::new(),
            Operand::Vector(rows) => {
                let rows = evaluator.without_dropped_names(rows)?;
                let mut series = Vec::with_capacity(rows.len());
                for row in rows {
                    evaluator.stop.check()?;
                    let of_row = Held::of_rows(std::slice::from_ref(&row)).bytes;
                    let ranged = ranged(row, steps.times());
                    evaluator.memory.exchange(of_row, ranged.bytes())?;
                    series.push(ranged);
                }
                series
            }
        };
        series.retain(|series| !series.floats.is_empty() || !series.histograms.is_empty());
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Self::new(Value::Matrix(series), evaluator))
    }

    /// All samples of a range vector.
    pub(crate) fn samples(
        series: Vec<(Labels, Samples)>,
        evaluator: &mut Evaluator<'_>,
    ) -> Result<Self> {
        let mut all = Vec::with_capacity(series.len());
        for (labels, samples) in series {
            evaluator.stop.check()?;
            let of_samples = Held::of_samples(&labels, &samples).bytes;
            let histograms = samples.histograms.iter().flatten().count();
            let mut out = RangeSeries {
                labels,
                floats: Vec::with_capacity(samples.len() - histograms),
                histograms: Vec::with_capacity(histograms),
            };
            for (i, time_ms) in samples.times.iter().enumerate() {
                match samples.histogram(i) {
                    Some(histogram) => out.histograms.push((*time_ms, Arc::clone(histogram))),
                    None => out.floats.push((*time_ms, samples.floats[i])),
                }
            }
            evaluator.memory.exchange(of_samples, out.bytes())?;
            all.push(out);
        }
        Ok(Self::new(Value::Matrix(all), evaluator))
    }
}

impl Value {
    /// The memory that it holds, bytes; histograms that it shares with nobody are counted whole.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Scalar { .. } => 0,
            Self::String { value, .. } => value.len() as u64,
            Self::Vector(samples) => samples.iter().map(InstantSample::bytes).sum(),
            Self::Matrix(series) => series.iter().map(RangeSeries::bytes).sum(),
        }
    }
}

impl InstantSample {
    fn bytes(&self) -> u64 {
        let histogram = match &self.value {
            SampleValue::Float(_) => 0,
            SampleValue::Histogram(histogram) => histogram.size(),
        };
        (size_of::<Self>() + self.labels.bytes() + histogram) as u64
    }
}

impl RangeSeries {
    fn bytes(&self) -> u64 {
        let histograms = self.histograms.iter().map(|(_, value)| value.size());
        let lists = self.floats.capacity() * size_of::<(i64, f64)>()
            + self.histograms.capacity() * size_of::<(i64, Arc<FloatHistogram>)>();
        (size_of::<Self>() + self.labels.bytes() + lists + histograms.sum::<usize>()) as u64
    }
}

fn ranged(row: Row, times: impl Iterator<Item = i64>) -> RangeSeries {
    let floats = row.column.floats.iter();
    let present = floats.filter(|value| !is_stale_nan(**value)).count();
    let mut out = RangeSeries {
        labels: row.labels,
        floats: Vec::with_capacity(present),
        histograms: Vec::new(),
    };
    for (step, time_ms) in times.enumerate() {
        match row.column.get(step) {
            Some(SampleValue::Float(value)) => out.floats.push((time_ms, value)),
            Some(SampleValue::Histogram(histogram)) => out.histograms.push((time_ms, histogram)),
            None => {}
        }
    }
    out
}
