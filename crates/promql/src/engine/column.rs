//! Rows of values: a series, and one place for each step.

use std::sync::Arc;

use rutile_model::histogram::HistogramMatrix;
use rutile_model::sample::{STALE_NAN, is_stale_nan};
use rutile_model::{FloatHistogram, Labels};

/// A float or a native histogram.
#[derive(Debug, Clone)]
pub enum SampleValue {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

/// The values of one series at all steps. A place without a value holds the marker of staleness, which no
/// evaluation yields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Column {
    /// One for each step; absent also where there is a histogram.
    pub(crate) floats: Vec<f64>,
    /// Empty, or one place for each step.
    pub(crate) histograms: Vec<Option<Arc<FloatHistogram>>>,
}

impl Column {
    /// A column of so many places without a value.
    pub(crate) fn absent(steps: usize) -> Self {
        Self {
            floats: vec![STALE_NAN; steps],
            histograms: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.floats.len()
    }

    pub(crate) fn float(&self, step: usize) -> Option<f64> {
        let value = *self.floats.get(step)?;
        (!is_stale_nan(value)).then_some(value)
    }

    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(step)?.as_ref()
    }

    pub(crate) fn get(&self, step: usize) -> Option<SampleValue> {
        if let Some(histogram) = self.histogram(step) {
            return Some(SampleValue::Histogram(Arc::clone(histogram)));
        }
        self.float(step).map(SampleValue::Float)
    }

    pub(crate) fn is_present(&self, step: usize) -> bool {
        self.float(step).is_some() || self.histogram(step).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        !(0..self.len()).any(|step| self.is_present(step))
    }

    /// A column of histograms with the same buckets.
    pub(crate) fn of_alike(histograms: &HistogramMatrix) -> Self {
        let histograms = histograms.histograms();
        let histograms: Vec<_> = histograms.map(|h| h.map(Arc::new)).collect();
        Self {
            floats: vec![STALE_NAN; histograms.len()],
            histograms,
        }
    }

    /// Puts a value, or none, in place of what was there.
    pub(crate) fn set(&mut self, step: usize, value: Option<SampleValue>) {
        let (float, histogram) = match value {
            None => (STALE_NAN, None),
            Some(SampleValue::Float(value)) => (value, None),
            Some(SampleValue::Histogram(histogram)) => (STALE_NAN, Some(histogram)),
        };
        if histogram.is_some() && self.histograms.is_empty() {
            self.histograms.resize(self.floats.len(), None);
        }
        if let Some(place) = self.histograms.get_mut(step) {
            *place = histogram;
        }
        if let Some(place) = self.floats.get_mut(step) {
            *place = float;
        }
    }
}

/// A series of a vector.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) labels: Labels,
    /// Whether the metric name is to go when the evaluation ends (delayed name removal).
    pub(crate) drop_name: bool,
    pub(crate) column: Column,
    /// Histograms with the same buckets, on their way into a sum, in place of the column.
    pub(crate) alike: Option<Box<HistogramMatrix>>,
}

impl Row {
    pub(crate) fn new(labels: Labels, column: Column) -> Self {
        Self {
            labels,
            drop_name: false,
            column,
            alike: None,
        }
    }

    /// A row on its way into a sum.
    pub(crate) fn alike(labels: Labels, histograms: HistogramMatrix) -> Self {
        Self {
            alike: Some(Box::new(histograms)),
            ..Self::new(labels, Column::default())
        }
    }
}

/// The value of an expression at all steps. Range vectors are no values: whoever takes one evaluates its
/// selector or subquery itself.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    /// One number for each step.
    Scalar(Vec<f64>),
    /// Rows, each label set once unless name removal is delayed; rows without any value may be among them.
    Vector(Vec<Row>),
    String(String),
}

impl Operand {
    /// The same at each of so many steps, of what was computed at one.
    pub(crate) fn spread(self, steps: usize) -> Self {
        match self {
            Self::Scalar(values) => {
                let value = values.first().copied().unwrap_or(f64::NAN);
                Self::Scalar(vec![value; steps])
            }
            Self::Vector(mut rows) => {
                for column in rows.iter_mut().map(|row| &mut row.column) {
                    let float = column.floats.first().copied().unwrap_or(STALE_NAN);
                    column.floats.resize(steps, float);
                    if let Some(histogram) = column.histograms.first().cloned() {
                        column.histograms.resize(steps, histogram);
                    }
                }
                Self::Vector(rows)
            }
            Self::String(text) => Self::String(text),
        }
    }

    /// How many rows there are; a scalar is one.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Scalar(_) => 1,
            Self::Vector(rows) => rows.len(),
            Self::String(_) => 0,
        }
    }

    /// The numbers; for what the parser said is a scalar.
    pub(crate) fn into_scalar(self) -> Vec<f64> {
        match self {
            Self::Scalar(values) => values,
            Self::Vector(_) | Self::String(_) => Vec::new(),
        }
    }

    /// The rows; for what the parser said is a vector.
    pub(crate) fn into_vector(self) -> Vec<Row> {
        match self {
            Self::Vector(rows) => rows,
            Self::Scalar(_) | Self::String(_) => Vec::new(),
        }
    }

    /// The text; for what the parser said is a string.
    pub(crate) fn into_string(self) -> String {
        match self {
            Self::String(text) => text,
            Self::Scalar(_) | Self::Vector(_) => String::new(),
        }
    }
}
