//! Selectors: from the samples of a series to its column.

use std::sync::Arc;

use rutile_model::sample::{STALE_NAN, is_stale_nan};
use rutile_model::{Labels, Samples, WindowTimes};

use super::Error;
use super::column::{Column, SampleValue};
use super::memory::weight;
use super::smooth;
use super::steps::{MAX_TIME_MS, Steps};
use super::stop::Stop;
use super::window::{
    self, Context, Findings, FloatKernel, Kernel, Kind, Profile, Window, Windows, Within,
};
use crate::ast::{Extension, Function, FunctionId, Span};

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
        let time = self.at.unwrap_or_else(|| self.steps.time(step));
        time.saturating_sub(self.offset_ms)
            .clamp(-MAX_TIME_MS, MAX_TIME_MS)
    }

    /// The windows of a range that end at these times; none if they are not evenly spaced.
    fn windows(&self, range_ms: i64) -> Option<WindowTimes> {
        let last = self.steps.len() - 1;
        let interval_ms = self.steps.interval;
        let windows = WindowTimes {
            first_end_ms: self.time(0),
            last_end_ms: self.time(last),
            interval_ms,
            range_ms,
        };
        let length_ms = windows.last_end_ms - windows.first_end_ms;
        let is_even = self.at.is_some() || length_ms == last as i64 * interval_ms;
        is_even.then_some(windows)
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
    /// `info()`: the time of a float, in ms; histograms are refused.
    FloatTime,
    /// `start_timestamp()`: when its counter began, in seconds.
    Start,
}

/// An instant selector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instant {
    pub(crate) looks: Looks,
    pub(crate) lookback_ms: i64,
    pub(crate) extension: Option<Extension>,
    pub(crate) take: Take,
    /// Where it stands in the query.
    pub(crate) span: Span,
}

/// A function over a range selector or a subquery.
#[derive(Debug)]
pub(crate) struct Ranged {
    pub(crate) looks: Looks,
    pub(crate) range_ms: i64,
    pub(crate) lookback_ms: i64,
    pub(crate) extension: Option<Extension>,
    pub(crate) function: &'static Function,
    /// What annotations point at.
    pub(crate) span: Span,
    pub(crate) kernel: Kernel,
    /// Values of the scalar arguments at every step: one vector for each argument.
    pub(crate) scalars: Vec<Vec<f64>>,
    pub(crate) start_timestamps: bool,
    /// Whether series tell their type in a label.
    pub(crate) type_labels: bool,
}

