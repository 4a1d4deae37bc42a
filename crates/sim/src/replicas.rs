//! Runs in which two streams are replicas: two Prometheus that scrape the same, of which now one misses something and
//! now the other, and which do not always read the same value.

use std::ops::Range;

use rutile_block::BlockId;
use rutile_dedup::Function;
use rutile_model::Labels;
use rutile_runtime::{Entropy, SeededEntropy};

use crate::cell::{Cell, Samples};
use crate::scenario::{CHAOS_MS, MINUTE};

/// The label that tells them apart.
pub(crate) const REPLICA: &str = "replica";
/// Time between two scrapes: twelve fill a block.
pub(crate) const SCRAPE_MS: i64 = 10 * MINUTE;

/// How compactors treat replicas.
#[derive(Debug, Clone)]
pub struct Replicas {
    /// How they merge what overlaps.
    pub function: Function,
    /// How much later the second replica scrapes, ms.
    pub behind_ms: i64,
    /// When they run with the replica label, ms from the start: always, from some time on, or up to then.
    pub known_ms: Range<i64>,
}

impl Replicas {
    /// For compactors that run with the replica label all the time.
    pub(crate) const ALWAYS: Range<i64> = 0..i64::MAX;

    pub(crate) fn new(entropy: &SeededEntropy) -> Self {
        let pick = |below: u64| entropy.next_u64() % below;
        let turn_ms = 20 * MINUTE + pick(CHAOS_MS as u64) as i64;
        Self {
            function: Function::ALL[pick(Function::ALL.len() as u64) as usize],
            behind_ms: [0, 7_000][pick(2) as usize],
            known_ms: match pick(4) {
                0 => turn_ms..i64::MAX,
                1 => 0..turn_ms,
                _ => Self::ALWAYS,
            },
        }
    }

    /// When that changes next, ms from the start.
    pub(crate) fn turn_ms(&self, at_ms: i64) -> Option<i64> {
        let turns = [self.known_ms.start, self.known_ms.end];
        turns.into_iter().find(|ms| *ms > at_ms && *ms != i64::MAX)
    }

    /// Block `number` of the first replica or the second one.
    pub(crate) fn cell(
        &self,
        id: BlockId,
        replica: usize,
        (number, times): (usize, Range<i64>),
        entropy: &SeededEntropy,
    ) -> Cell {
        let chance = |percent: u64| entropy.next_u64() % 100 < percent;
        let behind_ms = if replica == 0 { 0 } else { self.behind_ms };
        let mut samples = Samples::new();
        for series in 0..3 {
            // One that both have, one that both have now and then, one that only one of them has.
            let is_there = match series {
                0 => true,
                1 => number % 3 != 0,
                _ => number % 4 == replica + 1,
            };
            let from = times.start + 1 + behind_ms;
            let mut scrapes: Vec<i64> = (from..times.end).step_by(SCRAPE_MS as usize).collect();
            if chance(60) && number % 2 == replica {
                let out = 1 + (entropy.next_u64() % 6) as usize;
                scrapes.drain(out..out + 1 + (entropy.next_u64() % 4) as usize);
            }
            let value = |at: usize| {
                let wrong = if chance(5) { 0.5 } else { 0.0 };
                ((number * 100 + at) as f64 + wrong).to_bits()
            };
            let of_series = scrapes.into_iter().enumerate();
            let of_series = of_series.map(|(at, t)| (t, value(at))).collect();
            if is_there {
                samples.insert(format!("s{series}"), of_series);
            }
        }
        let replica = if replica == 0 { "a" } else { "b" };
        let labels = Labels::from([(REPLICA, replica), ("stream", "0")]);
        Cell::written(id, labels, times, samples)
    }
}
