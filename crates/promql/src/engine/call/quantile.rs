//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction`, of native and classic
//! histograms in one vector.

use std::collections::BTreeSet;

use rutile_model::go_float::GoFloat;
use rutile_model::histogram::NanObservations;
use rutile_model::histogram::classic::{self, Bucket, ForcedMonotonic};
use rutile_model::sample::STALE_NAN;
use rutile_model::{FloatHistogram, Labels};

use super::classic::{Histograms, with_name};
use super::{Args, CallContext, at, column};
use crate::ast::Span;
use crate::engine::Result;
use crate::engine::annotation::Mended;
use crate::engine::column::{Operand, Row};
use crate::engine::memory::too_many;

pub(super) fn quantile(context: &mut CallContext<'_>, mut args: Args) -> Operand {
    let (quantiles, rows) = (args.scalar(), args.vector());
    warn_of_quantiles(context, &quantiles, 0);
    let span = context.span_of(1);
    let histograms = Histograms::new(context, rows, span);
    let mut mended = BTreeSet::new();
    Operand::Vector(quantile_rows(
        context,
        &histograms,
        &quantiles,
        span,
        &mut mended,
    ))
}

/// The same for many quantiles, told apart by a label.
///
/// # Errors
/// When there would be too many: each value of a quantile has rows of its own, with a place for each step.
pub(super) fn quantiles(context: &mut CallContext<'_>, mut args: Args) -> Result<Operand> {
    let (rows, label) = (args.vector(), args.string());
    let mut all = Vec::new();
    while let Some(quantiles) = args.next_scalar() {
        warn_of_quantiles(context, &quantiles, all.len() + 2);
        all.push(quantiles);
    }
    let span = context.span_of(0);
    let histograms = Histograms::new(context, rows, span);
    let (mut out, mut mended) = (Vec::new(), BTreeSet::new());
    let most_rows = context.options.max_samples / context.steps.len() as u64;
    for quantiles in &all {
        let rows = quantile_rows(context, &histograms, quantiles, span, &mut mended);
        // A quantile may differ from step to step, and then each one has a row of its own.
        let distinct = distinct(quantiles);
        let more = rows.len().saturating_mul(distinct.len());
        if out.len().saturating_add(more) as u64 > most_rows {
            return Err(too_many(context.options.max_samples));
        }
        for quantile in distinct {
            let text = open_metrics(quantile);
            for row in &rows {
                let floats = row.column.floats.iter().zip(quantiles);
                let floats = floats.map(|(value, q)| match q.to_bits() == quantile.to_bits() {
                    true => *value,
                    false => STALE_NAN,
                });
                let mut labels = row.labels.to_builder();
                let labels = labels.set(label.as_str(), text.as_str()).build();
                out.push(Row {
                    drop_name: row.drop_name,
                    ..Row::new(labels, column(floats.collect()))
                });
            }
        }
    }
    Ok(Operand::Vector(out))
}

pub(super) fn fraction(context: &mut CallContext<'_>, mut args: Args) -> Operand {
    let (lower, upper, rows) = (args.scalar(), args.scalar(), args.vector());
    let span = context.span_of(2);
    let histograms = Histograms::new(context, rows, span);
    let native = |step: usize, histogram: &FloatHistogram| {
        histogram.fraction(at(&lower, step), at(&upper, step))
    };
    let mut out = native_rows(context, &histograms, span, native);
    let mut buckets = Vec::new();
    for classic in &histograms.classics {
        let value = |step| match classic.buckets(step, &mut buckets) {
            true => classic::fraction(at(&lower, step), at(&upper, step), &mut buckets),
            false => STALE_NAN,
        };
        let floats = (0..context.steps.len()).map(value).collect();
        out.push(named_row(context, &classic.labels, floats));
    }
    Operand::Vector(out)
}