/// Fills the column of an instant selector: the last sample within the lookback, unless it is stale.
pub(crate) fn instant(
    selector: &Instant,
    labels: &Labels,
    samples: &mut Samples,
    column: &mut Column,
    findings: &mut Findings,
) {
    if selector.extension == Some(Extension::Smoothed) && selector.take == Take::Value {
        return smooth::instant(selector, labels, samples, column, findings);
    }
    if selector.take == Take::Value && samples.histograms.is_empty() {
        return latest_floats(selector, samples, column, &findings.stop);
    }
    let mut next = 0;
    let mut pace = findings.stop.pace();
    for step in 0..column.len() {
        if pace.ends_before(0) {
            return;
        }
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
            (Take::Value, Some(histogram)) => SampleValue::Histogram(Arc::clone(histogram)),
            (Take::FloatTime, Some(_)) => {
                let what = "this should be an info metric, with float samples:";
                findings.error = Some(Error::execution(format!("{what} {labels}")));
                return;
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

/// The common case. A stale marker needs no care: it marks what is absent in a column, too.
fn latest_floats(selector: &Instant, samples: &Samples, column: &mut Column, stop: &Stop) {
    let mut pace = stop.pace();
    let mut later = samples.times.iter().zip(&samples.floats).peekable();
    let mut latest = None;
    for (step, place) in column.floats.iter_mut().enumerate() {
        let time = selector.looks.time(step);
        if pace.ends_before(0) {
            return;
        }
        while let Some(sample) = later.next_if(|(at, _)| **at <= time) {
            latest = Some(sample);
        }
        if let Some((at, value)) = latest
            && *at > time - selector.lookback_ms
        {
            *place = *value;
        }
    }
}

/// Fills the column of a function over a range.
pub(crate) fn ranged(
    selector: &Ranged,
    labels: &Labels,
    samples: &mut Samples,
    column: &mut Column,
    findings: &mut Findings,
) {
    drop_stale(samples);
    let samples = &*samples;
    let id = selector.function.id;
    let span = selector.span;
    let profile = selector.profile(samples);
    let context = (labels, span);
    match selector.float_kernel(samples, &profile) {
        Some(kernel) => {
            let windows = Windows {
                samples,
                profile: &profile,
                looks: selector.looks,
                range_ms: selector.range_ms,
                stop: &findings.stop,
            };
            findings.samples += kernel(&windows, &mut column.floats);
        }
        None => window_by_window(selector, context, (samples, &profile), column, findings),
    }
    if findings.error.is_some() {
        return;
    }
    let mut context = Context {
        span,
        labels,
        scalars: &[],
        start_timestamps: selector.start_timestamps,
        findings,
    };
    window::finish(id, column, selector.type_labels, &mut context);
}

/// The general way: floats, histograms, arguments that differ from step to step.
fn window_by_window(
    selector: &Ranged,
    (labels, span): (&Labels, Span),
    (samples, profile): (&Samples, &Profile),
    column: &mut Column,
    findings: &mut Findings,
) {
    let id = selector.function.id;
    let weights = Weights::of(samples);
    let mut within = Within::default();
    let mut pace = findings.stop.pace();
    let mut scalars: Vec<f64> = Vec::with_capacity(selector.scalars.len());
    let is_fixed =
        selector.looks.at.is_some() && selector.scalars.is_empty() && !window::depends_on_step(id);
    let is_closed =
        selector.extension.is_none() && window::looks_behind_ms(selector.function.name) == 0;
    for step in 0..column.len() {
        if is_fixed && step > 0 {
            let first = column.get(0);
            column.set(step, first);
            continue;
        }
        let range_end = selector.looks.time(step);
        let range_start = range_end - selector.range_ms;
        within.move_to(&samples.times, range_start, range_end);
        let Within { from, to } = within;
        if from == to && is_closed {
            continue;
        }
        if pace.ends_before(to - from) {
            return;
        }
        findings.samples += weights.between(from, to);
        scalars.clear();
        let at_step = |values: &Vec<f64>| values.get(step).copied().unwrap_or(STALE_NAN);
        scalars.extend(selector.scalars.iter().map(at_step));
        let window = Window {
            samples,
            profile,
            from,
            to,
            range_start,
            range_end,
            time: selector.looks.steps.time(step),
            lookback_ms: selector.lookback_ms,
            extension: selector.extension,
        };
        let mut context = Context {
            span,
            labels,
            scalars: &scalars,
            start_timestamps: selector.start_timestamps,
            findings,
        };
        let value = (selector.kernel)(&window, &mut context);
        if findings.error.is_some() {
            return;
        }
        column.set(step, value);
    }
}

/// For how many samples those before each place count; empty if each counts for one.
struct Weights(Vec<u64>);

impl Weights {
    fn of(samples: &Samples) -> Self {
        let weights = samples.histograms.iter().scan(0, |sum, place| {
            *sum += place.as_deref().map_or(1, weight);
            Some(*sum)
        });
        let zero = (!samples.histograms.is_empty()).then_some(0);
        Self(zero.into_iter().chain(weights).collect())
    }

    fn between(&self, from: usize, to: usize) -> u64 {
        match (self.0.get(from), self.0.get(to)) {
            (Some(before), Some(sum)) => sum - before,
            _ => (to - from) as u64,
        }
    }
}

impl Ranged {
    /// The windows, if the function looks at their ends alone, and at what is beside a reset.
    pub(crate) fn ends(&self) -> Option<WindowTimes> {
        let is_plain = self.extension.is_none() && !self.start_timestamps;
        match self.function.id {
            FunctionId::Rate | FunctionId::Increase if is_plain => {
                self.looks.windows(self.range_ms)
            }
            _ => None,
        }
    }

    /// The fast way to compute the function, if these samples allow it.
    fn float_kernel(&self, samples: &Samples, profile: &Profile) -> Option<FloatKernel> {
        let is_plain = self.extension.is_none()
            && profile.kind == Kind::Floats
            && samples.histograms.is_empty()
            && (samples.starts.is_empty() || !self.start_timestamps);
        window::float_kernel(self.function.id).filter(|_| is_plain)
    }

    /// What the function needs to know about the samples that any step looks at.
    fn profile(&self, samples: &Samples) -> Profile {
        let (first, last) = self.looks.bounds();
        let (behind_ms, ahead_ms) = match self.extension {
            None => (window::looks_behind_ms(self.function.name), 0),
            Some(Extension::Anchored) => (self.lookback_ms, 0),
            Some(Extension::Smoothed) => (self.lookback_ms, self.lookback_ms),
        };
        let earliest = first - self.range_ms - behind_ms;
        let from = samples.times.partition_point(|at| *at <= earliest);
        let to = samples.times.partition_point(|at| *at <= last + ahead_ms);
        let id = self.function.id;
        let starts = self.start_timestamps;
        Profile::find(id, self.extension, samples, from..to.max(from), starts)
    }
}

/// Takes the stale markers out.
pub(crate) fn drop_stale(samples: &mut Samples) {
    let any = match samples.histograms.is_empty() {
        // Without a branch for each.
        true => samples
            .floats
            .iter()
            .fold(false, |any, value| any | is_stale_nan(*value)),
        false => (0..samples.len()).any(|i| samples.is_stale(i)),
    };
    if any {
        samples.drop_stale();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rutile_runtime::CancellationToken;

    use super::*;
    use crate::ast::FUNCTIONS;

    thread_local! {
        static CALLS: Cell<usize> = const { Cell::new(0) };
        static STOP: CancellationToken = CancellationToken::new();
    }

    /// Nobody wants more than the first window.
    fn kernel(window: &Window<'_>, _: &mut Context<'_>) -> Option<SampleValue> {
        CALLS.set(CALLS.get() + 1);
        STOP.with(CancellationToken::cancel);
        (window.len() > 0).then_some(SampleValue::Float(1.0))
    }

    #[test]
    fn windows_end_when_nobody_wants_them() {
        let (steps, window) = (10_000, 100_000);
        let mut samples = Samples::default();
        (0..window).for_each(|time| samples.push_float(time, 1.0));
        let mut functions = FUNCTIONS.iter();
        let selector = Ranged {
            looks: Looks {
                steps: Steps::inner(window, window + steps - 1, 1),
                at: None,
                offset_ms: 0,
            },
            range_ms: 10 * window,
            lookback_ms: 0,
            extension: None,
            function: functions
                .find(|function| function.id == FunctionId::StddevOverTime)
                .expect("it is one"),
            span: Span::default(),
            kernel,
            scalars: Vec::new(),
            start_timestamps: false,
            type_labels: false,
        };
        let mut column = Column::absent(10_000);
        let mut findings = Findings {
            stop: STOP.with(|token| Stop::by(token.clone())),
            ..Findings::default()
        };
        let labels = Labels::empty();
        ranged(&selector, &labels, &mut samples, &mut column, &mut findings);
        assert_eq!(CALLS.get(), 1);
    }
}
