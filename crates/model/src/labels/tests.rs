//! Order, identity, text and JSON of label sets.

use proptest::prelude::*;

use super::*;

#[test]
fn sorts_and_keeps_the_last_of_equal_names() {
    let labels: Labels = [("b", "1"), ("a", "2"), ("b", "3")].into_iter().collect();
    assert_eq!(labels.to_string(), r#"{a="2", b="3"}"#);
    assert_eq!(
        (labels.get("b"), labels.get("c"), labels.value("c")),
        (Some("3"), None, "")
    );
    assert_eq!(labels.len(), 2);
}

#[test]
fn order_is_pairwise_then_by_length() {
    let sets = [
        Labels::empty(),
        Labels::from([("a", "1")]),
        Labels::from([("a", "1"), ("b", "1")]),
        Labels::from([("a", "1"), ("c", "0")]),
        Labels::from([("a", "11")]),
        Labels::from([("a", "2")]),
        Labels::from([("aa", "0")]),
        Labels::from([("b", "0")]),
    ];
    assert!(sets.is_sorted_by(|a, b| a < b));
}

#[test]
fn display_quotes_as_go_does() {
    let labels = Labels::from([
        ("esc", "a\"b\\c\n\t\x07\x08\x0b\x0c\r\x00\x7f"),
        ("http.code", "ü€😀"),
        ("odd", "\u{200b}\u{a0}\u{e000}\u{10ffff}\u{fffd}"),
    ]);
    let want = concat!(
        r#"{esc="a\"b\\c\n\t\a\b\v\f\r\x00\x7f", "http.code"="ü€😀", "#,
        r#"odd="\u200b\u00a0\ue000\U0010ffff"#,
        "\u{fffd}\"}"
    );
    assert_eq!(labels.to_string(), want);
}

#[test]
fn json_is_an_object_with_sorted_keys() {
    let labels: Labels = serde_json::from_str(r#"{"b":"2","a":"1"}"#).unwrap();
    assert_eq!(
        serde_json::to_string(&labels).unwrap(),
        r#"{"a":"1","b":"2"}"#
    );
    assert_eq!(
        serde_json::from_str::<Labels>("{}").unwrap(),
        Labels::empty()
    );
    assert!(serde_json::from_str::<Labels>(r#"{"a":1}"#).is_err());
}

#[test]
fn hash_is_xxhash64_of_separated_pairs() {
    let labels = Labels::from([("a", "1"), ("bc", "")]);
    assert_eq!(
        labels.hash(),
        xxhash_rust::xxh64::xxh64(b"a\xff1\xffbc\xff\xff", 0)
    );
    assert_eq!(Labels::empty().hash(), 0xef46_db37_51d8_e999);
}

#[test]
fn builder_removes_what_is_set_empty() {
    let mut builder = Labels::from([("a", "1"), ("b", "2")]).to_builder();
    builder.set("c", "3").set("a", "").remove("zz");
    assert_eq!(builder.value("c"), "3");
    assert_eq!(builder.build(), Labels::from([("b", "2"), ("c", "3")]));
}

#[test]
fn without_and_extended_with() {
    let labels = Labels::from([("a", "1"), ("b", "2"), ("c", "3")]);
    assert_eq!(
        labels.without(&["b", "x"]),
        Labels::from([("a", "1"), ("c", "3")])
    );
    assert_eq!(labels.without(&["a", "b", "c"]), Labels::empty());
    let external = Labels::from([("b", "9"), ("d", "4")]);
    assert_eq!(
        labels.extended_with(&external).to_string(),
        r#"{a="1", b="9", c="3", d="4"}"#
    );
}

fn pairs() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-cü]{0,3}", "[a-c0ü]{0,3}", 0..4)
}

proptest! {
    #[test]
    fn order_and_equality_agree_with_sorted_pairs(a in pairs(), b in pairs()) {
        let (x, y): (Labels, Labels) = (a.iter().collect(), b.iter().collect());
        prop_assert_eq!(x.cmp(&y), a.iter().cmp(b.iter()));
        prop_assert_eq!(x == y, a == b);
        prop_assert_eq!(x.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<BTreeMap<_, _>>(), a);
    }
}

proptest! {
    #[test]
    fn bytes_become_the_labels_that_they_are(
        sets in proptest::collection::vec(
            proptest::collection::vec(("[aü€]{0,2}", "[aü€]{0,2}", 0_usize..3), 0..5), 0..4)
    ) {
        let mut decoder = LabelsDecoder::default();
        for set in sets {
            let mut strings = Some(Vec::new());
            for (name, value, cut) in &set {
                // The end of a name becomes the beginning of the value: a character may lie in both.
                let cut = name.len().saturating_sub(*cut);
                let value = [&name.as_bytes()[cut..], value.as_bytes()].concat();
                let name = &name.as_bytes()[..cut];
                decoder.push(name, &value);
                let pair = str::from_utf8(name).ok().zip(String::from_utf8(value.clone()).ok());
                strings = strings.zip(pair).map(|(mut strings, (name, value))| {
                    strings.push((name.to_owned(), value));
                    strings
                });
            }
            prop_assert_eq!(decoder.take(), strings.map(Labels::from_iter));
        }
    }
}

#[test]
fn labels_that_were_not_taken_are_forgotten() {
    let mut decoder = LabelsDecoder::default();
    decoder.push(b"b", b"1");
    decoder.push(b"a", b"1");
    decoder.clear();
    decoder.push(b"a", b"2");
    assert_eq!(decoder.take(), Some(Labels::from([("a", "2")])));
    assert_eq!(decoder.take(), Some(Labels::empty()));
}
