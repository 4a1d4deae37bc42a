//! What `replica` chooses, case by case.

use rutile_model::sample::STALE_NAN;

use super::{deduped, floats};
use crate::{Function, dedup, select};

/// Samples every 15 s from `first`, of the given numbers, whose value is the time in seconds.
fn scrapes(first: i64, numbers: impl IntoIterator<Item = i64>) -> Vec<(i64, f64)> {
    let times = numbers.into_iter().map(|i| first + i * 15_000);
    times.map(|time| (time, time as f64 / 1000.0)).collect()
}

/// Replica and range of places of each run.
#[track_caller]
fn expect(replicas: &[&[(i64, f64)]], counter: bool, expected: &[(usize, usize, usize)]) {
    let series: Vec<_> = replicas.iter().map(|samples| floats(samples)).collect();
    let runs = select(
        Function::Replica,
        &series.iter().collect::<Vec<_>>(),
        counter,
    );
    let found: Vec<_> = runs.iter().map(|r| (r.replica, r.start, r.end)).collect();
    assert_eq!(found, expected);
}

#[test]
fn without_a_gap_the_first_replica_stays() {
    let (a, b) = (scrapes(0, 0..40), scrapes(7000, 0..40));
    expect(&[&a, &b], false, &[(0, 0, 40)]);
    expect(&[&b, &a], false, &[(1, 0, 40)]);
    // Of a counter the last sample tells more.
    expect(&[&a, &b], true, &[(0, 0, 40), (1, 39, 40)]);
}

#[test]
fn a_gap_is_left_for_good() {
    let a = scrapes(0, (0..20).chain(25..40));
    let b = scrapes(7000, 0..40);
    expect(&[&a, &b], false, &[(0, 0, 20), (1, 19, 40)]);
}

#[test]
fn a_scrape_that_both_lost_is_no_reason_to_switch() {
    let a = scrapes(0, (0..20).chain(21..40));
    let b = scrapes(7000, (0..20).chain(21..40));
    expect(&[&a, &b], false, &[(0, 0, 39)]);
}

#[test]
fn samples_within_the_tolerance_are_skipped() {
    // An eighth of 15 s are 1,875 ms: scrape 19 of `b` is too close to the last one of `a`.
    let (a, b) = (scrapes(0, 0..20), scrapes(1000, 1..40));
    expect(&[&a, &b], false, &[(0, 0, 20), (1, 19, 39)]);
    let b = scrapes(1875, 1..40);
    expect(&[&a, &b], false, &[(0, 0, 20), (1, 18, 39)]);
}

#[test]
fn a_value_that_was_read_too_late_makes_no_reset() {
    let mut a = scrapes(0, 0..20);
    let b = scrapes(7000, 0..40);
    // Read 10 s after its time, beyond what the model allows.
    a[19].1 += 10.0;
    expect(&[&a, &b], true, &[(0, 0, 20), (1, 20, 40)]);
    expect(&[&a, &b], false, &[(0, 0, 20), (1, 19, 40)]);
}

#[test]
fn what_another_replica_saw_before_a_reset_counts() {
    // 100, 110, reset, 5, 15; the other one sees 118 just before the reset.
    let a = [(0, 100.0), (15_000, 110.0), (30_000, 5.0), (45_000, 15.0)];
    let b = [(7000, 105.0), (22_000, 118.0), (37_000, 10.0)];
    let replicas: [&[(i64, f64)]; 2] = [&a, &b];
    let out = deduped(Function::Replica, &replicas, true);
    let values: Vec<f64> = out.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [100.0, 110.0, 118.0, 5.0, 15.0]);
    expect(&replicas, false, &[(0, 0, 4)]);
}

#[test]
fn a_reset_that_one_replica_missed_is_found() {
    // The counter is at 120 again when the first one looks.
    let a = [
        (0, 100.0),
        (15_000, 110.0),
        (30_000, 120.0),
        (45_000, 220.0),
    ];
    let b = [(7000, 105.0), (22_000, 40.0), (37_000, 170.0)];
    let out = deduped(Function::Replica, &[&a, &b], true);
    let values: Vec<f64> = out.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [100.0, 110.0, 40.0, 120.0, 220.0]);
}

#[test]
fn a_lost_target_that_another_replica_sees_does_not_end_the_series() {
    let mut a = scrapes(0, (0..21).chain(25..40));
    a[20].1 = STALE_NAN;
    let b = scrapes(7000, 0..40);
    expect(&[&a, &b], false, &[(0, 0, 20), (1, 19, 40)]);
}

#[test]
fn a_lost_target_ends_the_series_at_the_first_marker() {
    let mut a = scrapes(0, (0..11).chain(30..40));
    let mut b = scrapes(7000, (0..11).chain(30..40));
    a[10].1 = STALE_NAN;
    b[10].1 = STALE_NAN;
    expect(&[&a, &b], false, &[(0, 0, 21)]);
    // Dead before it could mark anything, the first one leaves it to the other.
    a.truncate(10);
    let out = dedup(Function::Replica, vec![floats(&a), floats(&b[..11])], false);
    assert_eq!(
        (out.len(), out.is_stale(10), out.times[10]),
        (11, true, 157_000)
    );
}

#[test]
fn intervals_may_change_and_differ() {
    // 15 s, then 60 s: no step of the second part is a gap.
    let mut a = scrapes(0, 0..200);
    let end = a[199].0;
    a.extend((1..200).map(|i| (end + i * 60_000, i as f64)));
    let b = scrapes(7000, 0..1000);
    let runs = select(Function::Replica, &[&floats(&a), &floats(&b)], false);
    assert!(runs.len() <= 5, "{runs:?}");
}

#[test]
fn a_gap_is_found_wherever_it_lies() {
    for gap in 1..200 {
        let a = scrapes(0, (0..gap).chain(gap + 5..210));
        let b = scrapes(7000, 0..210);
        let gap = usize::try_from(gap).unwrap();
        expect(&[&a, &b], false, &[(0, 0, gap), (1, gap - 1, 210)]);
    }
}
