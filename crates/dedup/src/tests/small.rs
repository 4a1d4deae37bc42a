//! Known cases, small enough to be followed by hand.

use std::sync::Arc;

use rutile_model::sample::STALE_NAN;
use rutile_model::{CounterResetHint, FloatHistogram, Samples};

use super::{deduped, floats};
use crate::{Function, Run, dedup, is_counter_function, pseudo_replicas, select, take};

#[test]
fn functions_have_the_names_of_the_flag() {
    for function in Function::ALL {
        assert_eq!(function.to_string().parse(), Ok(function));
    }
    let error = "Chain".parse::<Function>().unwrap_err().to_string();
    let expected = "unknown deduplication function \"Chain\": use penalty, chain or replica";
    assert_eq!(error, expected);
    assert!(is_counter_function("rate") && !is_counter_function("xrate"));
}

#[test]
fn penalty_makes_the_other_replica_wait() {
    // `b` has to wait for 5 s at first, then for twice the step of 10 s.
    let a = [(10_000, 1.0), (20_000, 2.0), (30_000, 3.0), (99_000, 9.9)];
    let b = [(12_000, 1.2), (22_000, 2.2), (42_000, 4.2), (52_000, 5.2)];
    let out = deduped(Function::Penalty, &[&a, &b], false);
    let expected = [
        (10_000, 1.0),
        (20_000, 2.0),
        (30_000, 3.0),
        (52_000, 5.2),
        (99_000, 9.9),
    ];
    assert_eq!(out, expected);
}

#[test]
fn penalty_raises_counters_on_a_switch() {
    let a = [(10_000, 8.0), (20_000, 9.0), (100_000, 16.0)];
    let b = [(11_000, 8.0), (45_000, 8.5), (55_000, 9.5)];
    let replicas: [&[(i64, f64)]; 2] = [&a, &b];
    let values = |counter| -> Vec<f64> {
        let out = deduped(Function::Penalty, &replicas, counter);
        out.into_iter().map(|(_, value)| value).collect()
    };
    assert_eq!(values(true), [8.0, 9.0, 9.0, 10.0, 16.0]);
    assert_eq!(values(false), [8.0, 9.0, 8.5, 9.5, 16.0]);
}

#[test]
fn a_raised_series_keeps_its_markers_of_staleness() {
    let a = floats(&[(10_000, 9.0), (100_000, 1.0)]);
    let b = floats(&[(11_000, 1.0), (45_000, 2.0), (55_000, STALE_NAN)]);
    let out = dedup(Function::Penalty, vec![a, b], true);
    assert_eq!(out.times[..3], [10_000, 45_000, 55_000]);
    assert_eq!(out.floats[1], 9.0);
    assert!(out.is_stale(2));
}

#[test]
fn chain_takes_every_time_once() {
    let a = [(1, 0.1), (3, 0.3), (4, 0.4)];
    let b = [(2, 1.2), (3, 1.3), (5, 1.5)];
    let times: Vec<i64> = deduped(Function::Chain, &[&a, &b], false)
        .into_iter()
        .map(|(time, _)| time)
        .collect();
    assert_eq!(times, [1, 2, 3, 4, 5]);
}

#[test]
fn a_tie_goes_to_the_replica_that_is_not_being_read() {
    let a = [(1, 0.1), (2, 0.2), (3, 0.3)];
    let b = [(1, 1.1), (2, 1.2), (3, 1.3)];
    let out = deduped(Function::Chain, &[&a, &b], false);
    assert_eq!(out, [(1, 1.1), (2, 1.2), (3, 1.3)]);
}

