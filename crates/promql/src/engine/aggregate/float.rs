//! Running values of the floats of a group, one for each step. Columns are taken in one after the other, so that
//! at each step values come in the order of the rows.
//!
//! Histograms count as absent here, but for `count` and `group`.

use rutile_model::histogram::kahan_inc;
use rutile_model::sample::{STALE_NAN, is_stale_nan};

use crate::ast::AggregateOp;
use crate::engine::column::Column;

/// What is known of the floats of a group so far.
#[derive(Debug)]
pub(super) struct Floats {
    /// At each step the sum, mean, extreme or count, or the sum of squares of a variance; the marker of staleness
    /// where there was no value, which no arithmetic yields.
    values: Vec<f64>,
    /// What `values` lost to rounding; of a variance, the mean. Empty if there is no such thing.
    carries: Vec<f64>,
    /// How many values there were; empty unless it matters.
    counts: Vec<f64>,
    /// Of a mean, whether the sum has become too large: then it moves.
    moving: Vec<bool>,
}

impl Floats {
    /// Before the first value.
    pub(super) fn new(op: AggregateOp, steps: usize) -> Self {
        use AggregateOp::{Avg, Stddev, Stdvar, Sum};
        let zeros = |wanted: bool| vec![0.0; if wanted { steps } else { 0 }];
        let divides = matches!(op, Avg | Stddev | Stdvar);
        Self {
            values: vec![STALE_NAN; steps],
            carries: zeros(divides || op == Sum),
            counts: zeros(divides),
            moving: vec![false; if op == Avg { steps } else { 0 }],
        }
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        let floats = self.values.len() + self.carries.len() + self.counts.len();
        floats * size_of::<f64>() + self.moving.len()
    }

    /// Whether there was a value at a step.
    pub(super) fn is_present(&self, step: usize) -> bool {
        self.values
            .get(step)
            .is_some_and(|value| !is_stale_nan(*value))
    }

    /// Takes the values of a row in.
    pub(super) fn take(&mut self, op: AggregateOp, column: &Column) {
        match op {
            AggregateOp::Sum => self.sum(column),
            AggregateOp::Avg => self.average(column),
            AggregateOp::Stddev | AggregateOp::Stdvar => self.deviate(column),
            AggregateOp::Min => self.replace(column, |held, value| held > value),
            AggregateOp::Max => self.replace(column, |held, value| held < value),
            _ => self.count(column),
        }
    }

    fn sum(&mut self, column: &Column) {
        let running = self.values.iter_mut().zip(&mut self.carries);
        for ((sum, carry), value) in running.zip(&column.floats) {
            if is_stale_nan(*value) {
                continue;
            }
            if is_stale_nan(*sum) {
                *sum = *value;
            } else {
                (*sum, *carry) = kahan_inc(*value, *sum, *carry);
            }
        }
    }

    /// Adds up as long as the sum is finite, and goes on with the mean from there.
    fn average(&mut self, column: &Column) {
        let running = self.values.iter_mut().zip(&mut self.carries);
        let running = running.zip(&mut self.counts).zip(&mut self.moving);
        for ((((mean, carry), count), moving), value) in running.zip(&column.floats) {
            if is_stale_nan(*value) {
                continue;
            }
            *count += 1.0;
            if *count == 1.0 {
                *mean = *value;
                continue;
            }
            if !*moving {
                let (sum, sum_carry) = kahan_inc(*value, *mean, *carry);
                if !sum.is_infinite() {
                    (*mean, *carry) = (sum, sum_carry);
                    continue;
                }
                *moving = true;
                *mean /= *count - 1.0;
                *carry /= *count - 1.0;
            }
            let weight = (*count - 1.0) / *count;
            (*mean, *carry) = kahan_inc(*value / *count, weight * *mean, weight * *carry);
        }
    }

    /// Welford's method.
    fn deviate(&mut self, column: &Column) {
        let running = self.values.iter_mut().zip(&mut self.carries);
        for (((squares, mean), count), value) in running.zip(&mut self.counts).zip(&column.floats) {
            if is_stale_nan(*value) {
                continue;
            }
            *count += 1.0;
            if *count == 1.0 {
                *squares = if value.is_finite() { 0.0 } else { f64::NAN };
                *mean = *value;
                continue;
            }
            let delta = *value - *mean;
            *mean += delta / *count;
            *squares += delta * (*value - *mean);
        }
    }

    /// Keeps a value until another one is better. NaN stays only where there is nothing else; so does what
    /// marks an absent value, which is a NaN too.
    fn replace(&mut self, column: &Column, is_better: impl Fn(f64, f64) -> bool) {
        for (held, value) in self.values.iter_mut().zip(&column.floats) {
            if !is_stale_nan(*value) && (held.is_nan() || is_better(*held, *value)) {
                *held = *value;
            }
        }
    }

    fn count(&mut self, column: &Column) {
        for (step, count) in self.values.iter_mut().enumerate() {
            if column.is_present(step) {
                *count = if is_stale_nan(*count) {
                    1.0
                } else {
                    *count + 1.0
                };
            }
        }
    }

    /// The results of all steps.
    pub(super) fn finish(mut self, op: AggregateOp) -> Vec<f64> {
        for (step, value) in self.values.iter_mut().enumerate() {
            if is_stale_nan(*value) {
                continue;
            }
            let at = |figures: &[f64]| figures.get(step).copied().unwrap_or_default();
            let (carry, count) = (at(&self.carries), at(&self.counts));
            *value = match op {
                AggregateOp::Sum => *value + carry,
                AggregateOp::Avg if self.moving.get(step) == Some(&true) => *value + carry,
                AggregateOp::Avg => *value / count + carry / count,
                AggregateOp::Stdvar => *value / count,
                AggregateOp::Stddev => (*value / count).sqrt(),
                AggregateOp::Group => 1.0,
                _ => *value,
            };
        }
        self.values
    }
}
