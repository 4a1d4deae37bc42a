//! Functions over the samples of a range: `rate`, `avg_over_time` and their like.
//!
//! Results are those of Prometheus 3.14 to the last bit, so that the order of all additions is part of
//! the contract. What only compares neighbours (counter resets, changes) is found once for each series,
//! in its [`Profile`], and looked up at each step; what adds up does so anew at each step, for sums that
//! slide along would round differently.

mod average;
mod events;
mod extended;
mod extended_histogram;
mod floats;
mod latest;
mod note;
mod pick;
mod profile;
mod rate;
mod rate_histogram;
mod rate_rows;
mod reach;
mod spread;
mod starts;
mod trend;
mod xrate;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use rutile_model::{FloatHistogram, Labels, Samples};

use super::annotation::Annotations;
use super::column::{Column, SampleValue};
use super::eval::METRIC_NAME;
use super::spare::Spare;
use super::stop::Stop;
use super::{Error, Result};
use crate::ast::{Call, Expr, Extension, FunctionId, Span};
pub(crate) use extended::{extend, interpolate, interpolate_histograms};
pub(crate) use floats::{FloatKernel, Windows, float_kernel};
pub(crate) use profile::{Kind, Profile};
pub(crate) use rate_rows::{Rows, changes};
pub(crate) use xrate::looks_behind_ms;

/// The samples of one series in the range before a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    /// All samples of the series, those outside of the window too. No stale markers.
    pub(crate) samples: &'a Samples,
    /// What is known about them.
    pub(crate) profile: &'a Profile,
    /// The first one in the window, and the one behind the last: those of `(range_start, range_end]`.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Bounds of the range, ms: exclusive and inclusive.
    pub(crate) range_start: i64,
    pub(crate) range_end: i64,
    /// The step, ms.
    pub(crate) time: i64,
    /// How far an extended range may look beyond its bounds, ms.
    pub(crate) lookback_ms: i64,
    /// `anchored` or `smoothed`.
    pub(crate) extension: Option<Extension>,
}

impl<'a> Window<'a> {
    pub(super) fn len(&self) -> usize {
        self.to - self.from
    }

    pub(super) fn time_at(&self, i: usize) -> i64 {
        self.samples.times.get(i).copied().unwrap_or_default()
    }

    pub(super) fn float_at(&self, i: usize) -> f64 {
        self.samples.floats.get(i).copied().unwrap_or_default()
    }

    pub(super) fn histogram_at(&self, i: usize) -> Option<&'a FloatHistogram> {
        self.samples.histogram(i).map(AsRef::as_ref)
    }

    /// When the counter of a sample began; 0 if that is not known.
    pub(super) fn start_at(&self, i: usize) -> i64 {
        self.samples.starts.get(i).copied().unwrap_or_default()
    }

    pub(super) fn times(&self) -> &'a [i64] {
        self.samples
            .times
            .get(self.from..self.to)
            .unwrap_or_default()
    }

    /// Its values, if it has floats only.
    pub(super) fn plain_floats(&self) -> &'a [f64] {
        self.samples
            .floats
            .get(self.from..self.to)
            .unwrap_or_default()
    }

    /// What its samples are; floats if there is none.
    pub(super) fn kind(&self) -> Kind {
        self.kind_of(self.from, self.to)
    }

    pub(super) fn kind_of(&self, from: usize, to: usize) -> Kind {
        match self.profile.kind {
            Kind::Mixed => Kind::of(self.samples, from, to),
            kind => kind,
        }
    }

    /// Times and values of the floats among the samples.
    pub(super) fn floats(&self) -> (Cow<'a, [i64]>, Cow<'a, [f64]>) {
        let values = self.samples.floats.get(self.from..self.to);
        match self.kind() {
            Kind::Floats => (
                Cow::Borrowed(self.times()),
                Cow::Borrowed(values.unwrap_or_default()),
            ),
            Kind::Histograms => (Cow::Borrowed(&[]), Cow::Borrowed(&[])),
            Kind::Mixed => {
                let is_float = |i: &usize| self.samples.histogram(*i).is_none();
                let places = || (self.from..self.to).filter(is_float);
                let times: Vec<i64> = places().map(|i| self.time_at(i)).collect();
                let values: Vec<f64> = places().map(|i| self.float_at(i)).collect();
                (Cow::Owned(times), Cow::Owned(values))
            }
        }
    }

    /// Its histograms, in order; for a window without floats.
    pub(super) fn histograms(&self) -> impl Iterator<Item = &'a FloatHistogram> + use<'a> {
        let window = *self;
        (self.from..self.to).filter_map(move |i| window.histogram_at(i))
    }

    /// The length of the range in seconds, rounded as Go rounds it.
    pub(super) fn seconds(&self) -> f64 {
        seconds(self.range_end - self.range_start)
    }
}