/// The quantile of each histogram at each step. `known` are those whose counts had to be mended before, by place and
/// step: that is told once.
fn quantile_rows(
    context: &mut CallContext<'_>,
    histograms: &Histograms,
    quantiles: &[f64],
    span: Span,
    known: &mut BTreeSet<(usize, usize)>,
) -> Vec<Row> {
    let native = |step: usize, histogram: &FloatHistogram| histogram.quantile(at(quantiles, step));
    let is_fixed = context.is_fixed();
    let mut out = native_rows(context, histograms, span, native);
    let mut buckets: Vec<Bucket> = Vec::new();
    for (place, classic) in histograms.classics.iter().enumerate() {
        let mut mended: Option<Mended> = None;
        let mut floats = vec![STALE_NAN; context.steps.len()];
        for (step, float) in floats.iter_mut().enumerate() {
            if !classic.buckets(step, &mut buckets) {
                continue;
            }
            let quantile = classic::quantile(at(quantiles, step), &mut buckets);
            *float = quantile.value;
            if let Some(forced) = quantile.forced_monotonic
                && known.insert((place, step))
                && (step == 0 || !is_fixed)
            {
                let here = mended_at(context.steps.time(step), forced);
                mended = Some(mended.map_or(here, |mended| mended.and(here)));
            }
        }
        if let Some(mended) = mended {
            let what = "input to histogram_quantile needed to be fixed for monotonicity (see \
                        https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
            let message = with_name(what.to_owned(), context, &classic.labels);
            context.annotations.mended(span, message, mended);
        }
        out.push(named_row(context, &classic.labels, floats));
    }
    out
}

fn mended_at(time_ms: i64, forced: ForcedMonotonic) -> Mended {
    Mended {
        lowest: forced.lowest,
        highest: forced.highest,
        largest: forced.largest,
        samples: 1,
        first_ms: time_ms,
        last_ms: time_ms,
    }
}

/// What is computed of each native histogram, and a note of what observations of NaN did to it.
fn native_rows(
    context: &mut CallContext<'_>,
    histograms: &Histograms,
    span: Span,
    compute: impl Fn(usize, &FloatHistogram) -> (f64, Option<NanObservations>),
) -> Vec<Row> {
    let mut out = Vec::with_capacity(histograms.natives.len());
    for row in &histograms.natives {
        let mut notes = Vec::new();
        let places = row.column.histograms.iter().enumerate();
        let floats = places.map(|(step, histogram)| {
            let Some(histogram) = histogram else {
                return STALE_NAN;
            };
            let (value, note) = compute(step, histogram);
            if let Some(note) = note.filter(|note| !notes.contains(note)) {
                notes.push(note);
            }
            value
        });
        let floats = floats.collect();
        for note in notes {
            let what = match note {
                NanObservations::Skew => {
                    "input to histogram_quantile has NaN observations, result is skewed higher"
                }
                NanObservations::Result => {
                    "input to histogram_quantile has NaN observations, result is NaN"
                }
                NanObservations::Excluded => {
                    "input to histogram_fraction has NaN observations, which are excluded from all \
                     fractions"
                }
            };
            let message = with_name(what.to_owned(), context, &row.labels);
            context.annotations.info(span, message);
        }
        out.push(named_row(context, &row.labels, floats));
    }
    out
}

/// A row of a histogram that had these labels.
fn named_row(context: &CallContext<'_>, labels: &Labels, floats: Vec<f64>) -> Row {
    let mut row = Row::new(labels.clone(), column(floats));
    context.drop_name(&mut row);
    row
}

fn warn_of_quantiles(context: &mut CallContext<'_>, quantiles: &[f64], arg: usize) {
    let span = context.span_of(arg);
    for quantile in distinct(quantiles) {
        if !(0.0..=1.0).contains(&quantile) {
            let got = GoFloat(quantile);
            let message = format!("quantile value should be between 0 and 1, got {got}");
            context.annotations.warn(span, message);
        }
    }
}

/// Each number once, in order of appearance.
fn distinct(values: &[f64]) -> Vec<f64> {
    let mut seen = BTreeSet::new();
    let is_new = |value: &f64| seen.insert(value.to_bits());
    values.iter().copied().filter(is_new).collect()
}

/// A number as OpenMetrics wants it: with a point or an exponent.
fn open_metrics(value: f64) -> String {
    let text = GoFloat(value).to_string();
    if value.is_finite() && !text.contains(['.', 'e']) {
        return text + ".0";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_labels_of_open_metrics() {
        for (value, want) in [
            (0.5, "0.5"),
            (1.0, "1.0"),
            (0.0, "0.0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (1e-7, "1e-07"),
        ] {
            assert_eq!(open_metrics(value), want);
        }
    }
}
