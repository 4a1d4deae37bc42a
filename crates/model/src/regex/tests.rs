//! The recorded answers of Go, and what the fast paths promise. `docs/formats/regex.md` says how
//! the records were made.

use super::*;

/// Lines of JSON strings between tabs: first all values, then each pattern with `refused` and
/// Go's message, or with `accepted` and a bit for each value.
const RECORDED: &str = include_str!("testdata/go-regex.tsv");

/// A pattern, with a bit for each value or the message of its refusal.
type Case = (String, Result<&'static str, String>);

fn recorded() -> (Vec<String>, Vec<Case>) {
    let json = |text: &str| serde_json::from_str::<String>(text).unwrap();
    let mut lines = RECORDED.lines();
    let values = lines.next().unwrap().strip_prefix("values\t").unwrap();
    let cases = lines.map(|line| {
        let mut fields = line.split('\t');
        let pattern = json(fields.next().unwrap());
        let outcome = match (fields.next().unwrap(), fields.next().unwrap()) {
            ("accepted", bits) => Ok(bits),
            ("refused", message) => Err(json(message)),
            other => panic!("{other:?}"),
        };
        (pattern, outcome)
    });
    (serde_json::from_str(values).unwrap(), cases.collect())
}

#[test]
fn accepts_refuses_and_matches_as_go_does() {
    let (values, cases) = recorded();
    assert!(values.len() > 100 && cases.len() > 1500);
    let mut wrong = Vec::new();
    for (pattern, outcome) in cases {
        match (Regex::new(&pattern), outcome) {
            (Err(error), Err(want)) if error.to_string().starts_with(&want) => {}
            (Ok(regex), Ok(bits)) => {
                for (value, bit) in values.iter().zip(bits.chars()) {
                    if regex.is_match(value) != (bit == '1') {
                        wrong.push(format!("{pattern:?} on {value:?}: Go says {bit}"));
                    }
                }
            }
            (got, want) => {
                let got = got.map(|_| "accepted").map_err(|e| e.to_string());
                wrong.push(format!("{pattern:?}: {got:?}, Go: {want:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_automaton_answers_as_the_fast_paths_do() {
    let (values, cases) = recorded();
    let mut compared = 0;
    for (pattern, _) in cases.iter().filter(|(_, outcome)| outcome.is_ok()) {
        let regex = Regex::new(pattern).unwrap();
        if !regex.is_fast() {
            continue;
        }
        let whole = CapturingRegex::new(pattern).unwrap();
        compared += 1;
        for value in &values {
            let by_automaton = whole.match_whole(value).is_some();
            assert_eq!(
                regex.is_match(value),
                by_automaton,
                "{pattern:?} on {value:?}"
            );
        }
    }
    assert!(compared > 400, "{compared}");
}

#[test]
fn introspection_is_true_of_all_recorded_values() {
    let (values, cases) = recorded();
    for (pattern, bits) in cases
        .iter()
        .filter_map(|(p, outcome)| Some((p, outcome.as_ref().ok()?)))
    {
        let regex = Regex::new(pattern).unwrap();
        for (value, bit) in values.iter().zip(bits.chars()) {
            let matches = bit == '1';
            assert!(
                !matches || value.starts_with(regex.prefix()),
                "{pattern:?} {value:?}"
            );
            assert!(!regex.accepts_all() || matches, "{pattern:?} {value:?}");
            let but_empty = regex.accepts_all_but_empty();
            assert!(
                !but_empty || matches != value.is_empty(),
                "{pattern:?} {value:?}"
            );
            if let Some(set) = regex.set_matches() {
                assert!(set.is_sorted_by(|a, b| a < b), "{pattern:?}");
                assert_eq!(set.contains(value), matches, "{pattern:?} {value:?}");
            }
        }
    }
}

#[test]
fn nesting_is_bounded_well_within_a_thread_s_stack() {
    let nested = |depth, open: &str, close: &str| open.repeat(depth) + "a" + &close.repeat(depth);
    for (open, close) in [
        ("(", ")"),
        ("(?:", ")*"),
        ("(?:b", ")+"),
        ("(", "|b)c"),
        ("(?:", "|b+)?"),
    ] {
        assert!(
            Regex::new(&nested(24, open, close)).is_ok(),
            "{open}{close}"
        );
        assert!(
            CapturingRegex::new(&nested(24, open, close)).is_ok(),
            "{open}{close}"
        );
        for depth in [101, 1000, 100_000] {
            let error = Regex::new(&nested(depth, open, close)).unwrap_err();
            assert!(
                error.to_string().contains("expression nests too deeply"),
                "{error}"
            );
        }
    }
    assert!(
        CapturingRegex::new(&nested(99, "(", ")"))
            .unwrap()
            .match_whole("a")
            .is_some()
    );
}

#[test]
fn programs_are_bounded() {
    let error = Regex::new(r"(?:\pL{1000}|\pN{1000}|\PL{1000})x").unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Exhausted, "{error}");
    assert!(
        error
            .to_string()
            .starts_with("error parsing regexp: expression too large: `")
    );
}

#[test]
fn errors_say_where() {
    let error = Regex::new("foo(bar[z-a])").unwrap_err();
    assert_eq!(
        error.to_string(),
        "error parsing regexp: invalid character class range: `z-a` (at byte 8)"
    );
}

#[test]
fn classes_are_bounded_while_they_are_parsed() {
    for pattern in [
        r"\pL".repeat(100_000),
        format!("[{}]", r"\pL".repeat(100_000)),
        format!("[{}]", r"\pL\d".repeat(50_000)),
        format!("(?i)[{}]x", r"\pLa".repeat(50_000)),
    ] {
        let error = Regex::new(&pattern).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Exhausted, "{pattern:.20}");
    }
}

/// Each is a pattern of some bytes that makes a great deal of literals to look for.
#[test]
fn literals_between_gaps_are_bounded() {
    let letters: String = ('!'..='~').filter(char::is_ascii_alphanumeric).collect();
    let mut patterns = Patterns::default();
    let fitting = (0..10_000).take_while(|i| {
        let pattern = format!(".*{i}(?:a|b){{6}}{letters}.*");
        patterns.regex(&pattern).is_ok()
    });
    let fitting = fitting.count();
    assert!((10..1000).contains(&fitting), "{fitting}");
}

#[test]
fn patterns_of_a_request_are_bounded_together() {
    let large = |i: usize| format!(r"x{i}\pL{{40}}y");
    let mut patterns = Patterns::default();
    let fitting = (0..1000).take_while(|i| patterns.regex(&large(*i)).is_ok());
    let fitting = fitting.count();
    assert!((2..100).contains(&fitting), "{fitting}");
    let error = patterns.regex(&large(1000)).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Exhausted);
    assert!(
        error
            .to_string()
            .contains("does not fit beside the others: use fewer or simpler ones"),
        "{error}"
    );
    assert!(
        patterns
            .matcher(crate::MatchOp::Regex, "a", "b.*c|d+")
            .is_err(),
        "nothing is left"
    );
    assert!(patterns.regex(&large(0)).is_ok(), "it is there already");
    assert!(Regex::new(&large(1000)).is_ok(), "alone it fits");
}

#[test]
fn equal_patterns_are_compiled_once() {
    let mut patterns = Patterns::default();
    let first = patterns.regex("a+b").unwrap();
    let taken = patterns.bytes();
    assert!(taken > 0 && std::sync::Arc::ptr_eq(&first, &patterns.regex("a+b").unwrap()));
    assert_eq!(patterns.bytes(), taken);
}
