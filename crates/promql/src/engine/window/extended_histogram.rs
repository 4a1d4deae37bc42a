//! `rate`, `increase` and `delta` of native histograms over ranges that are `anchored` or `smoothed`.

use rutile_model::histogram::HistogramError;
use rutile_model::{CounterResetHint, FloatHistogram};

use super::extended::{interpolate_histograms, outermost_of_change};
use super::note::Operation;
use super::rate::Flavor;
use super::{Context, Window};
use crate::ast::Extension;

/// The samples that a range may look at, and those that give its bounds their values: all are places of
/// the series.
struct Ends {
    first: usize,
    last: usize,
    smoothed: bool,
}

/// The change of histograms over the range; `reached` are the places of all that may be looked at.
pub(super) fn change(
    window: &Window<'_>,
    (from, to): (usize, usize),
    context: &mut Context<'_>,
    flavor: Flavor,
) -> Option<FloatHistogram> {
    let times = window.samples.times.get(from..to)?;
    let smoothed = window.extension == Some(Extension::Smoothed);
    let range = (window.range_start, window.range_end);
    let (first, last) = outermost_of_change(times, range, smoothed)?;
    let ends = Ends {
        first: from + first,
        last: from + last,
        smoothed,
    };
    if !ends.are_alike(window, context, flavor) {
        return None;
    }
    let left = ends.left(window, context, flavor)?;
    // Nothing lies before the first of all samples that may be looked at.
    let right = ends.right(window, context, flavor, last > 0)?;
    let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    let are_gauges = is_gauge(&left) && is_gauge(&right);
    if !flavor.is_counter && !are_gauges {
        context.warn_not_gauge();
    }
    let mut change = right.clone();
    if !context.subtract(&mut change, &left) {
        return None;
    }
    if flavor.is_counter {
        let lost = ends.lost(window, context, &left, &right).ok()?;
        if let Some(lost) = lost
            && !context.add(&mut change, &lost)
        {
            return None;
        }
    }
    if flavor.is_rate {
        change.div(window.seconds());
    }
    change.counter_reset_hint = CounterResetHint::Gauge;
    change.compact(0);
    Some(change)
}

impl Ends {
    /// Whether the histograms fit together; says so if not, or if they are no counters.
    fn are_alike(&self, window: &Window<'_>, context: &mut Context<'_>, flavor: Flavor) -> bool {
        if window.profile.uniform {
            return true;
        }
        let mut histograms = (self.first..=self.last)
            .filter_map(|i| window.histogram_at(i))
            .peekable();
        let custom = histograms
            .peek()
            .is_some_and(|first| first.uses_custom_buckets());
        for histogram in histograms {
            if histogram.uses_custom_buckets() != custom {
                context.warn_mixed_buckets();
                return false;
            }
            if flavor.is_counter && histogram.counter_reset_hint == CounterResetHint::Gauge {
                context.warn_not_counter();
            }
        }
        true
    }

    /// The value at the start of the range.
    fn left(
        &self,
        window: &Window<'_>,
        context: &mut Context<'_>,
        flavor: Flavor,
    ) -> Option<FloatHistogram> {
        let is_before = window.time_at(self.first) < window.range_start;
        if !(self.smoothed && is_before) {
            return window.histogram_at(self.first).cloned();
        }
        let pair = (self.first, self.first + 1);
        between(window, context, pair, window.range_start, flavor)
    }

    /// The value at the end of the range.
    fn right(
        &self,
        window: &Window<'_>,
        context: &mut Context<'_>,
        flavor: Flavor,
        has_previous: bool,
    ) -> Option<FloatHistogram> {
        let is_behind = window.time_at(self.last) > window.range_end;
        if !(self.smoothed && is_behind && has_previous) {
            return window.histogram_at(self.last).cloned();
        }
        let pair = (self.last - 1, self.last);
        between(window, context, pair, window.range_end, flavor)
    }

    /// What was lost to counter resets between the bounds, if there were any.
    fn lost(
        &self,
        window: &Window<'_>,
        context: &mut Context<'_>,
        left: &FloatHistogram,
        right: &FloatHistogram,
    ) -> Result<Option<FloatHistogram>, Refused> {
        let mut previous = left;
        let mut next = self.first + 1;
        if self.smoothed
            && window.time_at(self.first) < window.range_start
            && let (Some(first), Some(second)) =
                (window.histogram_at(self.first), window.histogram_at(next))
            && second.detect_reset(first)
        {
            // That reset is part of the value at the start already.
            previous = second;
            next += 1;
        }
        // The value at the end has the hint of the last histogram: of the two, only one may be compared.
        if next > self.last {
            return Ok(None);
        }
        let mut lost = None;
        if next < self.last {
            let first = window.histogram_at(next);
            if first.is_some_and(|first| first.detect_reset(previous)) {
                context.lose(&mut lost, previous)?;
            }
            for reset in window.profile.events(next + 1, self.last) {
                if let Some(before) = window.histogram_at(reset - 1) {
                    context.lose(&mut lost, before)?;
                }
            }
            previous = window.histogram_at(self.last - 1).unwrap_or(previous);
        }
        if right.detect_reset(previous) {
            context.lose(&mut lost, previous)?;
        }
        Ok(lost)
    }
}

/// Histograms that cannot be added; what there is to say of it was said.
struct Refused;

/// The histogram between those at two places.
fn between(
    window: &Window<'_>,
    context: &mut Context<'_>,
    (before, after): (usize, usize),
    time: i64,
    flavor: Flavor,
) -> Option<FloatHistogram> {
    let at = |i| Some((window.time_at(i), window.histogram_at(i)?));
    let between = interpolate_histograms(at(before)?, at(after)?, time, flavor.is_counter);
    context.accept_interpolated(between)
}

impl Context<'_> {
    /// Adds a histogram to what was lost.
    fn lose(
        &mut self,
        lost: &mut Option<FloatHistogram>,
        histogram: &FloatHistogram,
    ) -> Result<(), Refused> {
        let Some(lost) = lost else {
            *lost = Some(histogram.clone());
            return Ok(());
        };
        if self.add(lost, histogram) {
            Ok(())
        } else {
            Err(Refused)
        }
    }

    /// The histogram that was interpolated, if it could be; says what had to be done for it.
    pub(crate) fn accept_interpolated(
        &mut self,
        interpolated: Result<(FloatHistogram, [bool; 2]), HistogramError>,
    ) -> Option<FloatHistogram> {
        match interpolated {
            Ok((histogram, [subtracted, added])) => {
                if subtracted {
                    self.note_reconciled(Operation::Subtraction);
                }
                if added {
                    self.note_reconciled(Operation::Addition);
                }
                Some(histogram)
            }
            Err(error) => {
                self.judge(Err(error), Operation::Subtraction);
                None
            }
        }
    }
}
