//! The answers of Prometheus 3.14 to random questions, recorded by
//! `crates/testkit/genhistograms/main.go`: one line each, to be met to the last bit.

use super::{
    super::{Compensation, Keep, NanObservations, classic, exponential_bound},
    compacted, span,
};
use crate::{
    go_float::{GoFloat, exp2, log2},
    sample::{CounterResetHint, FloatHistogram, Span},
};

const RECORDED: &str = include_str!("../testdata/prometheus.tsv");

#[test]
fn answers_are_those_of_prometheus() {
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(RECORDED.lines()) {
        let parts: Vec<&str> = line.split('\t').collect();
        let (name, parts) = (parts[0], &parts[1..]);
        let (got, expected) = answer(name, parts);
        if got != expected {
            wrong.push(format!(
                "line {number}: {line}\n  got      {got}\n  expected {expected}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong, among them\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
}

/// Our answer and the recorded one, both as text.
fn answer(name: &str, parts: &[&str]) -> (String, String) {
    let rest = |from: usize| parts[from..].join(" ");
    match name {
        "add" | "sub" => sum(name == "add", parts),
        "kahan" => kahan(parts),
        "string" => (parse(parts[0]).to_string(), rest(1)),
        "test" => (parse(parts[0]).test_expression().unwrap(), rest(1)),
        "buckets" => (buckets(&parse(parts[0])), rest(1)),
        "compact" => {
            let mut histogram = parse(parts[0]);
            histogram.compact(parts[1].parse().unwrap());
            (show(&histogram), rest(2))
        }
        "schema" => {
            let copy = parse(parts[0]).copy_to_schema(parts[1].parse().unwrap());
            (show(&copy.unwrap()), rest(2))
        }
        "variance" => (GoFloat(parse(parts[0]).variance()).to_string(), g(parts[1])),
        "trim" => {
            let mut histogram = parse(parts[0]);
            let keep = if parts[2] == "true" {
                Keep::Below
            } else {
                Keep::Above
            };
            histogram.trim(float(parts[1]), keep);
            (show(&histogram), rest(3))
        }
        "quantile" => {
            let answer = parse(parts[0]).quantile(float(parts[1]));
            (noted(answer), rest(2))
        }
        "fraction" => {
            let answer = parse(parts[0]).fraction(float(parts[1]), float(parts[2]));
            (noted(answer), rest(3))
        }
        "reset" => {
            let reset = parse(parts[0]).detect_reset(&parse(parts[1]));
            (reset.to_string(), rest(2))
        }
        "equals" => {
            let equal = parse(parts[0]).equals(&parse(parts[1]));
            (equal.to_string(), rest(2))
        }
        "classic-quantile" => classic_quantile(parts),
        "classic-fraction" => {
            let [lower, upper] = [float(parts[1]), float(parts[2])];
            let fraction = classic::fraction(lower, upper, &mut classic_buckets(parts[0]));
            (GoFloat(fraction).to_string(), g(parts[3]))
        }
        "log2" => (GoFloat(log2(float(parts[0]))).to_string(), g(parts[1])),
        "exp2" => (GoFloat(exp2(float(parts[0]))).to_string(), g(parts[1])),
        "text" => {
            let bits = u64::from_str_radix(parts[0], 16).unwrap();
            (GoFloat(f64::from_bits(bits)).to_string(), rest(1))
        }
        "bound" => {
            let [schema, index] = [parts[0], parts[1]].map(|part| part.parse().unwrap());
            (
                GoFloat(exponential_bound(index, schema)).to_string(),
                g(parts[2]),
            )
        }
        _ => panic!("what is {name}?"),
    }
}

fn sum(add: bool, parts: &[&str]) -> (String, String) {
    let (mut sum, other) = (parse(parts[0]), parse(parts[1]));
    let before = sum.clone();
    let result = if add {
        sum.add(&other)
    } else {
        sum.sub(&other)
    };
    let Ok(reconciled) = result else {
        assert_eq!(sum, before, "changed although it failed");
        return ("error".to_owned(), parts[2].to_owned());
    };
    let expected = parse(parts[2]);
    let flags = format!(
        "{} {}",
        reconciled.reset_collision, reconciled.custom_bounds
    );
    let hollow = [&before, &other].iter().any(|h| has_hollow_span(h));
    let (sum, expected) = if hollow {
        (compacted(sum), compacted(expected))
    } else {
        (sum, expected)
    };
    (
        format!("{} {flags}", show(&sum)),
        format!("{} {} {}", show(&expected), parts[3], parts[4]),
    )
}

/// A span without buckets may or may not be left after a sum.
fn has_hollow_span(histogram: &FloatHistogram) -> bool {
    let mut spans = histogram
        .positive_spans
        .iter()
        .chain(&histogram.negative_spans);
    spans.any(|span| span.length == 0)
}

fn kahan(parts: &[&str]) -> (String, String) {
    let factor = float(parts[0]);
    let mut list = parts[1].split('|').map(parse);
    let mut sum = list.next().unwrap();
    let mut carry = Compensation::new();
    let mut hollow = has_hollow_span(&sum);
    for other in list {
        hollow |= has_hollow_span(&other);
        if factor != 1.0 {
            sum.mul(factor);
            carry.mul(factor);
        }
        sum.kahan_add(&other, &mut carry).unwrap();
    }
    let raw = sum.clone();
    sum.add_compensation(&carry);
    let text = |raw: FloatHistogram, sum: FloatHistogram| {
        let [raw, sum] = [raw, sum].map(|h| if hollow { compacted(h) } else { h });
        format!("{} {}", show(&raw), show(&sum))
    };
    (text(raw, sum), text(parse(parts[2]), parse(parts[3])))
}

fn buckets(histogram: &FloatHistogram) -> String {
    let forward = histogram.buckets().map(|b| format!("{b}@{}", b.index));
    let backward = histogram.buckets().rev().map(|b| b.to_string());
    format!(
        "{} {}",
        forward.collect::<Vec<_>>().join(" "),
        backward.collect::<Vec<_>>().join(" ")
    )
}

fn noted((value, note): (f64, Option<NanObservations>)) -> String {
    let note = match note {
        None => "-",
        Some(NanObservations::Skew) => "skew",
        Some(NanObservations::Result) => "result",
        Some(NanObservations::Excluded) => "excluded",
    };
    format!("{} {note}", GoFloat(value))
}

fn classic_quantile(parts: &[&str]) -> (String, String) {
    let quantile = classic::quantile(float(parts[1]), &mut classic_buckets(parts[0]));
    let got = format!("{} {}", GoFloat(quantile.value), quantile.small_deltas);
    let expected = format!("{} {}", parts[2], parts[4]);
    match quantile.forced_monotonic {
        None => (format!("{got} false"), format!("{expected} {}", parts[3])),
        Some(forced) => {
            let [low, high, most] = [forced.lowest, forced.highest, forced.largest].map(GoFloat);
            (
                format!("{got} true {low} {high} {most}"),
                format!(
                    "{expected} {} {} {} {}",
                    parts[3], parts[5], parts[6], parts[7]
                ),
            )
        }
    }
}

fn classic_buckets(text: &str) -> Vec<classic::Bucket> {
    let bucket = |part: &str| {
        let (bound, count) = part.split_once(':').unwrap();
        classic::Bucket {
            upper_bound: float(bound),
            count: float(count),
        }
    };
    text.split(',').map(bucket).collect()
}

fn float(text: &str) -> f64 {
    text.parse().unwrap()
}

fn g(text: &str) -> String {
    GoFloat(float(text)).to_string()
}

fn list<T>(text: &str, parse: impl Fn(&str) -> T) -> Vec<T> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(parse).collect()
}

fn spans(text: &str) -> Vec<Span> {
    list(text, |part| {
        let (offset, length) = part.split_once(':').unwrap();
        span(offset.parse().unwrap(), length.parse().unwrap())
    })
}

fn parse(text: &str) -> FloatHistogram {
    let parts: Vec<&str> = text.split(';').collect();
    FloatHistogram {
        counter_reset_hint: match parts[0] {
            "0" => CounterResetHint::Unknown,
            "1" => CounterResetHint::Reset,
            "2" => CounterResetHint::NotReset,
            _ => CounterResetHint::Gauge,
        },
        schema: parts[1].parse().unwrap(),
        zero_threshold: float(parts[2]),
        zero_count: float(parts[3]),
        count: float(parts[4]),
        sum: float(parts[5]),
        positive_spans: spans(parts[6]),
        positive_buckets: list(parts[7], float),
        negative_spans: spans(parts[8]),
        negative_buckets: list(parts[9], float),
        custom_values: list(parts[10], float),
    }
}

/// The form that [`parse`] reads.
fn show(histogram: &FloatHistogram) -> String {
    let hint = match histogram.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    };
    let spans = |spans: &[Span]| {
        let parts = spans.iter().map(|s| format!("{}:{}", s.offset, s.length));
        parts.collect::<Vec<_>>().join(",")
    };
    let floats = |values: &[f64]| {
        let parts = values.iter().map(|value| GoFloat(*value).to_string());
        parts.collect::<Vec<_>>().join(",")
    };
    let h = histogram;
    let [threshold, zero_count, count, sum] =
        [h.zero_threshold, h.zero_count, h.count, h.sum].map(GoFloat);
    format!(
        "{hint};{};{threshold};{zero_count};{count};{sum};{};{};{};{};{}",
        h.schema,
        spans(&h.positive_spans),
        floats(&h.positive_buckets),
        spans(&h.negative_spans),
        floats(&h.negative_buckets),
        floats(&h.custom_values),
    )
}
