//! Random queries over random series: whatever is evaluated in two ways must come out alike.
//!
//! Everything follows from a seed. `QUERIES` says how many queries each test has (10,000 if unset), `FIRST_SEED` where
//! they begin: `FIRST_SEED=4711 QUERIES=1 cargo test -p rutile-promql --test random` repeats one of them.

mod alike;
mod case;
mod chance;
mod chunks;
mod compare;
mod data;
mod features;
mod generate;
mod printed;
mod reference;
mod regressions;
mod shards;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rutile_promql::{
    AggregateOp, Answer, Engine, EngineOptions, Error, Expr, ParserOptions, Source, parse_expr,
};
use rutile_runtime::CpuPool;

use case::{QUERIES_OF_DATA, When, each, number};
use chance::Chance;
use compare::{Rows, TOLERANCE, exact, exact_rows, more_remarks};
use data::Stored;
use source::InMemory;

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

/// Whether something is picked by its place in a vector that an aggregation or a sort has put in order.
fn picks_by_order(expr: &Expr) -> bool {
    use AggregateOp::{Bottomk, Limitk, Topk};
    let mut picks = false;
    expr.walk(&mut |outer| {
        let Expr::Aggregate(aggregate) = outer else {
            return;
        };
        if matches!(aggregate.op, Topk | Bottomk | Limitk) {
            aggregate.expr.walk(&mut |inner| {
                picks |= match inner {
                    Expr::Aggregate(_) => true,
                    Expr::Call(call) => call.function.name.starts_with("sort"),
                    _ => false,
                };
            });
        }
    });
    picks
}

/// Exceptions, which are Prometheus's too: what is of the whole query (`@ start()`, `end()`, `step()`, durations made of
/// them); the order of a vector, and what is picked by it; annotations; two series that become alike at different times
/// are one over a range; and of those, with delayed name removal, either all samples keep the name or none.
#[tokio::test]
async fn each_step_of_a_range_is_an_instant() {
    let mut compared = 0;
    each(false, false, async |case| {
        let When::Range { start, end, step } = case.when else {
            return Ok(());
        };
        let merges_names = case.options.delayed_name_removal && case.query.contains(" or ");
        if merges_names || picks_by_order(&case.expr) {
            return Ok(());
        }
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
        let source = InMemory::source(encoded.clone());
        let theirs = case.evaluate(&case.engine(), &source, &case.query).await;
        let decodes_all = Engine::new(
            EngineOptions {
                optimize: false,
                ..case.options
            },
            CpuPool::inline(),
        );
        let all = case.evaluate(&decodes_all, &source, &case.query).await;
        // Series that an operator leaves out anyhow may not be read, and then there is no remark about them.
        if exact_rows(&all) != exact_rows(&theirs) || !more_remarks(&theirs, &all).is_empty() {
            return Err(format!("{}\n  {}", exact(&all), exact(&theirs)));
        }
        alike(&case.answer().await, &theirs)
    })
    .await;
}
