//! Functions over the samples of a range: `rate`, `avg_over_time` and their like.

use crate::ast::{Call, Extension, FunctionId, Span};
use crate::source::Samples;
use rutile_model::Labels;

use super::annotation::Annotations;
use super::column::SampleValue;

/// The samples of one series in the range before a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    /// All samples of the series, those outside of the window too. No stale markers.
    pub(crate) samples: &'a Samples,
    /// The first one in the window, and the one behind the last: those of `(range_start, range_end]`.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Bounds of the range, ms: exclusive and inclusive.
    pub(crate) range_start: i64,
    pub(crate) range_end: i64,
    /// The step, ms: `range_end` plus the offset.
    pub(crate) time: i64,
    /// How far an extended range may look beyond its bounds, ms.
    pub(crate) lookback_ms: i64,
    /// `anchored` or `smoothed`.
    pub(crate) extension: Option<Extension>,
}

/// What a function is told beside the samples.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) call: &'a Call,
    /// Of the series, name included.
    pub(crate) labels: &'a Labels,
    /// Values of the scalar arguments at this step, in their order.
    pub(crate) scalars: &'a [f64],
    pub(crate) start_timestamps: bool,
    pub(crate) annotations: &'a mut Annotations,
}

impl Context<'_> {
    /// Where the range vector argument stands in the query.
    pub(crate) fn range_span(&self) -> Span {
        let is_range = |arg: &&crate::Expr| arg.value_type() == crate::ValueType::Matrix;
        let arg = self.call.args.iter().find(is_range);
        arg.map_or(self.call.span, crate::Expr::span)
    }
}

/// A function over a range. A window without samples is not shown to it.
pub(crate) type Kernel = fn(&Window<'_>, &mut Context<'_>) -> Option<SampleValue>;

/// What computes a function; none for functions that take no range vector, and for `absent_over_time`.
pub(crate) fn kernel(id: FunctionId) -> Option<Kernel> {
    match id {
        FunctionId::CountOverTime => Some(|window, _| {
            let count = window.to - window.from;
            Some(SampleValue::Float(count as f64))
        }),
        _ => None,
    }
}

/// Whether a function keeps the metric name.
pub(crate) fn keeps_name(id: FunctionId) -> bool {
    matches!(id, FunctionId::LastOverTime | FunctionId::FirstOverTime)
}
