//! Windows of time, and which samples are at their ends.

/// Evenly spaced windows of one length: from behind `end - range_ms` up to `end`, inclusive. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowTimes {
    /// The end of the first one, since the Unix epoch.
    pub first_end_ms: i64,
    /// The end of the last one, a multiple of the interval later.
    pub last_end_ms: i64,
    /// From one end to the next one; positive.
    pub interval_ms: i64,
    /// The length; not negative.
    pub range_ms: i64,
}

/// Goes over samples in order of their times, and tells those that are at an end of a window.
#[derive(Debug, Clone)]
pub struct WindowEnds {
    interval_ms: i64,
    /// The next time behind which a window begins, and the last one.
    start: (i64, i64),
    /// The next time at which a window ends, and the last one.
    end: (i64, i64),
}

impl WindowTimes {
    /// Before the first sample.
    #[must_use]
    pub fn ends(&self) -> WindowEnds {
        let start = |end: i64| end.saturating_sub(self.range_ms);
        WindowEnds {
            interval_ms: self.interval_ms.max(1),
            start: (start(self.first_end_ms), start(self.last_end_ms)),
            end: (self.first_end_ms, self.last_end_ms),
        }
    }
}

impl WindowEnds {
    /// Whether the sample at `time_ms` is neither the first one of a window nor the last one, where those right before and
    /// behind it are at `before_ms` and `behind_ms`: earlier and later, and not earlier than at the call before.
    #[inline]
    #[must_use]
    pub fn is_between(&mut self, before_ms: i64, time_ms: i64, behind_ms: i64) -> bool {
        let starts = next(&mut self.start, before_ms, self.interval_ms);
        let ends = next(&mut self.end, time_ms, self.interval_ms);
        starts.is_none_or(|start| start >= time_ms) && ends.is_none_or(|end| end >= behind_ms)
    }
}

/// The first of evenly spaced times that is not before `from_ms`; none behind the last one.
#[inline]
fn next((time, last): &mut (i64, i64), from_ms: i64, interval_ms: i64) -> Option<i64> {
    if *time < from_ms {
        let interval_ms = interval_ms.unsigned_abs();
        let steps = from_ms.abs_diff(*time).div_ceil(interval_ms);
        *time = time.saturating_add_unsigned(steps.saturating_mul(interval_ms));
    }
    (*time <= *last).then_some(*time)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All windows are looked at.
    fn is_at_an_end(windows: &WindowTimes, times: &[i64], place: usize) -> bool {
        let ends = (0..).map(|i| windows.first_end_ms + i * windows.interval_ms);
        let mut ends = ends.take_while(|end| *end <= windows.last_end_ms);
        ends.any(|end| {
            let within = |time: &i64| *time > end - windows.range_ms && *time <= end;
            let first = times.iter().position(within);
            let last = times.iter().rposition(within);
            first == Some(place) || last == Some(place)
        })
    }

    #[test]
    fn ends_are_those_of_all_windows() {
        let mut told = 0;
        for (first_end_ms, count, interval_ms, range_ms) in [
            (100, 10, 60, 300),
            (0, 40, 7, 20),
            (-50, 3, 200, 45),
            (60, 1, 1, 100),
            (120, 200, 1, 3),
            (300, 4, 90, 0),
            (900, 2, 100, 100),
            (-900, 2, 100, 100),
        ] {
            let windows = WindowTimes {
                first_end_ms,
                last_end_ms: first_end_ms + (count - 1) * interval_ms,
                interval_ms,
                range_ms,
            };
            let times: Vec<i64> = (0..60).map(|i| i * 13 - 40 + (i * i) % 7).collect();
            let mut ends = windows.ends();
            for (place, triple) in times.windows(3).enumerate() {
                let is_between = ends.is_between(triple[0], triple[1], triple[2]);
                let at_end = is_at_an_end(&windows, &times, place + 1);
                // What is in no window may be told to be at an end.
                assert!(!(is_between && at_end), "{windows:?}: {triple:?}");
                told += usize::from(is_between);
            }
        }
        assert!(told > 200, "most are between: {told}");
    }

    #[test]
    fn times_at_the_ends_of_numbers_do_no_harm() {
        let windows = WindowTimes {
            first_end_ms: i64::MIN,
            last_end_ms: i64::MAX,
            interval_ms: 0,
            range_ms: i64::MAX,
        };
        let mut ends = windows.ends();
        assert!(!ends.is_between(i64::MIN, 0, i64::MAX));
        assert!(ends.is_between(i64::MAX, i64::MAX, i64::MAX));
    }
}
