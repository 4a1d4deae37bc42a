//! The reference's default: a left fold of two-way choices, each of which makes the side that it did
//! not take wait.
//!
//! Source: Thanos 0.43, `pkg/dedup/iter.go`, `dedupSeriesIterator` and
//! `counterErrAdjustSeriesIterator`. Results are the same to the last bit, with one exception: a NaN
//! is never raised, so that a marker of staleness stays one (the reference has removed the markers of
//! counters by then).

mod fold;

use crate::runs::Run;
use crate::series::Series;

/// How long the other side waits after the very first sample, ms.
const FIRST_PENALTY_MS: i64 = 5000;

pub(crate) fn select<S: Series + ?Sized>(replicas: &[&S], counter: bool) -> Vec<Run> {
    let times: Vec<&[i64]> = replicas.iter().map(|replica| replica.times()).collect();
    match times.split_first() {
        // Ties go to the first.
        Some((first, others)) if others.iter().all(|other| other == first) => {
            vec![Run::whole(0, first.len())]
        }
        _ if counter => by_values(replicas, counter),
        _ => fold::select(&times),
    }
}

/// Sample by sample, since what comes may have been raised.
fn by_values<S: Series + ?Sized>(replicas: &[&S], counter: bool) -> Vec<Run> {
    let Some((&first, others)) = replicas.split_first() else {
        return Vec::new();
    };
    let start = Leaf::new(first, 0);
    match others {
        [other] => drain(Pair::new(start, Leaf::new(*other, 1), counter)),
        _ => {
            let start: Box<dyn Side + '_> = Box::new(start);
            drain((1..).zip(others).fold(start, |folded, (i, other)| {
                Box::new(Pair::new(folded, Leaf::new(*other, i), counter))
            }))
        }
    }
}

fn drain(mut side: impl Side) -> Vec<Run> {
    let mut runs = Vec::new();
    while let Some(time) = side.time() {
        side.sample().push_to(&mut runs);
        if time == i64::MAX {
            // Nothing is later, and seeking would stay where it is.
            break;
        }
        side.advance();
    }
    runs
}

/// A sequence of samples that stands at one of them, or at its end.
trait Side {
    /// None at the end.
    fn time(&self) -> Option<i64>;
    /// The present value; none at the end and if it is no float.
    fn float(&self) -> Option<f64>;
    /// The present sample.
    fn sample(&self) -> Run;
    /// Goes to the next sample.
    fn advance(&mut self);
    /// Raises what comes from here on, so that a counter does not fall below `last`.
    fn raise(&mut self, last: f64);

    /// Goes to the first sample at `time` or after it.
    fn seek(&mut self, time: i64) {
        while self.time().is_some_and(|present| present < time) {
            self.advance();
        }
    }
}

impl<T: Side + ?Sized> Side for Box<T> {
    fn time(&self) -> Option<i64> {
        (**self).time()
    }

    fn float(&self) -> Option<f64> {
        (**self).float()
    }

    fn sample(&self) -> Run {
        (**self).sample()
    }

    fn advance(&mut self) {
        (**self).advance();
    }

    fn raise(&mut self, last: f64) {
        (**self).raise(last);
    }

    fn seek(&mut self, time: i64) {
        (**self).seek(time);
    }
}

/// One replica.
struct Leaf<'a, S: ?Sized> {
    series: &'a S,
    times: &'a [i64],
    at: usize,
    replica: usize,
    add: f64,
}

impl<'a, S: Series + ?Sized> Leaf<'a, S> {
    fn new(series: &'a S, replica: usize) -> Self {
        Self {
            series,
            times: series.times(),
            at: 0,
            replica,
            add: 0.0,
        }
    }
}

impl<S: Series + ?Sized> Side for Leaf<'_, S> {
    #[inline(always)]
    fn time(&self) -> Option<i64> {
        self.times.get(self.at).copied()
    }

    fn float(&self) -> Option<f64> {
        let in_range = self.at < self.times.len();
        let value = in_range.then(|| self.series.float(self.at)).flatten()?;
        Some(value + self.add)
    }

    #[inline(always)]
    fn sample(&self) -> Run {
        Run {
            add: self.add,
            ..Run::one(self.replica, self.at)
        }
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.at += 1;
    }

    #[inline(always)]
    fn seek(&mut self, time: i64) {
        let rest = self.times.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|present| **present < time).count();
    }

    fn raise(&mut self, last: f64) {
        if let Some(value) = self.float()
            && last > value
        {
            self.add += last - value;
        }
    }
}

/// What was folded so far, and the next replica.
struct Pair<A, B> {
    a: A,
    b: B,
    counter: bool,
    takes_a: bool,
    /// Of the last sample taken; the least time before the first one.
    last_time: i64,
    /// What a side has to wait, ms.
    penalty_a: i64,
    penalty_b: i64,
}

impl<A: Side, B: Side> Pair<A, B> {
    /// Stands at the first sample.
    fn new(a: A, b: B, counter: bool) -> Self {
        let mut pair = Self {
            a,
            b,
            counter,
            takes_a: true,
            last_time: i64::MIN,
            penalty_a: 0,
            penalty_b: 0,
        };
        pair.advance();
        pair
    }

    /// Takes `a` or `b`, of which at least one has a sample: the earlier one, on a tie `a`.
    #[inline(always)]
    fn choose(&mut self, a: Option<i64>, b: Option<i64>) {
        self.takes_a = match (a, b) {
            (Some(a), Some(b)) => a <= b,
            (a, _) => a.is_some(),
        };
        let (time, penalty, other_penalty, other) = if self.takes_a {
            (a, &mut self.penalty_a, &mut self.penalty_b, b)
        } else {
            (b, &mut self.penalty_b, &mut self.penalty_a, a)
        };
        let Some(time) = time else {
            return;
        };
        *penalty = 0;
        if other.is_some() {
            *other_penalty = match self.last_time {
                i64::MIN => FIRST_PENALTY_MS,
                last => time.saturating_sub(last).saturating_mul(2),
            };
        }
        self.last_time = time;
    }
}

impl<A: Side, B: Side> Side for Pair<A, B> {
    #[inline(always)]
    fn time(&self) -> Option<i64> {
        if self.takes_a {
            self.a.time()
        } else {
            self.b.time()
        }
    }

    fn float(&self) -> Option<f64> {
        if self.takes_a {
            self.a.float()
        } else {
            self.b.float()
        }
    }

    #[inline(always)]
    fn sample(&self) -> Run {
        if self.takes_a {
            self.a.sample()
        } else {
            self.b.sample()
        }
    }

    #[inline(always)]
    fn advance(&mut self) {
        let took_a = self.takes_a;
        // Before the very first sample this is the first one of `a`, as in the reference: if `b`
        // starts earlier, and lower, it is raised.
        let last = if self.counter { self.float() } else { None };
        let from = self.last_time.saturating_add(1);
        self.a.seek(from.saturating_add(self.penalty_a));
        self.b.seek(from.saturating_add(self.penalty_b));
        self.choose(self.a.time(), self.b.time());
        if let Some(last) = last
            && self.takes_a != took_a
        {
            self.raise(last);
        }
    }

    fn raise(&mut self, last: f64) {
        // A pair stands at its present sample, so what is no float there is not raised at all.
        if self.a.float().is_some() {
            self.a.raise(last);
        }
        if self.b.float().is_some() {
            self.b.raise(last);
        }
    }
}
