//! What `replica` promises of counters, over random replicas of a known truth.

use super::deduped;
use super::truth::{Case, Event, Pick, Shape};
use crate::replica::{longest_step, tolerance};
use crate::{Function, select};

const PAIRS: u64 = 1000;

#[test]
fn never_more_than_the_truth_nor_less_than_what_a_replica_saw() {
    let (mut resets, mut outages, mut switches) = (0, 0, 0);
    for seed in 0..PAIRS {
        let case = Case::new(seed, &Shape::default());
        let picks = case.picks();
        assert_counts(&case, &picks, seed);
        assert_covers(&case, &picks, seed);
        resets += case.world.resets.len();
        outages += case.outages;
        switches += picks.windows(2).filter(|w| w[0].0 != w[1].0).count();
    }
    // The cases are what they are meant to be.
    assert!(resets > 2000 && outages > 500, "{resets} {outages}");
    assert!(switches > 1000, "{switches}");
}

#[test]
fn more_replicas_promise_the_same() {
    let shape = Shape {
        replicas: 4,
        ..Shape::default()
    };
    for seed in 0..300 {
        let case = Case::new(seed, &shape);
        let picks = case.picks();
        assert_counts(&case, &picks, seed);
        assert_covers(&case, &picks, seed);
    }
}

/// Two replicas that both read the first value after a reset, at the same time, once gave it twice.
#[test]
fn each_time_comes_once_if_two_replicas_read_at_it() {
    let replicas: [&[(i64, f64)]; 3] = [
        &[(0, 10.0), (30_000, 40.0), (60_000, 16.0), (90_000, 20.0)],
        &[(15_000, 25.0), (45_000, 0.0)],
        &[(16_000, 26.0), (45_000, 0.0)],
    ];
    let out = deduped(Function::Replica, &replicas, true);
    assert!(out.is_sorted_by(|a, b| a.0 < b.0), "{out:?}");
    assert!(out.contains(&(45_000, 0.0)), "{out:?}");
}

#[test]
fn a_counter_without_resets_never_falls_however_late_it_is_read() {
    let shape = Shape {
        resets: false,
        delay_percent: 75,
        late_starts: false,
        ..Shape::default()
    };
    for seed in 0..PAIRS {
        let case = Case::new(seed, &shape);
        let values: Vec<f64> = case.picks().iter().map(|pick| pick.3).collect();
        assert!(values.is_sorted(), "seed {seed}: {values:?}");
    }
}

#[test]
fn a_gauge_is_covered_alike() {
    for seed in 0..300 {
        let case = Case::new(seed, &Shape::default());
        let series: Vec<_> = case.replicas.iter().map(|r| &r.samples).collect();
        let runs = select(Function::Replica, &series, false);
        let picks: Vec<_> = case.real(&runs);
        let read: Vec<i64> = picks.iter().map(|pick| pick.2).collect();
        assert!(read.is_sorted(), "seed {seed}: {read:?}");
        assert_covers(&case, &picks, seed);
    }
}

/// Of each two neighbours, and so of any window from one chosen sample to another: what they count
/// is at most what the counter did in between, and at least what a replica saw of it. Beside a reset
/// samples do not count that lie within a tolerance of the neighbours: only one of them can be kept.
/// Nor does it count if no replica saw the counter fall.
fn assert_counts(case: &Case, picks: &[Pick], seed: u64) {
    let world = &case.world;
    // The estimate of the interval may be that much off.
    let close = tolerance(world.interval) * 5 / 4;
    for pair in picks.windows(2) {
        let ((.., from, before), (.., until, after)) = (pair[0], pair[1]);
        assert!(
            from < until || before == after,
            "seed {seed}: read in another order: {pair:?}"
        );
        let truth = world.added(from, until, |_| true);
        let deltas = (after - before).max(0.0);
        let increase = if after < before {
            after
        } else {
            after - before
        };
        assert!(deltas <= truth, "seed {seed}: {deltas} > {truth}");
        assert!(increase <= truth, "seed {seed}: {increase} > {truth}");
        let was_reset = world.was_reset(from, until);
        let counts = |replica: usize, time: i64| {
            let mut chosen = pair.iter();
            !was_reset || chosen.all(|n| n.0 == replica || (case.time(n) - time).abs() > close)
        };
        let seen = world.added(from, until, |event| case.saw(event.time, counts));
        let mut resets = world.resets.iter().filter(|r| from < **r && **r <= until);
        if resets.all(|&reset| case.saw_reset(reset)) {
            assert!(deltas >= seen, "seed {seed}: at {from}: {deltas} < {seen}");
        }
    }
    let (Some(first), Some(last)) = (picks.first(), picks.last()) else {
        return;
    };
    let seen = |event: &Event| case.saw(event.time, |_, _| true);
    let early = world.added(i64::MIN, first.2 - 2 * close, seen);
    let late = world.added(last.2 + 2 * close, i64::MAX, seen);
    assert_eq!((early, late), (0.0, 0.0), "seed {seed}: at the ends");
}

/// Wherever a replica has a sample, one is chosen within one and a half intervals.
fn assert_covers(case: &Case, picks: &[Pick], seed: u64) {
    let interval = case.world.interval;
    // The usual step may be that much longer.
    let longest = longest_step(interval + interval / 5);
    let times: Vec<i64> = picks.iter().map(|pick| case.time(pick)).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "seed {seed}");
    for replica in &case.replicas {
        for (at, &time) in replica.samples.times.iter().enumerate() {
            if replica.read[at].is_none() {
                continue;
            }
            let next = times.partition_point(|&chosen| chosen < time);
            let before = next.checked_sub(1).map(|i| time - times[i]);
            let after = times.get(next).map(|chosen| chosen - time);
            let near = before.is_some_and(|step| step <= longest)
                || after.is_some_and(|step| step <= tolerance(interval) + interval / 5);
            assert!(near, "seed {seed}: nothing near {time}");
        }
    }
}
