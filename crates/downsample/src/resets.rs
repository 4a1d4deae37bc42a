//! The counters of aggregate chunks, read as one series that only grows.

/// Takes resets out of the counters of consecutive aggregate chunks.
///
/// Each has its series' first and last raw value besides the totals of its windows; the last one stands at the time of the
/// last window once more. So a reset between two chunks shows, and is taken out like those within them. Source: Thanos
/// 0.43, `pkg/compact/downsample/downsample.go`, `ApplyCounterResetsSeriesIterator`.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    last: Option<(i64, f64)>,
    total: f64,
}

impl Growing {
    /// The next sample of a chunk; gives one of the series, unless this one only tells the last raw value, or goes back.
    pub(crate) fn push(&mut self, t: i64, value: f64) -> Option<(i64, f64)> {
        if value.is_nan() {
            return None;
        }
        match self.last {
            None => self.total = value,
            Some((last_t, last)) if t > last_t => {
                self.total += if value >= last { value - last } else { value };
            }
            Some((last_t, _)) => {
                if t == last_t {
                    self.last = Some((t, value));
                }
                return None;
            }
        }
        self.last = Some((t, value));
        Some((t, self.total))
    }

    /// The last raw value.
    pub(crate) fn last_value(&self) -> Option<f64> {
        self.last.map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_within_chunks_and_between_them_are_taken_out() {
        let mut growing = Growing::default();
        // Raw 5, 8, reset to 2: totals 8, 10; the last raw value is 2.
        let first = [(1, 5.0), (2, 8.0), (3, 10.0), (3, 2.0)];
        // Went on from 2: no reset. Then one to 1.
        let second = [(3, 3.0), (4, 3.0), (5, 6.0), (6, 1.0), (6, f64::NAN)];
        let all = first.into_iter().chain(second);
        let grown: Vec<_> = all.filter_map(|(t, v)| growing.push(t, v)).collect();
        let expected = [
            (1, 5.0),
            (2, 8.0),
            (3, 10.0),
            (4, 10.0),
            (5, 13.0),
            (6, 14.0),
        ];
        assert_eq!(grown, expected);
        assert_eq!(growing.last_value(), Some(1.0));
    }
}
