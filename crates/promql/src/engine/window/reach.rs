//! How far the change within a range is taken to reach beyond its samples, towards the bounds of the range.
//!
//! Source: Prometheus 3.14, `promql/functions.go` (`extrapolatedRate`). Most of what is divided there is only compared,
//! and lies far apart: then products tell, and a division, which takes as long as a dozen of them, need not be made. Where
//! they are too close to tell, it is.

use super::Window;
use super::rate::Flavor;

/// What is less by this factor is less, however both were rounded.
const SURELY_LESS: f64 = 1.0 - 1e-9;
/// Products of this size are right but for rounding.
const PRECISE: std::ops::Range<f64> = 1e-290..1e300;

/// How much of the range the samples cover, in seconds, and how far they are taken to reach beyond.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    covered: f64,
    to_start: f64,
    to_end: f64,
    /// From the first sample to the last one, and how many gaps there are between.
    within: f64,
    gaps: f64,
}

impl Reach {
    #[inline]
    pub(super) fn of(window: &Window<'_>) -> Self {
        let first = window.time_at(window.from);
        let last = window.time_at(window.to.saturating_sub(1));
        let range = (window.range_start, window.range_end);
        Self::between((first, last), window.len(), range)
    }

    /// That of so many samples from a first time to a last one, in a range: all times in ms.
    #[inline]
    pub(super) fn between(
        (first, last): (i64, i64),
        samples: usize,
        (start, end): (i64, i64),
    ) -> Self {
        let covered = (last - first) as f64 / 1000.0;
        Self {
            covered,
            to_start: (first - start) as f64 / 1000.0,
            to_end: (end - last) as f64 / 1000.0,
            within: covered,
            gaps: samples.saturating_sub(1) as f64,
        }
    }

    /// The counter is known to have begun at `start`, and its last sample was at `last`, ms.
    pub(super) fn begin_at(&mut self, last: i64, start: i64) {
        self.to_start = 0.0;
        self.covered = (last - start) as f64 / 1000.0;
    }

    #[inline]
    pub(super) fn limit_start(&mut self) {
        self.to_start = self.limited(self.to_start);
    }

    /// A gap that is much longer than those between samples are on average is taken for one before the series began, or
    /// after it ended: half of one remains.
    #[inline]
    fn limited(&self, gap: f64) -> f64 {
        if gap * self.gaps < self.within * (1.1 * SURELY_LESS) {
            return gap;
        }
        let spacing = if self.gaps > 0.0 {
            self.within / self.gaps
        } else {
            0.0
        };
        if gap >= spacing * 1.1 {
            spacing / 2.0
        } else {
            gap
        }
    }

    /// A counter is not extrapolated beyond the time at which it was zero: of its first value, and how much it increased.
    #[inline]
    pub(super) fn limit_to_zero(&mut self, first: f64, change: f64) {
        let (zero, start) = (first * self.covered, change * self.to_start);
        if PRECISE.contains(&zero) && start < zero * SURELY_LESS {
            return;
        }
        let to_zero = self.covered * (first / change);
        if to_zero < self.to_start {
            self.to_start = to_zero;
        }
    }

    /// What the change within the samples of a range of so many seconds has to be multiplied with.
    #[inline]
    pub(super) fn factor(self, seconds: f64, flavor: Flavor) -> f64 {
        let to_end = self.limited(self.to_end);
        let mut factor = 1.0;
        if self.covered != 0.0 {
            factor = (self.covered + self.to_start + to_end) / self.covered;
        }
        if flavor.is_rate {
            factor /= seconds;
        }
        factor
    }
}

#[cfg(test)]
mod tests {
    use super::super::rate::RATE;
    use super::*;

    /// The same, each division made.
    fn divided(reach: Reach, first: f64, change: f64, seconds: f64) -> f64 {
        let spacing = reach.within / reach.gaps;
        let limited = |gap| {
            if gap >= spacing * 1.1 {
                spacing / 2.0
            } else {
                gap
            }
        };
        let to_start = limited(reach.to_start).min(reach.covered * (first / change));
        (reach.covered + to_start + limited(reach.to_end)) / reach.covered / seconds
    }

    /// Whatever a counter begins with, and however much it increases.
    fn check(reach: Reach) {
        for first in [0.0, 1e-310, 0.5, 11.0, 40.0, 1e5, 1e305, f64::INFINITY] {
            for change in [1e-300, 0.25, 11.0, 1e6, 1e306] {
                let mut limited = reach;
                limited.limit_start();
                limited.limit_to_zero(first, change);
                let factor = limited.factor(300.0, RATE);
                let expected = divided(reach, first, change, 300.0);
                let bits = [factor, expected].map(f64::to_bits);
                assert_eq!(bits[0], bits[1], "{reach:?}, {first} of {change}");
            }
        }
    }

    #[test]
    fn divisions_that_are_left_out_would_change_nothing() {
        // Gaps are as long as they may be, or a millisecond more; and counters begin where the range does.
        for (gap, samples) in [1, 7, 1000, 10_000, 15_001]
            .into_iter()
            .flat_map(|gap| (2..22).map(move |samples| (gap, samples)))
        {
            for before in (0..24).flat_map(|i| [gap * i / 20, gap * i / 20 + 1]) {
                let last = before + gap * (samples as i64 - 1);
                let range = (0, last + gap * 11 / 10);
                check(Reach::between((before, last), samples, range));
            }
        }
    }
}
