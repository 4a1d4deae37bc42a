//! Functions over instant vectors, scalars and strings, each over all steps at once.
//!
//! Most take a row's column, change its floats in place and take the metric name off. What depends on
//! other series (`absent`, `scalar`, classic histograms) goes over the steps with all rows at hand.

mod absent;
mod calendar;
mod classic;
mod fixed;
pub(crate) mod info;
mod labels;
mod math;
mod native;
mod quantile;
mod scalar;
mod sort;

use rutile_model::Patterns;
use rutile_model::sample::{STALE_NAN, is_stale_nan};

use crate::ast::{Call, FunctionId, Span};

use super::annotation::Annotations;
use super::column::{Column, Operand, Row};
use super::eval::without_name;
use super::steps::Steps;
use super::stop::Stop;
use super::{EngineOptions, Error, Result};

/// What a function is told beside its arguments.
#[derive(Debug)]
pub(crate) struct CallContext<'a> {
    pub(crate) call: &'a Call,
    pub(crate) steps: Steps,
    /// Of the whole query: what `start()`, `end()`, `range()` and `step()` tell.
    pub(crate) query: Steps,
    pub(crate) options: &'a EngineOptions,
    pub(crate) annotations: &'a mut Annotations,
    /// The regular expressions of the query.
    pub(crate) patterns: &'a mut Patterns,
    pub(crate) stop: &'a Stop,
}

/// Arguments, taken one after the other; the parser has checked their number and types.
struct Args(std::vec::IntoIter<Operand>);

/// Applies a function to its evaluated arguments; none is a range vector. Rows that come out may have
/// equal labels: the evaluator joins them, or refuses them.
pub(crate) fn apply(context: &mut CallContext<'_>, args: Vec<Operand>) -> Result<Operand> {
    let id = context.call.function.id;
    let mut args = Args(args.into_iter());
    if let Some(function) = math::of_one(id) {
        let rows = args.vector();
        return Ok(context.map_floats(rows, |_, value| Some(function(value))));
    }
    if let Some(part) = calendar::part(id) {
        return Ok(calendar::apply(context, args.next_vector(), part));
    }
    if let Some(number) = native::number(id) {
        return Ok(native::apply(context, args.vector(), number));
    }
    match id {
        FunctionId::Clamp => Ok(math::clamp(context, args)),
        FunctionId::ClampMin => Ok(math::clamp_min(context, args)),
        FunctionId::ClampMax => Ok(math::clamp_max(context, args)),
        FunctionId::Round => Ok(math::round(context, args)),
        FunctionId::MinOf => Ok(math::of_two(args, math::min)),
        FunctionId::MaxOf => Ok(math::of_two(args, math::max)),
        FunctionId::Pi
        | FunctionId::Time
        | FunctionId::Start
        | FunctionId::End
        | FunctionId::Range
        | FunctionId::Step => Ok(scalar::of_query(context)),
        FunctionId::Scalar => Ok(scalar::scalar(context, &args.vector())),
        FunctionId::Vector => Ok(scalar::vector(args.scalar())),
        FunctionId::Timestamp => Ok(scalar::timestamp(context, args.vector())),
        // Only the samples of a selector have one.
        FunctionId::StartTimestamp => Ok(Operand::Vector(Vec::new())),
        FunctionId::Absent | FunctionId::AbsentOverTime => {
            Ok(absent::absent(context, &args.vector()))
        }
        FunctionId::Sort => Ok(sort::by_value(context, args.vector(), false)),
        FunctionId::SortDesc => Ok(sort::by_value(context, args.vector(), true)),
        FunctionId::SortByLabel => Ok(sort::by_label(context, args, false)),
        FunctionId::SortByLabelDesc => Ok(sort::by_label(context, args, true)),
        FunctionId::LabelReplace => labels::replace(context, args),
        FunctionId::LabelJoin => labels::join(context, args),
        FunctionId::HistogramQuantile => Ok(quantile::quantile(context, args)),
        FunctionId::HistogramQuantiles => quantile::quantiles(context, args),
        FunctionId::HistogramFraction => Ok(quantile::fraction(context, args)),
        _ => {
            let name = context.call.function.name;
            Err(Error::execution(format!(
                "{name} is no function of values at a step"
            )))
        }
    }
}

/// Whether a function tells a part of a date.
pub(crate) fn is_of_date(id: FunctionId) -> bool {
    calendar::part(id).is_some()
}

/// Whether a function changes each row of its vector by itself.
pub(crate) fn maps_rows(id: FunctionId) -> bool {
    use FunctionId::{Clamp, ClampMax, ClampMin, Round};
    math::of_one(id).is_some()
        || is_of_date(id)
        || native::number(id).is_some()
        || matches!(id, Clamp | ClampMin | ClampMax | Round)
}

impl CallContext<'_> {
    /// Takes the metric name off a row, now or at the end.
    fn drop_name(&self, row: &mut Row) {
        if self.options.delayed_name_removal {
            row.drop_name = true;
        } else {
            row.labels = without_name(&row.labels);
        }
    }

    /// Changes the floats of rows by step and value. Histograms go, and so does the metric name.
    fn map_floats(
        &self,
        mut rows: Vec<Row>,
        mut change: impl FnMut(usize, f64) -> Option<f64>,
    ) -> Operand {
        let mut pace = self.stop.pace();
        for row in &mut rows {
            if pace.ends_before(row.column.len()) {
                break;
            }
            row.column.histograms.clear();
            for (step, value) in row.column.floats.iter_mut().enumerate() {
                // The marker of an absent value must not become an ordinary NaN.
                if !is_stale_nan(*value) {
                    *value = change(step, *value).unwrap_or(STALE_NAN);
                }
            }
            self.drop_name(row);
        }
        Operand::Vector(rows)
    }

    /// Whether all arguments have one value at all steps, and Prometheus evaluates the call at the first one only.
    fn is_fixed(&self) -> bool {
        self.call.args.iter().all(fixed::is_fixed)
    }

    /// Where an argument stands in the query.
    fn span_of(&self, arg: usize) -> Span {
        let arg = self.call.args.get(arg);
        arg.map_or(self.call.span, |arg| arg.unwrap_parens().span())
    }
}

impl Args {
    fn vector(&mut self) -> Vec<Row> {
        self.next_vector().unwrap_or_default()
    }

    /// An argument that may be missing.
    fn next_vector(&mut self) -> Option<Vec<Row>> {
        self.0.next().map(Operand::into_vector)
    }

    fn scalar(&mut self) -> Vec<f64> {
        self.next_scalar().unwrap_or_default()
    }

    fn next_scalar(&mut self) -> Option<Vec<f64>> {
        self.0.next().map(Operand::into_scalar)
    }

    fn string(&mut self) -> String {
        self.next_string().unwrap_or_default()
    }

    fn next_string(&mut self) -> Option<String> {
        self.0.next().map(Operand::into_string)
    }
}

/// A column of floats.
fn column(floats: Vec<f64>) -> Column {
    Column {
        floats,
        histograms: Vec::new(),
    }
}

/// The number of a scalar at a step; NaN where it has none.
fn at(values: &[f64], step: usize) -> f64 {
    values.get(step).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests;
