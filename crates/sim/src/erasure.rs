//! Runs in which somebody rewrites blocks without some of their samples (S52).

use std::ops::RangeInclusive;

use rutile_runtime::{Entropy, SeededEntropy};

use crate::cell::Samples;

/// What is to be erased of every block.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// The end of the names of the series that lose something.
    series: &'static str,
    /// The times that they lose, ms, both ends inclusive; none: all.
    times: Option<RangeInclusive<i64>>,
}

impl Erasure {
    /// Of blocks of the length `block_ms`, of which the first begins at `first_ms`.
    pub(crate) fn new(entropy: &SeededEntropy, first_ms: i64, block_ms: i64) -> Self {
        let pick = |below: u64| entropy.next_u64() % below;
        let from_ms = first_ms + (1 + pick(6) as i64) * block_ms / 2;
        let times = from_ms..=from_ms + (1 + pick(3) as i64) * block_ms * 2 / 3;
        Self {
            series: ["0", "1", "[01]"][pick(3) as usize],
            times: (pick(2) == 0).then_some(times),
        }
    }

    /// The same as a request to `bucket rewrite`.
    pub(crate) fn request(&self) -> String {
        let matchers = format!("matchers: '{{series=~\"[st]{}\"}}'", self.series);
        match &self.times {
            None => format!("[{{{matchers}}}]"),
            Some(times) => {
                let (from, to) = (times.start(), times.end());
                format!("[{{{matchers}, intervals: [{{mint: {from}, maxt: {to}}}]}}]")
            }
        }
    }

    /// What stays of samples.
    pub(crate) fn left_of(&self, samples: &Samples) -> Samples {
        let loses = |name: &str| match self.series {
            "[01]" => name.ends_with(['0', '1']),
            one => name.ends_with(one),
        };
        let mut left = samples.clone();
        for (_, of_series) in left.iter_mut().filter(|(name, _)| loses(name)) {
            match &self.times {
                None => of_series.clear(),
                Some(times) => of_series.retain(|t, _| !times.contains(t)),
            }
        }
        left.retain(|_, of_series| !of_series.is_empty());
        left
    }
}
