//! The same choice where no value matters: folded over arrays of times.
//!
//! What earlier replicas came to is an array, into which the next one is merged from where the two first touch; what lies before
//! stays as it is. The chunks of replicas that overlap in turn, each as a replica of its own, are so merged in one go, however
//! many they are.

use super::FIRST_PENALTY_MS;
use crate::runs::Run;

/// What was folded so far.
#[derive(Debug, Default)]
struct Folded {
    times: Vec<i64>,
    /// Where each sample comes from: replica and place.
    picks: Vec<(usize, usize)>,
    /// After each sample: the earliest time at which a side would stand that has waited all the while.
    reach: Vec<i64>,
}

/// Chooses among replicas of these times.
pub(super) fn select(replicas: &[&[i64]]) -> Vec<Run> {
    let most = replicas.iter().map(|times| times.len()).sum();
    let mut folded = Folded {
        times: Vec::with_capacity(most),
        picks: Vec::with_capacity(most),
        reach: Vec::with_capacity(most),
    };
    let mut tail = Folded::default();
    for (replica, times) in replicas.iter().enumerate() {
        if folded.times.is_empty() {
            // The first one with samples is taken as it is.
            for (at, time) in times.iter().enumerate() {
                folded.push(*time, (replica, at));
            }
        } else {
            folded.merge(times, replica, &mut tail);
        }
    }
    let mut runs = Vec::new();
    for (replica, at) in folded.picks {
        Run::one(replica, at).push_to(&mut runs);
    }
    runs
}

impl Folded {
    fn merge(&mut self, times: &[i64], replica: usize, tail: &mut Self) {
        let Some(&first) = times.first() else {
            return;
        };
        let kept = self.untouched(first);
        tail.clear();
        tail.times.extend(self.times.drain(kept..));
        tail.picks.extend(self.picks.drain(kept..));
        self.reach.truncate(kept);

        // What a side has to wait, ms.
        let (mut penalty_a, mut penalty_b) = (0, self.penalty());
        let (mut a, mut b) = (0, 0);
        // Behind the last time there is nothing, and seeking would stay where it is.
        while self.last() < i64::MAX {
            let from = self.last().saturating_add(1);
            a += waiting(tail.times.get(a..), from.saturating_add(penalty_a));
            b += waiting(times.get(b..), from.saturating_add(penalty_b));
            let before = self.times.last().copied();
            let wait = |time: i64| match before {
                None => FIRST_PENALTY_MS,
                Some(last) => time.saturating_sub(last).saturating_mul(2),
            };
            match (tail.times.get(a), times.get(b)) {
                (Some(&time), other) if other.is_none_or(|b| time <= *b) => {
                    penalty_a = 0;
                    if other.is_some() {
                        penalty_b = wait(time);
                    }
                    let pick = tail.picks.get(a).copied();
                    self.push(time, pick.unwrap_or_default());
                }
                (other, Some(&time)) => {
                    penalty_b = 0;
                    if other.is_some() {
                        penalty_a = wait(time);
                    }
                    self.push(time, (replica, b));
                }
                _ => return,
            }
        }
    }

    /// How many samples are taken before one at `first` or later makes a difference.
    fn untouched(&self, first: i64) -> usize {
        let earlier = self.times.partition_point(|time| *time <= first);
        let waiting = self.reach.partition_point(|reach| *reach <= first);
        earlier.min(waiting + 1)
    }

    /// Of the last sample; the least time before the first one.
    fn last(&self) -> i64 {
        self.times.last().copied().unwrap_or(i64::MIN)
    }

    /// What a side that was not taken has to wait after the last sample, ms.
    fn penalty(&self) -> i64 {
        match self.times.as_slice() {
            [] => 0,
            [_] => FIRST_PENALTY_MS,
            [.., before, last] => last.saturating_sub(*before).saturating_mul(2),
        }
    }

    fn push(&mut self, time: i64, pick: (usize, usize)) {
        self.times.push(time);
        self.picks.push(pick);
        let reach = time.saturating_add(1).saturating_add(self.penalty());
        let before = self.reach.last().copied().unwrap_or(i64::MIN);
        self.reach.push(reach.max(before));
    }

    fn clear(&mut self) {
        self.times.clear();
        self.picks.clear();
        self.reach.clear();
    }
}

/// How many samples are earlier.
fn waiting(times: Option<&[i64]>, from: i64) -> usize {
    let times = times.unwrap_or_default();
    times.iter().take_while(|time| **time < from).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::by_values;
    use super::*;

    /// Ascending times, some of them at the ends of what there is.
    fn times() -> impl Strategy<Value = Vec<i64>> {
        let regular = (0..400_i64, 0..40_usize, 1..40_i64).prop_map(|(from, len, step)| {
            (0..len as i64).map(|i| from + i * step).collect::<Vec<_>>()
        });
        let any = prop::collection::btree_set(0..600_i64, 0..40);
        let any = any.prop_map(|times| times.into_iter().collect::<Vec<_>>());
        // The iterators lose a sample at the least time there is.
        let ends = vec![i64::MIN + 1, -9, 0, 7, i64::MAX - 1, i64::MAX];
        let ends = prop::sample::subsequence(ends, 0..=6);
        // Seconds, so that the first penalty is neither nothing nor all.
        let seconds = |times: Vec<i64>| times.into_iter().map(|t| t * 1000).collect::<Vec<_>>();
        prop_oneof![4 => regular.prop_map(seconds), 4 => any.prop_map(seconds), 1 => ends]
    }

    proptest! {
        #[test]
        fn arrays_are_folded_like_iterators(replicas in prop::collection::vec(times(), 2..8)) {
            let replicas: Vec<&[i64]> = replicas.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(select(&replicas), by_values(&replicas, false));
        }

        /// Chunk after chunk of two or three replicas, as compaction has them.
        #[test]
        fn chunks_in_turn_are_folded_like_iterators(
            offsets in prop::collection::vec(0..15_000_i64, 2..4),
            missed in prop::collection::vec(prop::bool::weighted(0.1), 120),
        ) {
            let replicas = offsets.iter().enumerate().map(|(replica, offset)| {
                let scrapes = missed.iter().enumerate().skip(replica).step_by(1 + replica % 2);
                let present = scrapes.filter(|(_, missed)| !**missed);
                present.map(|(i, _)| offset + 15_000 * i as i64).collect::<Vec<i64>>()
            });
            let replicas: Vec<Vec<i64>> = replicas.collect();
            let mut chunks: Vec<&[i64]> = replicas.iter().flat_map(|times| times.chunks(13)).collect();
            chunks.sort_by_key(|chunk| chunk.first().copied());
            prop_assert_eq!(select(&chunks), by_values(&chunks, false));
        }
    }
}
