//! Series, as selectors and functions over ranges look at them.

use std::sync::Arc;

use rutile_model::histogram::HistogramRows;
use rutile_model::sample::is_stale_nan;
use rutile_model::{CounterResetHint, FloatHistogram, Labels, Samples, WindowTimes};

use super::Result;
use super::column::{Column, SampleValue};
use super::steps::Steps;
use crate::source::Series;

/// A series as the evaluator has it: from a source, or from a subquery.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Source(Arc<dyn Series>),
    Computed(Computed),
}

/// A series that a subquery has computed. Its samples take thrice the memory of its column: they are made of it when
/// they are needed, and only while they are.
#[derive(Debug, Clone)]
pub(crate) struct Computed {
    pub(crate) labels: Labels,
    pub(crate) column: Arc<Column>,
    /// When it was computed.
    pub(crate) steps: Steps,
    pub(crate) hints: Hints,
    /// Whether the metric name is to go when the evaluation ends.
    pub(crate) drop_name: bool,
}

/// What becomes of the counter reset hints of a subquery. Of the sample before, in the source, they hold; of
/// the step before, which functions look at, they do not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hints {
    Kept,
    Dropped,
}

impl Computed {
    fn decode(&self, out: &mut Samples) {
        out.clear();
        out.reserve_exact(self.places());
        for (step, time) in self.steps.times().enumerate() {
            match self.column.get(step) {
                Some(SampleValue::Float(value)) => out.push_float(time, value),
                Some(SampleValue::Histogram(histogram)) => {
                    let histogram = match self.hints {
                        Hints::Kept => histogram,
                        Hints::Dropped => without_reset_hint(histogram),
                    };
                    out.push_histogram(time, histogram);
                }
                None => {}
            }
        }
    }

    /// How many steps have a value.
    fn places(&self) -> usize {
        let floats = self.column.floats.iter();
        let floats = floats.filter(|value| !is_stale_nan(**value)).count();
        floats + self.column.histograms.iter().flatten().count()
    }
}

impl Given {
    pub(crate) fn labels(&self) -> &Labels {
        match self {
            Self::Source(series) => series.labels(),
            Self::Computed(computed) => &computed.labels,
        }
    }

    /// Replaces what is in `out` by its samples. With `windows`, only the ends of these must be right
    /// ([`Series::decode_ends`]).
    pub(crate) fn decode(&self, windows: Option<&WindowTimes>, out: &mut Samples) -> Result<()> {
        match self {
            Self::Source(series) => match windows {
                Some(windows) => series.decode_ends(windows, out)?,
                None => series.decode(out)?,
            },
            Self::Computed(computed) => computed.decode(out),
        }
        Ok(())
    }

    /// Its histograms as rows; false if they cannot be ([`Series::decode_rows`]).
    pub(crate) fn decode_rows(
        &self,
        windows: &WindowTimes,
        out: &mut HistogramRows,
    ) -> Result<bool> {
        match self {
            Self::Source(series) => Ok(series.decode_rows(windows, out)?),
            Self::Computed(_) => Ok(false),
        }
    }

    /// What its samples take before they are decoded, about, bytes.
    pub(crate) fn encoded_bytes(&self) -> usize {
        match self {
            Self::Source(series) => series.encoded_bytes(),
            Self::Computed(computed) => computed.column.len() * size_of::<f64>(),
        }
    }

    /// The memory that its samples take at least when they are decoded, bytes; 0 if that is not known before.
    pub(crate) fn decoded_bytes(&self) -> usize {
        match self {
            Self::Source(_) => 0,
            Self::Computed(computed) => computed.places() * (size_of::<i64>() + size_of::<f64>()),
        }
    }

    /// Whether the metric name is to go when the evaluation ends.
    pub(crate) fn drop_name(&self) -> bool {
        match self {
            Self::Source(_) => false,
            Self::Computed(computed) => computed.drop_name,
        }
    }
}

/// The histogram with nothing known about resets; a gauge remains one.
fn without_reset_hint(mut histogram: Arc<FloatHistogram>) -> Arc<FloatHistogram> {
    use CounterResetHint::{NotReset, Reset, Unknown};
    if matches!(histogram.counter_reset_hint, Reset | NotReset) {
        Arc::make_mut(&mut histogram).counter_reset_hint = Unknown;
    }
    histogram
}
