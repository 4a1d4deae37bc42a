//! Which replica is taken when.
//!
//! The first one is that which starts first. It is left where it has a gap, or ends, and another
//! replica shows that there was something to see; then the one is taken that goes on first, and of
//! those that go on together the one that lasts longest. So one replica is followed for as long as it
//! can be, and wherever any replica has samples there is one chosen within one and a half intervals.

use super::stretch::{Stretch, stretches};
use super::{Piece, longest_step, number_before, tolerance};
use crate::series::Series;

pub(super) fn choose<S: Series + ?Sized>(replicas: &[&S], counter: bool) -> Vec<Piece> {
    let cover = Cover {
        replicas,
        stretches: stretches(replicas),
        counter,
    };
    let mut chosen: Vec<Piece> = Vec::new();
    loop {
        let last = chosen.last().map(|piece| cover.last(piece));
        let next = cover.next(last.as_ref());
        let next = next.filter(|piece| cover.is_later(piece, last.as_ref()));
        if let Some(marker) = last.and_then(|last| cover.marker(&last, next.as_ref())) {
            chosen.push(marker);
        }
        match next {
            Some(piece) => chosen.push(piece),
            None => return chosen,
        }
    }
}

struct Cover<'a, S: ?Sized> {
    replicas: &'a [&'a S],
    /// Of each replica.
    stretches: Vec<Vec<Stretch>>,
    counter: bool,
}

/// The last sample chosen.
#[derive(Debug, Clone, Copy)]
struct Last {
    replica: usize,
    time: i64,
    interval: i64,
    value: Option<f64>,
}

impl<S: Series + ?Sized> Cover<'_, S> {
    fn last(&self, piece: &Piece) -> Last {
        let (series, at) = (self.replicas[piece.replica], piece.end - 1);
        Last {
            replica: piece.replica,
            time: series.times()[at],
            interval: piece.interval,
            value: series.float(at),
        }
    }

    /// Always so if times ascend; else it keeps the search from going round in circles.
    fn is_later(&self, piece: &Piece, last: Option<&Last>) -> bool {
        let times = self.replicas[piece.replica].times();
        let (start, end) = (times[piece.start], times[piece.end - 1]);
        start <= end && last.is_none_or(|last| last.time < start)
    }

    /// What is taken next.
    fn next(&self, last: Option<&Last>) -> Option<Piece> {
        let candidates: Vec<Piece> = (0..self.replicas.len())
            .filter_map(|replica| self.candidate(replica, last))
            .collect();
        let start = |piece: &Piece| self.replicas[piece.replica].times()[piece.start];
        let end = |piece: &Piece| self.replicas[piece.replica].times()[piece.end - 1];
        let first = candidates.iter().min_by_key(|piece| start(piece))?;
        let interval = last.map_or(first.interval, |last| last.interval);
        let together = start(first).saturating_add(tolerance(interval));
        let goes_on = |piece: &Piece| last.is_some_and(|last| last.replica == piece.replica);
        // The last of equal ones is the greatest: from behind that is the first replica.
        candidates
            .iter()
            .rev()
            .filter(|piece| start(piece) <= together)
            .max_by_key(|piece| (goes_on(piece), end(piece)))
            .copied()
    }

    /// How a replica would go on.
    fn candidate(&self, replica: usize, last: Option<&Last>) -> Option<Piece> {
        let stretches = &self.stretches[replica];
        let times = self.replicas[replica].times();
        let piece = |start, stretch: &Stretch| Piece {
            replica,
            start,
            end: stretch.end,
            interval: stretch.interval,
        };
        let Some(last) = last else {
            return stretches.first().map(|first| piece(first.start, first));
        };
        let goes_on = last.replica == replica;
        // Another replica must have what this one misses, not just be a little ahead.
        let beyond = if goes_on {
            last.time
        } else {
            last.time.saturating_add(longest_step(last.interval))
        };
        let skipped = stretches.partition_point(|stretch| times[stretch.end - 1] <= beyond);
        stretches[skipped..].iter().find_map(|stretch| {
            let start = if goes_on {
                stretch.start
            } else {
                self.entry(replica, stretch, last)
            };
            (start < stretch.end).then(|| piece(start, stretch))
        })
    }

    /// Where to enter a stretch, coming from another replica: a tolerance after the last sample.
    ///
    /// Should delays differ by more than that, the values of a counter tell: what lies below the last
    /// value within an interval was read before it, unless this replica itself saw the counter fall.
    fn entry(&self, replica: usize, stretch: &Stretch, last: &Last) -> usize {
        let series = self.replicas[replica];
        let times = series.times();
        let first_from = |time: i64| times.partition_point(|&present| present < time);
        let from = last.time.saturating_add(tolerance(last.interval));
        let mut at = stretch.start.max(first_from(from));
        if !self.counter {
            return at;
        }
        let before = number_before(series, first_from(last.time.saturating_add(1)));
        let until = last.time.saturating_add(last.interval);
        while at < stretch.end
            && times[at] < until
            && let (Some(value), Some(last)) = (series.float(at), last.value)
            && value < last
            && before.is_none_or(|before| before <= value)
        {
            at += 1;
        }
        at
    }

    /// The first marker of staleness after the last sample, if nobody has a sample soon: a replica
    /// that lost a target which another one still sees must not end the series.
    fn marker(&self, last: &Last, next: Option<&Piece>) -> Option<Piece> {
        let next = next.map_or(i64::MAX, |next| {
            self.replicas[next.replica].times()[next.start]
        });
        if next <= last.time.saturating_add(longest_step(last.interval)) {
            return None;
        }
        let markers = self.replicas.iter().enumerate().filter_map(|(i, series)| {
            let times = series.times();
            let after = times.partition_point(|&time| time <= last.time);
            let before = times.partition_point(|&time| time < next);
            let at = (after..before).find(|&at| series.is_stale(at))?;
            Some((times[at], i, at))
        });
        let (_, replica, at) = markers.min()?;
        Some(Piece {
            replica,
            start: at,
            end: at + 1,
            interval: last.interval,
        })
    }
}
