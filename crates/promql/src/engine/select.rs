//! Selectors: from the samples of a series to its column.

use std::sync::Arc;

use rutile_model::Labels;
use rutile_model::sample::STALE_NAN;
use rutile_runtime::CpuPool;

use super::annotation::Annotations;
use super::column::{Column, Row, SampleValue};
use super::steps::Steps;
use super::window::{Context, Kernel, Window};
use super::{Error, Result};
use crate::ast::{Call, Extension, Span};
use crate::source::{Samples, Series};

/// Series that are computed by one task.
const SERIES_AT_A_TIME: usize = 32;

/// When a selector looks, at each step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looks {
    pub(crate) steps: Steps,
    /// The time that `@` fixes.
    pub(crate) at: Option<i64>,
    pub(crate) offset_ms: i64,
}

impl Looks {
    /// The time up to which samples count at a step.
    pub(crate) fn time(&self, step: usize) -> i64 {
        self.at.unwrap_or_else(|| self.steps.time(step)) - self.offset_ms
    }

    /// The earliest of these times, and the latest.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        let last = self.steps.len() - 1;
        let (a, b) = (self.time(0), self.time(last));
        (a.min(b), a.max(b))
    }
}

/// What an instant selector takes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    Value,
    /// `timestamp()`: its time, in seconds.
    Time,
    /// `info()`: the time of a float, in ms; a histogram as it is.
    FloatTime,
    /// `start_timestamp()`: when its counter began, in seconds.
    Start,
}

/// An instant selector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instant {
    pub(crate) looks: Looks,
    pub(crate) lookback_ms: i64,
    pub(crate) take: Take,
    /// Where the selector stands.
    pub(crate) span: Span,
}

/// A function over a range selector or a subquery.
#[derive(Debug)]
pub(crate) struct Ranged {
    pub(crate) looks: Looks,
    pub(crate) range_ms: i64,
    pub(crate) lookback_ms: i64,
    pub(crate) extension: Option<Extension>,
    pub(crate) call: Call,
    pub(crate) kernel: Kernel,
    /// Values of the scalar arguments at every step: one vector for each argument.
    pub(crate) scalars: Vec<Vec<f64>>,
    pub(crate) start_timestamps: bool,
}

/// A series as the evaluator has it: from a source, or from a subquery.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Source(Arc<dyn Series>),
    Computed {
        labels: Labels,
        /// Whether the metric name is to go when the evaluation ends.
        drop_name: bool,
        samples: Arc<Samples>,
    },
}

impl Given {
    pub(crate) fn labels(&self) -> &Labels {
        match self {
            Self::Source(series) => series.labels(),
            Self::Computed { labels, .. } => labels,
        }
    }

    pub(crate) fn drop_name(&self) -> bool {
        match self {
            Self::Source(_) => false,
            Self::Computed { drop_name, .. } => *drop_name,
        }
    }

    pub(crate) fn decode(&self, out: &mut Samples) -> Result<()> {
        match self {
            Self::Source(series) => Ok(series.decode(out)?),
            Self::Computed { samples, .. } => {
                out.clone_from(samples);
                Ok(())
            }
        }
    }
}

/// Computes the rows of series on all cores, in their order; leaves out those without any value.
pub(crate) async fn rows<T>(
    pool: &CpuPool,
    series: Vec<Given>,
    selector: Arc<T>,
    fill: fn(&T, &Labels, &mut Samples, &mut Column, &mut Annotations),
    steps: usize,
) -> Result<(Vec<Row>, Annotations)>
where
    T: Send + Sync + 'static,
{
    let batches: Vec<Vec<Given>> = series
        .chunks(SERIES_AT_A_TIME)
        .map(<[Given]>::to_vec)
        .collect();
    let work = move |batch: Vec<Given>| {
        let (mut rows, mut annotations) = (Vec::with_capacity(batch.len()), Annotations::default());
        let mut samples = Samples::default();
        for series in batch {
            series.decode(&mut samples)?;
            let mut column = Column::absent(steps);
            let labels = series.labels();
            fill(
                &selector,
                labels,
                &mut samples,
                &mut column,
                &mut annotations,
            );
            if !column.is_empty() {
                rows.push(Row {
                    drop_name: series.drop_name(),
                    ..Row::new(labels.clone(), column)
                });
            }
        }
        Ok::<_, Error>((rows, annotations))
    };
    let (mut all, mut annotations) = (Vec::new(), Annotations::default());
    for done in pool.map(batches, work).await {
        let (rows, more) = done?;
        all.extend(rows);
        annotations.extend(more);
    }
    Ok((all, annotations))
}

