//! Prometheus' test scripts, in `testdata`: what the engine must answer.
//!
//! `SCRIPT=functions.test cargo test -p rutile-promql --test scripts -- --nocapture` runs one of them.

mod compare;
mod hints;
mod nhcb;
mod reading;
mod record;
mod run;
mod script;
mod storage;

use std::fs;
use std::io::Read;

use rutile_promql::{Engine, EngineOptions, ParserOptions};
use rutile_runtime::CpuPool;

use script::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");

/// The scripts to run.
fn names() -> Vec<String> {
    let only = std::env::var("SCRIPT").ok();
    let entries = fs::read_dir(FOLDER).expect("the folder is there");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".test"))
        .filter(|name| only.as_ref().is_none_or(|only| only == name))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no script");
    names
}

/// What a script says.
fn commands(name: &str) -> Vec<Command> {
    let text = fs::read_to_string(format!("{FOLDER}/{name}")).expect("it can be read");
    script::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// As Prometheus runs them.
fn engine() -> Engine {
    let options = EngineOptions {
        parser: ParserOptions::all(),
        delayed_name_removal: true,
        start_timestamps: true,
        ..EngineOptions::default()
    };
    Engine::new(options, CpuPool::inline())
}

/// `RECORD=file.jsonl.gz` names other answers than those in `testdata`.
#[tokio::test]
async fn records() -> Result<(), String> {
    let path = std::env::var("RECORD").unwrap_or_else(|_| format!("{FOLDER}/answers.jsonl.gz"));
    let file = fs::File::open(path).expect("it can be opened");
    let mut text = String::new();
    let read = flate2::read::GzDecoder::new(file).read_to_string(&mut text);
    read.expect("it can be read");
    let records = record::read(&text);
    let (mut right, mut wrong) = (0, 0);
    for name in names() {
        let (good, bad) = record::replay(&records, &name, &commands(&name)).await;
        for failure in &bad {
            println!("{failure}");
        }
        right += good;
        wrong += bad.len();
    }
    println!("records: {right} right, {wrong} wrong");
    match wrong {
        0 => Ok(()),
        _ => Err(format!("{wrong} answers are not those of Prometheus")),
    }
}

#[tokio::test]
async fn answers() -> Result<(), String> {
    let engine = engine();
    let (mut summary, mut passed, mut failed) = (String::new(), 0, 0);
    for name in names() {
        let outcome = run::script(&engine, &name, &commands(&name)).await;
        for failure in &outcome.failures {
            println!("{failure}");
        }
        let failures = outcome.failures.len();
        summary += &format!("{name}: {} passed, {failures} failed\n", outcome.passed);
        passed += outcome.passed;
        failed += failures;
    }
    println!("{summary}all: {passed} passed, {failed} failed");
    match failed {
        0 if passed < 2200 && std::env::var("SCRIPT").is_err() => {
            Err("most evaluations were not found".to_owned())
        }
        0 => Ok(()),
        _ => Err(format!("{failed} evaluations failed")),
    }
}
