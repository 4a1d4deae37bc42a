//! The engine: evaluates queries over a [`Source`], at one time or at every step of a range.
//!
//! An expression is evaluated once for all steps. Its value is a vector of rows: the labels of a series
//! and a column with one place for each step. Selectors decode the samples of a series once and fill
//! its whole column; that, and functions over ranges, run on all cores, series by series. Results do not
//! depend on the number of cores: rows keep their order, and what adds up adds in that order.
//!
//! Before it begins, the source is told what will be selected, so that no select waits for another one. Of native
//! histograms, `rate` and `increase` ask for those at the ends of windows alone; on the way into a `sum`, those of a
//! series with the same buckets are rows of a matrix, and no histogram is made of them before they are added up.

mod aggregate;
mod annotation;
mod answer;
mod binary;
mod call;
mod column;
mod error;
mod eval;
mod flow;
mod given;
mod memory;
mod observe;
mod plan;
mod query;
mod select;
mod shared;
mod signature;
mod smooth;
mod spare;
mod stage;
mod steps;
mod stop;
mod summary;
mod window;

use std::sync::Arc;

use rutile_model::Patterns;
use rutile_runtime::{Account, CancellationToken, CpuPool};

pub use annotation::{Annotation, Annotations, Mended, Severity};
pub use answer::{Answer, InstantSample, RangeSeries, Value};
pub use column::SampleValue;
pub use error::Error;
pub use observe::{Analysis, QueryStats};
pub use plan::Explanation;
pub use query::Query;
pub use steps::MAX_TIME_MS;

use crate::{ParserOptions, Source, ValueType};
use eval::Evaluator;
use memory::{Held, Memory};
use observe::Observed;
use plan::Node;
use steps::Steps;
use stop::Stop;

/// A result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The most steps of a range query.
pub const MAX_STEPS: i64 = 11_000;

/// How queries are evaluated.
#[derive(Debug, Clone, Copy)]
pub struct EngineOptions {
    /// What may be used of the language.
    pub parser: ParserOptions,
    /// How far an instant selector looks back, ms.
    pub lookback_ms: i64,
    /// The step of a subquery that names none, ms.
    pub subquery_step_ms: i64,
    /// The most samples that a query may hold at a time.
    pub max_samples: u64,
    /// Whether metric names go at the end of the evaluation only.
    pub delayed_name_removal: bool,
    /// Whether a counter is known by its label `__type__`, and not by the end of its name.
    pub type_and_unit_labels: bool,
    /// Whether counter functions take start timestamps into account.
    pub start_timestamps: bool,
    /// Whether the rules of the plan are made use of. Answers are the same without them.
    pub optimize: bool,
    /// Whether the answer tells what each part of the query came to.
    pub analyze: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            parser: ParserOptions::default(),
            lookback_ms: 5 * 60_000,
            subquery_step_ms: 60_000,
            max_samples: 50_000_000,
            delayed_name_removal: false,
            type_and_unit_labels: false,
            start_timestamps: false,
            optimize: true,
            analyze: false,
        }
    }
}

/// Evaluates queries. Clones share the processor pool.
#[derive(Debug, Clone)]
pub struct Engine {
    options: EngineOptions,
    pool: CpuPool,
    account: Option<Account>,
    stop: Stop,
}

impl Engine {
    /// An engine that computes in `pool`.
    #[must_use]
    pub fn new(options: EngineOptions, pool: CpuPool) -> Self {
        Self {
            options,
            pool,
            account: None,
            stop: Stop::default(),
        }
    }

    /// The same engine, which reserves what its queries hold on this account of the memory ledger.
    #[must_use]
    pub fn with_account(self, account: Account) -> Self {
        Self {
            account: Some(account),
            ..self
        }
    }

    /// The same engine, whose queries end within milliseconds with [`Error::Canceled`] when `token` is cancelled,
    /// even where they compute without waiting for anything.
    #[must_use]
    pub fn with_stop(self, token: CancellationToken) -> Self {
        Self {
            stop: Stop::by(token),
            ..self
        }
    }

