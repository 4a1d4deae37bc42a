use rutile_proto::thanos::MetricMetadataEntry;

use super::*;

fn meta(help: &str) -> Meta {
    Meta {
        r#type: "gauge".to_owned(),
        help: help.to_owned(),
        unit: String::new(),
    }
}

fn found(metrics: &[(&str, &[&str])]) -> Found {
    let entry = |(name, helps): &(&str, &[&str])| {
        let metas = helps.iter().map(|help| meta(help)).collect();
        ((*name).to_owned(), MetricMetadataEntry { metas })
    };
    Found {
        metadata: metrics.iter().map(entry).collect(),
    }
}

fn check(limit: i32, expected: &[(&str, &[&str])]) {
    let parts = vec![
        found(&[("up", &["b", "a"]), ("x", &["x"])]),
        found(&[("up", &["a", "c"]), ("b", &["b"])]),
    ];
    let merged = merge(parts, limit);
    let expected = expected.iter().map(|(name, helps)| {
        let metas: Vec<_> = helps.iter().map(|help| meta(help)).collect();
        ((*name).to_owned(), metas)
    });
    assert_eq!(merged, expected.collect(), "limit {limit}");
}

#[test]
fn each_statement_once() {
    check(
        -1,
        &[("b", &["b"]), ("up", &["b", "a", "c"]), ("x", &["x"])],
    );
}

#[test]
fn a_limit_counts_metrics() {
    check(2, &[("b", &["b"]), ("up", &["b", "a", "c"])]);
    check(0, &[]);
}
