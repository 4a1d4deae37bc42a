//! `sum` and `avg` where a group has histograms.

use std::sync::Arc;

use rutile_model::histogram::{
    Compensation, HistogramError, HistogramSum, HistogramSums, Reconciled,
};
use rutile_model::{CounterResetHint, FloatHistogram};

use super::float::Floats;
use crate::ast::Span;
use crate::engine::annotation::Annotations;
use crate::engine::column::{Column, Row, SampleValue};
use crate::engine::eval::METRIC_NAME;

/// The histograms of a group so far, at each step.
#[derive(Debug)]
pub(super) struct Histograms {
    steps: Vec<Running>,
}

/// The histograms of a group at one step, as far as they were taken in.
#[derive(Debug, Default)]
struct Running {
    count: f64,
    has_float: bool,
    /// None if the first value was a float: what follows is of no use then.
    sum: Option<FloatHistogram>,
    /// The mean, from the moment on at which the sum would be infinite.
    mean: Option<Box<FloatHistogram>>,
    /// What the sum, or the mean, lost to rounding.
    carry: Compensation,
    has_histogram: bool,
    is_incompatible: bool,
    reset_seen: bool,
    no_reset_seen: bool,
}

impl Histograms {
    /// Before the first histogram, behind some floats.
    pub(super) fn new(floats: &Floats, steps: usize) -> Self {
        let behind = |step| {
            let mut running = Running::default();
            if floats.is_present(step) {
                running.take_float();
            }
            running
        };
        Self {
            steps: (0..steps).map(behind).collect(),
        }
    }

    /// Behind what was added number by number.
    pub(super) fn of_sums(sums: HistogramSums) -> Self {
        let behind = |sum: Option<HistogramSum>| {
            let Some((sum, carry)) = sum else {
                return Running::default();
            };
            Running {
                count: 1.0,
                sum: Some(sum),
                carry,
                has_histogram: true,
                ..Running::default()
            }
        };
        Self {
            steps: sums.into_sums().map(behind).collect(),
        }
    }

    /// About how many bytes it holds: as if all steps had sums like the first one.
    pub(super) fn bytes(&self) -> usize {
        let first = self.steps.iter().find_map(|running| running.sum.as_ref());
        // The carry is a histogram too.
        let sum = 2 * first.map_or(0, FloatHistogram::size);
        self.steps.len() * (size_of::<Running>() + sum)
    }

    /// Takes a row in.
    pub(super) fn take(
        &mut self,
        row: &Row,
        averages: bool,
        span: Span,
        annotations: &mut Annotations,
    ) {
        for (step, running) in self.steps.iter_mut().enumerate() {
            let Some(histogram) = row.column.histogram(step) else {
                if row.column.float(step).is_some() {
                    running.take_float();
                }
                continue;
            };
            match running.take(histogram, averages) {
                Ok(true) => {
                    let message = "mismatched custom buckets were reconciled during aggregation";
                    annotations.info(span, message);
                }
                Err(HistogramError::MixedSchemas) => {
                    let name = rutile_model::quote(row.labels.value(METRIC_NAME));
                    let message = format!(
                        "vector contains a mix of histograms with exponential and custom buckets \
                         schemas for metric name {name}"
                    );
                    annotations.warn(span, message);
                }
                Ok(false) | Err(_) => {}
            }
        }
    }

    /// Puts the sum or the average of each step that has histograms, or nothing if there are floats among
    /// them, or histograms that cannot be added up.
    pub(super) fn finish(
        self,
        column: &mut Column,
        averages: bool,
        span: Span,
        annotations: &mut Annotations,
    ) {
        for (step, running) in self.steps.into_iter().enumerate() {
            if !running.has_histogram {
                continue;
            }
            if running.has_float {
                let message = "encountered a mix of histograms and floats for aggregation";
                annotations.warn(span, message);
                column.set(step, None);
                continue;
            }
            if running.reset_seen && running.no_reset_seen && !running.is_incompatible {
                let message = "conflicting counter resets during histogram aggregation";
                annotations.warn(span, message);
            }
            let value = match running.is_incompatible {
                true => None,
                false => running.finish(averages),
            };
            let value = value.map(|histogram| SampleValue::Histogram(Arc::new(histogram)));
            column.set(step, value);
        }
    }
}

impl Running {
    fn take_float(&mut self) {
        if !self.is_incompatible {
            self.count += 1.0;
            self.has_float = true;
        }
    }

    /// Takes a histogram in; whether custom buckets had to be reconciled for that.
    fn take(&mut self, histogram: &FloatHistogram, averages: bool) -> Result<bool, HistogramError> {
        if self.is_incompatible {
            return Ok(false);
        }
        self.count += 1.0;
        self.has_histogram = true;
        if self.count == 1.0 {
            self.see_hint(histogram);
            self.sum = Some(histogram.clone());
            return Ok(false);
        }
        if self.sum.is_none() {
            return Ok(false);
        }
        self.see_hint(histogram);
        let added = if averages {
            self.average(histogram)
        } else {
            self.add(histogram)
        };
        match added {
            Ok(reconciled) => Ok(reconciled.custom_bounds),
            Err(error) => {
                self.is_incompatible = true;
                Err(error)
            }
        }
    }

    fn see_hint(&mut self, histogram: &FloatHistogram) {
        match histogram.counter_reset_hint {
            CounterResetHint::Reset => self.reset_seen = true,
            CounterResetHint::NotReset => self.no_reset_seen = true,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
    }

    fn add(&mut self, histogram: &FloatHistogram) -> Result<Reconciled, HistogramError> {
        match &mut self.sum {
            Some(sum) => sum.kahan_add(histogram, &mut self.carry),
            None => Ok(Reconciled::default()),
        }
    }

    /// Adds up as long as the sum is finite, and goes on with the mean from there.
    fn average(&mut self, histogram: &FloatHistogram) -> Result<Reconciled, HistogramError> {
        let mut reconciled = Reconciled::default();
        let mut mean = match (self.mean.take(), &self.sum) {
            (Some(mean), _) => mean,
            (None, None) => return Ok(reconciled),
            (None, Some(sum)) => {
                let (mut next, mut carry) = (sum.clone(), self.carry.clone());
                reconciled = next.kahan_add(histogram, &mut carry)?;
                if !next.has_overflow() {
                    (self.sum, self.carry) = (Some(next), carry);
                    return Ok(reconciled);
                }
                let mut mean = sum.clone();
                mean.div(self.count - 1.0);
                self.carry.div(self.count - 1.0);
                Box::new(mean)
            }
        };
        let weight = (self.count - 1.0) / self.count;
        self.carry.mul(weight);
        mean.mul(weight);
        let mut part = histogram.clone();
        part.div(self.count);
        let again = mean.kahan_add(&part, &mut self.carry)?;
        self.mean = Some(mean);
        reconciled.custom_bounds |= again.custom_bounds;
        Ok(reconciled)
    }

    fn finish(mut self, averages: bool) -> Option<FloatHistogram> {
        let mut result = match self.mean {
            Some(mean) => *mean,
            None => {
                let mut sum = self.sum?;
                if averages {
                    sum.div(self.count);
                    self.carry.div(self.count);
                }
                sum
            }
        };
        result.add_compensation(&self.carry);
        result.compact(0);
        Some(result)
    }
}