/// Fills the column of an instant selector: the last sample within the lookback, unless it is stale.
pub(crate) fn instant(
    selector: &Instant,
    _: &Labels,
    samples: &mut Samples,
    column: &mut Column,
    _: &mut Annotations,
) {
    let mut next = 0;
    for step in 0..column.len() {
        let time = selector.looks.time(step);
        while samples.times.get(next).is_some_and(|at| *at <= time) {
            next += 1;
        }
        if selector.looks.at.is_some() && step > 0 {
            let first = column.get(0);
            column.set(step, first);
            continue;
        }
        let Some(last) = next.checked_sub(1) else {
            continue;
        };
        let at = samples.times[last];
        if at <= time - selector.lookback_ms || samples.is_stale(last) {
            continue;
        }
        let value = match (selector.take, samples.histogram(last)) {
            (Take::Value | Take::FloatTime, Some(histogram)) => {
                SampleValue::Histogram(Arc::clone(histogram))
            }
            (Take::Value, None) => SampleValue::Float(samples.floats[last]),
            (Take::FloatTime, None) => SampleValue::Float(at as f64),
            (Take::Time, _) => SampleValue::Float(at as f64 / 1000.0),
            (Take::Start, _) => {
                let start = samples.starts.get(last).copied().unwrap_or(0);
                SampleValue::Float(start as f64 / 1000.0)
            }
        };
        column.set(step, Some(value));
    }
}

/// Fills the column of a function over a range.
pub(crate) fn ranged(
    selector: &Ranged,
    labels: &Labels,
    samples: &mut Samples,
    column: &mut Column,
    annotations: &mut Annotations,
) {
    drop_stale(samples);
    let (mut from, mut to) = (0, 0);
    let mut scalars: Vec<f64> = Vec::with_capacity(selector.scalars.len());
    for step in 0..column.len() {
        let range_end = selector.looks.time(step);
        let range_start = range_end - selector.range_ms;
        while samples.times.get(to).is_some_and(|at| *at <= range_end) {
            to += 1;
        }
        while from < to && samples.times[from] <= range_start {
            from += 1;
        }
        let window = Window {
            samples,
            from,
            to,
            range_start,
            range_end,
            time: range_end + selector.looks.offset_ms,
            lookback_ms: selector.lookback_ms,
            extension: selector.extension,
        };
        if from == to && selector.extension.is_none() {
            continue;
        }
        scalars.clear();
        let at_step = |values: &Vec<f64>| values.get(step).copied().unwrap_or(STALE_NAN);
        scalars.extend(selector.scalars.iter().map(at_step));
        let mut context = Context {
            call: &selector.call,
            labels,
            scalars: &scalars,
            start_timestamps: selector.start_timestamps,
            annotations,
        };
        let value = (selector.kernel)(&window, &mut context);
        column.set(step, value);
    }
}

/// The samples from `start`, exclusive, to `end`, inclusive, without their start timestamps.
pub(crate) fn between(samples: &Samples, start: i64, end: i64) -> Samples {
    let mut inside = Samples::default();
    for (i, time) in samples.times.iter().enumerate() {
        if *time <= start || *time > end {
            continue;
        }
        match samples.histogram(i) {
            Some(histogram) => inside.push_histogram(*time, Arc::clone(histogram)),
            None => inside.push_float(*time, samples.floats[i]),
        }
    }
    inside
}

/// Takes the stale markers out.
pub(crate) fn drop_stale(samples: &mut Samples) {
    if !(0..samples.len()).any(|i| samples.is_stale(i)) {
        return;
    }
    let all = std::mem::take(samples);
    for i in 0..all.len() {
        if all.is_stale(i) {
            continue;
        }
        match all.histogram(i) {
            Some(histogram) => samples.push_histogram(all.times[i], Arc::clone(histogram)),
            None => samples.push_float(all.times[i], all.floats[i]),
        }
        if let Some(start) = all.starts.get(i) {
            samples.starts.push(*start);
        }
    }
}
