//! Random queries over random series: whatever is evaluated in two ways must come out alike.
//!
//! Everything follows from a seed. `QUERIES` says how many queries each test has (10,000 if unset), `FIRST_SEED` where
//! they begin: `FIRST_SEED=4711 QUERIES=1 cargo test -p rutile-promql --test random` repeats one of them.

mod chance;
mod chunks;
mod compare;
mod data;
mod features;
mod generate;
mod reference;
mod regressions;
mod shards;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rutile_promql::{
    Answer, Engine, EngineOptions, Error, Expr, ParserOptions, Source, ValueType, parse_expr,
};
use rutile_runtime::CpuPool;

use chance::Chance;
use compare::{Rows, TOLERANCE, exact};
use data::{LAST_MS, Stored};
use generate::Generator;
use source::InMemory;

/// So many queries have the same series.
const QUERIES_OF_DATA: u64 = 250;

/// A query, when it is evaluated, and the series.
struct Case {
    seed: u64,
    query: String,
    expr: Expr,
    when: When,
    options: EngineOptions,
    series: Vec<Arc<Stored>>,
}

/// Times in ms.
#[derive(Debug, Clone, Copy)]
enum When {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

fn number(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

/// Calls `check` with each case; collects what it says is wrong.
async fn each(
    of_query: bool,
    any_type: bool,
    mut check: impl AsyncFnMut(&Case) -> Result<(), String>,
) {
    let first = number("FIRST_SEED", 1);
    let mut series = Vec::new();
    let mut failures = Vec::new();
    for seed in first..first + number("QUERIES", 10_000) {
        if series.is_empty() || seed.is_multiple_of(QUERIES_OF_DATA) {
            series = data::stored(&data::lines(seed / QUERIES_OF_DATA));
        }
        let case = Case::new(seed, series.clone(), of_query, any_type);
        if let Err(error) = check(&case).await {
            let (query, when) = (&case.query, case.when);
            failures.push(format!("FIRST_SEED={seed}: {query}\n  {when:?}: {error}"));
        }
    }
    let shown = failures.iter().take(20).map(String::as_str);
    let shown: Vec<&str> = shown.collect();
    assert!(
        failures.is_empty(),
        "{} failed\n{}",
        failures.len(),
        shown.join("\n")
    );
}

impl Case {
    fn new(seed: u64, series: Vec<Arc<Stored>>, of_query: bool, any_type: bool) -> Self {
        let mut generator = Generator::new(seed, of_query);
        let query = if any_type {
            generator.any()
        } else {
            generator.ranged()
        };
        let expr = parse_expr(&query, &ParserOptions::all());
        let expr = expr.unwrap_or_else(|errors| panic!("FIRST_SEED={seed}: {query}: {errors}"));
        let mut chance = Chance::new(!seed);
        let start = chance.below(LAST_MS as usize / 15_000) as i64 * 15_000;
        let is_ranged = matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector);
        let when = if is_ranged && chance.percent(60) {
            let step = chance.pick(&[30_000, 60_000, 61_000, 150_000, 300_000]);
            let end = start + step * chance.below(6) as i64 + chance.pick(&[0, 0, 1000]);
            When::Range { start, end, step }
        } else {
            When::At(start)
        };
        let options = EngineOptions {
            parser: ParserOptions::all(),
            max_samples: 200_000,
            delayed_name_removal: seed.is_multiple_of(2),
            type_and_unit_labels: seed.is_multiple_of(3),
            start_timestamps: seed.is_multiple_of(5),
            ..EngineOptions::default()
        };
        Self {
            seed,
            query,
            expr,
            when,
            options,
            series,
        }
    }

    fn source(&self) -> Arc<dyn Source> {
        InMemory::source(self.series.clone())
    }

    fn engine(&self) -> Engine {
        Engine::new(self.options, CpuPool::inline())
    }

    async fn evaluate(
        &self,
        engine: &Engine,
        source: &Arc<dyn Source>,
        query: &str,
    ) -> Result<Answer, Error> {
        match self.when {
            When::At(time) => engine.instant(source, query, time).await,
            When::Range { start, end, step } => {
                engine.range(source, query, (start, end), step).await
            }
        }
    }

    async fn answer(&self) -> Result<Answer, Error> {
        self.evaluate(&self.engine(), &self.source(), &self.query)
            .await
    }
}

/// Of two evaluations: both the same rows, or the same error.
fn alike(ours: &Result<Answer, Error>, theirs: &Result<Answer, Error>) -> Result<(), String> {
    match (ours, theirs) {
        (Ok(a), Ok(b)) => match Rows::of(&a.value).differ(&Rows::of(&b.value), TOLERANCE) {
            Some(difference) => Err(difference),
            None => Ok(()),
        },
        (Err(a), Err(b)) if a.to_string() == b.to_string() => Ok(()),
        (a, b) => Err(format!("{}\n  {}", exact(a), exact(b))),
    }
}

/// Without this the other tests would say little.
#[tokio::test]
async fn all_of_the_language_is_generated_and_has_answers() {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut of_answers = BTreeSet::new();
    let (mut filled, mut empty) = (0, 0);
    let mut errors: BTreeMap<String, usize> = BTreeMap::new();
    each(true, true, async |case| {
        let features = features::of(&case.expr);
        match case.answer().await {
            Ok(answer) if Rows::of(&answer.value).0.is_empty() => empty += 1,
            Ok(_) => {
                filled += 1;
                of_answers.extend(features.iter().cloned());
            }
            Err(error) => {
                let text: String = error.to_string().chars().take(45).collect();
                *errors.entry(text).or_default() += 1;
            }
        }
        for feature in features {
            *found.entry(feature).or_default() += 1;
        }
        Ok(())
    })
    .await;
    let failed: usize = errors.values().sum();
    println!("{filled} with an answer, {empty} without, {failed} errors: {errors:#?}");
    if number("QUERIES", 10_000) < 10_000 {
        return;
    }
    let missing: Vec<String> = features::all()
        .into_iter()
        .filter(|name| !of_answers.contains(name))
        .collect();
    assert!(
        missing.is_empty(),
        "never in a query with an answer: {missing:?}"
    );
    let rare: Vec<_> = found.iter().filter(|(_, times)| **times < 10).collect();
    assert!(rare.is_empty(), "less than ten times: {rare:?}");
    assert!(
        filled > 2 * (empty + failed),
        "too many queries have no answer"
    );
}

#[tokio::test]
async fn a_printed_query_is_the_same_query() {
    each(true, true, async |case| {
        let text = case.expr.to_string();
        for printed in [&text, &case.expr.pretty()] {
            let again = parse_expr(printed, &case.options.parser);
            let again = again.map_err(|error| format!("{printed}: {error}"))?;
            if again.to_string() != text {
                return Err(format!("printed as {printed}, which is printed as {again}"));
            }
        }
        if let Ok(stable) = parse_expr(&case.query, &ParserOptions::default())
            && stable != case.expr
        {
            return Err("it means something else without options".to_owned());
        }
        if text == case.query {
            return Ok(());
        }
        let printed = case.evaluate(&case.engine(), &case.source(), &text).await;
        let (ours, theirs) = (case.answer().await, printed);
        match (&ours, &theirs) {
            (Ok(a), Ok(b)) if Rows::of(&a.value) == Rows::of(&b.value) => Ok(()),
            (Err(a), Err(b)) if a.to_string() == b.to_string() => Ok(()),
            _ => Err(format!("as {text}: {}\n  {}", exact(&ours), exact(&theirs))),
        }
    })
    .await;
}

#[tokio::test]
async fn cores_and_parts_change_no_bit() {
    let pool = CpuPool::new(4);
    each(true, true, async |case| {
        let ours = exact(&case.answer().await);
        let engine = Engine::new(case.options, pool.clone());
        let part = 1 + case.seed as usize % 7;
        let series = case.series.clone();
        let source: Arc<dyn Source> = Arc::new(InMemory {
            series,
            part,
            cut: false,
        });
        let theirs = exact(&case.evaluate(&engine, &source, &case.query).await);
        if ours == theirs {
            Ok(())
        } else {
            Err(format!("{ours}\n  {theirs}"))
        }
    })
    .await;
}

/// A selector says all that it needs.
#[tokio::test]
async fn samples_that_were_not_asked_for_do_not_matter() {
    each(true, true, async |case| {
        let ours = case.answer().await;
        let (series, part) = (case.series.clone(), 1000);
        let source: Arc<dyn Source> = Arc::new(InMemory {
            series,
            part,
            cut: true,
        });
        let theirs = case.evaluate(&case.engine(), &source, &case.query).await;
        alike(&ours, &theirs)
    })
    .await;
}

/// Exceptions, which are Prometheus's too: what is of the whole query (`@ start()`, `end()`, `step()`, durations made of
/// them); the order of a vector; annotations; and two series that become alike at different times are one over a range.
#[tokio::test]
async fn each_step_of_a_range_is_an_instant() {
    let mut compared = 0;
    each(false, false, async |case| {
        let When::Range { start, end, step } = case.when else {
            return Ok(());
        };
        let (engine, source) = (case.engine(), case.source());
        let ranged = case.answer().await;
        let mut instants = Vec::new();
        for time in (start..=end).step_by(step as usize) {
            instants.push((time, engine.instant(&source, &case.query, time).await));
        }
        let ranged = match ranged {
            Ok(answer) => Rows::of(&answer.value),
            Err(error) => {
                let fails = instants.iter().any(|(_, instant)| instant.is_err());
                let of_range = error.to_string().contains("same labelset");
                return if fails || of_range {
                    Ok(())
                } else {
                    Err(format!("only the range fails: {error}"))
                };
            }
        };
        for (time, instant) in instants {
            compared += 1;
            let instant = instant.map_err(|error| format!("only at {time}: {error}"))?;
            if let Some(difference) = ranged.at(time).differ(&Rows::of(&instant.value), TOLERANCE) {
                return Err(format!("range and instant: {difference}"));
            }
        }
        Ok(())
    })
    .await;
    assert!(compared > number("QUERIES", 10_000), "{compared}");
}

#[tokio::test]
async fn the_answers_of_shards_make_the_whole() {
    let mut sharded = 0;
    each(true, false, async |case| {
        let Some(sharding) = shards::of(&case.expr) else {
            return Ok(());
        };
        sharded += 1;
        let (mut union, mut failed) = (Rows::default(), None);
        for part in sharding.split(&case.series, 3) {
            match case
                .evaluate(&case.engine(), &InMemory::source(part), &case.query)
                .await
            {
                Ok(answer) => union.extend(Rows::of(&answer.value)),
                Err(error) => failed = Some(error),
            }
        }
        match (case.answer().await, failed) {
            (Ok(whole), None) => match Rows::of(&whole.value).differ(&union, TOLERANCE) {
                Some(difference) => Err(format!("{sharding:?}: {difference}")),
                None => Ok(()),
            },
            (Err(_), Some(_)) => Ok(()),
            (Ok(_), Some(error)) => Err(format!("{sharding:?}: only a shard fails: {error}")),
            (Err(error), None) => Err(format!("{sharding:?}: only the whole fails: {error}")),
        }
    })
    .await;
    assert!(sharded > number("QUERIES", 10_000) / 5, "{sharded}");
}

#[tokio::test]
async fn chunks_change_nothing() {
    let mut encoded: Option<(u64, Vec<Arc<Stored>>)> = None;
    each(true, true, async |case| {
        let data = case.seed / QUERIES_OF_DATA;
        let encoded = match &encoded {
            Some((of, series)) if *of == data => series,
            _ => {
                let mut chance = Chance::new(data);
                let cuts = chunks::Cuts {
                    most: chance.pick(&[120, 7, 1]),
                    random: chance.percent(50),
                    floats: chance.percent(50),
                };
                let through =
                    |stored: &Arc<Stored>| Arc::new(chunks::through(stored, cuts, &mut chance));
                let series = case.series.iter().map(through).collect();
                &encoded.insert((data, series)).1
            }
        };
        let theirs = case
            .evaluate(
                &case.engine(),
                &InMemory::source(encoded.clone()),
                &case.query,
            )
            .await;
        alike(&case.answer().await, &theirs)
    })
    .await;
}