    /// Evaluates the text of a query at one time, ms since the Unix epoch.
    ///
    /// # Errors
    /// When the query is wrong, and as of [`Self::instant_query`].
    pub async fn instant(
        &self,
        source: &Arc<dyn Source>,
        query: &str,
        time_ms: i64,
    ) -> Result<Answer> {
        let query = Query::parse(query, &self.options.parser)?;
        self.instant_query(source, query, time_ms).await
    }

    /// Evaluates `query` at one time, ms since the Unix epoch.
    ///
    /// # Errors
    /// When the source fails, or the evaluation does.
    pub async fn instant_query(
        &self,
        source: &Arc<dyn Source>,
        query: Query,
        time_ms: i64,
    ) -> Result<Answer> {
        let (expr, patterns) = query.into_parts();
        let expr = plan::rewritten(expr, &self.options);
        let plan = plan::plan(&expr, &self.options);
        let steps = Steps::one(time_ms)?;
        let mut evaluator = self.evaluator(source, steps, &plan, patterns).await?;
        let answer = if expr.value_type() == ValueType::Matrix {
            let samples = evaluator.samples(&plan).await?;
            Answer::samples(samples, &mut evaluator)?
        } else {
            let operand = evaluator.eval(&plan).await?;
            Answer::instant(operand, &mut evaluator)?
        };
        Ok(answer.analyzed(&plan, &evaluator))
    }

    /// Evaluates the text of a query at `start_ms` and every `step_ms` until `end_ms`, ms since the Unix epoch.
    ///
    /// # Errors
    /// When the query is wrong, and as of [`Self::range_query`].
    pub async fn range(
        &self,
        source: &Arc<dyn Source>,
        query: &str,
        times: (i64, i64),
        step_ms: i64,
    ) -> Result<Answer> {
        let query = Query::parse(query, &self.options.parser)?;
        self.range_query(source, query, times, step_ms).await
    }

    /// Evaluates `query` at `start_ms` and every `step_ms` until `end_ms`, ms since the Unix epoch.
    ///
    /// # Errors
    /// As [`Self::instant_query`]; when the step is not positive, the end before the start, there are more than
    /// [`MAX_STEPS`], or the query is neither a scalar nor an instant vector.
    pub async fn range_query(
        &self,
        source: &Arc<dyn Source>,
        query: Query,
        (start_ms, end_ms): (i64, i64),
        step_ms: i64,
    ) -> Result<Answer> {
        let (expr, patterns) = query.into_parts();
        let expr = plan::rewritten(expr, &self.options);
        let steps = Steps::range(start_ms, end_ms, step_ms)?;
        answer::require_ranged(&expr)?;
        let plan = plan::plan(&expr, &self.options);
        let mut evaluator = self.evaluator(source, steps, &plan, patterns).await?;
        let operand = evaluator.eval(&plan).await?;
        let answer = Answer::range(operand, &mut evaluator)?;
        Ok(answer.analyzed(&plan, &evaluator))
    }

    /// How the text of a query would be evaluated.
    ///
    /// # Errors
    /// When it is no query.
    pub fn explain(&self, query: &str) -> Result<Explanation> {
        let query = Query::parse(query, &self.options.parser)?;
        Ok(self.explain_query(query))
    }

    /// How `query` would be evaluated.
    #[must_use]
    pub fn explain_query(&self, query: Query) -> Explanation {
        let (expr, _) = query.into_parts();
        let expr = plan::rewritten(expr, &self.options);
        plan::plan(&expr, &self.options).explanation()
    }

    async fn evaluator<'s>(
        &self,
        source: &'s Arc<dyn Source>,
        steps: Steps,
        plan: &Node<'_>,
        patterns: Patterns,
    ) -> Result<Evaluator<'s>> {
        let mut memory = Memory::enter(self.account.clone(), self.options.max_samples).await?;
        memory.add(Held::of_patterns(&patterns))?;
        let mut evaluator = Evaluator::new(self.options, self.pool.clone(), source, steps, memory);
        evaluator.patterns = patterns;
        evaluator.stop = self.stop.clone();
        if self.options.analyze {
            evaluator.observed = Observed::of(plan);
        }
        evaluator.announce(plan);
        Ok(evaluator)
    }
}
