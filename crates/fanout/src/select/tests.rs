//! Which stores are asked.

use std::sync::Arc;

use rutile_model::MatchOp;
use rutile_proto::thanos::{
    Label, ZLabelSet,
    info::{InfoResponse, StoreInfo, TsdbInfo},
};
use rutile_storeapi::memory::MemoryStore;

use super::*;

type Set = &'static [(&'static str, &'static str)];

fn set(pairs: Set) -> ZLabelSet {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    ZLabelSet {
        labels: pairs.iter().map(label).collect(),
    }
}

/// A store of the times 100 to 200, whose label sets begin at these times.
fn store(name: &str, component: &str, sets: &[(Set, i64)]) -> Store {
    let tsdb = |(pairs, min_time): &(Set, i64)| TsdbInfo {
        labels: Some(set(pairs)),
        min_time: *min_time,
        // As wrong as that of a store gateway of Thanos can be.
        max_time: *min_time,
    };
    let info = InfoResponse {
        label_sets: sets.iter().map(|(pairs, _)| set(pairs)).collect(),
        component_type: component.to_owned(),
        store: Some(StoreInfo {
            min_time: 100,
            max_time: 200,
            tsdb_infos: sets.iter().map(tsdb).collect(),
            ..StoreInfo::default()
        }),
        ..InfoResponse::default()
    };
    Store {
        name: name.into(),
        metadata: Arc::new(Metadata::new(info)),
        api: Arc::new(MemoryStore::default()),
    }
}

fn stores() -> Vec<Store> {
    vec![
        store("bare:1", "sidecar", &[]),
        store("eu:1", "sidecar", &[(&[("cluster", "eu")], 100)]),
        store(
            "both:1",
            "store",
            &[(&[("cluster", "eu")], 100), (&[("cluster", "us")], 150)],
        ),
        store("child:1", "query", &[(&[("cluster", "us")], 150)]),
    ]
}

fn equal(name: &str, value: &str) -> Matcher {
    Matcher::new(MatchOp::Equal, name, value).unwrap()
}

fn chosen(range: (i64, i64), matchers: &[Matcher], store_matchers: &[Vec<Matcher>]) -> Vec<String> {
    let question = Question {
        min_time: range.0,
        max_time: range.1,
        matchers,
        store_matchers,
    };
    let chosen = select(stores(), &question, &[]);
    chosen
        .iter()
        .map(|chosen| chosen.store.name.to_string())
        .collect()
}

const ALL: [&str; 4] = ["bare:1", "eu:1", "both:1", "child:1"];

#[test]
fn by_time() {
    assert_eq!(chosen((0, 1000), &[], &[]), ALL);
    assert_eq!(chosen((200, 300), &[], &[]), ALL);
    assert_eq!(chosen((0, 100), &[], &[]), ALL);
    assert!(chosen((201, 300), &[], &[]).is_empty());
    assert!(chosen((0, 99), &[], &[]).is_empty());
}

#[test]
fn by_external_labels() {
    let of = |value| chosen((0, 1000), &[equal("cluster", value)], &[]);
    assert_eq!(of("eu"), ["bare:1", "eu:1", "both:1"]);
    assert_eq!(of("us"), ["bare:1", "both:1", "child:1"]);
    assert_eq!(of("ap"), ["bare:1"]);
    // A label that no set has may be one of the series.
    assert_eq!(chosen((0, 1000), &[equal("job", "x")], &[]), ALL);
}

#[test]
fn by_the_beginnings_of_databases() {
    let us_until = |max| chosen((0, max), &[equal("cluster", "us")], &[]);
    assert_eq!(
        us_until(149),
        ["bare:1", "child:1"],
        "a child's own stores may hold more"
    );
    assert_eq!(us_until(150), ["bare:1", "both:1", "child:1"]);
    // The ends do not count: they may be wrong.
    assert_eq!(
        chosen((180, 190), &[equal("cluster", "us")], &[]),
        us_until(150)
    );
}

#[test]
fn by_store_matchers() {
    let of = |sets: &[Vec<Matcher>]| chosen((0, 1000), &[], sets);
    assert_eq!(of(&[vec![equal("__address__", "eu:1")]]), ["eu:1"]);
    let either = [
        vec![equal("__address__", "eu:1")],
        vec![equal("cluster", "us")],
    ];
    assert_eq!(of(&either), ["eu:1", "both:1", "child:1"]);
    let both = [vec![equal("__address__", "both:1"), equal("cluster", "ap")]];
    assert!(of(&both).is_empty());
    assert_eq!(of(&[vec![equal("cluster", "")]]), ["bare:1"]);
    assert!(of(&[vec![equal("__address__", "nobody:1")]]).is_empty());
}

#[test]
fn by_relabelling() {
    let rules: Vec<RelabelConfig> =
        rutile_model::config::parse_yaml("[{action: drop, source_labels: [cluster], regex: us}]")
            .unwrap();
    let question = Question {
        min_time: 0,
        max_time: 1000,
        matchers: &[],
        store_matchers: &[],
    };
    let chosen = select(stores(), &question, &rules);
    let found: Vec<_> = chosen
        .iter()
        .map(|chosen| (&*chosen.store.name, chosen.extra.len()))
        .collect();
    assert_eq!(found, [("bare:1", 0), ("eu:1", 0), ("both:1", 1)]);
    let matcher = &chosen[2].extra[0];
    assert_eq!(
        (matcher.name.as_str(), matcher.value.as_str()),
        ("cluster", "eu")
    );
}

#[test]
fn matchers_of_label_sets() {
    let a = Labels::from([("a", "1.5"), ("b", "x|y")]);
    let b = Labels::from([("a", "2")]);
    let found: Vec<_> = matchers_of(&[&a, &b])
        .into_iter()
        .map(|matcher| (matcher.name, matcher.value, matcher.r#type))
        .collect();
    let re = i32::from(Type::Re);
    let expected = [("a", r"1\.5|2"), ("b", r"|x\|y")];
    assert_eq!(
        found,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned(), re))
    );
}
