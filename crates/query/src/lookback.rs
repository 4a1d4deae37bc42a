//! How far instant selectors look back, by the resolution of the data.

/// Resolutions of downsampled data, ms.
const FIVE_MINUTES_MS: i64 = 300_000;
const ONE_HOUR_MS: i64 = 3_600_000;

/// How far to look back for data of at most `max_resolution_ms`. If `dynamic`, at least as far as two samples of the
/// coarsest data lie apart. Source: Thanos 0.43, `cmd/thanos/query.go`, `LookbackDeltaFactory`.
pub(crate) fn lookback_ms(lookback_ms: i64, dynamic: bool, max_resolution_ms: i64) -> i64 {
    if !dynamic {
        lookback_ms
    } else if max_resolution_ms > lookback_ms.max(FIVE_MINUTES_MS) {
        lookback_ms.max(ONE_HOUR_MS)
    } else if max_resolution_ms > lookback_ms {
        lookback_ms.max(FIVE_MINUTES_MS)
    } else {
        lookback_ms
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn coarse_data_is_looked_for_further_back() {
        let check = |lookback: i64, resolution: i64, expected: i64| {
            assert_eq!(
                super::lookback_ms(lookback, true, resolution),
                expected,
                "{lookback} {resolution}"
            );
            assert_eq!(super::lookback_ms(lookback, false, resolution), lookback);
        };
        let minute = 60_000;
        check(5 * minute, 0, 5 * minute);
        check(5 * minute, 5 * minute, 5 * minute);
        check(minute, 5 * minute, 5 * minute);
        check(5 * minute, 5 * minute + 1, 60 * minute);
        check(minute, minute, minute);
        check(120 * minute, 60 * minute, 120 * minute);
        check(120 * minute, 121 * minute, 120 * minute);
    }
}
