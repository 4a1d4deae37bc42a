//! A query, the series it is about, and the times it is about: all by a seed.

use std::sync::Arc;

use rutile_promql::{
    Answer, Engine, EngineOptions, Error, Expr, ParserOptions, Source, ValueType, parse_expr,
};
use rutile_runtime::CpuPool;

use crate::chance::Chance;
use crate::data::{self, LAST_MS, Stored};
use crate::generate::Generator;
use crate::source::InMemory;

/// So many queries have the same series.
pub(crate) const QUERIES_OF_DATA: u64 = 250;

/// A query, when it is evaluated, and the series.
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) query: String,
    pub(crate) expr: Expr,
    pub(crate) when: When,
    pub(crate) options: EngineOptions,
    pub(crate) series: Vec<Arc<Stored>>,
}

/// Times in ms.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

pub(crate) fn number(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

/// Calls `check` with each case; collects what it says is wrong.
pub(crate) async fn each(
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
    pub(crate) fn new(seed: u64, series: Vec<Arc<Stored>>, of_query: bool, any_type: bool) -> Self {
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

    pub(crate) fn source(&self) -> Arc<dyn Source> {
        InMemory::source(self.series.clone())
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::new(self.options, CpuPool::inline())
    }

    pub(crate) async fn evaluate(
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

    pub(crate) async fn answer(&self) -> Result<Answer, Error> {
        self.evaluate(&self.engine(), &self.source(), &self.query)
            .await
    }
}
