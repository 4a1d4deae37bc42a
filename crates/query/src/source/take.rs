//! What of a downsampled series a function works on.
//!
//! Source: Thanos 0.43, `pkg/query/querier.go`, `aggrsFromFunc` and `maxResolutionFromSelectHints`.

use rutile_proto::thanos::{Aggr, Chunk};
use rutile_storeapi::AggrChunk;

/// Functions that need two samples in their range: coarser data than half of it would leave them none.
const NEED_TWO_SAMPLES: [&str; 9] = [
    "rate",
    "irate",
    "increase",
    "delta",
    "idelta",
    "deriv",
    "predict_linear",
    "holt_winters",
    "double_exponential_smoothing",
];

/// Which aggregate stands for the samples. Raw chunks are taken as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// Sum by count.
    Average,
    Count,
    Sum,
    Min,
    Max,
    /// With what was lost by resets added.
    Counter,
}

impl Take {
    /// What suits the function or aggregation around a selector.
    pub(crate) fn of(function: Option<&str>) -> Self {
        match function.unwrap_or_default() {
            "min" => Self::Min,
            "max" => Self::Max,
            "count" => Self::Count,
            "increase" | "rate" | "irate" | "resets" | "xincrease" | "xrate" => Self::Counter,
            name if name.starts_with("min_") => Self::Min,
            name if name.starts_with("max_") => Self::Max,
            name if name.starts_with("count_") => Self::Count,
            // Plain `sum` adds samples of series, and wants them as they were.
            name if name.starts_with("sum_") => Self::Sum,
            _ => Self::Average,
        }
    }

    /// What to ask stores for.
    pub(crate) fn aggregates(self) -> Vec<i32> {
        let wanted: &[Aggr] = match self {
            Self::Average => &[Aggr::Count, Aggr::Sum],
            Self::Count => &[Aggr::Count],
            Self::Sum => &[Aggr::Sum],
            Self::Min => &[Aggr::Min],
            Self::Max => &[Aggr::Max],
            Self::Counter => &[Aggr::Counter],
        };
        wanted
            .iter()
            .map(|aggregate| i32::from(*aggregate))
            .collect()
    }

    /// The part of a chunk to read, if it is one part.
    pub(crate) fn part(self, chunk: &AggrChunk) -> Option<&Chunk> {
        let aggregate = match self {
            Self::Average => Aggr::Raw,
            Self::Count => Aggr::Count,
            Self::Sum => Aggr::Sum,
            Self::Min => Aggr::Min,
            Self::Max => Aggr::Max,
            Self::Counter => Aggr::Counter,
        };
        chunk.part(aggregate).or_else(|| chunk.part(Aggr::Raw))
    }
}

/// The coarsest resolution, ms, that a function over a range may be answered from.
pub(crate) fn max_resolution_ms(max_ms: i64, range_ms: i64, function: Option<&str>) -> i64 {
    if range_ms > 0 && function.is_some_and(|name| NEED_TWO_SAMPLES.contains(&name)) {
        max_ms.min(range_ms / 2)
    } else {
        max_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_choose_their_aggregates() {
        let check = |function: &str, expected: Take| {
            assert_eq!(Take::of(Some(function)), expected, "{function}");
        };
        check("min_over_time", Take::Min);
        check("max", Take::Max);
        check("count_over_time", Take::Count);
        check("count", Take::Count);
        check("sum_over_time", Take::Sum);
        check("sum", Take::Average);
        check("avg_over_time", Take::Average);
        check("rate", Take::Counter);
        check("xincrease", Take::Counter);
        check("minute", Take::Average);
        assert_eq!(Take::of(None).aggregates(), [1, 2]);
    }

    #[test]
    fn two_samples_fit_into_the_range() {
        assert_eq!(max_resolution_ms(300_000, 60_000, Some("rate")), 30_000);
        assert_eq!(
            max_resolution_ms(300_000, 60_000, Some("sum_over_time")),
            300_000
        );
        assert_eq!(max_resolution_ms(300_000, 0, Some("rate")), 300_000);
    }
}