/// Which samples lie in a range that moves on: from one place to another.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Within {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Within {
    /// Moves on to the times behind `start` and up to `end`, ms, neither of which ever goes back.
    #[inline(always)]
    pub(crate) fn move_to(&mut self, times: &[i64], start: i64, end: i64) {
        while times.get(self.to).is_some_and(|at| *at <= end) {
            self.to += 1;
        }
        while self.from < self.to && times.get(self.from).is_some_and(|at| *at <= start) {
            self.from += 1;
        }
    }
}

/// A duration in seconds, rounded as Go rounds it.
fn seconds(ms: i64) -> f64 {
    let nanoseconds = (ms % 1000) * 1_000_000;
    (ms / 1000) as f64 + nanoseconds as f64 / 1e9
}

/// What a function is told beside the samples.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// What annotations point at.
    pub(crate) span: Span,
    /// Of the series, name included.
    pub(crate) labels: &'a Labels,
    /// Values of the scalar arguments at this step, in their order.
    pub(crate) scalars: &'a [f64],
    pub(crate) start_timestamps: bool,
    pub(crate) findings: &'a mut Findings,
}

/// What comes up while the rows of some series are computed.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) annotations: Annotations,
    /// What fails the query.
    pub(crate) error: Option<Error>,
    /// The samples in all windows, as they count for statistics.
    pub(crate) samples: u64,
    /// Memory of functions that must reorder their samples.
    pub(crate) scratch: Vec<f64>,
    /// Histograms to be written over.
    pub(crate) spare: Spare,
    /// Whether they are still wanted; if not, they are not used.
    pub(crate) stop: Stop,
}

impl Context<'_> {
    pub(super) fn scalar(&self, i: usize) -> f64 {
        self.scalars.get(i).copied().unwrap_or(f64::NAN)
    }

    fn name(&self) -> &str {
        self.labels.value(METRIC_NAME)
    }
}

/// A function over a range. A window without samples is shown to it only if samples outside of it count.
pub(crate) type Kernel = fn(&Window<'_>, &mut Context<'_>) -> Option<SampleValue>;

