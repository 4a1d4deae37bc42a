//! The evaluator: goes through the tree, each expression once for all steps.

mod join;
mod ranges;
mod times;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use rutile_model::Matcher;
use rutile_runtime::CpuPool;

use super::aggregate::{self, AggregateContext};
use super::annotation::Annotations;
use super::binary::{self, BinaryContext};
use super::call::{self, CallContext};
use super::column::{Operand, Row, SampleValue};
use super::select::{self, Given, Instant, Take};
use super::steps::Steps;
use super::summary::Summary;
use super::window::{self, Kernel};
use super::{EngineOptions, Error, Result};
use crate::ast::{
    Aggregate, Binary, Call, Expr, Extension, FunctionId, Sign, Unary, ValueType, VectorSelector,
};
use crate::source::{Select, Source};
use join::join;
use ranges::Hints;

pub(crate) use join::without_name;

/// Labels that are not part of a result that is no longer the metric.
pub(crate) const METRIC_NAME: &str = "__name__";

/// Evaluates the expressions of one query.
pub(crate) struct Evaluator<'s> {
    pub(crate) options: EngineOptions,
    pub(crate) pool: CpuPool,
    source: &'s Arc<dyn Source>,
    /// When the expression at hand is evaluated: those of a subquery inside it.
    pub(crate) steps: Steps,
    /// Those of the whole query.
    pub(crate) query: Steps,
    /// The function or aggregation around the expression at hand, if no operator is between them.
    around: Option<&'static str>,
    /// What the expressions around it want of histograms.
    summary: Summary,
    pub(crate) annotations: Annotations,
    pub(crate) warnings: Vec<String>,
}

impl<'s> Evaluator<'s> {
    pub(crate) fn new(
        options: EngineOptions,
        pool: CpuPool,
        source: &'s Arc<dyn Source>,
        steps: Steps,
    ) -> Self {
        Self {
            options,
            pool,
            source,
            steps,
            query: steps,
            around: None,
            summary: Summary::default(),
            annotations: Annotations::default(),
            warnings: Vec::new(),
        }
    }

    /// The value of an expression that is no range vector.
    pub(crate) fn eval<'a>(&'a mut self, expr: &'a Expr) -> BoxFuture<'a, Result<Operand>> {
        async move {
            let around = match expr {
                Expr::Binary(_) => None,
                Expr::Aggregate(aggregate) => Some(aggregate.op.as_str()),
                Expr::Call(call) => Some(call.function.name),
                _ => self.around,
            };
            let outer = (self.around, self.summary);
            (self.around, self.summary) = (around, self.summary.inside(expr));
            let value = self.value(expr).await;
            (self.around, self.summary) = outer;
            value
        }
        .boxed()
    }

    async fn value(&mut self, expr: &Expr) -> Result<Operand> {
        match expr {
            Expr::Number(number) => Ok(Operand::Scalar(vec![number.value; self.steps.len()])),
            Expr::String(string) => Ok(Operand::String(string.value.clone())),
            Expr::Paren(paren) => self.eval(&paren.expr).await,
            Expr::Vector(selector) => {
                let rows = self.vector(selector, Take::Value).await?;
                Ok(Operand::Vector(rows))
            }
            Expr::Unary(unary) => self.unary(unary).await,
            Expr::Binary(binary) => self.binary(binary).await,
            Expr::Aggregate(aggregate) => self.aggregate(aggregate).await,
            Expr::Call(call) => self.call(call).await,
            Expr::Matrix(_) | Expr::Subquery(_) => {
                Err(Error::execution("a range vector has no value at a step"))
            }
        }
    }

    async fn vector(&mut self, selector: &VectorSelector, take: Take) -> Result<Vec<Row>> {
        let looks = self.looks(selector.at, selector.offset.as_ref())?;
        let (first, last) = looks.bounds();
        let lookback_ms = self.options.lookback_ms;
        let min_time = first - lookback_ms + 1;
        let ahead_ms = match selector.extension {
            Some(Extension::Smoothed) => lookback_ms,
            _ => 0,
        };
        let series = self
            .select(Select {
                matchers: selector.matchers.clone(),
                min_time,
                max_time: last + ahead_ms,
                step_ms: self.steps.step_ms(),
                range_ms: 0,
                function: self.around,
            })
            .await?;
        let instant = Instant {
            looks,
            lookback_ms,
            extension: selector.extension,
            take,
            span: selector.span,
        };
        let steps = self.steps.len();
        let fill = select::instant;
        let since = self.summary.applies().then_some(min_time);
        let filled = select::rows(&self.pool, series, Arc::new(instant), fill, steps, since);
        let (rows, annotations) = filled.await?;
        self.annotations.extend(annotations);
        self.bounded(rows)
    }

    async fn select(&mut self, select: Select) -> Result<Vec<Given>> {
        let mut parts = self.source.select(&select).await?;
        let mut series = Vec::new();
        while let Some(part) = parts.next().await.transpose()? {
            for warning in part.warnings {
                if !self.warnings.contains(&warning) {
                    self.warnings.push(warning);
                }
            }
            series.extend(part.series.into_iter().map(Given::Source));
        }
        Ok(series)
    }

