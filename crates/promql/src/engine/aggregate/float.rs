//! Aggregations of floats, column by column: every step takes the values in the order of the rows.
//!
//! Histograms count as absent here, but for `count` and `group`.

use std::cmp::Ordering;

use rutile_model::histogram::kahan_inc;
use rutile_model::sample::is_stale_nan;

use super::by_step::ByStep;
use crate::engine::column::Column;

/// Running values of one group, one for each step. Kept from group to group for its memory.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    steps: Vec<Running>,
}

/// What is known of the values so far.
#[derive(Debug, Clone, Copy, Default)]
struct Running {
    count: f64,
    /// The sum; of an incremental mean, the mean; of a variance, the sum of squares.
    value: f64,
    /// What `value` lost to rounding; of a variance, the mean.
    carry: f64,
    incremental: bool,
}

impl Scratch {
    /// Takes all values in: the first of a step with `first`, the others with `next`.
    fn fold(
        &mut self,
        columns: &[&Column],
        steps: usize,
        first: impl Fn(f64) -> Running,
        next: impl Fn(&mut Running, f64),
    ) {
        self.steps.clear();
        self.steps.resize(steps, Running::default());
        for column in columns {
            for (running, value) in self.steps.iter_mut().zip(&column.floats) {
                if is_stale_nan(*value) {
                    continue;
                }
                if running.count == 0.0 {
                    *running = first(*value);
                } else {
                    next(running, *value);
                }
            }
        }
    }

    /// Puts the results where there were values.
    fn finish(&self, out: &mut Column, result: impl Fn(&Running) -> f64) {
        for (place, running) in out.floats.iter_mut().zip(&self.steps) {
            if running.count > 0.0 {
                *place = result(running);
            }
        }
    }
}

impl Running {
    fn first(value: f64) -> Self {
        Self {
            count: 1.0,
            value,
            ..Self::default()
        }
    }

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        (self.value, self.carry) = kahan_inc(value, self.value, self.carry);
    }

    /// Adds up as long as the sum is finite, and goes on with the mean from there.
    fn average(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let (sum, carry) = kahan_inc(value, self.value, self.carry);
            if !sum.is_infinite() {
                (self.value, self.carry) = (sum, carry);
                return;
            }
            self.incremental = true;
            self.value /= self.count - 1.0;
            self.carry /= self.count - 1.0;
        }
        let weight = (self.count - 1.0) / self.count;
        (self.value, self.carry) =
            kahan_inc(value / self.count, weight * self.value, weight * self.carry);
    }

    fn first_deviation(value: f64) -> Self {
        Self {
            count: 1.0,
            value: if value.is_finite() { 0.0 } else { f64::NAN },
            carry: value,
            incremental: false,
        }
    }

    /// Welford's method.
    fn deviate(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.carry;
        self.carry += delta / self.count;
        self.value += delta * (value - self.carry);
    }
}

pub(super) fn sum(columns: &[&Column], out: &mut Column, scratch: &mut Scratch) {
    scratch.fold(columns, out.len(), Running::first, Running::add);
    scratch.finish(out, |running| running.value + running.carry);
}

pub(super) fn avg(columns: &[&Column], out: &mut Column, scratch: &mut Scratch) {
    scratch.fold(columns, out.len(), Running::first, Running::average);
    scratch.finish(out, |running| {
        if running.incremental {
            running.value + running.carry
        } else {
            running.value / running.count + running.carry / running.count
        }
    });
}

pub(super) fn stdvar(columns: &[&Column], out: &mut Column, scratch: &mut Scratch) {
    scratch.fold(
        columns,
        out.len(),
        Running::first_deviation,
        Running::deviate,
    );
    scratch.finish(out, |running| running.value / running.count);
}

pub(super) fn stddev(columns: &[&Column], out: &mut Column, scratch: &mut Scratch) {
    scratch.fold(
        columns,
        out.len(),
        Running::first_deviation,
        Running::deviate,
    );
    scratch.finish(out, |running| (running.value / running.count).sqrt());
}

pub(super) fn min(columns: &[&Column], out: &mut Column) {
    replace(columns, out, |held, value| held > value);
}

pub(super) fn max(columns: &[&Column], out: &mut Column) {
    replace(columns, out, |held, value| held < value);
}

/// Keeps a value until another one is better. NaN stays only where there is nothing else; so does what
/// marks an absent value, which is a NaN too.
fn replace(columns: &[&Column], out: &mut Column, is_better: impl Fn(f64, f64) -> bool) {
    for column in columns {
        for (held, value) in out.floats.iter_mut().zip(&column.floats) {
            if !is_stale_nan(*value) && (held.is_nan() || is_better(*held, *value)) {
                *held = *value;
            }
        }
    }
}

pub(super) fn count(columns: &[&Column], out: &mut Column) {
    for column in columns {
        let present = (0..column.len()).map(|step| column.is_present(step));
        for (count, present) in out.floats.iter_mut().zip(present) {
            if present {
                *count = if is_stale_nan(*count) {
                    1.0
                } else {
                    *count + 1.0
                };
            }
        }
    }
}

pub(super) fn group(columns: &[&Column], out: &mut Column) {
    count(columns, out);
    for value in &mut out.floats {
        if !is_stale_nan(*value) {
            *value = 1.0;
        }
    }
}

pub(super) fn quantile(columns: &[&Column], quantiles: &[f64], out: &mut Column) {
    let mut by_step = ByStep::new(columns);
    let mut values = Vec::with_capacity(columns.len());
    for (step, place) in out.floats.iter_mut().enumerate() {
        values.clear();
        let present = by_step.floats(step).iter().copied();
        values.extend(present.filter(|value| !is_stale_nan(*value)));
        if !values.is_empty() {
            let q = quantiles.get(step).copied().unwrap_or(f64::NAN);
            *place = quantile_of(q, &mut values);
        }
    }
}

/// The q-quantile of some values, interpolated between the two next to it; NaN is less than all numbers.
fn quantile_of(q: f64, values: &mut [f64]) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (values.len() as f64 - 1.0);
    let weight = rank - rank.floor();
    let lower = rank as usize;
    if lower >= values.len() {
        return f64::NAN;
    }
    let (_, lower, above) = values.select_nth_unstable_by(lower, nan_first);
    let least = above.iter().copied().min_by(nan_first);
    let upper = least.unwrap_or(*lower);
    *lower * (1.0 - weight) + upper * weight
}

fn nan_first(a: &f64, b: &f64) -> Ordering {
    let by_nan = b.is_nan().cmp(&a.is_nan());
    by_nan.then(a.partial_cmp(b).unwrap_or(Ordering::Equal))
}
