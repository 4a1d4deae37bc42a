//! What users and clients write: matchers, durations, times, sizes.

use rutile_model::time::{format_rfc3339, parse_rfc3339};
use rutile_model::{
    ByteSize, GoDuration, Labels, MatchOp, Matcher, PromDuration, RelabelConfig, TimeOrDuration,
    relabel,
};

/// Longest pattern: compiling is bounded, but slow when instrumented.
const MAX_PATTERN: usize = 200;

/// The years 0000 to 9999.
const YEARS_MS: std::ops::Range<i64> = -62_167_219_200_000..253_402_300_800_000;

/// The pattern up to the first line end, and values to match behind it.
pub fn matcher(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (pattern, values) = text.split_once('\n').unwrap_or((text, ""));
    if pattern.len() > MAX_PATTERN {
        return;
    }
    let Ok(regex) = Matcher::new(MatchOp::Regex, "name", pattern) else {
        return;
    };
    let not = regex.inverse();
    for value in values.split('\n').chain([""]) {
        let matches = regex.matches(value);
        assert_eq!(not.matches(value), !matches);
        if matches {
            assert!(value.starts_with(regex.prefix()), "the prefix is wrong");
        }
        if let Some(set) = regex.set_matches() {
            assert_eq!(
                set.iter().any(|member| member == value),
                matches,
                "the set is wrong"
            );
        }
    }
    assert_eq!(regex.matches_empty(), regex.matches(""));
}

pub fn durations(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(duration) = text.parse::<PromDuration>() {
        let written = duration.to_string();
        assert_eq!(
            written.parse::<PromDuration>().unwrap().to_string(),
            written
        );
    }
    if let Ok(duration) = text.parse::<GoDuration>() {
        let written = duration.to_string();
        assert_eq!(written.parse::<GoDuration>().unwrap().to_string(), written);
    }
    if let Ok(at) = parse_rfc3339(text) {
        let written = format_rfc3339(at);
        // An offset may lead into a year that is written but not read.
        if YEARS_MS.contains(&at) {
            assert_eq!(parse_rfc3339(&written).unwrap(), at);
        }
    }
    if let Ok(time) = text.parse::<TimeOrDuration>() {
        let _ms = time.resolve(1_767_225_600_000);
    }
    let _size = text.parse::<ByteSize>();
}

/// Relabelling rules as YAML, applied to a few labels.
pub fn relabel(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(rules) = serde_saphyr::from_str::<Vec<RelabelConfig>>(text) else {
        return;
    };
    let mut labels = Labels::builder();
    for (name, value) in [("__block_id", "01M820PD8C"), ("cluster", "eu1"), ("a", "")] {
        labels.set(name, value);
    }
    let _kept = relabel::process(&labels.build(), &rules);
    for rule in rules {
        let _valid = rule.validate_for_sharding();
    }
}