/// What computes a function; none for functions that take no range vector, and for `absent_over_time`.
pub(crate) fn kernel(id: FunctionId) -> Option<Kernel> {
    Some(match id {
        FunctionId::Rate => rate::rate,
        FunctionId::Increase => rate::increase,
        FunctionId::Delta => rate::delta,
        FunctionId::Xrate => xrate::xrate,
        FunctionId::Xincrease => xrate::xincrease,
        FunctionId::Xdelta => xrate::xdelta,
        FunctionId::Irate => latest::irate,
        FunctionId::Idelta => latest::idelta,
        FunctionId::Deriv => trend::deriv,
        FunctionId::PredictLinear => trend::predict_linear,
        FunctionId::DoubleExponentialSmoothing => trend::double_exponential_smoothing,
        FunctionId::Changes | FunctionId::Resets => events::count,
        FunctionId::AvgOverTime => average::avg,
        FunctionId::SumOverTime => average::sum,
        FunctionId::MinOverTime => pick::min,
        FunctionId::MaxOverTime => pick::max,
        FunctionId::TsOfMinOverTime => pick::time_of_min,
        FunctionId::TsOfMaxOverTime => pick::time_of_max,
        FunctionId::FirstOverTime => pick::first,
        FunctionId::LastOverTime => pick::last,
        FunctionId::TsOfFirstOverTime => pick::time_of_first,
        FunctionId::TsOfLastOverTime => pick::time_of_last,
        FunctionId::CountOverTime => |window, _| Some(SampleValue::Float(window.len() as f64)),
        FunctionId::PresentOverTime => |_, _| Some(SampleValue::Float(1.0)),
        FunctionId::StddevOverTime => spread::standard_deviation,
        FunctionId::StdvarOverTime => spread::variance,
        FunctionId::QuantileOverTime => spread::quantile_over_time,
        FunctionId::MadOverTime => spread::median_deviation,
        _ => return None,
    })
}

/// What a function notes about each sample of a series, at most, bytes: where something happens, what may yet be the
/// best, what is sorted.
pub(crate) fn noted_bytes(id: FunctionId) -> usize {
    use FunctionId::{
        Changes, Increase, MadOverTime, MaxOverTime, MinOverTime, QuantileOverTime, Rate, Resets,
    };
    match id {
        // Lists that grow are up to twice as large as they need be.
        Rate | Increase | Changes | Resets => 2 * size_of::<usize>(),
        MinOverTime | MaxOverTime => 2 * size_of::<(usize, f64)>(),
        QuantileOverTime | MadOverTime => 2 * size_of::<f64>(),
        _ => 0,
    }
}

/// What the annotations of a function point at: its first argument. Prometheus replaces a subquery by its
/// result, which has no place in the query.
pub(crate) fn span_of(call: &Call) -> Span {
    match call.args.first().map(Expr::unwrap_parens) {
        None => call.span,
        Some(Expr::Subquery(_)) => Span::default(),
        Some(arg) => arg.span(),
    }
}

/// Whether a function keeps the metric name.
pub(crate) fn keeps_name(id: FunctionId) -> bool {
    matches!(id, FunctionId::LastOverTime | FunctionId::FirstOverTime)
}

/// Whether the result depends on the step and not only on the samples and the scalar arguments.
pub(crate) fn depends_on_step(id: FunctionId) -> bool {
    id == FunctionId::PredictLinear
}

/// Refuses functions that do not know what to do with the samples outside of an extended range.
///
/// # Errors
/// With Prometheus's text.
pub(crate) fn check_extension(call: &Call, extension: Option<Extension>) -> Result<()> {
    use FunctionId::{Changes, Delta, Increase, Rate, Resets};
    let (fits, modifier, functions) = match extension {
        None => return Ok(()),
        Some(Extension::Anchored) => (
            matches!(call.function.id, Changes | Delta | Increase | Rate | Resets),
            "anchored",
            "changes, delta, increase, rate, resets",
        ),
        Some(Extension::Smoothed) => (
            matches!(call.function.id, Delta | Increase | Rate),
            "smoothed",
            "delta, increase, rate",
        ),
    };
    if fits {
        return Ok(());
    }
    let name = call.function.name;
    Err(Error::execution(format!(
        "{modifier} modifier can only be used with: {functions} - not with {name}"
    )))
}

/// What is to be said of a series after its last step.
pub(crate) fn finish(
    id: FunctionId,
    column: &Column,
    type_labels: bool,
    context: &mut Context<'_>,
) {
    let of_counters = matches!(id, FunctionId::Rate | FunctionId::Increase);
    if of_counters && (0..column.len()).any(|step| column.float(step).is_some()) {
        context.note_unless_counter(type_labels);
    }
}
