//! `sum` and `avg` where a group has histograms.

use std::sync::Arc;

use rutile_model::histogram::{Compensation, HistogramError, Reconciled};
use rutile_model::{CounterResetHint, FloatHistogram};

use super::AggregateContext;
use super::groups::Group;
use crate::ast::AggregateOp;
use crate::engine::column::{Row, SampleValue};
use crate::engine::eval::METRIC_NAME;

/// The histograms of a group at one step, as far as they were taken in.
#[derive(Debug, Default)]
struct Running {
    count: f64,
    has_float: bool,
    /// None if the first value was a float: what follows is of no use then.
    sum: Option<FloatHistogram>,
    /// The mean, from the moment on at which the sum would be infinite.
    mean: Option<FloatHistogram>,
    /// What the sum, or the mean, lost to rounding.
    carry: Compensation,
    has_histogram: bool,
    is_incompatible: bool,
    reset_seen: bool,
    no_reset_seen: bool,
}

/// The sum or the average of the values of a group at a step, some of which are histograms; none if there
/// are floats among them, or histograms that cannot be added up.
pub(super) fn combined(
    context: &mut AggregateContext<'_>,
    group: &Group,
    rows: &[Row],
    step: usize,
) -> Option<SampleValue> {
    let averages = context.aggregate.op == AggregateOp::Avg;
    let mut running = Running::default();
    for row in group.members.iter().filter_map(|place| rows.get(*place)) {
        let taken = match row.column.get(step) {
            None => continue,
            Some(SampleValue::Float(_)) => {
                running.take_float();
                continue;
            }
            Some(SampleValue::Histogram(histogram)) => running.take(&histogram, averages),
        };
        match taken {
            Ok(true) => {
                context.info("mismatched custom buckets were reconciled during aggregation");
            }
            Ok(false) => {}
            Err(HistogramError::MixedSchemas) => {
                let name = rutile_model::quote(row.labels.value(METRIC_NAME));
                context.warn(&format!(
                    "vector contains a mix of histograms with exponential and custom buckets schemas \
                     for metric name {name}"
                ));
            }
            Err(_) => {}
        }
    }
    if running.has_float && running.has_histogram {
        context.warn("encountered a mix of histograms and floats for aggregation");
        return None;
    }
    if running.is_incompatible {
        return None;
    }
    if running.reset_seen && running.no_reset_seen {
        context.warn("conflicting counter resets during histogram aggregation");
    }
    let histogram = running.finish(averages)?;
    Some(SampleValue::Histogram(Arc::new(histogram)))
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
                mean
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
            Some(mean) => mean,
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
