//! A circuit breaker: who fails again and again is left alone for a while.
//!
//! Source: gobreaker (`gobreaker.go`), which the reference uses, with its counts of 10 s.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::BreakerConfig;

/// Counts start anew after so long, while nothing is given up.
const INTERVAL: Duration = Duration::from_secs(10);

/// Says whether an operation is to be tried, and learns from what came of it.
#[derive(Debug)]
pub(super) struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Tells outcomes of this phase from those of operations that began in an earlier one.
    generation: u64,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// All operations are tried; counts since then.
    Closed(Instant),
    /// None is until then.
    Open(Instant),
    /// Some are, since then.
    HalfOpen(Instant),
}

#[derive(Debug, Default)]
struct Counts {
    begun: u32,
    failed: u32,
    failed_in_a_row: u32,
    good_in_a_row: u32,
}

/// An operation that is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try(u64);

impl Breaker {
    pub(super) fn new(config: BreakerConfig) -> Self {
        let state = State {
            phase: Phase::Closed(Instant::now()),
            generation: 0,
            counts: Counts::default(),
        };
        Self {
            config,
            state: Mutex::new(state),
        }
    }

    /// Whether to try; tell what came of it by [`Breaker::ended`].
    pub(super) fn begin(&self) -> Option<Try> {
        let mut state = self.state.lock();
        if !self.config.enabled {
            return Some(Try(state.generation));
        }
        let now = Instant::now();
        match state.phase {
            Phase::Closed(since) if now.duration_since(since) >= INTERVAL => {
                state.enter(Phase::Closed(now));
            }
            Phase::Open(until) if now < until => return None,
            Phase::Open(_) => state.enter(Phase::HalfOpen(now)),
            Phase::HalfOpen(since) if state.counts.begun >= self.tries() => {
                if now.duration_since(since) < self.config.pause() {
                    return None;
                }
                // Who was to tell what came of it has gone away.
                state.enter(Phase::HalfOpen(now));
            }
            Phase::Closed(_) | Phase::HalfOpen(_) => {}
        }
        state.counts.begun += 1;
        Some(Try(state.generation))
    }

    /// What came of a try. Says whether operations are given up from here on.
    pub(super) fn ended(&self, of: Try, good: bool) -> bool {
        let mut state = self.state.lock();
        if !self.config.enabled || of.0 != state.generation {
            return false;
        }
        let counts = &mut state.counts;
        if good {
            counts.failed_in_a_row = 0;
            counts.good_in_a_row += 1;
        } else {
            counts.failed += 1;
            counts.failed_in_a_row += 1;
            counts.good_in_a_row = 0;
        }
        let now = Instant::now();
        match state.phase {
            Phase::HalfOpen(_) if good => {
                if state.counts.good_in_a_row >= self.tries() {
                    state.enter(Phase::Closed(now));
                }
                false
            }
            Phase::Closed(_) if good || !self.are_too_many(&state.counts) => false,
            Phase::Open(_) => false,
            Phase::Closed(_) | Phase::HalfOpen(_) => {
                state.enter(Phase::Open(now + self.config.pause()));
                true
            }
        }
    }

    fn tries(&self) -> u32 {
        self.config.half_open_max_requests.max(1)
    }

    fn are_too_many(&self, counts: &Counts) -> bool {
        let share = f64::from(counts.failed) / f64::from(counts.begun.max(1));
        counts.begun >= self.config.min_requests
            && (counts.failed_in_a_row >= self.config.consecutive_failures
                || share >= self.config.failure_percent)
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
        self.counts = Counts::default();
    }
}

#[cfg(test)]
mod tests {
    use rutile_model::GoDuration;

    use super::*;

    fn config() -> BreakerConfig {
        BreakerConfig {
            enabled: true,
            half_open_max_requests: 2,
            open_duration: GoDuration::from_ms(5_000),
            min_requests: 4,
            consecutive_failures: 3,
            failure_percent: 0.9,
        }
    }

    fn run(breaker: &Breaker, outcomes: &[bool]) -> usize {
        let tried = outcomes.iter().filter(|good| match breaker.begin() {
            Some(one) => {
                breaker.ended(one, **good);
                true
            }
            None => false,
        });
        tried.count()
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_is_left_alone_and_tried_again() {
        let breaker = Breaker::new(config());
        // Too few to say anything, then three in a row.
        assert_eq!(run(&breaker, &[false, false, true, false, false, false]), 6);
        assert_eq!(run(&breaker, &[true; 3]), 0);
        tokio::time::advance(Duration::from_secs(5)).await;
        // A failure among the tries is one too many.
        assert_eq!(run(&breaker, &[false, true]), 1);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(run(&breaker, &[true; 10]), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn tries_are_few_while_their_outcome_is_not_known() {
        let breaker = Breaker::new(config());
        run(&breaker, &[false; 4]);
        tokio::time::advance(Duration::from_secs(5)).await;
        let tries = [breaker.begin(), breaker.begin()].map(Option::unwrap);
        assert!(breaker.begin().is_none());
        assert!(!breaker.ended(tries[0], true));
        assert!(breaker.ended(tries[1], false), "it opens again");
        assert!(breaker.begin().is_none());

        // Who does not tell, because its query was given up, does not block the others for good.
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(breaker.begin().is_some() && breaker.begin().is_some());
        assert!(breaker.begin().is_none());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(run(&breaker, &[true; 5]), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn old_failures_and_late_outcomes_say_nothing() {
        let breaker = Breaker::new(config());
        run(&breaker, &[false, false]);
        let late = breaker.begin().unwrap();
        tokio::time::advance(INTERVAL).await;
        assert_eq!(run(&breaker, &[true, true, false, false]), 4);
        breaker.ended(late, false);
        assert_eq!(run(&breaker, &[true; 3]), 3);
        let off = BreakerConfig {
            enabled: false,
            ..config()
        };
        assert_eq!(run(&Breaker::new(off), &[false; 100]), 100);
    }
}
