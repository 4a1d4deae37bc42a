//! What random queries have found, each once by name.

use std::sync::Arc;

use rutile_promql::{Engine, EngineOptions, ParserOptions, Source, Value};
use rutile_runtime::CpuPool;

use crate::compare::Rows;
use crate::data;
use crate::source::InMemory;

fn source(lines: &[&str]) -> Arc<dyn Source> {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    InMemory::source(data::stored(&lines))
}

fn engine(delayed_name_removal: bool) -> Engine {
    let options = EngineOptions {
        parser: ParserOptions::all(),
        delayed_name_removal,
        ..EngineOptions::default()
    };
    Engine::new(options, CpuPool::inline())
}

/// The first step of a range had no samples before it, the later ones had.
#[tokio::test]
async fn functions_of_thanos_look_behind_subqueries_at_every_step() {
    let source = source(&["a 0 1 3 7 12 20 30 31 50 70"]);
    let engine = engine(false);
    for query in ["xdelta(a[2m:1m])", "xrate(a[2m:])", "xincrease(a[90s:30s])"] {
        let ranged = engine
            .range(&source, query, (240_000, 480_000), 120_000)
            .await;
        let ranged = Rows::of(&ranged.expect("an answer").value);
        for time in [240_000, 360_000, 480_000] {
            let instant = engine
                .instant(&source, query, time)
                .await
                .expect("an answer");
            assert_eq!(
                ranged.at(time),
                Rows::of(&instant.value),
                "{query} at {time}"
            );
        }
    }
}

#[tokio::test]
async fn sorting_by_value_turns_nans_round() {
    let source = source(&[
        "a{i=\"1\"} NaN",
        "a{i=\"2\"} 5",
        "a{i=\"3\"} NaN",
        "a{i=\"4\"} 7",
    ]);
    for (query, want) in [
        ("sort(a)", ["2", "4", "3", "1"]),
        ("sort_desc(a)", ["4", "2", "3", "1"]),
    ] {
        let answer = engine(false)
            .instant(&source, query, 0)
            .await
            .expect("an answer");
        let Value::Vector(samples) = answer.value else {
            panic!("a vector")
        };
        let got: Vec<&str> = samples.iter().map(|s| s.labels.value("i")).collect();
        assert_eq!(got, want, "{query}");
    }
}

/// The sign of an infinite base was read back as that of the power, once more with each turn.
#[test]
fn an_infinite_base_is_printed_without_its_sign() {
    let options = ParserOptions::all();
    let long = "min_of(-Inf ^ 0, 1) ".to_owned() + &"+ 1 ".repeat(40);
    for query in ["-Inf ^ 0", "+Inf ^ 0", "Inf ^ 0", "(-Inf) ^ 0", &long] {
        let expr = rutile_promql::parse_expr(query, &options).unwrap();
        let printed = expr.to_string();
        let again = rutile_promql::parse_expr(&printed, &options).unwrap();
        assert_eq!(again.to_string(), printed);
        let pretty = rutile_promql::parse_expr(&expr.pretty(), &options).unwrap();
        assert_eq!(pretty.to_string(), printed);
    }
}