    /// The series of `info` and, as values, the times of their samples in ms; histograms are refused.
    pub(crate) async fn select_rows(
        &mut self,
        matchers: Vec<Matcher>,
        like: &VectorSelector,
    ) -> Result<Vec<Row>> {
        let selector = VectorSelector {
            matchers,
            ..like.clone()
        };
        self.vector(&selector, Take::FloatTime).await
    }

    async fn unary(&mut self, unary: &Unary) -> Result<Operand> {
        let operand = self.eval(&unary.expr).await?;
        if unary.op == Sign::Plus {
            return Ok(operand);
        }
        match operand {
            Operand::Scalar(values) => Ok(Operand::Scalar(values.iter().map(|v| -v).collect())),
            Operand::Vector(mut rows) => {
                for row in &mut rows {
                    for step in 0..row.column.len() {
                        let negated = row.column.get(step).map(|value| match value {
                            SampleValue::Float(value) => SampleValue::Float(-value),
                            SampleValue::Histogram(histogram) => {
                                let mut histogram = (*histogram).clone();
                                histogram.negate();
                                SampleValue::Histogram(Arc::new(histogram))
                            }
                        });
                        row.column.set(step, negated);
                    }
                }
                self.nameless(&mut rows);
                let delayed = self.options.delayed_name_removal;
                let rows = if delayed { rows } else { join(rows)? };
                Ok(Operand::Vector(self.bounded(rows)?))
            }
            Operand::String(_) => Err(Error::execution("a text has no sign")),
        }
    }

    async fn binary(&mut self, binary: &Binary) -> Result<Operand> {
        let lhs = self.eval(&binary.lhs).await?;
        let rhs = self.eval(&binary.rhs).await?;
        let mut context = BinaryContext {
            binary,
            steps: self.steps.len(),
            options: &self.options,
            annotations: &mut self.annotations,
        };
        match binary::apply(&mut context, lhs, rhs)? {
            Operand::Vector(rows) => Ok(Operand::Vector(self.joined(rows)?)),
            other => Ok(other),
        }
    }

    async fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Operand> {
        aggregate::check(aggregate)?;
        let param = match &aggregate.param {
            Some(param) => Some(self.eval(param).await?),
            None => None,
        };
        let rows = self.eval(&aggregate.expr).await?.into_vector();
        let mut context = AggregateContext {
            aggregate,
            steps: self.steps.len(),
            options: &self.options,
            annotations: &mut self.annotations,
        };
        let rows = aggregate::apply(&mut context, param, rows)?;
        self.bounded(rows).map(Operand::Vector)
    }

    async fn call(&mut self, call: &Call) -> Result<Operand> {
        let id = call.function.id;
        if let Some(kernel) = window::kernel(id) {
            return self.ranged(call, kernel).await.map(Operand::Vector);
        }
        if id == FunctionId::Info {
            let operand = call::info::eval(self, call).await?;
            return Ok(Operand::Vector(self.joined(operand.into_vector())?));
        }
        // Of a plain selector the time of its samples counts, not that of the step.
        if let (Some(take), Some(arg)) = (taken(id), call.args.first())
            && let Expr::Vector(selector) = arg.unwrap_parens()
        {
            if take == Take::Start && !self.options.start_timestamps {
                return Ok(Operand::Vector(Vec::new()));
            }
            let mut selector = selector.clone();
            if let (Some(_), Some(offset)) = (selector.at, &selector.offset)
                && self.ms(offset)? < 0
            {
                // In Prometheus, what lies behind the time that `@` fixes is not found here.
                selector.offset = None;
            }
            let mut rows = self.vector(&selector, take).await?;
            self.nameless(&mut rows);
            return Ok(Operand::Vector(self.joined(rows)?));
        }
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(match (arg.value_type(), id) {
                // Presence is all that counts: a kernel that counts stands in.
                (ValueType::Matrix, FunctionId::AbsentOverTime) => {
                    let range = self.range(arg, Hints::Dropped).await?;
                    let present: Kernel = |_, _| Some(SampleValue::Float(1.0));
                    Operand::Vector(self.over(call, range, present, Vec::new()).await?)
                }
                _ => self.eval(arg).await?,
            });
        }
        let mut context = CallContext {
            call,
            steps: self.steps,
            query: self.query,
            options: &self.options,
            annotations: &mut self.annotations,
        };
        match call::apply(&mut context, args)? {
            Operand::Vector(rows)
                if matches!(id, FunctionId::LabelJoin | FunctionId::LabelReplace) =>
            {
                Ok(Operand::Vector(self.bounded(join(rows)?)?))
            }
            Operand::Vector(rows) => Ok(Operand::Vector(self.joined(rows)?)),
            other => Ok(other),
        }
    }
}

/// What a function takes of the samples of a selector.
fn taken(id: FunctionId) -> Option<Take> {
    match id {
        FunctionId::Timestamp => Some(Take::Time),
        FunctionId::StartTimestamp => Some(Take::Start),
        _ => None,
    }
}
