//! Rules from JSON (which YAML includes) against label sets.

use super::*;
use crate::Labels;

fn rule(json: &str) -> Result<RelabelConfig, String> {
    serde_json::from_str(json).map_err(|e| e.to_string())
}

/// Applies `rules`, a JSON array, to a fixed set of labels.
fn apply(rules: &str) -> Option<String> {
    let rules: Vec<RelabelConfig> = serde_json::from_str(rules).unwrap();
    let labels = Labels::from([("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "Foo")]);
    process(&labels, &rules).map(|labels| labels.to_string())
}

const UNCHANGED: &str = r#"{a="foo", b="bar", c="baz", d="Foo"}"#;

/// Rules, and what they make of the fixed set.
const CASES: &[(&str, Option<&str>)] = &[
    (r#"[]"#, Some(UNCHANGED)),
    (
        r#"[{"source_labels":["a"],"regex":"f(.*)","target_label":"x","replacement":"ch${1}-$1"}]"#,
        Some(r#"{a="foo", b="bar", c="baz", d="Foo", x="choo-oo"}"#),
    ),
    (
        r#"[{"source_labels":["a","b"],"regex":"(?P<l>f.*);(.*)r","target_label":"$l","replacement":"b${2}m"}]"#,
        Some(r#"{a="foo", b="bar", c="baz", d="Foo", foo="bbam"}"#),
    ),
    (
        r#"[{"source_labels":["a"],"regex":"o","target_label":"a","replacement":"x"}]"#,
        Some(UNCHANGED),
    ),
    (
        r#"[{"source_labels":["a"],"target_label":"a","replacement":""}]"#,
        Some(r#"{b="bar", c="baz", d="Foo"}"#),
    ),
    (
        r#"[{"source_labels":["a"],"target_label":"a","replacement":"$2"}]"#,
        Some(r#"{b="bar", c="baz", d="Foo"}"#),
    ),
    (
        r#"[{"target_label":"e","replacement":"$$x$"}]"#,
        Some(r#"{a="foo", b="bar", c="baz", d="Foo", e="$x$"}"#),
    ),
    (
        r#"[{"source_labels":["a"],"regex":"fo+","action":"keep"}]"#,
        Some(UNCHANGED),
    ),
    (
        r#"[{"source_labels":["a"],"regex":"fo","action":"keep"}]"#,
        None,
    ),
    (
        r#"[{"source_labels":["a"],"regex":"fo+","action":"Drop"}]"#,
        None,
    ),
    (
        r#"[{"source_labels":["nope"],"regex":"x","action":"drop"}]"#,
        Some(UNCHANGED),
    ),
    (
        r#"[{"source_labels":["a"],"target_label":"d","action":"keepequal"}]"#,
        None,
    ),
    (
        r#"[{"source_labels":["a"],"target_label":"a","action":"dropequal"}]"#,
        None,
    ),
    (
        r#"[{"source_labels":["c"],"target_label":"m","modulus":1000,"action":"hashmod"}]"#,
        Some(r#"{a="foo", b="bar", c="baz", d="Foo", m="976"}"#),
    ),
    (
        r#"[{"regex":"([ab])","replacement":"new_$1","action":"labelmap"}]"#,
        Some(r#"{a="foo", b="bar", c="baz", d="Foo", new_a="foo", new_b="bar"}"#),
    ),
    (
        r#"[{"regex":"[abd]","action":"labeldrop"}]"#,
        Some(r#"{c="baz"}"#),
    ),
    (
        r#"[{"regex":"[ab]","action":"labelkeep"}]"#,
        Some(r#"{a="foo", b="bar"}"#),
    ),
    (
        r#"[{"source_labels":["d"],"target_label":"d","action":"lowercase"},
                {"source_labels":["a"],"target_label":"a","action":"uppercase"}]"#,
        Some(r#"{a="FOO", b="bar", c="baz", d="foo"}"#),
    ),
];

#[test]
fn every_action() {
    for (rules, want) in CASES {
        assert_eq!(apply(rules).as_deref(), *want, "{rules}");
    }
}

#[test]
fn refuses_what_cannot_work() {
    for (json, part) in [
        (
            r#"{"action":"explode"}"#,
            "unknown relabel action \"explode\"",
        ),
        (r#"{"action":"keep","sources":["a"]}"#, "unknown field"),
        (r#"{"action":"replace"}"#, "set target_label"),
        (r#"{"action":"hashmod","target_label":"x"}"#, "set modulus"),
        (r#"{"action":"keep","regex":"a("}"#, "missing closing )"),
        (
            r#"{"action":"lowercase","target_label":"x","replacement":"y"}"#,
            "remove replacement",
        ),
        (
            r#"{"action":"keepequal","target_label":"x","regex":"y"}"#,
            "keep only source_labels",
        ),
        (
            r#"{"action":"labeldrop","regex":"y","source_labels":["a"]}"#,
            "keep only regex",
        ),
    ] {
        let error = rule(json).unwrap_err();
        assert!(error.contains(part), "{json}: {error}");
    }
}

#[test]
fn only_selecting_actions_can_shard() {
    let keep = rule(r#"{"action":"keep","source_labels":["a"]}"#).unwrap();
    assert!(keep.validate_for_sharding().is_ok());
    let replace = rule(r#"{"target_label":"x"}"#).unwrap();
    let error = replace.validate_for_sharding().unwrap_err().to_string();
    assert!(error.contains("use keep, drop or hashmod"), "{error}");
}
