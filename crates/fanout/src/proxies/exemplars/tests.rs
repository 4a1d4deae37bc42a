use rutile_model::ErrorKind;

use super::*;

fn set(labels: &[(&str, &str)]) -> ZLabelSet {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    ZLabelSet {
        labels: labels.iter().map(label).collect(),
    }
}

fn exemplar(value: f64, ts: i64, trace: &str) -> Exemplar {
    Exemplar {
        labels: Some(set(&[("trace", trace), ("span", "s")])),
        value,
        ts,
    }
}

fn series(name: &str, replica: &str, exemplars: Vec<Exemplar>) -> ExemplarData {
    ExemplarData {
        series_labels: Some(set(&[("__name__", name), ("replica", replica)])),
        exemplars,
    }
}

#[test]
fn replicas_are_one() {
    let found = vec![
        series(
            "x",
            "1",
            vec![exemplar(2.0, 20, "b"), exemplar(1.0, 10, "a")],
        ),
        series("a", "1", vec![exemplar(2.0, 20, "b")]),
        series("e", "1", vec![]),
        series(
            "x",
            "2",
            vec![
                exemplar(1.0, 10, "a"),
                exemplar(3.0, 10, "a"),
                exemplar(f64::NAN, 10, "a"),
                exemplar(1.0, 10, "A"),
                exemplar(f64::NAN, 10, "a"),
            ],
        ),
    ];
    let merged = merge(found, &["replica".to_owned()]);
    let text = |series: &ExemplarData| {
        let exemplars = series.exemplars.iter().map(|exemplar| {
            let labels = &exemplar.labels.as_ref().unwrap().labels;
            assert_eq!(labels[0].name, "span");
            format!("{}@{}{}", exemplar.value, exemplar.ts, labels[1].value)
        });
        let exemplars: Vec<_> = exemplars.collect();
        let labels = &series.series_labels.as_ref().unwrap().labels;
        assert_eq!(labels.len(), 1);
        format!("{}: {}", labels[0].value, exemplars.join(" "))
    };
    let texts: Vec<_> = merged.iter().map(text).collect();
    assert_eq!(texts, ["a: 2@20b", "x: 1@10A 1@10a 3@10a NaN@10a 2@20b"]);
}

fn endpoint(component: &str, sets: &[&[(&str, &str)]]) -> Metadata {
    Metadata::new(InfoResponse {
        component_type: component.to_owned(),
        label_sets: sets.iter().map(|labels| set(labels)).collect(),
        ..InfoResponse::default()
    })
}

/// What is asked of an endpoint of this kind.
fn check(component: &str, sets: &[&[(&str, &str)]], query: &str, expected: Option<&str>) {
    let selectors = selectors(query, &Labels::from([("env", "prod")])).unwrap();
    let asked = query_for(&endpoint(component, sets), &selectors);
    assert_eq!(asked.as_deref(), expected, "{query} of {sets:?}");
}

#[test]
fn of_whom_the_query_concerns() {
    let query = r#"rate(a{cluster="1",x=~"y.+"}[5m]) / on(x) b{env="prod",cluster!="1"}"#;
    let a = r#"{x=~"y.+", __name__="a"}"#;
    let b = r#"{__name__="b"}"#;
    check("sidecar", &[&[("cluster", "1")]], query, Some(a));
    check("sidecar", &[&[("cluster", "2")]], query, Some(b));
    let both = format!("{a}+{b}");
    let sets: [&[_]; 2] = [&[("cluster", "2")], &[("cluster", "1")]];
    check("receive", &sets, query, Some(&both));
    let whole = r#"{cluster="1", x=~"y.+", __name__="a"}+{cluster!="1", __name__="b"}"#;
    check("query", &sets, query, Some(whole));
    check("sidecar", &[], query, Some(whole));
    check("sidecar", &[&[("x", "z")]], r#"a{x="y"}"#, None);
}

#[test]
fn of_everything_that_an_endpoint_has() {
    let sets: [&[_]; 1] = [&[("cluster", "1")]];
    let everything = Some(r#"{__name__!=""}"#);
    check("sidecar", &sets, r#"{cluster="1"}"#, everything);
}

#[test]
fn of_other_data_or_of_all() {
    let labels = Labels::from([("env", "prod")]);
    assert_eq!(selectors(r#"up{env="test"}"#, &labels).unwrap().len(), 0);
    for query in [r#"{env="prod"}"#, "up{", "a b"] {
        let error = selectors(query, &labels).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{query}");
    }
}