#[test]
fn a_histogram_forgets_its_predecessor_where_another_came_between() {
    let histograms = |times: &[i64]| {
        let mut samples = Samples::default();
        for &time in times {
            let histogram = FloatHistogram {
                counter_reset_hint: CounterResetHint::NotReset,
                ..FloatHistogram::default()
            };
            samples.push_histogram(time, Arc::new(histogram));
        }
        samples
    };
    let hints = |function, a: &[i64], b: &[i64]| -> Vec<bool> {
        let out = dedup(function, vec![histograms(a), histograms(b)], false);
        (0..out.len())
            .map(|i| {
                let histogram = out.histogram(i).expect("a histogram");
                histogram.counter_reset_hint == CounterResetHint::NotReset
            })
            .collect()
    };
    let (a, b) = ([10_000, 20_000], [70_000, 80_000]);
    assert_eq!(hints(Function::Chain, &a, &b), [false, true, false, true]);
    assert_eq!(hints(Function::Replica, &a, &b), [true, true, false, true]);
    // As the reference, which trusts the hint.
    assert_eq!(hints(Function::Penalty, &a, &b), [true; 4]);
}

#[test]
fn one_replica_is_handed_on() {
    for function in Function::ALL {
        let only = floats(&[(1, 1.0), (1000, 0.0), (1001, STALE_NAN)]);
        let memory = only.times.as_ptr();
        let out = dedup(function, vec![only], true);
        assert_eq!((out.times.as_ptr(), out.len()), (memory, 3), "{function}");
        assert!(dedup(function, vec![], true).is_empty());
        let empty = dedup(function, vec![Samples::default(), floats(&[])], false);
        assert!(empty.is_empty());
        let second = vec![Samples::default(), floats(&[(5, 5.0)])];
        assert_eq!(dedup(function, second, false).times, [5]);
    }
}

#[test]
fn equal_times_are_those_of_the_first() {
    let samples: Vec<(i64, f64)> = (0..100).map(|i| (i * 15_000, i as f64)).collect();
    let replicas = || vec![floats(&samples), floats(&samples)];
    for function in [Function::Penalty, Function::Replica] {
        let series = replicas();
        let runs = select(function, &series.iter().collect::<Vec<_>>(), true);
        let ranges: Vec<_> = runs.iter().map(|run| (run.replica, run.range())).collect();
        assert_eq!(ranges, [(0, 0..100)], "{function}");
    }
    assert_eq!(dedup(Function::Chain, replicas(), true).len(), 100);
}

#[test]
fn start_timestamps_follow() {
    let mut a = floats(&[(10_000, 1.0), (20_000, 2.0)]);
    a.starts = vec![7, 8];
    let b = floats(&[(70_000, 7.0)]);
    let out = dedup(Function::Replica, vec![a, b], false);
    assert_eq!(
        (out.times, out.starts),
        (vec![10_000, 20_000, 70_000], vec![7, 8, 0])
    );
}

#[test]
fn any_payload_follows() {
    let (a, b): ([i64; 2], [i64; 1]) = ([10_000, 20_000], [70_000]);
    let runs = select(Function::Penalty, &[&a[..], &b[..]], false);
    let mut out = Vec::new();
    take(&runs, &[&["a", "b"], &["c"]], &mut out);
    assert_eq!(out, ["a", "b", "c"]);
    // Runs of other columns take what is there.
    let far = Run {
        replica: 7,
        start: 1,
        end: 3,
        add: 0.0,
        forgets: false,
    };
    take(&[far], &[&["a"]], &mut out);
    assert_eq!(out.len(), 3);
}

#[test]
fn times_out_of_order_end_somewhere() {
    let wild = [
        (i64::MAX, 1.0),
        (i64::MIN, 2.0),
        (0, 3.0),
        (0, 4.0),
        (-5, 5.0),
    ];
    let other = [(0, 1.0), (i64::MIN, 2.0), (i64::MAX, 0.0)];
    for function in Function::ALL {
        for counter in [false, true] {
            let out = deduped(function, &[&wild, &other, &wild], counter);
            assert!(out.len() <= 13, "{function}");
        }
    }
}

#[test]
fn chunks_that_overlap_are_parted() {
    assert_eq!(pseudo_replicas([]), [0; 0]);
    assert_eq!(pseudo_replicas([(0, 9), (10, 19), (30, 39)]), [0, 0, 0]);
    // Both ends are inclusive.
    assert_eq!(pseudo_replicas([(0, 10), (10, 19)]), [0, 1]);
    let three = [(0, 20), (5, 30), (6, 7), (21, 40), (31, 40)];
    assert_eq!(pseudo_replicas(three), [0, 1, 2, 0, 1]);
}
