use super::*;

fn statistics(values: &[(&str, u64)]) -> Vec<Statistic> {
    let statistic = |(name, value): &(&str, u64)| Statistic {
        name: (*name).to_owned(),
        value: *value,
    };
    values.iter().map(statistic).collect()
}

/// A database with the same values in all its lists.
fn entry(head: HeadStatistics, values: &[(&str, u64)]) -> TsdbStatisticsEntry {
    TsdbStatisticsEntry {
        head_statistics: Some(head),
        series_count_by_metric_name: statistics(values),
        label_value_count_by_label_name: statistics(values),
        memory_in_bytes_by_label_name: statistics(values),
        series_count_by_label_value_pair: statistics(values),
    }
}

fn head(num_series: u64, min_time: i64, max_time: i64) -> HeadStatistics {
    HeadStatistics {
        num_series,
        num_label_pairs: 10,
        chunk_count: 100,
        min_time,
        max_time,
    }
}

fn of(tenants: &[(&str, TsdbStatisticsEntry)]) -> Found {
    let named = |(name, entry): &(&str, TsdbStatisticsEntry)| ((*name).to_owned(), entry.clone());
    Found {
        statistics: tenants.iter().map(named).collect(),
    }
}

#[test]
fn sums_but_for_the_number_of_values() {
    let merged = merge(vec![
        of(&[("t", entry(head(1, 50, 60), &[("a", 5), ("b", 4)]))]),
        of(&[("t", entry(head(2, 40, 55), &[("b", 3), ("c", 7)]))]),
        of(&[("u", entry(head(4, 0, 0), &[]))]),
    ]);
    let t = &merged["t"];
    let sums = statistics(&[("b", 7), ("c", 7), ("a", 5)]);
    assert_eq!(t.series_count_by_metric_name, sums);
    assert_eq!(t.memory_in_bytes_by_label_name, sums);
    assert_eq!(t.series_count_by_label_value_pair, sums);
    let greatest = statistics(&[("c", 7), ("a", 5), ("b", 4)]);
    assert_eq!(t.label_value_count_by_label_name, greatest);
    let expected = HeadStatistics {
        num_series: 3,
        num_label_pairs: 20,
        chunk_count: 200,
        min_time: 40,
        max_time: 60,
    };
    assert_eq!(t.head_statistics, Some(expected));

    // A tenant whose times are not known takes nothing from those of the others.
    let all = of_all_tenants(merged).head_statistics.unwrap();
    assert_eq!((all.num_series, all.min_time, all.max_time), (7, 40, 60));
}

#[test]
fn sums_of_hostile_numbers() {
    let most = || {
        of(&[(
            "t",
            entry(head(u64::MAX, i64::MIN, i64::MAX), &[("a", u64::MAX)]),
        )])
    };
    let merged = merge(vec![most(), most()]);
    assert_eq!(merged["t"].head_statistics.unwrap().num_series, u64::MAX);
    assert_eq!(
        merged["t"].series_count_by_metric_name,
        statistics(&[("a", u64::MAX)])
    );
}
